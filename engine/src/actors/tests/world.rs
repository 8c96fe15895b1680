//! An engine over the memory store, with one app, one account, and time that stands still until it is told to move.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::script::{Provider, SENT, Script, Wire};
use crate::api::{AccountSettings, CreateAccount, CreateApp, CreateTransaction, Created, NotificationReply, Scope};
use crate::channel::RawNotification;
use crate::clock::{SeededEntropy, VirtualClock};
use crate::model::{
    Account, Currency, Door, LatePolicy, Mode, Money, PayerInputs, Timestamp, Transaction, TransactionId,
};
use crate::secrets::{Sealer, SealingKey};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::webhook::FunctionCall;
use crate::{Engine, EngineBuilder, Error};

/// A real moment after which a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub engine: Engine,
    /// What the engine keeps things in.
    pub durable: Arc<dyn Store>,
    /// The same, when it is the memory store; else one that nobody uses.
    pub store: Arc<MemoryStore>,
    pub clock: VirtualClock,
    pub provider: Arc<Provider>,
    pub script: Arc<Script>,
    pub scope: Scope,
    pub account: Account,
    /// Events that the function `hook` got.
    pub hooked: Arc<std::sync::Mutex<Vec<FunctionCall>>>,
    pub hook_fails: Arc<std::sync::atomic::AtomicBool>,
    hook_called: tokio::sync::watch::Sender<usize>,
}

/// What engines of one world are made from.
struct Parts {
    durable: Arc<dyn Store>,
    store: Arc<MemoryStore>,
    clock: VirtualClock,
    provider: Arc<Provider>,
    script: Arc<Script>,
    hooked: Arc<std::sync::Mutex<Vec<FunctionCall>>>,
    hook_fails: Arc<std::sync::atomic::AtomicBool>,
    hook_called: tokio::sync::watch::Sender<usize>,
}

impl Parts {
    fn engine(&self, seed: u64) -> EngineBuilder {
        let key = SealingKey::from_text(&hex::encode([7; 32])).expect("a key");
        let (hooked, fails, called) =
            (Arc::clone(&self.hooked), Arc::clone(&self.hook_fails), self.hook_called.clone());
        Engine::builder()
            .store(self.durable.clone())
            .sealing_key(Sealer::new(&key))
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(seed)))
            .adapter(self.script.clone())
            .http_client(Arc::new(Wire(self.provider.clone())))
            .arbiters(1)
            .function("hook", move |call| {
                let fails = fails.load(std::sync::atomic::Ordering::SeqCst);
                hooked.lock().expect("no panic").push(call);
                called.send_modify(|count| *count += 1);
                async move { if fails { Err("told to".to_owned()) } else { Ok(()) } }
            })
    }
}

impl World {
    pub async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::over(store.clone(), store).await
    }

    /// A world over another store.
    pub async fn on(durable: Arc<dyn Store>) -> Self {
        Self::over(durable, Arc::new(MemoryStore::new())).await
    }

    async fn over(durable: Arc<dyn Store>, store: Arc<MemoryStore>) -> Self {
        let parts = Parts {
            durable,
            store,
            clock: VirtualClock::at(Timestamp::from_millis(1_800_000_000_000)),
            provider: Arc::new(Provider::new()),
            script: Arc::new(Script::new()),
            hooked: Arc::default(),
            hook_fails: Arc::default(),
            hook_called: tokio::sync::watch::Sender::new(0),
        };
        let engine = parts.engine(1).start().expect("it starts");
        let app =
            CreateApp { name: "tea house".to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
        let app = engine.create_app(app, None).await.expect("an app").app;
        let scope = Scope { app_id: app.id, mode: Mode::Test };
        let mut settings = serde_json::Map::new();
        settings.insert("merchant".to_owned(), "us".into());
        let account = CreateAccount {
            adapter: "script".to_owned(),
            codes: Vec::new(),
            label: "main".to_owned(),
            priority: 0,
            weight: 1,
            settings: AccountSettings(settings),
        };
        let account = engine.create_account(scope, account, None).await.expect("an account").account;
        let Parts { durable, store, clock, provider, script, hooked, hook_fails, hook_called } = parts;
        Self { engine, durable, store, clock, provider, script, scope, account, hooked, hook_fails, hook_called }
    }

    /// The same world with its engine dropped and another one started.
    pub fn restarted(self) -> Self {
        let durable = self.durable.clone();
        self.restarted_on(durable)
    }

    /// The same, over a store that was opened again.
    pub fn restarted_on(mut self, durable: Arc<dyn Store>) -> Self {
        self.durable = durable;
        let Self { engine, durable, store, clock, provider, script, scope, account, hooked, hook_fails, hook_called } =
            self;
        drop(engine);
        let parts = Parts { durable, store, clock, provider, script, hooked, hook_fails, hook_called };
        let engine = parts.engine(2).start().expect("it starts again");
        let Parts { durable, store, clock, provider, script, hooked, hook_fails, hook_called } = parts;
        Self { engine, durable, store, clock, provider, script, scope, account, hooked, hook_fails, hook_called }
    }

    #[expect(clippy::unused_self, reason = "it reads as what the world asks for")]
    pub fn request(&self, bill: &str) -> CreateTransaction {
        CreateTransaction {
            door: Door::Native,
            bill_num: bill.parse().expect("a bill number"),
            channel: SENT.parse().expect("a code"),
            amount: Money::new(100, Currency::CNY).expect("small"),
            subject: "tea".to_owned(),
            extras: None,
            return_url: None,
            show_url: None,
            timeout: None,
            payer: PayerInputs::default(),
            wait: Duration::from_secs(10),
        }
    }

    pub async fn create(&self, bill: &str) -> Result<Created, Error> {
        self.within(self.engine.create_transaction(self.scope, self.request(bill), None)).await
    }

    /// Creates without waiting for the channel.
    pub async fn create_only(&self, bill: &str) -> Result<Created, Error> {
        let request = CreateTransaction { wait: Duration::ZERO, ..self.request(bill) };
        self.within(self.engine.create_transaction(self.scope, request, None)).await
    }

    pub async fn notify(&self, number: TransactionId, what: &str) -> NotificationReply {
        self.notify_signed(number, what, "good").await
    }

    pub async fn notify_signed(&self, number: TransactionId, what: &str, sign: &str) -> NotificationReply {
        let raw = RawNotification {
            headers: vec![("Sign".to_owned(), sign.to_owned())],
            query: String::new(),
            body: Bytes::from(format!("{number} {what}")),
        };
        self.within(self.engine.notification("script", &self.account.id.to_string(), raw)).await
    }

    /// Waits until the transaction has that status.
    pub async fn status(&self, id: TransactionId, status: &str) -> Transaction {
        let watcher = self.engine.inner().watchers.watch(id);
        let waiting = async {
            loop {
                let mut changed = std::pin::pin!(watcher.changed.notified());
                changed.as_mut().enable();
                let record = self.engine.inner().transaction_row(id).await.expect("it is there");
                if record.status.name() == status {
                    return record;
                }
                changed.await;
            }
        };
        self.within(waiting).await
    }

    /// Waits until the function got so many events.
    pub async fn hooked(&self, count: usize) {
        let mut called = self.hook_called.subscribe();
        self.within(async { drop(called.wait_for(|it| *it >= count).await.expect("the world is there")) }).await;
    }

    /// Lets the engine's threads work until something is so. It yields and never sleeps.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let waiting = async {
            while !so().await {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
    }

    /// Fails the test when it takes too long.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        let log = || format!("{:?}", self.provider.log());
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("it takes too long; asked: {}", log()))
    }
}
