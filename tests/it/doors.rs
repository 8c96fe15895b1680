//! The same calls in process, over HTTP and over stdio have the same answers.

use maxpay_engine::api::Principal;
use maxpay_tests::client::{Client, payment};
use maxpay_tests::world::World;
use maxpay_transports::operations::{self, Params};
use maxpay_transports::stdio::{self, StdioLimits};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_doors_one_answer() {
    // Whatever is asked, right or wrong, each door tells the same body or the same problem.
    let world = World::new().await;
    let principal = world.principal(&world.keys.master).await;
    let http = Client::new(world.address, &world.keys.master);
    let mut pipe = Pipe::open(&world, &world.keys.master).await;
    let created = http.expect(201, "POST", "/v1/transactions", Some(&payment("b-1", "wx_native", 500))).await;
    let id = created["id"].as_str().expect("an id").to_owned();
    let target = json!({ "target": { "type": "function", "name": "ledger" }, "idempotency_key": "once" });
    // The first to ask is told the secret; the table below asks again.
    pipe.call("subscriptions.create", &target).await.expect("a subscription");
    let unknown = "0123456789abcdef01234567";
    for (name, params) in [
        ("transactions.create", payment("b-1", "wx_native", 500)),
        ("transactions.create", payment("b-1", "wx_native", 501)),
        ("transactions.create", payment("b-2", "nothing", 500)),
        ("transactions.create", payment("b-2", "wx_native", 0)),
        ("transactions.create", json!({ "bill_num": "b-2" })),
        ("transactions.create", json!({ "surprise": 1 })),
        ("transactions.get", json!({ "id": id })),
        ("transactions.get", json!({ "id": unknown })),
        ("transactions.get", json!({ "id": "no id" })),
        ("transactions.list", json!({ "limit": 10 })),
        ("transactions.list", json!({ "limit": 0 })),
        ("transactions.list", json!({ "cursor": "forged" })),
        ("transactions.list", json!({ "status": "no status" })),
        ("transactions.timeline", json!({ "id": id })),
        ("transactions.close", json!({ "id": unknown })),
        ("subscriptions.create", target.clone()),
        ("subscriptions.list", json!({})),
        ("subscriptions.get", json!({ "id": unknown })),
        ("deliveries.list", json!({})),
        ("deliveries.get", json!({ "id": unknown })),
        ("deliveries.resend", json!({ "id": unknown })),
    ] {
        let inside = in_process(&world, &principal, name, &params).await;
        let over_http = over_http(&http, name, &params).await;
        let over_pipe = pipe.call(name, &params).await;
        assert_eq!(inside, over_http, "{name} {params}");
        assert_eq!(inside, over_pipe, "{name} {params}");
    }
    pipe.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pipe_answers_every_line() {
    // Errors have the specification's codes, notifications no answer, and the end of the input ends the pipe.
    let world = World::new().await;
    let mut pipe = Pipe::bare(&world);
    for (line, code) in [
        ("{", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing.here"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"apps.list"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"transactions.list"}"#, -32001),
        (r#"{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"key":"sk_test_nobody"}}"#, -32001),
        (r#"{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"kee":"x"}}"#, -32602),
    ] {
        let answer = pipe.line(line).await;
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(2_000_000));
    assert_eq!(pipe.line(&long).await["error"]["code"], -32600);
    // A notification and a blank line have no answer: the next one is that of the request after them.
    pipe.send("\n").await;
    pipe.send("{\"jsonrpc\":\"2.0\",\"method\":\"nothing.here\"}\n").await;
    let open =
        format!(r#"{{"jsonrpc":"2.0","id":"open","method":"session.open","params":{{"key":"{}"}}}}"#, world.keys.api);
    let answer = pipe.line(&open).await;
    assert_eq!((&answer["id"], &answer["result"]["mode"]), (&json!("open"), &json!("test")), "{answer}");
    let forbidden = pipe.call("subscriptions.list", &json!({})).await.expect_err("an API key has no right");
    assert_eq!(forbidden["status"], 403);
    pipe.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_asked_under_the_key_before_it() {
    // Lines sent before another session is opened are answered under the first one, however late they run.
    let world = World::new().await;
    let mut pipe = Pipe::bare(&world);
    let open = |key: &str| json!({ "jsonrpc": "2.0", "method": "session.open", "params": { "key": key } });
    let create = |number: u32| {
        let params = payment(&format!("k-{number}"), "wx_native", 100);
        json!({ "jsonrpc": "2.0", "id": number, "method": "transactions.create", "params": params })
    };
    let lines = (0..50).map(|number| create(number).to_string() + "\n").collect::<String>();
    // Live mode has no account: a create that ran under the second key would be refused.
    pipe.send(&format!("{}\n{lines}{}\n", open(&world.keys.api), open(&world.live.api))).await;
    for _ in 0..50 {
        let answer = pipe.next().await;
        assert_eq!(answer["result"]["mode"], "test", "{answer}");
    }
    pipe.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opens_a_session_is_told_by_its_method() {
    // Not by the text of the line: a payment may have any subject, and a method any escapes.
    let world = World::new().await;
    let mut pipe = Pipe::bare(&world);
    let key = &world.keys.api;
    let escaped = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"session\u002eopen","params":{{"key":"{key}"}}}}"#);
    let mut order = payment("s-1", "wx_native", 100);
    order["subject"] = json!("session.open");
    let create = json!({ "jsonrpc": "2.0", "id": 1, "method": "transactions.create", "params": order });
    // In one go: the second line is asked under the key of the first.
    pipe.send(&format!("{escaped}\n{create}\n")).await;
    let (opened, created) = (pipe.next().await, pipe.next().await);
    assert_eq!((&opened["id"], &opened["result"]["mode"]), (&json!(0), &json!("test")), "{opened}");
    assert_eq!((&created["id"], &created["result"]["subject"]), (&json!(1), &json!("session.open")), "{created}");
    pipe.close().await;
    world.end().await;
}

type Told = Result<Value, Value>;

async fn in_process(world: &World, principal: &Principal, name: &str, params: &Value) -> Told {
    let mut params = params.clone();
    let key = take_key(&mut params);
    let params = Params::from_json(params.to_string().as_bytes()).expect("an object");
    let reply = operations::call(&world.engine, principal, name, params, key.as_deref()).await;
    match reply {
        Ok(reply) => Ok(serde_json::from_str(reply.body.get()).expect("JSON")),
        Err(problem) => Err(serde_json::to_value(problem).expect("JSON")),
    }
}

async fn over_http(client: &Client, name: &str, params: &Value) -> Told {
    let operation = operations::named(name).expect("an operation");
    let mut params = params.clone();
    let key = take_key(&mut params);
    let mut path = operation.path.to_owned();
    if path.contains("{id}") {
        let id = params.as_object_mut().and_then(|params| params.remove("id")).expect("an id");
        path = path.replace("{id}", &percent(id.as_str().expect("a text")));
    }
    let body = (operation.method != "GET").then_some(params.clone());
    if operation.method == "GET" {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let fields = params.as_object().expect("an object").iter();
        let query: Vec<String> = fields.map(|(name, value)| format!("{name}={}", percent(&text(value)))).collect();
        path = format!("{path}?{}", query.join("&"));
    }
    let (status, answer) =
        client.ask_with(operation.method, &path, body.as_ref(), key.as_deref()).await.expect("an answer");
    if status < 300 { Ok(answer) } else { Err(answer) }
}

fn percent(text: &str) -> String {
    text.replace(' ', "%20")
}

fn take_key(params: &mut Value) -> Option<String> {
    let key = params.as_object_mut()?.remove("idempotency_key")?;
    key.as_str().map(str::to_owned)
}

/// A pipe to the engine.
struct Pipe {
    write: WriteHalf<DuplexStream>,
    read: Lines<BufReader<ReadHalf<DuplexStream>>>,
    serving: tokio::task::JoinHandle<std::io::Result<stdio::StdioReport>>,
}

impl Pipe {
    fn bare(world: &World) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let serving = tokio::spawn(stdio::serve(world.engine.clone(), input, output, StdioLimits::default()));
        let (read, write) = tokio::io::split(ours);
        Self { write, read: BufReader::new(read).lines(), serving }
    }

    async fn open(world: &World, key: &str) -> Self {
        let mut pipe = Self::bare(world);
        pipe.call("session.open", &json!({ "key": key })).await.expect("the key is known");
        pipe
    }

    async fn send(&mut self, text: &str) {
        self.write.write_all(text.as_bytes()).await.expect("the pipe takes it");
    }

    async fn line(&mut self, line: &str) -> Value {
        self.send(&format!("{line}\n")).await;
        self.next().await
    }

    async fn next(&mut self) -> Value {
        let answer = self.read.next_line().await.expect("the pipe reads").expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }

    async fn call(&mut self, name: &str, params: &Value) -> Told {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": params });
        let mut answer = self.line(&request.to_string()).await;
        match answer.get("error") {
            None => Ok(answer["result"].take()),
            Some(error) => Err(error["data"].clone()),
        }
    }

    async fn close(mut self) {
        self.write.shutdown().await.expect("the pipe closes");
        let report = self.serving.await.expect("no panic").expect("the pipe worked");
        assert!(report.drained);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_speaks_over_its_pipe() {
    // `maxpay stdio`: one line in, one line out, nothing but the protocol on standard output, and it ends with its
    // input.
    let folder = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_maxpay-under-test");
    // The two streams: what was asked for, and what people must know.
    let run = |arguments: &[&str], input: &str| {
        use std::io::Write as _;
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .arg("--data")
            .arg(folder.path().join("data"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program starts");
        // Dropping the handle ends the input.
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?}");
        [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).expect("text"))
    };
    let [key, told] = run(&["operator-key"], "");
    assert!(key.starts_with("op_") && key.lines().count() == 1, "{key}");
    assert!(told.contains("sealing.key") && told.contains("Back it up") && !told.contains(key.trim()), "{told}");
    let open = json!({ "jsonrpc": "2.0", "id": 1, "method": "session.open", "params": { "key": key.trim() } });
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "transactions.list" });
    let [answers, told] = run(&["stdio"], &format!("{open}\n{list}\n"));
    assert!(!told.contains("Back it up"), "it was made before: {told}");
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    let of = |id: i64| answers.iter().find(|answer| answer["id"] == id).expect("an answer");
    assert_eq!(of(1)["result"], json!({ "app_id": null, "mode": null }));
    // Asked under the operator's key, though it was sent without waiting for the first answer.
    assert_eq!(of(2)["error"]["data"]["code"], "forbidden", "{answers:?}");
}
