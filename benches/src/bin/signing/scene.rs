//! An engine with an Alipay account, and callers who make payments.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maxpay_adapters::alipay::simulator::{AlipayClient, IN_PROCESS, KeyMode, Keys, Simulator, SimulatorParts};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::Engine;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, CreateTransaction, Scope};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::{Currency, Door, LatePolicy, Mode, Money, PayerInputs};
use maxpay_engine::secrets::{Sealer, SealingKey};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Failure;

const APP: &str = "2021000000000001";
const SELLER: &str = "2088000000000001";

/// An engine, and where its callers run.
pub struct Scene {
    engine: Engine,
    scope: Scope,
    clock: System,
    callers: Runtime,
    made: Arc<AtomicU64>,
}

impl Scene {
    /// Starts an engine on a store in `folder`, with an account of a simulated Alipay that nobody asks.
    ///
    /// # Errors
    /// Those of the disk, and what the engine refuses.
    pub fn new(folder: &Path, clock: System) -> Result<Self, Failure> {
        let sealing = SealingKey::generate(&clock);
        let keys = Arc::new(Keys::generate(KeyMode::PublicKey, &[(APP, SELLER)]));
        let settings = keys.settings(APP, IN_PROCESS, 0);
        let parts = SimulatorParts {
            gateway: IN_PROCESS.to_owned(),
            ledger: Ledger::memory(),
            clock: Arc::new(clock.clone()),
            keys,
        };
        let options = RedbOptions::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
        let mut builder = Engine::builder()
            .store(RedbStore::open(folder, options)?)
            .sealing_key(Sealer::new(&sealing))
            .http_client(Arc::new(AlipayClient::new(Simulator::open(parts), None)));
        for adapter in maxpay_adapters::builtin() {
            builder = builder.adapter(adapter);
        }
        let engine = builder.start()?;
        let callers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("callers")
            .enable_all()
            .build()?;
        let scope = callers.block_on(shop(&engine, AccountSettings(settings)))?;
        Ok(Self { engine, scope, clock, callers, made: Arc::default() })
    }

    /// Has so many callers make payments for so long. How long each payment took that was answered in that time, in
    /// microseconds.
    ///
    /// # Errors
    /// A payment that is refused, or does not come to its payer.
    pub fn work(&self, callers: u32, time: Duration) -> Result<Vec<u64>, Failure> {
        let ends = self.clock.now().monotonic + time;
        self.callers.block_on(async {
            let mut working = JoinSet::new();
            for _ in 0..callers {
                let (engine, scope, clock) = (self.engine.clone(), self.scope, self.clock.clone());
                working.spawn(call(engine, scope, clock, Arc::clone(&self.made), ends));
            }
            let mut waits_us = Vec::new();
            while let Some(worked) = working.join_next().await {
                waits_us.extend(worked??);
            }
            Ok(waits_us)
        })
    }

    /// Stops the engine.
    pub fn end(self) {
        self.callers.block_on(self.engine.shutdown(Duration::from_secs(10)));
    }
}

async fn call(
    engine: Engine,
    scope: Scope,
    clock: System,
    made: Arc<AtomicU64>,
    ends: Duration,
) -> Result<Vec<u64>, Failure> {
    let mut waits_us = Vec::new();
    loop {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let request = CreateTransaction {
            door: Door::Native,
            bill_num: format!("bill-{number}").parse()?,
            channel: "ali_app".parse()?,
            amount: Money::new(1_999, Currency::CNY)?,
            subject: "A pot of green tea".to_owned(),
            extras: None,
            return_url: None,
            show_url: None,
            timeout: None,
            payer: PayerInputs::default(),
            wait: Duration::from_secs(10),
        };
        let asked = clock.now().monotonic;
        let status = engine.create_transaction(scope, request, None).await?.transaction.status.name();
        let answered = clock.now().monotonic;
        if status != "awaiting_payer" {
            return Err(format!("a payment is {status}").into());
        }
        if answered >= ends {
            return Ok(waits_us);
        }
        waits_us.push(u64::try_from(answered.saturating_sub(asked).as_micros())?);
    }
}

async fn shop(engine: &Engine, settings: AccountSettings) -> Result<Scope, Failure> {
    let app = CreateApp { name: "Tea house".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
    let scope = Scope { app_id: engine.create_app(app, None).await?.app.id, mode: Mode::Test };
    let account = CreateAccount {
        adapter: maxpay_adapters::alipay::ADAPTER.to_owned(),
        codes: Vec::new(),
        label: "Signed here".into(),
        priority: 0,
        weight: 1,
        settings,
    };
    engine.create_account(scope, account, None).await?;
    Ok(scope)
}
