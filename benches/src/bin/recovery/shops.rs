//! Apps with an account each at the bench's own provider, and the payments that an engine made for them through its
//! doors: what the many copies are copied from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maxpay_adapters::sandbox::simulator::{SandboxClient, Simulator, SimulatorParts};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::Engine;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, CreateTransaction, Scope};
use maxpay_engine::clock::{Clock, System, VirtualClock};
use maxpay_engine::model::{Currency, Door, KeyKind, LatePolicy, Mode, Money, PayerInputs, TransactionId};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use serde_json::{Value, json};

use crate::Failure;

/// The sealing key of every store of this bench. Not a secret.
pub const SEALING_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Between accounts and provider. Not a secret.
const MERCHANT_SECRET: &str = "a secret between the bench's engine and its provider";
/// How long ago the samples were made: what was due a quarter of a minute later is overdue.
pub const AGE: Duration = Duration::from_mins(10);
/// Until they expire: long after the bench.
const LIFE: Duration = Duration::from_hours(48);
/// What payments are made with; asking the provider whether one was paid follows after 15 s, a minute, five minutes.
pub const CHANNEL: &str = "wx_native";

/// One app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Its API key of test mode.
    pub api_key: String,
    /// Payments that the engine made: the first is copied, the second is what copies are compared with.
    pub samples: [TransactionId; 2],
}

impl Shop {
    /// As text for another process of the bench.
    pub fn to_json(&self) -> Value {
        json!({ "api_key": self.api_key, "samples": self.samples.map(|id| id.to_string()) })
    }

    /// Back from that text.
    pub fn from_json(value: &Value) -> Result<Self, Failure> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a shop is written otherwise");
        let sample = |index: usize| -> Result<TransactionId, Failure> { Ok(text(&value["samples"][index])?.parse()?) };
        Ok(Self { api_key: text(&value["api_key"])?, samples: [sample(0)?, sample(1)?] })
    }
}

/// The sealer of this bench.
pub fn sealer() -> Sealer {
    Sealer::new(&SealingKey::from_text(SEALING_KEY).expect("64 hexadecimal digits"))
}

/// Opens the store in a data folder, as the server does.
pub fn open_store(data: &Path) -> Result<Arc<RedbStore>, Failure> {
    let system = Arc::new(System::new());
    Ok(RedbStore::open(&data.join("store"), RedbOptions::new(system.clone(), system))?)
}

/// Where the provider's books lie.
pub fn ledger_file(data: &Path) -> std::path::PathBuf {
    data.join("provider.redb")
}

/// Makes so many shops in a fresh data folder, with a provider at `base_url`.
pub async fn make(data: &Path, base_url: &str, count: usize) -> Result<Vec<Shop>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::at(System::new().now().wall.before(AGE)));
    let parts = SimulatorParts {
        base_url: base_url.to_owned(),
        ledger: Ledger::open(&ledger_file(data))?,
        clock: Arc::clone(&clock),
        entropy: Arc::new(System::new()),
        sealer: Arc::new(sealer()),
    };
    let simulator = Simulator::open(parts)?;
    let mut builder = Engine::builder()
        .store(open_store(data)?)
        .sealing_key(sealer())
        .clock(clock)
        .http_client(Arc::new(SandboxClient::new(Arc::clone(&simulator), None)))
        .arbiters(1);
    for adapter in maxpay_adapters::builtin() {
        builder = builder.adapter(adapter);
    }
    let engine = builder.start()?;
    let mut shops = Vec::new();
    for _ in 0..count {
        shops.push(make_one(&engine, &simulator).await?);
    }
    engine.shutdown(Duration::from_secs(10)).await;
    Ok(shops)
}

async fn make_one(engine: &Engine, simulator: &Simulator) -> Result<Shop, Failure> {
    let app = CreateApp { name: "Tea house".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
    let created = engine.create_app(app, None).await?;
    let scope = Scope { app_id: created.app.id, mode: Mode::Test };
    let merchant_id = format!("m-{}", scope.app_id);
    simulator.enrol(&merchant_id, Secret::from_text(MERCHANT_SECRET), None)?;
    let settings = json!({ "merchant_id": merchant_id, "base_url": simulator.base_url(), "secret": MERCHANT_SECRET });
    let Value::Object(settings) = settings else { return Err("settings are an object".into()) };
    let account = CreateAccount {
        adapter: maxpay_adapters::sandbox::ADAPTER.to_owned(),
        codes: Vec::new(),
        label: "The bench's own provider".into(),
        priority: 0,
        weight: 1,
        settings: AccountSettings(settings),
    };
    engine.create_account(scope, account, None).await?;
    let wanted = created.issued.iter().find(|issued| issued.key.kind == KeyKind::Api && issued.key.mode == Mode::Test);
    let key = wanted.and_then(|issued| issued.secret.as_ref()).and_then(Secret::expose_text);
    let api_key = key.ok_or("the app has no API key")?.to_owned();
    let samples = [sample(engine, scope, 1).await?, sample(engine, scope, 2).await?];
    Ok(Shop { api_key, samples })
}

async fn sample(engine: &Engine, scope: Scope, index: u32) -> Result<TransactionId, Failure> {
    let request = CreateTransaction {
        door: Door::Native,
        bill_num: format!("sample-{index:012}").parse()?,
        channel: CHANNEL.parse()?,
        amount: Money::new(1_999, Currency::CNY)?,
        subject: "A pot of green tea".into(),
        extras: Some(r#"{"table":12}"#.into()),
        return_url: Some("https://shop.example/orders/done".into()),
        show_url: None,
        timeout: Some(LIFE),
        payer: PayerInputs::default(),
        wait: Duration::from_secs(10),
    };
    let made = engine.create_transaction(scope, request, None).await?.transaction;
    if made.status.name() == "awaiting_payer" {
        Ok(made.id)
    } else {
        Err(format!("a sample is {:?}", made.status).into())
    }
}
