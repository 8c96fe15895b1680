use std::sync::Mutex;

use futures_util::FutureExt;

use super::*;
use crate::clock::{SeededEntropy, VirtualClock};
use crate::model::{AppId, EventId, EventKind, Mode, RawId, TransactionId};

const LIMITS: SendLimits = SendLimits { deadline: Duration::from_secs(15), body_max: 65_536 };

/// Answers names and requests from scripts and keeps what it was asked to send.
struct Scripted {
    addresses: Vec<&'static str>,
    reply: Option<Result<HttpReply, SendFailure>>,
    requests: Mutex<Vec<(HttpRequest, Vec<SocketAddr>)>>,
}

impl WebhookClient for Scripted {
    fn resolve(&self, _: AppId, _host: &str, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        let parse = |text: &&str| SocketAddr::new(text.parse().expect("an address"), port);
        let addresses = self.addresses.iter().map(parse).collect::<Vec<_>>();
        match addresses.first() {
            Some(_) => Box::pin(async { Ok(addresses) }),
            None => Box::pin(std::future::pending()),
        }
    }

    fn send(
        &self,
        request: HttpRequest,
        pinned: Vec<SocketAddr>,
        _limits: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        self.requests.lock().expect("no panic").push((request, pinned));
        match self.reply.clone() {
            Some(reply) => Box::pin(async { reply }),
            None => Box::pin(std::future::pending()),
        }
    }
}

struct World {
    client: Arc<Scripted>,
    clock: VirtualClock,
    sender: Sender,
}

fn world(addresses: &[&'static str], reply: Option<Result<HttpReply, SendFailure>>) -> World {
    let client = Arc::new(Scripted { addresses: addresses.to_vec(), reply, requests: Mutex::default() });
    let clock = VirtualClock::at(Timestamp::from_millis(1_795_000_000_250));
    let mut functions = FunctionRegistry::default();
    functions.register("good", 1, |_| async { Ok(()) }).expect("new");
    functions.register("bad", 1, |_| async { Err("no".to_owned()) }).expect("new");
    functions.register("stuck", 1, |_| std::future::pending()).expect("new");
    let policy = GuardPolicy::default();
    let sender = Sender::new(client.clone(), functions, Arc::new(clock.clone()), policy, LIMITS);
    World { client, clock, sender }
}

impl World {
    /// Sends, and moves the clock past every limit once the try waits.
    fn send(&self, outgoing: Outgoing) -> Transcript {
        let mut sending = std::pin::pin!(self.sender.send(outgoing));
        for _ in 0..3 {
            if let Some(sent) = sending.as_mut().now_or_never() {
                let Sent::Ended(transcript) = sent else { panic!("the function is registered") };
                return transcript;
            }
            self.clock.advance(LIMITS.deadline + GRACE);
        }
        panic!("the try does not end");
    }
}

fn outgoing(target: Target) -> Outgoing {
    let (app, id) = (AppId(RawId([3; 12])), RawId([1; 12]));
    let now = Timestamp::from_millis(1_794_999_999_000);
    let event = super::super::payload::test_event(app, Mode::Live, EventId(id), TransactionId(id), now);
    Outgoing {
        target,
        event,
        headers: vec![("X-Token".into(), Secret::from_text("hunter2"))],
        signing_secret: signature::new_secret(&SeededEntropy::new(1)),
        master_key: Some(Secret::from_text("masterkey")),
    }
}

fn to_url() -> Outgoing {
    outgoing(Target::Url("https://shop.example/hook?a=b".into()))
}

fn reply(status: u16, body: &'static [u8]) -> HttpReply {
    let headers = vec![("server".to_owned(), "x".to_owned())];
    HttpReply { status, headers, body: Bytes::from_static(body) }
}

#[test]
fn a_request_carries_what_is_promised() {
    // Our headers, the three of Standard Webhooks over the exact body, the merchant's own, to the vetted addresses.
    let world = world(&["8.8.8.8", "2606:4700::1111"], Some(Ok(reply(200, b"ok"))));
    let outgoing = to_url();
    let secret = outgoing.signing_secret.clone();
    let transcript = world.send(outgoing);
    assert_eq!(transcript.result, TryResult::Answered { status: 200, excerpt: "ok".into() });
    let (request, pinned) = world.client.requests.lock().expect("no panic").pop().expect("one request");
    assert_eq!(pinned, ["8.8.8.8:443".parse().expect("one"), "[2606:4700::1111]:443".parse().expect("one")]);
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "content-type",
        "user-agent",
        "maxpay-event",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "X-Token",
    ];
    assert_eq!(names, expected);
    let now = Timestamp::from_millis(1_795_000_000_250);
    let signed = signature::sign(&secret, "010101010101010101010101", now, &request.body).expect("a secret");
    let values: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values[2..], ["payment.succeeded", "010101010101010101010101", "1795000000", &signed, "hunter2"]);
    assert!(String::from_utf8_lossy(&request.body).contains(r#""timestamp":1795000000250,"#));
}

#[test]
fn a_transcript_is_exact_but_for_secrets() {
    // The test button shows headers and body as sent and the answer as it came; the merchant's header values are hidden.
    let world = world(&["8.8.8.8"], Some(Ok(reply(400, b"<h1>no</h1>"))));
    let transcript = world.send(to_url());
    let (request, _) = world.client.requests.lock().expect("no panic").pop().expect("one request");
    let sent = transcript.request.clone().expect("it was sent");
    assert_eq!(sent.target, "https://shop.example/hook?a=b");
    assert_eq!(sent.body, request.body);
    assert_eq!(sent.headers[..6], request.headers[..6]);
    assert_eq!(sent.headers[6], ("X-Token".to_owned(), "[secret]".to_owned()));
    let response = transcript.response.clone().expect("it answered");
    assert_eq!((response.status, &response.body[..]), (400, &b"<h1>no</h1>"[..]));
    assert!(!transcript.result.is_success());
    assert!(!format!("{transcript:?}").contains("hunter2"));
}

#[test]
fn an_answer_that_repeats_a_secret_keeps_it_nowhere() {
    // A target that answers what it was sent: not in the record's excerpt, not in the transcript's headers or body.
    let headers = vec![("x-echo".to_owned(), "token hunter2".to_owned())];
    let body = Bytes::from_static(br#"{"headers":{"x-token":"hunter2"}}"#);
    let transcript = world(&["8.8.8.8"], Some(Ok(HttpReply { status: 500, headers, body }))).send(to_url());
    let expected = r#"{"headers":{"x-token":"[secret]"}}"#;
    assert_eq!(transcript.result, TryResult::Answered { status: 500, excerpt: expected.to_owned() });
    let response = transcript.response.expect("it answered");
    assert_eq!(response.headers, [("x-echo".to_owned(), "token [secret]".to_owned())]);
    assert_eq!(response.body, expected);
}

#[tokio::test]
async fn only_what_the_original_signed_needs_its_key() {
    // Without a master key a payment in the original's shape is not tried; every other event is, to URLs and functions.
    for kind in EventKind::ALL {
        for target in [Target::Url("https://shop.example/".into()), Target::Function("good".into())] {
            let mut outgoing = outgoing(target);
            (outgoing.event.kind, outgoing.master_key) = (kind, None);
            let sent = world(&["8.8.8.8"], Some(Ok(reply(200, b"")))).sender.send(outgoing).await;
            let tried = matches!(&sent, Sent::Ended(transcript) if transcript.result.is_success());
            assert_eq!(tried, kind != EventKind::PaymentSucceeded, "{kind:?}");
            assert_eq!(matches!(sent, Sent::KeyMissing), !tried);
        }
    }
}

#[test]
fn only_vetted_addresses_are_sent_to() {
    // One internal answer among public ones, an internal literal, or a broken target: refused, and nothing is sent.
    for (addresses, target) in [
        (&["8.8.8.8", "10.0.0.1"][..], "https://shop.example/"),
        (&["127.0.0.1"], "https://shop.example/"),
        (&["8.8.8.8"], "https://127.0.0.1/"),
        (&["8.8.8.8"], "https://[::ffff:8.8.8.8]/"),
        (&["8.8.8.8"], "nonsense"),
    ] {
        let world = world(addresses, Some(Ok(reply(200, b""))));
        let transcript = world.send(outgoing(Target::Url(target.into())));
        assert!(matches!(transcript.result, TryResult::Refused { .. }), "{target}: {:?}", transcript.result);
        assert!(transcript.request.is_none() && world.client.requests.lock().expect("no panic").is_empty());
    }
}

#[test]
fn one_deadline_covers_everything() {
    // A name that never resolves and a client that never answers end the try, with no answer.
    for addresses in [&[][..], &["8.8.8.8"]] {
        let world = world(addresses, None);
        let transcript = world.send(to_url());
        assert!(matches!(transcript.result, TryResult::NoAnswer { .. }), "{:?}", transcript.result);
        assert!(transcript.ended_at.since(transcript.started_at) >= LIMITS.deadline);
    }
}

#[test]
fn failures_to_send_are_no_answer() {
    // Whatever the client could not do, the try ended without an answer; a body too long is an answer.
    for failure in [SendFailure::NotSent("refused".into()), SendFailure::Unknown("reset".into())] {
        let transcript = world(&["8.8.8.8"], Some(Err(failure))).send(to_url());
        assert!(matches!(transcript.result, TryResult::NoAnswer { .. }), "{:?}", transcript.result);
        assert!(transcript.request.is_some() && transcript.response.is_none());
    }
    let failure = SendFailure::TooLarge { status: 200, body_max: 10 };
    assert!(world(&["8.8.8.8"], Some(Err(failure))).send(to_url()).result.is_success());
}

#[tokio::test]
async fn functions_are_targets_like_others() {
    // Success, failure and the deadline; one that nobody registered uses no try.
    let world = world(&[], None);
    let failed = |reason: &str| TryResult::FunctionFailed { reason: reason.into() };
    let table = [
        ("good", TryResult::FunctionOk),
        ("bad", failed("no")),
        ("stuck", failed("the function did not end within the deadline")),
    ];
    for (name, expected) in table {
        let transcript = world.send(outgoing(Target::Function(name.into())));
        assert_eq!(transcript.result, expected, "{name}");
        assert_eq!(transcript.request.expect("it was called").target, name);
    }
    let missing = world.sender.send(outgoing(Target::Function("nobody".into()))).await;
    assert!(matches!(missing, Sent::FunctionMissing));
}

#[test]
fn every_kind_of_event_names_itself() {
    // The header names the kind, whatever the body's shape.
    for kind in EventKind::ALL {
        let world = world(&["8.8.8.8"], Some(Ok(reply(200, b""))));
        let mut outgoing = to_url();
        outgoing.event.kind = kind;
        world.send(outgoing);
        let (request, _) = world.client.requests.lock().expect("no panic").pop().expect("one request");
        assert!(request.headers.contains(&("maxpay-event".to_owned(), kind.name().to_owned())), "{kind:?}");
    }
}

#[test]
fn excerpts_are_short_text() {
    // At most 2,048 bytes, whole characters, anything that is not UTF-8 replaced.
    let table: [(&[u8], &str); 3] = [(b"ok", "ok"), (b"", ""), (b"a\xffb", "a\u{fffd}b")];
    for (body, expected) in table {
        assert_eq!(excerpt(&Bytes::copy_from_slice(body)), expected);
    }
    for body in [vec![b'a'; 5_000], vec![0xff; 5_000], "字".repeat(2_000).into_bytes()] {
        let text = excerpt(&Bytes::from(body));
        assert!(text.len() <= EXCERPT_MAX && text.len() > EXCERPT_MAX - 4, "{}", text.len());
    }
}
