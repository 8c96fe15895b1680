//! A merchant's side as the engine would hold it, on the real clock: what others wrote takes no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use maxpay_adapters::simulator::{Notice, NoticeReply, NotificationSink};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    AccountView, Adapter, Call, Context, Interpreted, Material, Notified, Original, OriginalApi, Outcome, Prepared,
    RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::{
    AccountId, ChannelCode, Currency, Intent, Mode, Money, NamedAction, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

pub(super) const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
pub(super) const REFUND: &str = "66f0a1b2c3d4e5f607182930r000";
/// Signs that break whoever encodes once too often, or cuts at bytes.
pub(super) const SUBJECT: &str = "100%+ of \"it\" / 支付 & <more>=1";

/// An account with its adapter.
pub(super) struct Stage<A> {
    adapter: A,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    pub material: Vec<Material>,
    /// The provider's number of the payment that refunds are of.
    pub trade_number: String,
    system: System,
    /// When the order's number was given.
    numbered_at: Timestamp,
}

impl<A: Adapter> Stage<A> {
    /// An account of these settings, secret ones too: it must be one that can be saved.
    pub fn new(adapter: A, all: &Map<String, Value>) -> Self {
        let (mut settings, mut secrets) = (Map::new(), SecretSettings::default());
        for (name, value) in all {
            let field = adapter.manifest().settings.iter().find(|field| field.name == name);
            if field.unwrap_or_else(|| panic!("{name} is no setting")).secret {
                let secret = Secret::from_text(value.as_str().expect("secrets are texts"));
                secrets.0.insert(name.clone(), secret);
            } else {
                settings.insert(name.clone(), value.clone());
            }
        }
        let system = System::new();
        let numbered_at = system.now().wall;
        adapter.validate(Mode::Test, &settings, &secrets, numbered_at).expect("an account that can be saved");
        let (material, trade_number) = (Vec::new(), "2026112522001400000000000001".to_owned());
        Self { adapter, settings, secrets: vec![secrets], material, trade_number, system, numbered_at }
    }

    pub fn now(&self) -> Timestamp {
        self.system.now().wall
    }

    /// Runs with everything that an adapter has in hand.
    fn with<T>(&self, call: Option<&Call>, look: impl FnOnce(&Context<'_>) -> T) -> T {
        let refund = matches!(call, Some(Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. }));
        let number = if refund { REFUND } else { NUMBER };
        let (trade_number, numbered_at) = (&self.trade_number, self.numbered_at);
        let original = Original { number: NUMBER, numbered_at, trade_number, total: yuan(1000) };
        look(&Context {
            now: self.now(),
            entropy: &self.system,
            account: AccountView {
                id: AccountId(RawId([7; 12])),
                mode: Mode::Test,
                settings: &self.settings,
                secrets: &self.secrets,
                notify_url: "https://pay.example.com/notify/one/070707070707070707070707",
            },
            material: &self.material,
            subject: call.map(|_| Subject { number, numbered_at }),
            original: refund.then_some(original),
        })
    }

    /// What the call sends.
    pub fn request(&self, call: &Call) -> HttpRequest {
        match self.with(Some(call), |context| self.adapter.prepare(call, context)) {
            Prepared::Send(request) => request,
            Prepared::Done(answer) => panic!("nothing is sent: {:?}", answer.outcome),
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is not asked"),
        }
    }

    /// What the payer's device is given by a create that is signed here.
    pub fn signed_here(&self, call: &Call) -> Vec<NamedAction> {
        match self.with(Some(call), |context| self.adapter.prepare(call, context)) {
            Prepared::Done(answer) => actions(answer.outcome),
            Prepared::Send(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is not signed here"),
        }
    }

    /// What a reply comes to.
    pub fn interpreted(&self, call: &Call, reply: &HttpReply) -> Interpreted {
        self.with(Some(call), |context| self.adapter.interpret(call, Step(0), reply, context))
    }

    /// What an answer proves.
    pub fn outcome(&self, call: &Call, reply: &HttpReply) -> Outcome {
        match self.interpreted(call, reply) {
            Interpreted::Done(answer) => answer.outcome,
            Interpreted::Next { .. } | Interpreted::Learned(_) => panic!("it is no answer"),
            Interpreted::NeedMaterial(request) => panic!("{} is wanted", request.url),
        }
    }

    /// What a notification comes to.
    pub fn notified(&self, headers: Vec<(String, String)>, body: &[u8]) -> Notified {
        let raw = RawNotification { headers, query: String::new(), body: Bytes::copy_from_slice(body) };
        self.with(None, |context| self.adapter.notification(&raw, context))
    }

    /// What a notification proves of the order. `Err`: nothing, and why.
    pub fn told(&self, headers: Vec<(String, String)>, body: &[u8]) -> Result<Outcome, String> {
        match self.notified(headers, body) {
            Notified::Verified { mut facts, .. } => Ok(facts.swap_remove(0).outcome),
            Notified::Unverified { reason, .. } => Err(reason),
            Notified::Hint { .. } => Err("it is a hint".to_owned()),
            Notified::NeedMaterial(_) => Err("material is wanted".to_owned()),
        }
    }

    /// A create of that channel, of 10.00.
    pub fn create(&self, code: &str) -> Call {
        let intent = Intent {
            amount: yuan(1000),
            subject: SUBJECT.to_owned(),
            return_url: Some("https://shop.example/back?order=1&from=支付".to_owned()),
            show_url: None,
            payer: PayerInputs {
                openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
                client_ip: Some("14.23.150.211".to_owned()),
                h5_type: Some("Wap".to_owned()),
                qr_mode: None,
            },
            expires_at: self.numbered_at.after(Duration::from_hours(2)),
            token: None,
        };
        Call::Create { code: channel(code), intent, original_api: OriginalApi::No }
    }
}

/// What the payer's device is given.
pub(super) fn actions(outcome: Outcome) -> Vec<NamedAction> {
    let name = outcome.name();
    let Outcome::AwaitingPayer(actions) = outcome else { panic!("nothing for the payer: {name}") };
    actions
}

pub(super) fn query(code: &str) -> Call {
    Call::Query { code: channel(code) }
}

pub(super) fn close(code: &str) -> Call {
    Call::Close { code: channel(code) }
}

pub(super) fn void(code: &str) -> Call {
    Call::Void { code: channel(code), refund: RefundIntent { amount: yuan(1000), reason: None } }
}

/// A refund of 3.00, and the question what became of it.
pub(super) fn refunds(code: &str) -> [Call; 2] {
    let refund = || RefundIntent { amount: yuan(300), reason: Some(SUBJECT.to_owned()) };
    let code = channel(code);
    let query = Call::QueryRefund { code: code.clone(), kind: RefundKind::Refund, refund: refund() };
    [Call::Refund { code, refund: refund() }, query]
}

fn channel(code: &str) -> ChannelCode {
    code.parse().expect("a channel code")
}

pub(super) fn yuan(fen: u64) -> Money {
    Money::new(fen, Currency::CNY).expect("in range")
}

/// Notices of a simulator, in the order they came.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<Vec<Notice>>>);

impl Inbox {
    /// Takes notices, and acknowledges each with these bytes.
    pub fn sink(&self, acknowledgement: impl Into<Bytes>) -> NotificationSink {
        let (notices, acknowledgement) = (Arc::clone(&self.0), acknowledgement.into());
        Arc::new(move |notice| {
            notices.lock().expect("no test panics in it").push(notice);
            std::future::ready(Ok(NoticeReply { status: 200, body: acknowledgement.clone() })).boxed()
        })
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.0.lock().expect("no test panics in it").len()
    }

    /// The newest.
    pub fn newest(&self) -> Notice {
        self.0.lock().expect("no test panics in it").last().expect("a notice came").clone()
    }
}
