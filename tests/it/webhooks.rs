//! Webhooks as a merchant's receiver gets them: bodies, signatures, and the whole schedule on a virtual clock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac};
use maxpay_adapters::sandbox::simulator::{IN_PROCESS, Magic, SandboxClient, Simulator, SimulatorParts};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::Engine;
use maxpay_engine::api::{
    CreateSubscription, CreateTransaction, Credential, DeliveryFilter, PageRequest, Scope, TargetRequest,
};
use maxpay_engine::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::clock::{Clock, SeededEntropy, System, VirtualClock};
use maxpay_engine::model::{AppId, Currency, Delivery, DeliveryMode, DeliveryState, Door, Money, Timestamp};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::webhook::{GuardPolicy, WebhookClient};
use maxpay_tests::client::{Client, payment};
use maxpay_tests::receiver::Receiver;
use maxpay_tests::world::{self, Keys, Parts, World};
use maxpay_transports::client::{TargetClient, TrustedRoots};
use md5::{Digest, Md5};
use serde_json::json;
use sha2::Sha256;

const LIMIT: Duration = Duration::from_secs(20);
/// The original's gaps, in minutes.
const GAPS: [u64; 10] = [1, 5, 10, 30, 60, 120, 240, 480, 960, 1440];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_arrives_signed_both_ways() {
    // The twelve keys and the sign of the original, and the three Standard Webhooks headers over the exact bytes.
    let world = World::new().await;
    let receiver = Receiver::well().await;
    let master = Client::new(world.address, &world.keys.master);
    let subscription = json!({
        "target": { "type": "url", "url": receiver.url() },
        "headers": [{ "name": "X-Shop", "value": "seven" }],
    });
    let subscription = master.expect(201, "POST", "/v1/subscriptions", Some(&subscription)).await;
    let secret = subscription["secret"].as_str().expect("shown once").to_owned();
    let mut body = payment("order-7", "wx_native", Magic::PayNow.amount_minor());
    body["extras"] = json!({ "a": [1, { "b": "字" }] });
    let created = master.ask("POST", "/v1/transactions", Some(&body)).await.expect("an answer").1;
    let came = receiver.wait_for(1, LIMIT).await.remove(0);
    let told = came.json();
    let keys: Vec<&str> = told.as_object().expect("an object").keys().map(String::as_str).collect();
    let original = [
        "appid",
        "billNum",
        "channel",
        "createdTime",
        "currency",
        "endTime",
        "extras",
        "id",
        "sign",
        "status",
        "timestamp",
        "totalFee",
    ];
    assert_eq!(keys, original);
    assert_eq!((&told["id"], &told["status"]), (&created["id"], &json!("success")));
    assert_eq!((&told["billNum"], &told["extras"]), (&json!("order-7"), &body["extras"]));
    let Keys { app_id, master: master_key, .. } = &world.keys;
    let signed = format!("{app_id}{master_key}{}", told["timestamp"]);
    assert_eq!(told["sign"], hex::encode(Md5::digest(signed)));
    assert_eq!(came.header("maxpay-event"), Some("payment.succeeded"));
    assert_eq!(came.header("x-shop"), Some("seven"));
    let header = |name: &str| came.header(name).expect(name).to_owned();
    let content = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length").chain_update(content).chain_update(&came.body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_send_shows_what_went_and_what_came() {
    // The same path as live traffic; any status but 200 is a failure, a redirect is not followed.
    let world = World::new().await;
    let master = Client::new(world.address, &world.keys.master);
    for (status, success) in [(200, true), (201, false), (204, false), (302, false), (400, false), (500, false)] {
        let receiver = Receiver::answering(move |_, _| status).await;
        let target = json!({
            "target": { "type": "url", "url": receiver.url() },
            "delivery": "test_sends_only",
        });
        let made = master.expect(201, "POST", "/v1/subscriptions", Some(&target)).await;
        let path = format!("/v1/subscriptions/{}/test", made["id"].as_str().expect("an id"));
        let sent = master.expect(200, "POST", &path, Some(&json!({}))).await;
        assert_eq!(sent["success"], success, "{status}: {sent}");
        assert_eq!(sent["response"]["status"], status, "{sent}");
        let body = sent["request"]["body"].as_str().expect("the exact body");
        assert_eq!(receiver.log()[0].body, body.as_bytes(), "{status}");
        assert!(body.contains(r#""type":"shopping""#) && !sent.to_string().contains(&world.keys.master));
        assert_eq!(receiver.log().len(), 1);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_hang_stop_no_payment() {
    // The name servers of 64 targets stay silent, and all are tried at once: a payment is created, its provider's answer
    // read and its notification verified meanwhile, and another app's webhook arrives.
    let (let_go, asked) = (Arc::new(OnceLock::<()>::new()), Arc::new(AtomicUsize::new(0)));
    let (held, count) = (Arc::clone(&let_go), Arc::clone(&asked));
    let targets = TargetClient::looking_up(&TrustedRoots::default(), move |name| {
        if name.starts_with("dead") {
            count.fetch_add(1, Ordering::SeqCst);
            held.wait();
        }
        Ok(vec![[127, 0, 0, 1].into()])
    });
    let world = World::of(Parts { targets: targets.expect("a client"), ..Parts::default() }).await;
    let master = Client::new(world.address, &world.keys.master);
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..64 {
        let target = json!({ "type": "url", "url": format!("http://dead{number}.example/hook") });
        let body = json!({ "target": target, "delivery": "test_sends_only" });
        let made = master.expect(201, "POST", "/v1/subscriptions", Some(&body)).await;
        let path = format!("/v1/subscriptions/{}/test", made["id"].as_str().expect("an id"));
        let master = master.clone();
        sends.spawn(async move { master.ask("POST", &path, Some(&json!({}))).await });
    }
    let hanging = async {
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, hanging).await.expect("a name is looked up");

    let (other, _) = world::make_app(&world.engine, &world.simulator).await;
    let other = Client::new(world.address, &other.master);
    let receiver = Receiver::well().await;
    let url = receiver.url().replace("127.0.0.1", "shop.example");
    let body = json!({ "target": { "type": "url", "url": url } });
    other.expect(201, "POST", "/v1/subscriptions", Some(&body)).await;
    for payer in [&master, &other] {
        let body = payment("order-1", "wx_native", Magic::PayNow.amount_minor());
        let created = payer.expect(201, "POST", "/v1/transactions", Some(&body)).await;
        let path = format!("/v1/transactions/{}", created["id"].as_str().expect("an id"));
        payer.until(&path, LIMIT, |it| it["status"] == "succeeded").await;
    }
    receiver.wait_for(1, LIMIT).await;
    assert!(sends.try_join_next().is_none(), "the names still hang");
    let_go.set(()).expect("once");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eleven_tries_on_the_original_schedule_across_restarts() {
    // Each gap counts from the end of the try before, never early; the engine is stopped and started in the middle.
    let folder = tempfile::tempdir().expect("a folder");
    let clock = VirtualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let target = Arc::new(Refusing { clock: clock.clone(), tries: Mutex::new(Vec::new()) });
    let simulator = simulator(&clock);
    let mut engine = engine(folder.path(), &clock, &target, &simulator);
    world::notify(&simulator, &engine);
    let (keys, _) = world::make_app(&engine, &simulator).await;
    let bearer = Credential::Bearer(Secret::from_text(&keys.master));
    let scope = engine.authenticate(bearer).await.expect("known").scope.expect("an app's");
    engine.create_subscription(scope, subscription(), None).await.expect("made");
    engine.create_transaction(scope, one_payment(), None).await.expect("made");
    simulator.tick(clock.now().wall).await.expect("the ledger is in memory");
    let mut delivery = settled(&engine, scope, 1).await;
    for (done, minutes) in GAPS.into_iter().enumerate() {
        let ended = delivery.tries.last().expect("a try").ended_at;
        let due = ended.after(Duration::from_mins(minutes));
        assert_eq!(delivery.state, DeliveryState::Due { at: due }, "after try {}", done + 1);
        if done == 2 || done == 6 {
            engine.shutdown(LIMIT).await;
            engine = self::engine(folder.path(), &clock, &target, &simulator);
            world::notify(&simulator, &engine);
        }
        // First to one millisecond before it is due: a try that goes out then shows in the times below.
        clock.advance(due.before(Duration::from_millis(1)).since(clock.now().wall));
        settled(&engine, scope, done + 1).await;
        clock.advance(Duration::from_millis(1));
        delivery = settled(&engine, scope, done + 2).await;
        assert_eq!(target.tries.lock().expect("held shortly")[done + 1], due, "try {}", done + 2);
    }
    assert_eq!(delivery.state, DeliveryState::Exhausted);
    assert_eq!(target.tries.lock().expect("held shortly").len(), 11);
    let all = delivery.tries[10].started_at.since(delivery.tries[0].ended_at);
    assert_eq!(all, Duration::from_mins(55 * 60 + 46));
    engine.shutdown(LIMIT).await;
}

/// A target that refuses, and keeps the times.
struct Refusing {
    clock: VirtualClock,
    tries: Mutex<Vec<Timestamp>>,
}

impl WebhookClient for Refusing {
    fn resolve(&self, _: AppId, _: &str, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        Box::pin(async move { Ok(vec![SocketAddr::from(([93, 184, 215, 14], port))]) })
    }

    fn send(
        &self,
        _: HttpRequest,
        _: Vec<SocketAddr>,
        _: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        self.tries.lock().expect("held shortly").push(self.clock.now().wall);
        Box::pin(async { Ok(HttpReply { status: 500, headers: Vec::new(), body: Bytes::new() }) })
    }
}

fn simulator(clock: &VirtualClock) -> Arc<Simulator> {
    let parts = SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::memory(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(7)),
        sealer: Arc::new(sealer()),
    };
    Simulator::open(parts).expect("it opens in memory")
}

fn sealer() -> Sealer {
    Sealer::new(&SealingKey::from_text(&"5e".repeat(32)).expect("a key"))
}

fn engine(folder: &Path, clock: &VirtualClock, target: &Arc<Refusing>, simulator: &Arc<Simulator>) -> Engine {
    let options = RedbOptions::new(Arc::new(System::new()), Arc::new(System::new()));
    let mut builder = Engine::builder()
        .store(RedbStore::open(&folder.join("store"), options).expect("the store opens"))
        .sealing_key(sealer())
        .clock(Arc::new(clock.clone()))
        .http_client(Arc::new(SandboxClient::new(Arc::clone(simulator), None)))
        .webhook_client(target.clone())
        .guard(GuardPolicy::default());
    for adapter in maxpay_adapters::builtin() {
        builder = builder.adapter(adapter);
    }
    builder.start().expect("the engine starts")
}

fn subscription() -> CreateSubscription {
    CreateSubscription {
        target: TargetRequest::Url("http://shop.example/hook".into()),
        headers: Vec::new(),
        event_types: Vec::new(),
        delivery: DeliveryMode::Events,
        secret: None,
        description: String::new(),
    }
}

fn one_payment() -> CreateTransaction {
    CreateTransaction {
        door: Door::Native,
        bill_num: "order-1".parse().expect("a number"),
        channel: "wx_native".parse().expect("a code"),
        amount: Money::new(Magic::PayNow.amount_minor(), Currency::CNY).expect("an amount"),
        subject: "A toy".into(),
        extras: None,
        return_url: None,
        show_url: None,
        timeout: None,
        payer: maxpay_engine::model::PayerInputs::default(),
        wait: Duration::from_secs(10),
    }
}

/// The one delivery, once so many tries of it have ended.
async fn settled(engine: &Engine, scope: Scope, tries: usize) -> Delivery {
    let page = PageRequest { after: None, limit: 10, newest_first: false };
    let reached = async {
        loop {
            let found = engine.deliveries(scope, DeliveryFilter::default(), page).await.expect("a page");
            if let Some(delivery) = found.items.into_iter().find(|delivery| delivery.tries.len() >= tries) {
                return delivery;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("try {tries} did not end"))
}
