//! What watches the process, what is mounted, and what is not there.

use std::io::{Read, Write};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use maxpay_engine::model::{KeyKind, Mode, Transaction};
use maxpay_transports::http::{Extras, HttpSettings, Mount, MountReply, PayerRefusal, Payers};
use serde_json::json;

use crate::world::World;

#[test]
fn watchers_are_answered() {
    // Alive and ready while the engine takes commands; not ready, but alive, when it drains. Metrics and the document
    // are there for everybody.
    let world = World::new();
    assert_eq!(world.request("GET", "/livez", "", "").body, "alive\n");
    assert_eq!(world.request("GET", "/readyz", "", "").body, "ready\n");
    let metrics = world.request("GET", "/metrics", "", "").body;
    assert!(metrics.contains("maxpay_http_requests_total{face=\"watch\",method=\"GET\",status=\"200\"}"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(world.request("GET", "/openapi.json", "", "").json()["info"]["title"], json!("MaxPay"));
    assert_eq!(world.request("POST", "/livez", "", "").status, 405);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(world.engine.shutdown(std::time::Duration::from_secs(1)));
    assert_eq!(world.request("GET", "/readyz", "", "").status, 503);
    assert_eq!(world.request("GET", "/livez", "", "").status, 200);
}

#[test]
fn request_ids_go_through() {
    // A client's own id comes back; without one there is a new one.
    let world = World::new();
    assert_eq!(world.request("GET", "/livez", "x-request-id: abc-1\r\n", "").header("x-request-id"), Some("abc-1"));
    assert!(world.request("GET", "/livez", "", "").header("x-request-id").is_some_and(|id| id.len() == 24));
}

#[test]
fn what_is_not_there_is_a_problem() {
    // Unknown paths, sandbox commands without payers, and notifications for nobody are refused.
    let world = World::new();
    for path in ["/", "/v2", "/sandbox/transactions/66f0a1b2c3d4e5f607182930/pay", "/notify", "/notify/x"] {
        let answer = world.request("POST", path, "", "");
        assert_eq!((answer.status, answer.json()["code"].clone()), (404, json!("not_found")), "{path}");
    }
    assert_eq!(world.request("POST", "/notify/toy/66f0a1b2c3d4e5f607182930", "", "x").status, 404);
}

#[test]
fn looking_around_counts_against_the_address() {
    // What is under no face is counted for its sender; a method that nobody knows is counted as OTHER.
    let one = const { std::num::NonZeroU32::new(1).expect("not zero") };
    let world =
        World::with(|settings| HttpSettings { rate_per_second: one, rate_burst: one, ..settings }, Extras::default());
    assert_eq!(world.request("GET", "/a", "", "").status, 404);
    let refused = world.request("BREW", "/b", "", "");
    assert_eq!((refused.status, refused.json()["code"].clone()), (429, json!("rate_limited")));
    assert!(refused.header("retry-after").is_some());
    let metrics = world.request("GET", "/metrics", "", "").body;
    assert!(metrics.contains("{face=\"unknown\",method=\"OTHER\",status=\"429\"}"), "{metrics}");
}

#[test]
fn mounted_faces_get_their_requests_whole() {
    // Method, path with query, headers and body go in; status, headers and body come out.
    let echo = Mount::new("/toys", |request| {
        Box::pin(async move {
            let text = format!("{} {} {}", request.method, request.path, String::from_utf8_lossy(&request.body));
            Some(MountReply { status: 202, headers: vec![("x-toy".to_owned(), "yes".to_owned())], body: text.into() })
        })
    });
    let world = World::with(|settings| settings, Extras { payers: None, mounts: vec![echo] });
    let answer = world.request("PUT", "/toys/a?b=c", "", "body");
    assert_eq!(
        (answer.status, answer.header("x-toy"), answer.body.as_str()),
        (202, Some("yes"), "PUT /toys/a?b=c body")
    );
    assert_eq!(world.request("PUT", "/toy", "", "").status, 404);
}

#[test]
fn a_panic_costs_one_request() {
    // A face that panics is a 500 without a word of why, and the next request is served.
    let broken = Mount::new("/broken", |_| Box::pin(async { panic!("hunter2") }));
    let world = World::with(|settings| settings, Extras { payers: None, mounts: vec![broken] });
    let answer = world.request("GET", "/broken", "", "");
    assert_eq!((answer.status, answer.json()["code"].clone()), (500, json!("internal")));
    assert!(!answer.body.contains("hunter2"));
    assert_eq!(world.request("GET", "/livez", "", "").status, 200);
}

#[test]
fn every_request_is_answered_in_time() {
    // Whatever it waits for: past the deadline it is 503, and nothing is claimed about what was done.
    let deaf = Mount::new("/deaf", |_| Box::pin(std::future::pending()));
    let brief = std::time::Duration::from_millis(200);
    let world = World::with(
        |settings| HttpSettings { request_deadline: brief, ..settings },
        Extras { payers: None, mounts: vec![deaf] },
    );
    let answer = world.request("GET", "/deaf", "", "");
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("outcome_unknown")));
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    // A client that keeps its connection open without asking anything does not hold up a stop.
    let long = std::time::Duration::from_mins(1);
    let world = World::with(|settings| HttpSettings { stop_limit: long, ..settings }, Extras::default());
    let mut idle = std::net::TcpStream::connect(world.addr()).expect("it listens");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("it listens");
    let mut first = [0; 1];
    idle.read_exact(&mut first).expect("an answer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stopped =
        runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(20), world.stop()).await });
    assert!(stopped.is_ok(), "the stop waits for a client that asks nothing");
}

#[test]
fn a_stop_waits_for_what_is_under_way() {
    // A request that was taken before the stop is answered during it.
    let (entered, enter) = std::sync::mpsc::sync_channel(1);
    let go_on = Arc::new(tokio::sync::Notify::new());
    let slow = Mount::new("/slow", {
        let go_on = Arc::clone(&go_on);
        move |_| {
            let (entered, go_on) = (entered.clone(), Arc::clone(&go_on));
            Box::pin(async move {
                entered.send(()).expect("the test waits");
                go_on.notified().await;
                Some(MountReply { status: 200, headers: Vec::new(), body: "done".into() })
            })
        }
    });
    let world = World::with(|settings| settings, Extras { payers: None, mounts: vec![slow] });
    let mut client = std::net::TcpStream::connect(world.addr()).expect("it listens");
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it listens");
    enter.recv().expect("the request arrives");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut stop = std::pin::pin!(world.stop());
        assert!((&mut stop).now_or_never().is_none(), "a request is under way");
        go_on.notify_one();
        stop.await;
    });
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("done"), "{answer}");
}

#[test]
fn payers_play_for_test_mode_keys_alone() {
    // Live keys, client keys and operators are refused before anything is looked up; so is no key at all.
    let world = World::with(|settings| settings, Extras { payers: Some(Arc::new(Nobody)), mounts: Vec::new() });
    let path = "/sandbox/transactions/66f0a1b2c3d4e5f607182930/pay";
    for (key, status) in [
        (world.key(KeyKind::Api, Mode::Live), 403),
        (world.key(KeyKind::Master, Mode::Live), 403),
        (&world.operator, 403),
        ("", 401),
        (world.key(KeyKind::Api, Mode::Test), 404),
        (world.key(KeyKind::Master, Mode::Test), 404),
    ] {
        assert_eq!(world.v1(key, "POST", path, "").status, status, "{key}");
    }
    assert_eq!(world.v1(world.key(KeyKind::Api, Mode::Test), "GET", path, "").status, 405);
}

/// Payers that are never asked.
struct Nobody;

impl Payers for Nobody {
    fn play(
        &self,
        _: Transaction,
        command: String,
        _: serde_json::Map<String, serde_json::Value>,
    ) -> BoxFuture<'static, Result<serde_json::Value, PayerRefusal>> {
        Box::pin(async move { Err(PayerRefusal::UnknownCommand(command)) })
    }
}

#[test]
fn a_face_that_answers_nothing_ends_the_connection() {
    // Not a byte comes, on a new connection and behind an answer on a kept one; neighbours do not notice.
    let face = Mount::new("/toys", |request| {
        let answered = request.path.starts_with("/toys/said");
        let reply = MountReply { status: 200, headers: Vec::new(), body: "said".into() };
        Box::pin(async move { answered.then_some(reply) })
    });
    let world = World::with(|settings| settings, Extras { payers: None, mounts: vec![face] });
    let mut neighbour = std::net::TcpStream::connect(world.addr()).expect("it listens");
    for asked in [
        "GET /toys/lost HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /toys/lost HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let mut client = std::net::TcpStream::connect(world.addr()).expect("it listens");
        client.write_all(asked.as_bytes()).expect("it listens");
        let mut bytes = Vec::new();
        // An end or a reset: no byte either way.
        let _ = client.read_to_end(&mut bytes);
        assert!(bytes.is_empty(), "{}", String::from_utf8_lossy(&bytes));
    }
    neighbour.write_all(b"GET /toys/said HTTP/1.1\r\nHost: x\r\n\r\n").expect("it listens");
    let mut said = Vec::new();
    while !said.ends_with(b"said") {
        let mut byte = [0];
        neighbour.read_exact(&mut byte).expect("a whole answer");
        said.extend(byte);
    }
    neighbour.write_all(b"GET /toys/lost HTTP/1.1\r\nHost: x\r\n\r\n").expect("it listens");
    let mut bytes = Vec::new();
    let _ = neighbour.read_to_end(&mut bytes);
    assert!(said.starts_with(b"HTTP/1.1 200") && bytes.is_empty(), "{}", String::from_utf8_lossy(&bytes));
}
