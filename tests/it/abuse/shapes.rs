//! Requests that nobody should send, each as bytes, with what they are answered.

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// One answer with this status.
    Status(u16),
    /// The same, or a connection that is closed without a word: its framing broke after the head.
    StatusOrEnd(u16),
    /// One answer under `/2.0`: HTTP 200 with this code.
    Code(u64),
}

/// One request.
pub struct Shape {
    pub name: String,
    pub bytes: Vec<u8>,
    pub wanted: Wanted,
}

/// A payment that is right.
const RIGHT: &str =
    r#"{"bill_num":"abuse","channel":"wx_native","amount":{"amount_minor":100,"currency":"CNY"},"subject":"A toy"}"#;

/// A request that must never be taken for one of its own.
const HIDDEN: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// All of them, for a server that knows this API key and app.
pub fn all(api_key: &str, app_id: &str) -> Vec<Shape> {
    let native = format!("Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\n");
    let original = format!("X-ML-AppId: {app_id}\r\nX-ML-APIKey: {api_key}\r\n");
    let mut shapes = framings(&native);
    shapes.extend(sizes(&native));
    shapes.extend(heads());
    shapes.extend(repeated(api_key, &native));
    for (name, body, status, code) in bodies() {
        let length = body.len();
        for (path, head, wanted) in
            [("/v1/transactions", &native, Wanted::Status(status)), ("/2.0/maxpay/bill", &original, Wanted::Code(code))]
        {
            let bytes = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {length}\r\n\r\n");
            let bytes = [bytes.into_bytes(), body.clone()].concat();
            shapes.push(Shape { name: format!("{path}: {name}"), bytes, wanted });
        }
    }
    shapes
}

fn shape(name: &str, bytes: impl Into<Vec<u8>>, status: u16) -> Shape {
    Shape { name: name.to_owned(), bytes: bytes.into(), wanted: Wanted::Status(status) }
}

/// Lengths that contradict each other or are none: what a proxy and a server could read differently.
fn framings(native: &str) -> Vec<Shape> {
    let length = RIGHT.len();
    [
        ("length twice, alike", format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), 400),
        ("length twice, unlike", format!("Content-Length: {length}\r\nContent-Length: 0\r\n"), 400),
        ("length as a list", format!("Content-Length: {length}, {length}\r\n"), 400),
        ("length with a sign", format!("Content-Length: +{length}\r\n"), 400),
        ("length below zero", "Content-Length: -1\r\n".to_owned(), 400),
        ("length beyond 64 bits", "Content-Length: 18446744073709551616\r\n".to_owned(), 400),
        ("length empty", "Content-Length: \r\n".to_owned(), 400),
        ("length and chunked", format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("chunked and length", format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), 400),
        ("chunked and identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(), 400),
        ("chunked, identity", "Transfer-Encoding: chunked, identity\r\n".to_owned(), 400),
        ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n".to_owned(), 400),
        ("xchunked", format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n"), 400),
        ("a blank before the colon", format!("Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n"), 400),
        ("a folded line", format!("Transfer-Encoding:\r\n chunked\r\nContent-Length: {length}\r\n"), 400),
    ]
    .into_iter()
    .map(|(name, lines, status)| {
        let head = format!("POST /v1/transactions HTTP/1.1\r\nHost: x\r\n{native}{lines}\r\n");
        shape(name, format!("{head}{RIGHT}{HIDDEN}"), status)
    })
    .collect()
}

/// Chunks whose size is none.
fn sizes(native: &str) -> Vec<Shape> {
    let head = format!("POST /v1/transactions HTTP/1.1\r\nHost: x\r\n{native}Transfer-Encoding: chunked\r\n\r\n");
    ["zz", "10000000000000000", "-1", "", "0x2", "2 "]
        .into_iter()
        .map(|size| Shape {
            name: format!("a chunk of {size:?}"),
            bytes: format!("{head}{size}\r\n{{}}\r\n0\r\n\r\n").into_bytes(),
            wanted: if size == "2 " { Wanted::StatusOrEnd(422) } else { Wanted::StatusOrEnd(400) },
        })
        .collect()
}

/// Heads that are no heads, or too large.
fn heads() -> Vec<Shape> {
    let get = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n").into_bytes();
    let many = (0..300).map(|number| format!("X-{number}: a\r\n")).collect::<Vec<_>>().concat();
    let large = |bytes: usize| "a".repeat(bytes);
    vec![
        shape("nothing but noise", b"\x00\xff\x00\xff\r\n\r\n".to_vec(), 400),
        shape("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x02\x00".to_vec(), 400),
        shape("the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        shape("a version of the future", "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        shape("no host", "GET /livez HTTP/1.1\r\n\r\n", 400),
        shape("two hosts", get("/livez", "Host: y\r\n"), 400),
        shape("NUL in a header", get("/livez", "X-A: a\0b\r\n"), 400),
        shape("NUL in the target", get("/li\0vez", ""), 400),
        shape("no UTF-8 in the target", b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 400),
        shape("a line of 20 KB", get(&format!("/livez?{}", large(20_000)), ""), 431),
        shape("a line of 70 KB", get(&format!("/{}", large(70_000)), ""), 400),
        shape("a header of 20 KB", get("/livez", &format!("X-A: {}\r\n", large(20_000))), 431),
        shape("a header of 200 KB", get("/livez", &format!("X-A: {}\r\n", large(200_000))), 431),
        shape("a head without an end", format!("GET /livez HTTP/1.1\r\nX-A: {}", large(2_000_000)), 431),
        shape("300 headers", get("/livez", &many), 431),
        shape("a target of another server", get("http://elsewhere.example/livez", ""), 200),
        shape("CONNECT", "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        shape("a protocol to change to", get("/livez", "Connection: upgrade\r\nUpgrade: websocket\r\n"), 200),
    ]
}

/// What decides something, said twice.
fn repeated(api_key: &str, native: &str) -> Vec<Shape> {
    let list = |lines: &str| format!("GET /v1/transactions HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let length = RIGHT.len();
    let post = |lines: &str| {
        let head = format!("POST /v1/transactions HTTP/1.1\r\nHost: x\r\n{native}{lines}");
        format!("{head}Content-Length: {length}\r\n\r\n{RIGHT}")
    };
    let (key, other) = (format!("Authorization: Bearer {api_key}\r\n"), "Authorization: Bearer other\r\n");
    vec![
        shape("a credential twice, alike", list(&format!("{key}{key}")), 200),
        shape("two credentials", list(&format!("{key}{other}")), 400),
        shape("two credentials, the other way", list(&format!("{other}{key}")), 400),
        shape("two types", post("Content-Type: text/plain\r\n"), 400),
        shape("two idempotency keys", post("Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), 400),
        shape("a query that is no UTF-8", list_query(&key, "bill_num=%ff%fe"), 400),
        shape("a query with NUL", list_query(&key, "bill_num=%00"), 422),
        shape("a query field twice", list_query(&key, "limit=1&limit=2"), 422),
        shape("a number beyond 64 bits in the query", list_query(&key, "limit=18446744073709551616"), 422),
        shape("an id with NUL", format!("GET /v1/transactions/%00%ff HTTP/1.1\r\nHost: x\r\n{key}\r\n"), 404),
    ]
}

fn list_query(key: &str, query: &str) -> String {
    format!("GET /v1/transactions?{query} HTTP/1.1\r\nHost: x\r\n{key}\r\n")
}

/// Bodies, with the status of `/v1` and the code of `/2.0`.
fn bodies() -> Vec<(String, Vec<u8>, u16, u64)> {
    let native = |amount: &str| {
        format!(
            r#"{{"bill_num":"a","channel":"wx_native","amount":{{"amount_minor":{amount},"currency":"CNY"}},"subject":"s","billNum":"a","totalFee":{amount}}}"#
        )
    };
    let mut bodies: Vec<(String, Vec<u8>, u16, u64)> = [
        "-1",
        "0",
        "-0",
        "1.5",
        "1e400",
        "9007199254740992",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "1e18",
        "\"1\"",
        "null",
        "[]",
        "NaN",
    ]
    .into_iter()
    .map(|amount| {
        let broken = amount == "NaN";
        let missing = amount == "null";
        let code = if missing { 4 } else { 5 };
        (format!("an amount of {amount}"), native(amount).into_bytes(), if broken { 400 } else { 422 }, code)
    })
    .collect();
    let deep = |open: &str, close: &str| {
        let nested = format!("{}{}", open.repeat(20_000), close.repeat(20_000));
        format!(r#"{{"channel":"wx_native","billNum":"a","totalFee":1,"subject":{nested},"extras":1}}"#).into_bytes()
    };
    bodies.extend([
        ("no UTF-8".to_owned(), b"{\"channel\":\"\xff\xfe\"}".to_vec(), 400, 5),
        (
            "half a surrogate".to_owned(),
            br#"{"channel":"wx_native","billNum":"\ud800","totalFee":1,"subject":"s"}"#.to_vec(),
            422,
            5,
        ),
        (
            "NUL in a number".to_owned(),
            br#"{"channel":"wx_native","billNum":"a\u0000b","totalFee":1,"subject":"s"}"#.to_vec(),
            422,
            5,
        ),
        ("bare NUL".to_owned(), b"{\"channel\":\"wx\0native\"}".to_vec(), 400, 5),
        (
            "a key twice".to_owned(),
            br#"{"channel":"wx_native","channel":"ali_app","billNum":"a","totalFee":1,"subject":"s"}"#.to_vec(),
            400,
            5,
        ),
        ("deep arrays".to_owned(), deep("[", "]"), 422, 5),
        ("deep objects".to_owned(), deep("{\"a\":", "}"), 400, 5),
        ("too large".to_owned(), format!(r#"{{"subject":"{}"}}"#, "x".repeat(300_000)).into_bytes(), 413, 5),
        ("a second object".to_owned(), b"{}{}".to_vec(), 400, 5),
        ("a mark of order".to_owned(), b"\xef\xbb\xbf{}".to_vec(), 400, 5),
        ("a text".to_owned(), b"\"text\"".to_vec(), 400, 5),
    ]);
    bodies
}
