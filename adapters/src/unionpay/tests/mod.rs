//! The adapter against the simulated UnionPay, and against messages that the real one published.

mod codes;
mod forms;
mod provider;
mod settings;
mod vectors;

use std::sync::{Arc, OnceLock};

use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Notified, Original, OriginalApi, Outcome, Prepared,
    RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::{AccountId, ChannelCode, Currency, Intent, Mode, Money, PayerInputs, RawId, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use super::UnionPay;
use super::simulator::{Authority, IN_PROCESS, MerchantKey, Simulator, SimulatorClient, SimulatorParts};
use crate::simulator::Ledger;

pub const MERCHANT: &str = "777290058110048";
pub const NUMBER: &str = "6743a1b2c3d4e5f601020304";
pub const NOTIFY_URL: &str = "https://shop.example/notify/unionpay";
const PASSWORD: &str = "hunter2-hunter2";

pub struct Keys {
    pub authority: Arc<Authority>,
    pub merchant: MerchantKey,
}

/// Made once: RSA keys take their time.
pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let authority = Authority::generate().expect("randomness");
        let merchant = authority.issue_merchant(MERCHANT, 68_759_663_125, &Secret::from_text(PASSWORD));
        Keys { authority: Arc::new(authority), merchant: merchant.expect("randomness") }
    })
}

/// An account, an adapter, and the provider's side.
pub struct World {
    pub adapter: UnionPay,
    pub simulator: Arc<Simulator>,
    pub clock: Arc<VirtualClock>,
    pub settings: Map<String, Value>,
    pub secrets: Vec<SecretSettings>,
    pub entropy: SeededEntropy,
    pub numbered_at: Timestamp,
}

impl World {
    pub fn new() -> Self {
        let keys = keys();
        let start = at("2026-11-25T04:00:00Z");
        let clock = Arc::new(VirtualClock::at(start));
        let world_clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&clock);
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: Ledger::memory(),
            clock: world_clock,
            authority: Arc::clone(&keys.authority),
        });
        simulator.enrol(MERCHANT, &keys.merchant.certificate).expect("a merchant");
        Self {
            adapter: UnionPay::new(),
            simulator,
            clock,
            settings: settings(),
            secrets: vec![secrets()],
            entropy: SeededEntropy::new(1),
            numbered_at: start,
        }
    }

    pub fn context<'a>(&'a self, number: &'a str, original: Option<Original<'a>>) -> Context<'a> {
        Context {
            now: self.clock.now().wall,
            entropy: &self.entropy,
            account: AccountView {
                id: AccountId(RawId([1; 12])),
                mode: Mode::Test,
                settings: &self.settings,
                secrets: &self.secrets,
                notify_url: NOTIFY_URL,
            },
            material: &[],
            subject: Some(Subject { number, numbered_at: self.numbered_at }),
            original,
        }
    }

    pub fn request(&self, call: &Call, number: &str, original: Option<Original<'_>>) -> HttpRequest {
        match self.adapter.prepare(call, &self.context(number, original)) {
            Prepared::Send(request) => request,
            Prepared::Done(answer) => panic!("answered here: {:?}", answer.outcome),
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("nothing to send"),
        }
    }

    pub async fn send(&self, request: HttpRequest) -> HttpReply {
        let client = SimulatorClient::new(Arc::clone(&self.simulator), None);
        let limits = SendLimits { deadline: std::time::Duration::from_secs(5), body_max: 1 << 20 };
        client.send(request, limits).await.expect("an answer")
    }

    pub fn read(&self, call: &Call, number: &str, reply: &HttpReply) -> Answer {
        match self.adapter.interpret(call, Step(0), reply, &self.context(number, None)) {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => panic!("not done"),
        }
    }

    pub async fn ask(&self, call: &Call) -> Outcome {
        let request = self.request(call, NUMBER, None);
        self.read(call, NUMBER, &self.send(request).await).outcome
    }

    pub fn notified(&self, raw: &RawNotification) -> Notified {
        let context = Context { subject: None, ..self.context(NUMBER, None) };
        self.adapter.notification(raw, &context)
    }
}

pub fn settings() -> Map<String, Value> {
    let settings = json!({
        "merchant_id": MERCHANT,
        "gateway": IN_PROCESS,
    });
    settings.as_object().cloned().expect("an object")
}

pub fn secrets() -> SecretSettings {
    secrets_with(keys().authority.certificates())
}

/// The same with other certificates of UnionPay.
pub fn secrets_with(certificates: &str) -> SecretSettings {
    let secrets = [
        ("certificates", Secret::from_text(certificates)),
        ("pfx", keys().merchant.pfx.clone()),
        ("pfx_password", Secret::from_text(PASSWORD)),
    ];
    SecretSettings(secrets.map(|(name, secret)| (name.to_owned(), secret)).into())
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::nearest(text).expect("a time")
}

pub fn fen(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("an amount")
}

pub fn code(name: &str) -> ChannelCode {
    name.parse().expect("a code")
}

pub fn intent(subject: &str) -> Intent {
    Intent {
        amount: fen(1999),
        subject: subject.to_owned(),
        return_url: Some("https://shop.example/thanks?a=1&b=2".to_owned()),
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: at("2026-11-25T06:00:00Z"),
        token: None,
    }
}

pub fn create(name: &str) -> Call {
    Call::Create { code: code(name), intent: intent("Tea"), original_api: OriginalApi::No }
}

pub fn query() -> Call {
    Call::Query { code: code("unipay_app") }
}

pub fn refund(kind: Option<RefundKind>, minor: u64) -> Call {
    let refund = RefundIntent { amount: fen(minor), reason: None };
    match kind {
        Some(RefundKind::Void) => Call::Void { code: code("unipay_app"), refund },
        Some(RefundKind::Refund) => Call::Refund { code: code("unipay_app"), refund },
        None => Call::QueryRefund { code: code("unipay_app"), kind: RefundKind::Refund, refund },
    }
}
