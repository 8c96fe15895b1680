//! An engine with a flooded transaction and its neighbours, and one window of time with one crowd.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use maxpay_adapters::sandbox::simulator::{IN_PROCESS, SandboxClient, Simulator, SimulatorParts};
use maxpay_adapters::simulator::Ledger;
use maxpay_benches::process::cpu_time_by_thread;
use maxpay_benches::quantile;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, CreateTransaction, Scope};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::{Currency, Door, LatePolicy, Mode, Money, PayerInputs, RawId, TransactionId};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::{Engine, Error};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::Failure;

/// Neighbours on the flooded one's arbiter, and as many on others.
const NEIGHBOURS: usize = 8;
/// Between the questions to one neighbour.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Between new payments.
const PAY_EVERY: Duration = Duration::from_millis(20);
/// Payments made at the most until there are neighbours enough.
const PAYMENTS_MAX: u64 = 1_000;
/// Ten credentials at the rate that a server's doors let through of each when nobody says otherwise.
const PACED_PER_SECOND: u32 = 5_000;
const MERCHANT_SECRET: &str = "a secret between the bench's engine and its provider";

/// Who else is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Nobody.
    Quiet,
    /// Callers who read the flooded transaction, past its actor.
    Readers,
    /// Callers who ask its actor, all together as often a second as ten credentials may over HTTP.
    Paced,
    /// Callers who ask its actor without a pause.
    Flooders,
}

impl Crowd {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "nobody",
            Self::Readers => "readers",
            Self::Paced => "5,000 a second",
            Self::Flooders => "flooders",
        }
    }
}

/// What a window came to.
#[derive(Debug, Default)]
pub struct Window {
    /// Who else was there.
    pub crowd: &'static str,
    /// Waits of neighbours on the flooded one's arbiter, and on others, in microseconds.
    pub asks_us: [Vec<u64>; 2],
    /// Waits of new payments whose actor is on the flooded one's arbiter, and on others.
    pub payments_us: [Vec<u64>; 2],
    /// Questions of neighbours and new payments that were not answered as they should be.
    pub failed: u64,
    /// Answers to the crowd.
    pub answered: u64,
    /// Refusals of the crowd: busy.
    pub busy: u64,
    /// Processor time by the names of threads.
    pub cpu: BTreeMap<String, Duration>,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p99 = |values: &[Vec<u64>; 2]| format!("{}/{}", quantile(&values[0], 990), quantile(&values[1], 990));
        let (asks, payments) = (p99(&self.asks_us), p99(&self.payments_us));
        let Self { crowd, answered, busy, failed, .. } = self;
        write!(f, "{crowd}: p99 of asks {asks} µs, of payments {payments} µs; ")?;
        write!(f, "crowd {answered} answered, {busy} busy; {failed} failed")
    }
}

/// An engine, a transaction that is flooded, and its neighbours.
pub struct Scene {
    engine: Engine,
    scope: Scope,
    clock: System,
    arbiters: usize,
    flooded: TransactionId,
    neighbours: [Vec<TransactionId>; 2],
    made: AtomicU64,
    /// Where the crowd runs.
    outside: Handle,
}

impl Scene {
    /// Starts an engine on a store in `folder` and makes the transactions. The crowd will run `outside`.
    pub async fn new(folder: &Path, arbiters: usize, outside: Handle) -> Result<Arc<Self>, Failure> {
        let clock = System::new();
        let key = SealingKey::generate(&clock);
        let parts = SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: Ledger::memory(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(clock.clone()),
            sealer: Arc::new(Sealer::new(&key)),
        };
        let simulator = Simulator::open(parts)?;
        let options = RedbOptions::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
        let mut builder = Engine::builder()
            .store(RedbStore::open(folder, options)?)
            .sealing_key(Sealer::new(&key))
            .http_client(Arc::new(SandboxClient::new(Arc::clone(&simulator), None)))
            .arbiters(arbiters);
        for adapter in maxpay_adapters::builtin() {
            builder = builder.adapter(adapter);
        }
        let engine = builder.start()?;
        let scope = shop(&engine, &simulator).await?;
        let (neighbours, made) = ([Vec::new(), Vec::new()], AtomicU64::new(0));
        let nobody = TransactionId(RawId([0; RawId::LEN]));
        let mut scene = Self { engine, scope, clock, arbiters, flooded: nobody, neighbours, made, outside };
        scene.flooded = scene.pay().await?;
        for _ in 0..PAYMENTS_MAX {
            let id = scene.pay().await?;
            let place = scene.place(id);
            if scene.neighbours[place].len() < NEIGHBOURS {
                scene.neighbours[place].push(id);
            }
            if scene.neighbours.iter().all(|some| some.len() == NEIGHBOURS) {
                return Ok(Arc::new(scene));
            }
        }
        Err("all payments are on one arbiter".into())
    }

    /// Stops the engine.
    pub async fn end(&self) {
        self.engine.shutdown(Duration::from_secs(10)).await;
    }

    /// Lets neighbours and new payments be asked for so long, with a crowd.
    pub async fn window(self: &Arc<Self>, crowd: Crowd, callers: u32, time: Duration) -> Result<Window, Failure> {
        let before = cpu_time_by_thread(std::process::id())?;
        let ends = self.clock.now().monotonic + time;
        let over = Arc::new(AtomicBool::new(false));
        let mut callers_under_way = JoinSet::new();
        for _ in 0..if crowd == Crowd::Quiet { 0 } else { callers } {
            // All together; each is a caller of its own, which waits for its answer.
            let pause = (crowd == Crowd::Paced).then(|| Duration::from_secs(callers.into()) / PACED_PER_SECOND);
            callers_under_way.spawn_on(call(Arc::clone(self), crowd, pause, Arc::clone(&over)), &self.outside);
        }
        let mut asks = JoinSet::new();
        for (place, some) in self.neighbours.iter().enumerate() {
            for id in some {
                asks.spawn(ask_often(Arc::clone(self), place, *id, ends));
            }
        }
        let payments = tokio::spawn(pay_often(Arc::clone(self), ends));
        let mut window = Window { crowd: crowd.name(), ..Window::default() };
        for (place, waits_us, failed) in asks.join_all().await {
            window.asks_us[place].extend(waits_us);
            window.failed += failed;
        }
        let (payments_us, failed) = payments.await?;
        window.payments_us = payments_us;
        window.failed += failed;
        over.store(true, Ordering::Relaxed);
        for (answered, busy) in callers_under_way.join_all().await {
            window.answered += answered;
            window.busy += busy;
        }
        for (name, now) in cpu_time_by_thread(std::process::id())? {
            let spent = now.saturating_sub(before.get(&name).copied().unwrap_or_default());
            window.cpu.insert(name, spent);
        }
        Ok(window)
    }

    /// 0 on the arbiter of the flooded transaction, 1 on another: routers take the shards in turn.
    fn place(&self, id: TransactionId) -> usize {
        let arbiter = |id: TransactionId| usize::from(id.0.shard()) % self.arbiters;
        usize::from(arbiter(id) != arbiter(self.flooded))
    }

    async fn pay(&self) -> Result<TransactionId, Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let wrong = |why: &dyn fmt::Display| Error::Internal(why.to_string());
        let request = CreateTransaction {
            door: Door::Native,
            bill_num: format!("bill-{number}").parse().map_err(|why| wrong(&why))?,
            channel: "wx_native".parse().map_err(|why| wrong(&why))?,
            amount: Money::new(1_999, Currency::CNY).map_err(|why| wrong(&why))?,
            subject: "A pot of green tea".to_owned(),
            extras: None,
            return_url: None,
            show_url: None,
            timeout: None,
            payer: PayerInputs::default(),
            wait: Duration::from_secs(10),
        };
        let made = self.engine.create_transaction(self.scope, request, None).await?.transaction;
        let awaited = made.status.name() == "awaiting_payer";
        if awaited { Ok(made.id) } else { Err(wrong(&format!("a payment is {}", made.status.name()))) }
    }

    /// Asks a transaction's actor for something that changes nothing. Whether it was answered, or *busy*.
    async fn ask(&self, id: TransactionId) -> Result<(), Error> {
        match self.engine.accept_mismatch(id, "none", "bench", "there is nothing to accept", None).await {
            // Nothing was received, so that there is nothing to accept: the actor has looked.
            Err(Error::Conflict(_)) => Ok(()),
            Err(why) => Err(why),
            Ok(_) => Err(Error::Internal("there was something to accept".to_owned())),
        }
    }

    async fn read(&self, id: TransactionId) -> Result<(), Error> {
        self.engine.transaction_for_operator(id).await.map(|_| ())
    }

    fn since_us(&self, began: Duration) -> u64 {
        u64::try_from(self.clock.now().monotonic.saturating_sub(began).as_micros()).unwrap_or(u64::MAX)
    }
}

/// One of the crowd: again and again, without a pause unless it has one. How often it was answered, and how often *busy*.
async fn call(scene: Arc<Scene>, crowd: Crowd, pause: Option<Duration>, over: Arc<AtomicBool>) -> (u64, u64) {
    let (mut answered, mut busy) = (0, 0);
    let mut ticks = pause.map(tokio::time::interval);
    while !over.load(Ordering::Relaxed) {
        let answer = match crowd {
            Crowd::Readers => scene.read(scene.flooded).await,
            Crowd::Flooders | Crowd::Paced | Crowd::Quiet => scene.ask(scene.flooded).await,
        };
        let told = if answer.is_ok() { &mut answered } else { &mut busy };
        *told += 1;
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            // An answer that was there at once must not keep the thread from the others of the crowd.
            None => tokio::task::yield_now().await,
        }
    }
    (answered, busy)
}

async fn ask_often(scene: Arc<Scene>, place: usize, id: TransactionId, ends: Duration) -> (usize, Vec<u64>, u64) {
    let (mut waits_us, mut failed) = (Vec::new(), 0);
    let mut ticks = tokio::time::interval(ASK_EVERY);
    while scene.clock.now().monotonic < ends {
        ticks.tick().await;
        let began = scene.clock.now().monotonic;
        match scene.ask(id).await {
            Ok(()) => waits_us.push(scene.since_us(began)),
            Err(_) => failed += 1,
        }
    }
    (place, waits_us, failed)
}

async fn pay_often(scene: Arc<Scene>, ends: Duration) -> ([Vec<u64>; 2], u64) {
    let (mut under_way, mut ticks) = (JoinSet::new(), tokio::time::interval(PAY_EVERY));
    while scene.clock.now().monotonic < ends {
        ticks.tick().await;
        let scene = Arc::clone(&scene);
        under_way.spawn(async move {
            let began = scene.clock.now().monotonic;
            scene.pay().await.map(|id| (scene.place(id), scene.since_us(began)))
        });
    }
    let (mut waits_us, mut failed) = ([Vec::new(), Vec::new()], 0);
    for made in under_way.join_all().await {
        match made {
            Ok((place, us)) => waits_us[place].push(us),
            Err(_) => failed += 1,
        }
    }
    (waits_us, failed)
}

/// An app with an account at the provider.
async fn shop(engine: &Engine, simulator: &Simulator) -> Result<Scope, Failure> {
    let app = CreateApp { name: "Tea house".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
    let scope = Scope { app_id: engine.create_app(app, None).await?.app.id, mode: Mode::Test };
    let merchant_id = format!("m-{}", scope.app_id);
    simulator.enrol(&merchant_id, Secret::from_text(MERCHANT_SECRET), None)?;
    let settings = json!({ "merchant_id": merchant_id, "base_url": IN_PROCESS, "secret": MERCHANT_SECRET });
    let Value::Object(settings) = settings else { return Err("settings are an object".into()) };
    let account = CreateAccount {
        adapter: maxpay_adapters::sandbox::ADAPTER.to_owned(),
        codes: Vec::new(),
        label: "In this process".into(),
        priority: 0,
        weight: 1,
        settings: AccountSettings(settings),
    };
    engine.create_account(scope, account, None).await?;
    Ok(scope)
}
