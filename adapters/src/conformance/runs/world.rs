//! A whole engine in front of one provider: on a store that outlives it, on a clock that moves when it is told to.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::api::{
    AccountSettings, Authorize, CreateAccount, CreateApp, CreateTransaction, NotificationReply, PageRequest, Scope,
    UpdateAccount,
};
use maxpay_engine::channel::{Adapter, CodeManifest, RawNotification};
use maxpay_engine::clock::{SeededEntropy, VirtualClock};
use maxpay_engine::model::{AccountId, Door, LatePolicy, Mode, Money, Timestamp, Transaction, TransactionId};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_engine::store::memory::MemoryStore;
use maxpay_engine::{Engine, Error};

use crate::conformance::account::{learn, payer_inputs};
use crate::conformance::desk::BEGINS_AT_MS;
use crate::conformance::ear::{Ear, Heard};
use crate::conformance::provider::{Candidate, Merchant, Provider, Stage};
use crate::simulator::Ledger;

use super::way::{Carrier, Seen, Way};

/// Looks at an engine that has nothing to do, in a row, before it is taken for calm: between two threads of it there is
/// a moment in which neither shows what it has to do, and on a busy machine that moment is long.
const CALM_LOOKS: u32 = 4;
/// Looks at most: an engine that is busy for longer than this is let be.
const LOOKS_MAX: u32 = 50_000;
/// In real time: a virtual clock cannot tell when threads are done.
const LOOK_WAIT: Duration = Duration::from_micros(30);

pub(super) struct World {
    adapter: Arc<dyn Adapter>,
    pub ear: Arc<Ear>,
    /// `None`: it is stopped.
    provider: Option<Arc<dyn Provider>>,
    pub way: Arc<Way>,
    pub clock: VirtualClock,
    pub rules: CodeManifest,
    store: Arc<MemoryStore>,
    engine: Option<Engine>,
    /// How often an engine or a provider was started: each has randomness of its own.
    starts: u64,
    seed: u64,
    pub scope: Scope,
    account: AccountId,
}

impl World {
    pub async fn new(candidate: &dyn Candidate, rules: &CodeManifest, ear: &Arc<Ear>) -> Result<Self, String> {
        Self::on(candidate, rules, ear, Ledger::memory(), 7).await
    }

    /// The same with the provider on other books, and with randomness of its own: what one provider drew as a secret is
    /// nothing that another may say aloud.
    pub async fn on(
        candidate: &dyn Candidate,
        rules: &CodeManifest,
        ear: &Arc<Ear>,
        ledger: Ledger,
        seed: u64,
    ) -> Result<Self, String> {
        let clock = VirtualClock::at(Timestamp::from_millis(BEGINS_AT_MS));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let provider = candidate.open(Stage { clock: Arc::new(clock.clone()), entropy, ledger })?;
        let heard = Heard { inner: candidate.adapter(), ear: Arc::clone(ear) };
        let way = Way::new(Arc::clone(&provider), clock.clone());
        let adapter: Arc<dyn Adapter> = Arc::new(Seen { inner: Arc::new(heard), way: Arc::clone(&way) });
        learn(ear, &*adapter, &provider.settings(Merchant::First));
        let nobody = Scope { app_id: maxpay_engine::model::RawId([0; 12]).into(), mode: Mode::Test };
        let mut world = Self {
            adapter,
            ear: Arc::clone(ear),
            provider: Some(provider),
            way,
            clock,
            rules: rules.clone(),
            store: Arc::new(MemoryStore::new()),
            engine: None,
            starts: 0,
            seed,
            scope: nobody,
            account: maxpay_engine::model::RawId([0; 12]).into(),
        };
        world.start()?;
        world.enrol().await.map_err(|why| why.to_string())?;
        Ok(world)
    }

    /// The engine dies, and another one goes on from what is durable.
    pub fn restart(&mut self) -> Result<(), String> {
        self.engine = None;
        self.start()
    }

    /// The provider is stopped, and what the engine sends reaches nobody.
    pub fn stop_provider(&mut self) {
        self.way.leads_to(None);
        self.provider = None;
    }

    /// Another provider goes on from the books of the one that was stopped.
    pub fn start_provider(&mut self, candidate: &dyn Candidate, ledger: Ledger) -> Result<(), String> {
        self.starts += 1;
        let entropy = Arc::new(SeededEntropy::new(self.seed + self.starts));
        let provider = candidate.open(Stage { clock: Arc::new(self.clock.clone()), entropy, ledger })?;
        self.way.leads_to(Some(Arc::clone(&provider)));
        self.provider = Some(provider);
        Ok(())
    }

    pub fn provider(&self) -> &Arc<dyn Provider> {
        self.provider.as_ref().expect("a run that stops it asks nothing of it until it is started again")
    }

    /// The engine dies, and another one begins that has never heard of anything.
    pub async fn begin_anew(&mut self) -> Result<(), String> {
        self.store = Arc::new(MemoryStore::new());
        self.restart()?;
        self.enrol().await.map_err(|why| why.to_string())
    }

    fn start(&mut self) -> Result<(), String> {
        self.starts += 1;
        let key = SealingKey::from_text(&"42".repeat(32)).map_err(|why| why.to_string())?;
        let engine = Engine::builder()
            .store(self.store.clone())
            .sealing_key(Sealer::new(&key))
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(self.starts)))
            .adapter(Arc::clone(&self.adapter))
            .http_client(Arc::new(Carrier(Arc::clone(&self.way))))
            .public_url("https://pay.example.com".to_owned())
            .arbiters(1)
            .start();
        self.engine = Some(engine.map_err(|why| format!("the engine does not start: {why}"))?);
        Ok(())
    }

    async fn enrol(&mut self) -> Result<(), Error> {
        let app = CreateApp { name: "Exam".to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
        let app = self.engine().create_app(app, None).await?.app;
        self.scope = Scope { app_id: app.id, mode: Mode::Test };
        let account = CreateAccount {
            adapter: self.adapter.manifest().adapter.to_owned(),
            codes: vec![self.rules.code.clone()],
            label: "Exam".to_owned(),
            priority: 0,
            weight: 1,
            settings: AccountSettings(self.provider().settings(Merchant::First)),
        };
        self.account = self.engine().create_account(self.scope, account, None).await?.account.id;
        Ok(())
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("there is one from the start on, and a restart makes another or ends the run")
    }

    pub fn now(&self) -> Timestamp {
        self.engine().now()
    }

    /// Starts a payment of that subject, and does not wait for the channel.
    pub async fn create(&self, subject: &str, amount: Money) -> Result<TransactionId, String> {
        self.begin(self.request(subject, amount)?).await.map_err(|why| why.to_string())
    }

    /// Starts a payment.
    pub async fn begin(&self, request: CreateTransaction) -> Result<TransactionId, Error> {
        let created = self.engine().create_transaction(self.scope, request, None).await;
        created.map(|created| created.transaction.id)
    }

    /// What asks for a payment of that subject.
    pub fn request(&self, subject: &str, amount: Money) -> Result<CreateTransaction, String> {
        let bill: String = subject.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
        Ok(CreateTransaction {
            door: Door::Native,
            bill_num: bill.parse().map_err(|_| "no bill number".to_owned())?,
            channel: self.rules.code.clone(),
            amount,
            subject: subject.to_owned(),
            extras: None,
            return_url: Some("https://shop.example.com/back".to_owned()),
            show_url: None,
            timeout: None,
            payer: payer_inputs(|input| self.rules.needs.contains(&input)),
            wait: Duration::ZERO,
        })
    }

    /// Saves settings as the account's newest.
    pub async fn save(&self, settings: serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
        learn(&self.ear, &*self.adapter, &settings);
        let request = UpdateAccount { settings: Some(AccountSettings(settings)), ..UpdateAccount::default() };
        let saved = self.engine().update_account(self.scope, self.account, request).await;
        saved.map(drop).map_err(|why| why.to_string())
    }

    pub async fn transaction(&self, id: TransactionId) -> Result<Transaction, String> {
        self.engine().transaction_for_operator(id).await.map_err(|why| why.to_string())
    }

    pub async fn close(&self, id: TransactionId) -> Result<(), String> {
        let closed = self.engine().close_transaction(self.scope, id, Duration::ZERO, None).await;
        closed.map(drop).map_err(|why| why.to_string())
    }

    pub async fn charge(&self, id: TransactionId, token: Secret) -> Result<(), String> {
        let request = Authorize { token, wait: Duration::ZERO };
        let charged = self.engine().authorize_transaction(self.scope, id, request, None).await;
        charged.map(drop).map_err(|why| why.to_string())
    }

    pub async fn notify(&self, raw: RawNotification) -> NotificationReply {
        self.engine().notification(self.adapter.manifest().adapter, &self.account.to_string(), raw).await
    }

    /// How many notifications wait without a home, and about which numbers.
    pub async fn inbox(&self) -> Vec<String> {
        let page = PageRequest { after: None, limit: 100, newest_first: false };
        let items = self.engine().inbox(page).await.map(|page| page.items).unwrap_or_default();
        items.into_iter().map(|item| item.number).collect()
    }

    /// Moves the clock to that moment at once, and waits until the engine has nothing to do.
    pub fn pass_to(&self, at: Timestamp) {
        self.clock.advance(at.since(self.now()));
        if let Some(provider) = &self.provider {
            provider.tick();
        }
        self.settle();
    }

    /// Lets time pass in steps, each until the engine has nothing to do.
    pub fn pass(&self, by: Duration) {
        let mut left = by;
        let mut step = Duration::from_secs(1);
        let mut steps = 0;
        while !left.is_zero() {
            let now = step.min(left);
            self.clock.advance(now);
            if let Some(provider) = &self.provider {
                provider.tick();
            }
            self.settle();
            left = left.saturating_sub(now);
            steps += 1;
            if steps % 6 == 0 {
                step = (step * 2).min(Duration::from_hours(1));
            }
        }
    }

    /// Waits until the engine has nothing to do at this moment.
    pub fn settle(&self) {
        let mut calm = 0;
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            // Nothing else runs on this thread.
            std::thread::sleep(LOOK_WAIT);
            let metrics = self.engine().metrics();
            let (held, sent) = self.way.counts();
            let state = (metrics.commits, metrics.under_way, sent);
            // A call counts twice: itself, and the turn of its account.
            let is_calm = metrics.due_backlog == 0 && metrics.under_way <= 2 * held && last == Some(state);
            calm = if is_calm { calm + 1 } else { 0 };
            if calm >= CALM_LOOKS {
                return;
            }
            last = Some(state);
        }
    }

    /// Everything an engine tells of a transaction is heard.
    pub async fn hear(&self, id: TransactionId) {
        if let Ok(lines) = self.engine().timeline(self.scope, id, 0, 100).await {
            self.ear.hear("the timeline of a transaction", &format!("{lines:?}"));
        }
        if let Ok(record) = self.transaction(id).await {
            self.ear.hear("the record of a transaction", &format!("{record:?}"));
        }
    }
}
