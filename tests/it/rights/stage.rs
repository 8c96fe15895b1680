//! Two apps, each with objects of test and of live mode, and every kind of credential there is.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use maxpay_adapters::sandbox::simulator::{IN_PROCESS, Magic};
use maxpay_engine::api::{IssueKey, Right, UpdateApp};
use maxpay_engine::model::{KeyKind, Mode, Transaction};
use maxpay_tests::client::{Client, payment};
use maxpay_tests::world::{Keys, Parts, World, make_app};
use maxpay_transports::http::{Extras, HttpSettings, PayerRefusal, Payers};
use serde_json::{Map, Value, json};

use super::live::Live;

/// Every app pays under this number in every mode.
pub const BILL: &str = "the-same";

/// The world with its apps on it.
pub struct Stage {
    pub world: World,
    /// An app in one mode each.
    pub places: Vec<Place>,
    /// An alarm that nobody has acknowledged.
    pub alarm: String,
    /// The id of an operator's key that nobody here shows.
    pub operator_key: String,
    /// Keys that are no longer good, by what became of them.
    pub spent: Spent,
    http: reqwest::Client,
}

/// An app in one mode: what may be asked for there.
pub struct Place {
    pub name: &'static str,
    pub mode: Mode,
    pub keys: Keys,
    pub transaction: String,
    pub subscription: String,
    pub delivery: String,
    pub account: String,
    /// The id of a key that nobody here shows.
    pub spare_key: String,
}

/// Keys that are no longer good.
pub struct Spent {
    pub revoked_master: String,
    pub expired_session: String,
    /// Master key and app of an app that is disabled.
    pub disabled: Keys,
}

/// An answer.
pub struct Asked {
    pub status: u16,
    pub text: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// Says what it would play, and plays nothing.
struct Rehearsal;

impl Payers for Rehearsal {
    fn play(
        &self,
        transaction: Transaction,
        command: String,
        _arguments: Map<String, Value>,
    ) -> BoxFuture<'static, Result<Value, PayerRefusal>> {
        async move { Ok(json!({ "played": command, "transaction": transaction.id.to_string() })) }.boxed()
    }
}

impl Stage {
    pub async fn new() -> Self {
        // Thousands of requests without a valid credential come from one address here.
        let plenty = const { NonZeroU32::new(1_000_000).expect("not zero") };
        let world = World::of(Parts {
            adapters: vec![Arc::new(Live::new())],
            http: HttpSettings { rate_per_second: plenty, rate_burst: plenty, ..HttpSettings::default() },
            extras: Extras { payers: Some(Arc::new(Rehearsal)), mounts: Vec::new() },
            ..Parts::default()
        })
        .await;
        let (other_test, other_live) = make_app(&world.engine, &world.simulator).await;
        let (disabled, _) = make_app(&world.engine, &world.simulator).await;
        let spent = spend(&world, disabled).await;
        let mut places = Vec::new();
        for (name, mode, keys) in [
            ("A test", Mode::Test, world.keys.clone()),
            ("A live", Mode::Live, world.live.clone()),
            ("B test", Mode::Test, other_test),
            ("B live", Mode::Live, other_live),
        ] {
            places.push(furnish(&world, name, mode, keys).await);
        }
        let operator = Client::new(world.address, &world.operator);
        let alarms = "/v1/ops/alarms?open_only=true";
        let limit = Duration::from_secs(10);
        let alarms = operator.until(alarms, limit, |page| page["items"][0]["id"].is_string()).await;
        let alarm = text(&alarms["items"][0]["id"]);
        let operator_key = world.engine.issue_operator_key().await.expect("a key").id.to_string();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
        Self { world, places, alarm, operator_key, spent, http: http.expect("a client can be made") }
    }

    /// Asks with an `authorization` header or none. Whoever asks to do the same to the same object does it under the same
    /// idempotency key.
    pub async fn ask(&self, method: &str, path: &str, authorization: Option<&str>, body: &Value) -> Asked {
        let url = format!("http://{}{path}", self.world.address);
        let mut request = self.http.request(method.parse().expect("a method"), url);
        if let Some(shown) = authorization {
            request = request.header("authorization", shown);
        }
        if method == "POST" {
            request = request.header("idempotency-key", path.replace('/', "."));
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        finish(request).await
    }

    /// Asks the original API with these headers.
    pub async fn ask_original(&self, call: &str, headers: &[(&str, String)], body: &Value) -> Value {
        let url = format!("http://{}/2.0/maxpay/{call}", self.world.address);
        let mut request = self.http.post(url).header("content-type", "application/json").body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let asked = finish(request).await;
        assert_eq!(asked.status, 200, "{call} {headers:?}: {}", asked.text);
        let answer = asked.json();
        let code = answer["code"].as_u64();
        assert!(code.is_some(), "{call} {headers:?}: {}", asked.text);
        assert_eq!(answer["err"].is_string(), code != Some(0), "{call} {headers:?}: {}", asked.text);
        answer
    }

    /// Everything that the places hold, as their owners see it.
    pub async fn holdings(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for place in &self.places {
            let master = format!("Bearer {}", place.keys.master);
            for path in [
                format!("/v1/transactions/{}", place.transaction),
                format!("/v1/transactions/{}/timeline", place.transaction),
                format!("/v1/subscriptions/{}", place.subscription),
                format!("/v1/deliveries/{}", place.delivery),
                format!("/v1/accounts/{}", place.account),
                "/v1/transactions".to_owned(),
                "/v1/subscriptions".to_owned(),
                "/v1/accounts".to_owned(),
            ] {
                let asked = self.ask("GET", &path, Some(&master), &Value::Null).await;
                assert_eq!(asked.status, 200, "{}: {path}: {}", place.name, asked.text);
                seen.push(format!("{}: {path}: {}", place.name, asked.text));
            }
        }
        let operator = format!("Bearer {}", self.world.operator);
        let apps = self.ask("GET", "/v1/apps", Some(&operator), &Value::Null).await;
        seen.push(apps.text);
        seen
    }
}

impl Place {
    /// Ids that nobody else may be told.
    pub fn ids(&self) -> [&str; 5] {
        [&self.transaction, &self.subscription, &self.delivery, &self.account, &self.spare_key]
    }
}

async fn finish(request: reqwest::RequestBuilder) -> Asked {
    let reply = request.send().await.expect("an answer");
    let status = reply.status().as_u16();
    Asked { status, text: reply.text().await.expect("a whole answer") }
}

async fn furnish(world: &World, name: &'static str, mode: Mode, keys: Keys) -> Place {
    let master = Client::new(world.address, &keys.master);
    let accounts = master.expect(200, "GET", "/v1/accounts", None).await;
    let account = match accounts["items"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => text(&master.expect(201, "POST", "/v1/accounts", Some(&account(&keys.app_id))).await["id"]),
    };
    // Nobody handles it: its deliveries are held, with an alarm, and nothing changes them but who asks here.
    let target = json!({ "target": { "type": "function", "name": "nobody" } });
    let subscription = text(&master.expect(201, "POST", "/v1/subscriptions", Some(&target)).await["id"]);
    let paid = payment(BILL, "wx_native", Magic::PayNow.amount_minor());
    let transaction = text(&master.expect(201, "POST", "/v1/transactions", Some(&paid)).await["id"]);
    let limit = Duration::from_secs(20);
    let held = |page: &Value| page["items"][0]["state"] == "held";
    let deliveries = master.until("/v1/deliveries", limit, held).await;
    let delivery = text(&deliveries["items"][0]["id"]);
    let app_id = keys.app_id.parse().expect("an app id");
    let spare = IssueKey { kind: KeyKind::Api, mode, import: None, owner: None, expires_at: None };
    let spare = world.engine.issue_key(app_id, spare, None).await.expect("a key can be issued");
    Place { name, mode, keys, transaction, subscription, delivery, account, spare_key: spare.key.id.to_string() }
}

/// The sandbox's contract of an app, as the world enrolled it.
fn account(app_id: &str) -> Value {
    let secret = "a secret between engine and sandbox";
    json!({
        "adapter": "sandbox",
        "settings": { "merchant_id": format!("m-{app_id}"), "base_url": IN_PROCESS, "secret": secret },
    })
}

async fn spend(world: &World, disabled: Keys) -> Spent {
    let app_id = world.keys.app_id.parse().expect("an app id");
    let issue = |kind, expires_at| IssueKey { kind, mode: Mode::Test, import: None, owner: None, expires_at };
    let master = world.engine.issue_key(app_id, issue(KeyKind::Master, None), None).await.expect("a key");
    world.engine.revoke_key(app_id, master.key.id).await.expect("it is there");
    let soon = world.engine.now().after(Duration::from_millis(20));
    let session = world.engine.issue_key(app_id, issue(KeyKind::SessionToken, Some(soon)), None).await.expect("a key");
    let off = UpdateApp { disabled: Some(true), ..UpdateApp::default() };
    world.engine.update_app(disabled.app_id.parse().expect("an app id"), off).await.expect("it is there");
    let shown = |issued: maxpay_engine::api::Issued| {
        issued.secret.expect("it was issued").expose_text().expect("keys are text").to_owned()
    };
    Spent { revoked_master: shown(master), expired_session: shown(session), disabled }
}

/// What a credential may do on `/v1`, and where.
pub struct Shown {
    pub name: String,
    /// The header as it is sent; `None`: there is none.
    pub authorization: Option<String>,
    /// `None`: it opens nothing.
    pub held: Option<Held>,
}

/// What a credential opens.
#[derive(Clone, Copy)]
pub enum Held {
    /// A place, by its index.
    Place(Right, usize),
    /// What is the operator's.
    Operators,
}

impl Shown {
    fn good(name: String, key: &str, held: Held) -> Self {
        Self { name, authorization: Some(format!("Bearer {key}")), held: Some(held) }
    }

    fn bad(name: impl Into<String>, authorization: impl Into<String>) -> Self {
        Self { name: name.into(), authorization: Some(authorization.into()), held: None }
    }
}

/// Every credential there is, and forms that are none.
pub fn credentials(stage: &Stage) -> Vec<Shown> {
    let mut all = vec![
        Shown { name: "none".to_owned(), authorization: None, held: None },
        Shown::good("the operator's".to_owned(), &stage.world.operator, Held::Operators),
    ];
    for (index, Place { name, keys, .. }) in stage.places.iter().enumerate() {
        all.push(Shown::good(format!("{name}: API key"), &keys.api, Held::Place(Right::Payments, index)));
        all.push(Shown::good(format!("{name}: master key"), &keys.master, Held::Place(Right::App, index)));
        // These go along with an app's id, at the original's door alone.
        all.push(Shown::bad(format!("{name}: client key"), format!("Bearer {}", keys.client)));
        all.push(Shown::bad(format!("{name}: session token"), format!("Bearer {}", keys.session)));
    }
    let Keys { app_id, api, master, .. } = &stage.places[0].keys;
    let (revoked, disabled) = (&stage.spent.revoked_master, &stage.spent.disabled.master);
    for (name, authorization) in [
        ("an empty one", "Bearer ".to_owned()),
        ("a scheme alone", "Bearer".to_owned()),
        ("a key alone", master.clone()),
        ("another scheme", format!("Basic {master}")),
        ("a key nobody has", "Bearer mk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("an app's id", format!("Bearer {app_id}")),
        ("a key and a bit", format!("Bearer {master}A")),
        ("a key less a bit", format!("Bearer {}", &master[..master.len() - 1])),
        ("a key in capitals", format!("Bearer {}", master.to_uppercase())),
        ("a key that says another mode", format!("Bearer {}", master.replacen("_test_", "_live_", 1))),
        ("a key that says another right", format!("Bearer {}", api.replacen("sk_", "mk_", 1))),
        ("a key that says it is the operator's", format!("Bearer op_{}", &master["mk_test_".len()..])),
        ("two keys", format!("Bearer {api},{master}")),
        ("a long one", format!("Bearer {}", "A".repeat(4_096))),
        ("a revoked one", format!("Bearer {revoked}")),
        ("one of a disabled app", format!("Bearer {disabled}")),
    ] {
        all.push(Shown::bad(name, authorization));
    }
    all
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text is expected: {value}")).to_owned()
}
