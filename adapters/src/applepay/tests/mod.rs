//! Apple Pay from both sides: published tokens, tokens of the simulator's authority, sessions, and charges.

mod charges;
#[cfg(feature = "conformance")]
mod exam;
mod hiding;
mod mutations;
mod sessions;
mod settings;
mod tokens;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Original, Outcome, Prepared, SecretSettings, Step,
    Subject, VerifiedToken,
};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::{AccountId, ChannelCode, Currency, Intent, Mode, Money, PayerInputs, RawId, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use crate::applepay::simulator::{IN_PROCESS, Simulator, SimulatorClient, SimulatorParts, TokenWish, stock};
use crate::applepay::{ApplePay, Https};
use crate::simulator::Ledger;

const MERCHANT: &str = "merchant.com.example.shop";
const OTHER: &str = "merchant.com.example.other";
const DOMAIN: &str = "shop.example.com";
const ORDER: &str = "66f0a1b2c3d4e5f607182930";
const NUMBER: &str = "66f0a1b2c3d4e5f60718293001";

/// A merchant's side and the other side on one virtual clock.
struct World {
    adapter: ApplePay,
    simulator: Arc<Simulator>,
    clock: VirtualClock,
    entropy: SeededEntropy,
    mode: Mode,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    number: &'static str,
}

impl World {
    fn new() -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_377_908_118));
        let ledger = Ledger::memory();
        stock(&ledger, &[(MERCHANT, DOMAIN), (OTHER, "other.example.com")], clock.now().wall).expect("keys");
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger,
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
        });
        let simulator = simulator.expect("a simulator");
        let adapter = ApplePay::new(Https);
        let (settings, secrets) = parted(&adapter, simulator.settings(MERCHANT).expect("enrolled"));
        let entropy = SeededEntropy::new(1);
        let (mode, secrets) = (Mode::Test, vec![secrets]);
        Self { adapter, simulator, clock, entropy, mode, settings, secrets, number: NUMBER }
    }

    fn context(&self) -> Context<'_> {
        Context {
            now: self.clock.now().wall,
            entropy: &self.entropy,
            account: AccountView {
                id: AccountId(RawId([1; 12])),
                mode: self.mode,
                settings: &self.settings,
                secrets: &self.secrets,
                notify_url: "http://127.0.0.1:8080/notify/applepay/0123456789abcdef01234567",
            },
            material: &[],
            subject: Some(Subject { number: self.number, numbered_at: Timestamp::from_millis(1_795_377_908_000) }),
            original: None,
        }
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.settings.insert(name.to_owned(), value.into());
    }

    fn token(&self, wish: &TokenWish) -> Secret {
        self.simulator.token(MERCHANT, wish).expect("a token")
    }

    /// What the door says to a token for an order of 1.00 USD.
    fn verify(&self, token: &Secret) -> Result<VerifiedToken, String> {
        let mut context = self.context();
        context.subject = context.subject.map(|subject| Subject { number: ORDER, ..subject });
        self.adapter.verify_token(&code(), &usd(100), token, &context)
    }

    async fn carry(&self, request: HttpRequest) -> Result<HttpReply, SendFailure> {
        let client = SimulatorClient::new(Arc::clone(&self.simulator), None);
        client.send(request, SendLimits { deadline: Duration::from_secs(15), body_max: 65_536 }).await
    }

    /// Makes the call as the engine does; no answer is *unknown*.
    async fn call(&self, call: &Call) -> Answer {
        self.call_in(call, &self.context()).await
    }

    async fn call_in(&self, call: &Call, context: &Context<'_>) -> Answer {
        let request = match self.adapter.prepare(call, context) {
            Prepared::Done(answer) => return answer,
            Prepared::Send(request) => request,
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("nothing else is asked for"),
        };
        match self.carry(request).await {
            Ok(reply) => self.read(call, &reply),
            Err(SendFailure::NotSent(why)) => Answer::bare(Outcome::NotExecuted(why)),
            Err(failure) => Answer::bare(Outcome::Unknown(failure.to_string())),
        }
    }

    fn read(&self, call: &Call, reply: &HttpReply) -> Answer {
        match self.adapter.interpret(call, Step(0), reply, &self.context()) {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                panic!("one step is enough")
            }
        }
    }

    async fn charge(&self, token: &Secret) -> Outcome {
        self.call(&charging(token)).await.outcome
    }

    async fn query(&self) -> Outcome {
        self.call(&Call::Query { code: code() }).await.outcome
    }
}

fn parted(adapter: &ApplePay, settings: Map<String, Value>) -> (Map<String, Value>, SecretSettings) {
    let is_secret = |name: &str| adapter.manifest.settings.iter().any(|field| field.name == name && field.secret);
    let mut parted = (Map::new(), SecretSettings::default());
    for (name, value) in settings {
        if is_secret(&name) {
            parted.1.0.insert(name, Secret::from_text(value.as_str().expect("a text")));
        } else {
            parted.0.insert(name, value);
        }
    }
    parted
}

fn charging(token: &Secret) -> Call {
    Call::Authorize { code: code(), intent: usd(100), token: token.clone() }
}

fn code() -> ChannelCode {
    "apple_pay".parse().expect("a channel code")
}

fn money(minor: u64) -> Money {
    Money::new(minor, "USD".parse().expect("a currency")).expect("in range")
}

fn usd(minor: u64) -> Intent {
    intent(minor, "USD", Timestamp::from_millis(1_795_377_908_118))
}

fn intent(minor: u64, currency: &str, now: Timestamp) -> Intent {
    let currency: Currency = currency.parse().expect("a currency");
    Intent {
        amount: Money::new(minor, currency).expect("in range"),
        subject: "it will be ok! \"支付\" & more".to_owned(),
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: now.after(Duration::from_hours(2)),
        token: None,
    }
}

fn original(trade_number: &str) -> Original<'_> {
    Original { number: NUMBER, numbered_at: Timestamp::from_millis(1_795_377_908_000), trade_number, total: money(100) }
}
