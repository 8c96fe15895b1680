use bytes::Bytes;
use maxpay_engine::clock::{SeededEntropy, System};
use maxpay_engine::model::{AppId, EventId, Mode, RawId, Target, Timestamp, TransactionId};
use maxpay_engine::secrets::Secret;
use maxpay_engine::webhook::{FunctionRegistry, GuardPolicy, Outgoing, Sender, Sent, payload, signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const LIMITS: SendLimits = SendLimits { deadline: Duration::from_secs(5), body_max: 1_000 };
const SHORT: SendLimits = SendLimits { deadline: Duration::from_secs(1), body_max: 1_000 };
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok";

/// What a peer does with a connection once it has read a whole request.
#[derive(Clone, Copy)]
enum Then {
    /// Answers with these bytes and waits for the next request.
    Answer(&'static str),
    /// Answers with these bytes and closes.
    AnswerAndClose(&'static str),
    /// Answers with these bytes, then drips one more byte at a time for ever.
    Drip(&'static str),
    /// Answers with a head and sends a body without end.
    Flood(&'static str),
    /// Closes without a byte.
    Close,
    /// Says nothing.
    Silence,
}

/// A peer at the level of TCP. Every request that it read comes out of `requests` with its connection's number.
struct Peer {
    address: SocketAddr,
    requests: mpsc::Receiver<(usize, String)>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Peer {
    async fn start(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (sender, requests) = mpsc::channel(64);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 1.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                connections.spawn(serve(stream, number, then, sender.clone()));
            }
        });
        Self { address, requests, serving }
    }

    fn post(&self) -> HttpRequest {
        self.post_to("127.0.0.1", "http")
    }

    fn post_to(&self, host: &str, scheme: &str) -> HttpRequest {
        let url = format!("{scheme}://{host}:{}/pay?a=b", self.address.port()).parse().expect("an address");
        HttpRequest::post(url, "application/json", Bytes::from_static(b"{\"money\":1}")).header("x-key", "k")
    }

    /// The requests that have arrived by now, as numbers of their connections.
    fn arrived(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).map(|(connection, _)| connection).collect()
    }
}

async fn serve(mut stream: TcpStream, number: usize, then: Then, requests: mpsc::Sender<(usize, String)>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.send((number, request)).await.expect("the test reads them");
        match then {
            Then::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.expect("the client reads"),
            Then::AnswerAndClose(bytes) => {
                stream.write_all(bytes.as_bytes()).await.expect("the client reads");
                return;
            }
            Then::Drip(bytes) => {
                stream.write_all(bytes.as_bytes()).await.expect("the client reads");
                let mut drips = tokio::time::interval(Duration::from_millis(20));
                while stream.write_all(b"x").await.is_ok() {
                    drips.tick().await;
                }
                return;
            }
            Then::Flood(bytes) => {
                stream.write_all(bytes.as_bytes()).await.expect("the client reads");
                while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
                return;
            }
            Then::Close => return,
            Then::Silence => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        match stream.read_buf(&mut bytes).await {
            Ok(read) if read > 0 => {}
            Ok(_) | Err(_) => return None,
        }
    }
    Some(String::from_utf8(bytes).expect("text"))
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() == length.map_or(0, |length| length.parse().expect("a length"))
}

fn provider() -> ProviderClient {
    ProviderClient::new(&TrustedRoots::default()).expect("TLS works")
}

fn target() -> TargetClient {
    TargetClient::new(&TrustedRoots::default()).expect("TLS works")
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    // Status, headers, body and the peer's date come back; the request arrives as it was built.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let reply = provider().send(peer.post(), LIMITS).await.expect("an answer");
    assert_eq!((reply.status, &reply.body[..]), (200, &b"ok"[..]));
    assert_eq!(reply.date().map(Timestamp::seconds), Some(784_111_777));
    let (_, request) = peer.requests.recv().await.expect("it arrived");
    assert!(request.starts_with("POST /pay?a=b HTTP/1.1\r\n"), "{request}");
    for line in ["content-type: application/json", "x-key: k", "content-length: 11"] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    // Nobody listens: the one failure that proves that nothing was sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let request = HttpRequest::get(format!("http://{address}/").parse().expect("an address"));
    let provider = provider().send(request.clone(), LIMITS).await;
    assert!(matches!(provider, Err(SendFailure::NotSent(_))), "{provider:?}");
    let target = target().send(request, vec![address], LIMITS).await;
    assert!(matches!(&target, Err(SendFailure::NotSent(reason)) if !reason.contains("127.")), "{target:?}");
}

#[tokio::test]
async fn whatever_happens_after_connecting_is_unknown() {
    // Closed without an answer, cut in the head or the body, silent, dripping: the request may have been executed, and
    // it arrived exactly once.
    let table = [
        Then::Close,
        Then::Silence,
        Then::AnswerAndClose("HTTP/1.1 200 OK\r\ncontent-"),
        Then::AnswerAndClose("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok"),
        Then::AnswerAndClose("nonsense\r\n\r\n"),
        Then::Drip("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"),
        Then::Drip("HTTP/1.1 200 OK\r\nx-endless: "),
        Then::Drip("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
    ];
    let mut rows = tokio::task::JoinSet::new();
    for (row, then) in table.into_iter().enumerate() {
        rows.spawn(async move {
            let mut peer = Peer::start(then).await;
            let sent = provider().send(peer.post(), SHORT).await;
            assert!(matches!(sent, Err(SendFailure::Unknown(_))), "row {row}: {sent:?}");
            assert_eq!(peer.arrived(), [1], "row {row}");
        });
    }
    rows.join_all().await;
}

#[tokio::test]
async fn a_call_to_a_provider_never_meets_an_old_connection() {
    // Peers that keep connections open, or close them after an answer, see one connection a call and each call once.
    for then in [Then::Answer(OK), Then::AnswerAndClose(OK)] {
        let mut peer = Peer::start(then).await;
        let client = provider();
        for _ in 0..5 {
            client.send(peer.post(), LIMITS).await.expect("an answer");
        }
        assert_eq!(peer.arrived(), [1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn a_body_is_read_to_its_limit() {
    // A provider's answer beyond it is no answer; a target's is cut. Neither is read to an end that never comes.
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let peer = Peer::start(Then::Flood(head)).await;
    let sent = provider().send(peer.post(), LIMITS).await;
    assert_eq!(sent, Err(SendFailure::TooLarge { status: 200, body_max: 1_000 }));
    let reply = target().send(peer.post(), vec![peer.address], LIMITS).await.expect("a head");
    assert_eq!((reply.status, reply.body.len()), (200, 1_000));
    let exact: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1_000)).into());
    let peer = Peer::start(Then::Answer(exact)).await;
    assert_eq!(provider().send(peer.post(), LIMITS).await.expect("an answer").body.len(), 1_000);
}

#[tokio::test]
async fn a_whole_head_is_an_answer_of_a_target() {
    // A body that drips past the deadline or breaks off takes nothing from the status.
    for then in [
        Then::Drip("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n"),
        Then::AnswerAndClose("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok"),
    ] {
        let peer = Peer::start(then).await;
        let reply = target().send(peer.post(), vec![peer.address], SHORT).await.expect("a head");
        assert_eq!(reply.status, 200);
    }
    let peer = Peer::start(Then::Drip("HTTP/1.1 200 OK\r\nx-endless: ")).await;
    let sent = target().send(peer.post(), vec![peer.address], SHORT).await;
    assert!(matches!(sent, Err(SendFailure::Unknown(_))), "{sent:?}");
}

#[tokio::test]
async fn redirects_are_answers() {
    // Nobody goes where a redirect points to.
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let mut other = Peer::start(Then::Answer(OK)).await;
        let answer = format!("HTTP/1.1 {status}\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", other.address);
        let mut peer = Peer::start(Then::Answer(Box::leak(answer.into()))).await;
        let expected: u16 = status[..3].parse().expect("a status");
        assert_eq!(provider().send(peer.post(), LIMITS).await.expect("an answer").status, expected);
        let reply = target().send(peer.post(), vec![peer.address], LIMITS).await.expect("an answer");
        assert_eq!(reply.status, expected);
        assert_eq!((peer.arrived().len(), other.arrived().len()), (2, 0), "{status}");
    }
}

#[tokio::test]
async fn names_lead_to_vetted_addresses_only() {
    // A name goes where it was pinned to, without asking DNS; a literal that was not vetted goes nowhere.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let client = target();
    let reply = client.send(peer.post_to("shop.invalid", "http"), vec![peer.address], LIMITS).await.expect("an answer");
    assert_eq!(reply.status, 200);
    let (_, request) = peer.requests.recv().await.expect("it arrived");
    assert!(request.contains(&format!("host: shop.invalid:{}\r\n", peer.address.port())), "{request}");
    let elsewhere: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    for pinned in [vec![elsewhere], vec![]] {
        let sent = client.send(peer.post(), pinned, LIMITS).await;
        assert!(matches!(sent, Err(SendFailure::NotSent(_))), "{sent:?}");
    }
    let sent = client.send(peer.post_to("shop.invalid", "http"), vec![], LIMITS).await;
    assert!(matches!(sent, Err(SendFailure::NotSent(_))), "{sent:?}");
    assert_eq!(peer.arrived(), [0_usize; 0]);
}

#[tokio::test]
async fn a_kept_connection_serves_its_class_of_address_only() {
    // Two requests to loopback share a connection; one vetted for another class of address does not get it, though the
    // name is the same.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let client = target();
    let unspecified = SocketAddr::new("0.0.0.0".parse().expect("an address"), peer.address.port());
    for pinned in [peer.address, peer.address, unspecified] {
        client.send(peer.post_to("shop.invalid", "http"), vec![pinned], LIMITS).await.expect("an answer");
    }
    assert_eq!(peer.arrived(), [1, 1, 2]);
}

#[tokio::test]
async fn a_target_that_closes_kept_connections_is_still_reached() {
    // Connections that the peer closed between requests are not used again, and every request arrives once.
    let mut peer = Peer::start(Then::AnswerAndClose(OK)).await;
    let client = target();
    for _ in 0..5 {
        // Without a word in the head the client learns of the close from the connection itself.
        let sent = client.send(peer.post(), vec![peer.address], LIMITS).await;
        assert!(sent.is_ok() || matches!(sent, Err(SendFailure::Unknown(_))), "{sent:?}");
    }
    let arrived = peer.arrived();
    assert!(arrived.windows(2).all(|pair| pair[0] < pair[1]) && arrived.len() <= 5, "{arrived:?}");
}

#[tokio::test]
async fn nothing_is_said_to_a_peer_that_does_not_prove_itself() {
    // Behind https only a TLS hello leaves; a peer that answers it in the clear gets nothing, and nothing was sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = vec![0; 4_096];
        let read = stream.read(&mut hello).await.expect("a hello");
        stream.write_all(OK.as_bytes()).await.expect("the client reads");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        hello.truncate(read);
        (hello, rest)
    });
    let url = format!("https://{address}/pay").parse().expect("an address");
    let request = HttpRequest::post(url, "text/plain", Bytes::from_static(b"hunter2"));
    let sent = provider().send(request, LIMITS).await;
    assert!(matches!(sent, Err(SendFailure::NotSent(_))), "{sent:?}");
    let (hello, rest) = peer.await.expect("no panic");
    assert_eq!(hello.first(), Some(&22), "a TLS handshake record");
    let said = String::from_utf8_lossy(&[hello, rest].concat()).into_owned();
    assert!(!said.contains("hunter2") && !said.contains("POST"), "{said}");
}

#[tokio::test]
async fn a_request_that_cannot_be_written_is_not_sent() {
    // Headers that split requests or belong to the connection, other schemes, and a broken certificate.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let mut broken = peer.post();
    broken.identity = Some(ClientIdentity::from_pem(Secret::from_text("hunter2")));
    let table = [
        peer.post().header("a b", "v"),
        peer.post().header("x", "a\r\nb: c"),
        peer.post().header("Host", "elsewhere"),
        peer.post().header("Content-Length", "1"),
        HttpRequest::get("file:///etc/passwd".parse().expect("an address")),
        broken,
    ];
    for request in table {
        let sent = provider().send(request, LIMITS).await;
        let Err(SendFailure::NotSent(reason)) = sent else { panic!("{sent:?}") };
        assert!(!reason.contains("hunter2") && !reason.contains("elsewhere"), "{reason}");
    }
    assert_eq!(peer.arrived(), [0_usize; 0]);
}

#[tokio::test]
async fn a_call_looks_its_name_up_within_the_share_of_its_app() {
    // One app's names hang, more than it may have under way; a call of another app finds its provider all the same, with
    // and without a certificate of its own. What a name says is where the call goes.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let let_go = Arc::new(std::sync::OnceLock::<()>::new());
    let held = Arc::clone(&let_go);
    let lookups = Lookups::by(move |name| {
        if name.starts_with("dead") {
            held.wait();
        }
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    });
    let client = ProviderClient::with(&TrustedRoots::default(), lookups, Reach::everything()).expect("TLS works");
    let mut hanging = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut request = peer.post_to(&format!("dead{number}.example"), "http");
        request.on_behalf_of = Some(AppId(RawId([1; 12])));
        hanging.spawn(client.send(request, SHORT));
    }
    tokio::task::yield_now().await;
    let mut request = peer.post_to("pay.example", "http");
    request.on_behalf_of = Some(AppId(RawId([2; 12])));
    assert_eq!(client.send(request, LIMITS).await.expect("an answer").status, 200);
    for sent in hanging.join_all().await {
        assert!(matches!(sent, Err(SendFailure::Unknown(_))), "{sent:?}");
    }
    assert_eq!(peer.arrived().len(), 1);
    let_go.set(()).expect("once");
}

#[tokio::test]
async fn a_try_goes_through_guard_and_client() {
    // A newcomer's receiver on this machine gets the event of a test-mode subscription, by name and by address; in live
    // mode it is refused, and nothing connects.
    let mut peer = Peer::start(Then::Answer(OK)).await;
    let policy = GuardPolicy { allow_loopback_in_test: true, ..GuardPolicy::default() };
    let clock = Arc::new(System::new());
    let sender = Sender::new(Arc::new(target()), FunctionRegistry::default(), clock, policy, LIMITS);
    for (host, mode, passes) in [
        ("127.0.0.1", Mode::Test, true),
        ("localhost", Mode::Test, true),
        ("127.0.0.1", Mode::Live, false),
        ("localhost", Mode::Live, false),
    ] {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let id = RawId([1; 12]);
        let event = payload::test_event(AppId(id), mode, EventId(id), TransactionId(id), now);
        let outgoing = Outgoing {
            target: Target::Url(format!("http://{host}:{}/hook", peer.address.port())),
            event,
            headers: Vec::new(),
            signing_secret: signature::new_secret(&SeededEntropy::new(1)),
            master_key: Some(Secret::from_text("masterkey")),
        };
        let Sent::Ended(transcript) = sender.send(outgoing).await else { panic!("it is a URL") };
        assert_eq!(transcript.result.is_success(), passes, "{host} {mode}: {:?}", transcript.result);
        assert_eq!(peer.arrived().len(), usize::from(passes), "{host} {mode}");
    }
}
