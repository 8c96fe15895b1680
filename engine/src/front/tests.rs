//! The front door over the memory store and a clock that stands still until it is told to move.

mod access;
mod accounts;
mod apps;
mod bank;
mod directory;
mod lists;
mod operators;
mod secrecy;
mod slow_store;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use slow_store::SlowStore;

use crate::api::*;
use crate::clock::{SeededEntropy, VirtualClock};
use crate::model::*;
use crate::secrets::Secret;
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Store, keys};
use crate::{Engine, Error};

/// An engine with two adapters, and the levers that a test pulls.
struct World {
    engine: Engine,
    clock: VirtualClock,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_000_000_000));
        let store = Arc::new(MemoryStore::new());
        let entropy = Arc::new(SeededEntropy::new(7));
        let key = crate::secrets::SealingKey::generate(entropy.as_ref());
        let engine = Engine::builder()
            .store(store.clone())
            .sealing_key(crate::secrets::Sealer::new(&key))
            .clock(Arc::new(clock.clone()))
            .entropy(entropy)
            .adapter(Arc::new(bank::Bank::new("bank", false)))
            .adapter(Arc::new(bank::Bank::new("toy", true)))
            .public_url("https://pay.example".to_owned())
            .sign_rules(SignRules {
                max_age: Some(Duration::from_hours(48)),
                max_age_master: Some(Duration::from_mins(15)),
            })
            .start()
            .expect("everything is there");
        Self { engine, clock, store }
    }

    async fn app(&self) -> CreatedApp {
        self.engine.create_app(create_app("Shop"), None).await.expect("a good request")
    }

    async fn scope(&self, mode: Mode) -> Scope {
        Scope { app_id: self.app().await.app.id, mode }
    }

    async fn commit(&self, batch: Batch) {
        self.store.commit(batch).await.expect("the store takes it");
    }
}

fn create_app(name: &str) -> CreateApp {
    CreateApp { name: name.to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor }
}

/// The secret of that kind and mode among those just issued.
fn issued(app: &CreatedApp, kind: KeyKind, mode: Mode) -> Secret {
    let found = app.issued.iter().find(|it| it.key.kind == kind && it.key.mode == mode);
    found.and_then(|it| it.secret.clone()).expect("a new app has it")
}

fn new_key(kind: KeyKind, mode: Mode) -> IssueKey {
    IssueKey { kind, mode, import: None, owner: None, expires_at: None }
}

fn idem(owner: KeyOwner, route: &'static str, key: &str, body: u8) -> Idempotency {
    Idempotency { owner, mode: None, route, key: key.to_owned(), body_digest: [body; 32] }
}

fn operator() -> KeyOwner {
    KeyOwner::Operator(KeyId(RawId([9; 12])))
}

fn create_account(adapter: &str, settings: Value) -> CreateAccount {
    CreateAccount {
        adapter: adapter.to_owned(),
        codes: Vec::new(),
        label: "main".to_owned(),
        priority: 0,
        weight: 1,
        settings: settings_of(settings),
    }
}

fn settings_of(settings: Value) -> AccountSettings {
    let Value::Object(settings) = settings else { panic!("settings are an object") };
    AccountSettings(settings)
}

fn good_settings() -> Value {
    json!({ "merchant": "m-1", "wording": "Shop", "key": "a key of the bank" })
}

fn create_subscription(url: &str) -> CreateSubscription {
    CreateSubscription {
        target: TargetRequest::Url(url.to_owned()),
        headers: Vec::new(),
        event_types: Vec::new(),
        delivery: DeliveryMode::Events,
        secret: None,
        description: String::new(),
    }
}

/// A store that answers nothing.
pub(crate) fn refusing_store() -> Arc<dyn Store> {
    let store = slow_store::SlowStore::new();
    store.failing.store(true, std::sync::atomic::Ordering::Release);
    Arc::new(store)
}

/// The fields that a refusal names, or its code.
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    let why = answer.expect_err("it is refused");
    let Error::Invalid { fields } = &why else { return why.code().to_owned() };
    fields.iter().map(|it| it.field.as_str()).collect::<Vec<_>>().join(" ")
}

fn page(limit: usize, newest_first: bool) -> PageRequest {
    PageRequest { after: None, limit, newest_first }
}
