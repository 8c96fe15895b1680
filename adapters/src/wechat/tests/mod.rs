//! WeChat Pay from both sides: the adapter, the simulated provider, and what goes between them.

mod answers;
#[cfg(feature = "conformance")]
mod exam;
mod notices;
mod refunds;
mod requests;
mod settings;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Material, Notified, Original, OriginalApi, Outcome,
    Prepared, RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::{
    AccountId, ChannelCode, Currency, Intent, Mode, Money, PayerAction, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use crate::simulator::{Ledger, Notice, NoticeReply};

use super::WeChat;
use super::simulator::{
    IN_PROCESS, KeyPair, Merchant, PayerCommand, ProviderKeys, Simulator, SimulatorClient, SimulatorParts,
};

const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const REFUND: &str = "66f0a1b2c3d4e5f607182930r000";
const NOTIFY_URL: &str = "https://pay.example.com/notify/wechat/0123456789abcdef01234567";
const API_V3_KEY: &str = "hunter2hunter2hunter2hunter2abcd";
const CODES: [&str; 5] = ["wx_app", "wx_native", "wx_jsapi", "wx_mini", "wx_h5"];

/// Keys that all tests share: making them is slow.
struct Keys {
    public: KeyPair,
    platform: Vec<KeyPair>,
    merchant: Vec<KeyPair>,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        public: KeyPair::generate("public"),
        platform: vec![KeyPair::generate("platform 1"), KeyPair::generate("platform 2")],
        merchant: vec![KeyPair::generate(MCHID), KeyPair::generate(MCHID)],
    })
}

/// A merchant's side and a provider's side on one virtual clock.
struct World {
    adapter: WeChat,
    simulator: Arc<Simulator>,
    clock: VirtualClock,
    entropy: SeededEntropy,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    material: Mutex<Vec<Material>>,
    /// Notices that arrived, and how many of the next ones are not acknowledged.
    inbox: Arc<Mutex<(Vec<Notice>, usize)>>,
}

impl World {
    /// An account with platform certificates, none of which is known yet.
    fn new() -> Self {
        Self::on(Ledger::memory())
    }

    /// An account with the public key.
    fn with_public_key() -> Self {
        let mut world = Self::new();
        world.secrets = vec![secrets(&keys().merchant[0], true)];
        world
    }

    fn on_file(path: &Path) -> Self {
        Self::on(Ledger::open(path).expect("a ledger"))
    }

    fn on(ledger: Ledger) -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_377_908_118));
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger,
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
            keys: ProviderKeys::new(keys().public.clone(), vec![keys().platform[0].clone()]),
        });
        simulator.enrol(merchant());
        let inbox = Arc::new(Mutex::new((Vec::new(), 0_usize)));
        let arrived = Arc::clone(&inbox);
        simulator.set_sink(Arc::new(move |notice| {
            let mut inbox = arrived.lock().expect("no panic");
            inbox.0.push(notice);
            let status = if inbox.1 > 0 { 503 } else { 204 };
            inbox.1 = inbox.1.saturating_sub(1);
            Box::pin(async move { Ok(NoticeReply { status, body: "".into() }) })
        }));
        let settings = json!({ "mchid": MCHID, "appid": APPID, "base_url": IN_PROCESS });
        Self {
            adapter: WeChat::new(),
            simulator,
            clock,
            entropy: SeededEntropy::new(1),
            settings: settings.as_object().expect("an object").clone(),
            secrets: vec![secrets(&keys().merchant[0], false)],
            material: Mutex::default(),
            inbox,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Runs with everything an adapter has in hand for that number.
    fn with<T>(&self, number: &str, original: Option<Original<'_>>, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let material = self.material.lock().expect("no panic").clone();
        let context = Context {
            now: self.now(),
            entropy: &self.entropy,
            account: AccountView {
                id: AccountId(RawId([1; 12])),
                mode: Mode::Test,
                settings: &self.settings,
                secrets: &self.secrets,
                notify_url: NOTIFY_URL,
            },
            material: &material,
            subject: (!number.is_empty()).then_some(Subject { number, numbered_at: self.now() }),
            original,
        };
        work(&context)
    }

    async fn carry(&self, request: HttpRequest) -> Result<HttpReply, SendFailure> {
        let limits = SendLimits { deadline: Duration::from_secs(10), body_max: 65_536 };
        SimulatorClient::new(Arc::clone(&self.simulator), None).send(request, limits).await
    }

    /// The provider's number and the total of the order's first payment.
    fn paid(&self) -> Option<(String, Money)> {
        let rows = self.simulator.ledger().expect("the books");
        rows.into_iter().find(|row| row.number == NUMBER)?.payments.first().cloned()
    }

    /// Runs with the context of a call: refunds have the order's first payment as their original.
    fn about<T>(&self, call: &Call, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let paid = self.paid();
        let original = paid.as_ref().map(|(trade_number, total)| Original {
            number: NUMBER,
            numbered_at: self.now(),
            trade_number,
            total: *total,
        });
        match call {
            Call::Refund { .. } | Call::QueryRefund { .. } | Call::Void { .. } => self.with(REFUND, original, work),
            Call::Maintain => self.with("", None, work),
            Call::Create { .. }
            | Call::Query { .. }
            | Call::Close { .. }
            | Call::PayerSession { .. }
            | Call::Authorize { .. } => self.with(NUMBER, None, work),
        }
    }

    /// Makes the call as the engine does: material is fetched once, no answer is *unknown*.
    async fn call(&self, call: &Call) -> Answer {
        let mut request = match self.about(call, |context| self.adapter.prepare(call, context)) {
            Prepared::Done(answer) => return answer,
            Prepared::Unsupported => return Answer::bare(Outcome::NotExecuted("unsupported".to_owned())),
            Prepared::Send(request) => Some(request),
            Prepared::NeedMaterial(request) => {
                if let Some(answer) = self.learn(request).await {
                    return answer;
                }
                None
            }
        };
        if request.is_none() {
            request = Some(self.request(call));
        }
        match self.carry(request.expect("made above")).await {
            Ok(reply) => self.read(call, &reply).await,
            Err(SendFailure::NotSent(why)) => Answer::bare(Outcome::NotExecuted(why)),
            Err(failure) => Answer::bare(Outcome::Unknown(failure.to_string())),
        }
    }

    /// Fetches material. What it came to, if that was none.
    async fn learn(&self, request: HttpRequest) -> Option<Answer> {
        let reply = self.carry(request).await.expect("an answer");
        match self.interpret(&Call::Maintain, &reply) {
            Interpreted::Learned(learned) => {
                *self.material.lock().expect("no panic") = learned;
                None
            }
            Interpreted::Done(answer) => Some(answer),
            Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("one request is enough"),
        }
    }

    fn interpret(&self, call: &Call, reply: &HttpReply) -> Interpreted {
        self.about(call, |context| self.adapter.interpret(call, Step(0), reply, context))
    }

    async fn read(&self, call: &Call, reply: &HttpReply) -> Answer {
        match self.interpret(call, reply) {
            Interpreted::Done(answer) => answer,
            Interpreted::NeedMaterial(request) => match self.learn(request).await {
                Some(_) => Answer::bare(Outcome::Unknown("material is missing".to_owned())),
                None => self.read_again(call, reply),
            },
            Interpreted::Next { .. } | Interpreted::Learned(_) => panic!("one step is enough"),
        }
    }

    /// Reads a reply with what is known.
    fn read_again(&self, call: &Call, reply: &HttpReply) -> Answer {
        match self.interpret(call, reply) {
            Interpreted::Done(answer) => answer,
            Interpreted::NeedMaterial(_) => Answer::bare(Outcome::Unknown("material is missing still".to_owned())),
            Interpreted::Next { .. } | Interpreted::Learned(_) => panic!("one step is enough"),
        }
    }

    /// The request of a call that is sent.
    fn request(&self, call: &Call) -> HttpRequest {
        match self.about(call, |context| self.adapter.prepare(call, context)) {
            Prepared::Send(request) => request,
            Prepared::Done(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("it is sent"),
        }
    }

    async fn create(&self, code: &str, minor: u64) -> Answer {
        self.call(&creation(code, minor)).await
    }

    async fn query(&self) -> Outcome {
        self.call(&query()).await.outcome
    }

    async fn close(&self) -> Outcome {
        self.call(&Call::Close { code: channel("wx_native") }).await.outcome
    }

    fn pay(&self, command: PayerCommand) {
        self.simulator.payer(NUMBER, command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    /// Lets time pass, ticking whenever something falls due, and gives what each notice that arrived came to.
    async fn pass(&self, time: Duration) -> Vec<Notified> {
        let end = self.now().after(time);
        loop {
            while self.simulator.tick(self.now()).await.expect("the books are open") > 0 {}
            let next = self.simulator.next_due().expect("the books are open").filter(|next| *next <= end);
            let now = self.now();
            match next {
                Some(next) => self.clock.advance(next.since(now).max(Duration::from_millis(1))),
                None if now < end => self.clock.advance(end.since(now)),
                None => break,
            }
        }
        let arrived = self.arrived();
        arrived.iter().map(|raw| self.notified(raw)).collect()
    }

    fn arrived(&self) -> Vec<RawNotification> {
        let notices = std::mem::take(&mut self.inbox.lock().expect("no panic").0);
        let raw = |notice: Notice| {
            assert_eq!(notice.url, NOTIFY_URL);
            RawNotification { headers: notice.headers, query: String::new(), body: notice.body }
        };
        notices.into_iter().map(raw).collect()
    }

    fn notified(&self, raw: &RawNotification) -> Notified {
        self.with("", None, |context| self.adapter.notification(raw, context))
    }
}

fn merchant() -> Merchant {
    Merchant {
        mchid: MCHID.to_owned(),
        appids: vec![APPID.to_owned()],
        api_keys: vec![keys().merchant[0].clone()],
        api_v3_key: Secret::from_text(API_V3_KEY),
        certificates: true,
        notices_by_public_key: false,
    }
}

fn secrets(merchant: &KeyPair, public_key: bool) -> SecretSettings {
    let mut settings = SecretSettings::default();
    let mut put = |name: &str, value: &str| settings.0.insert(name.to_owned(), Secret::from_text(value));
    put("private_key", &merchant.private_pem());
    put("certificate", merchant.certificate_pem());
    put("api_v3_key", API_V3_KEY);
    if public_key {
        let provider = ProviderKeys::new(keys().public.clone(), keys().platform.clone());
        put("wechatpay_public_key", provider.public_pem());
        put("wechatpay_public_key_id", &provider.public_key_id());
    }
    settings
}

fn intent(minor: u64) -> Intent {
    Intent {
        amount: yuan(minor),
        subject: "it will be ok! \"支付\" & more".to_owned(),
        return_url: Some("https://www.example.com/back?a=1&b=2".to_owned()),
        show_url: None,
        payer: PayerInputs {
            openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
            client_ip: Some("14.23.150.211".to_owned()),
            h5_type: Some("Wap".to_owned()),
            qr_mode: None,
        },
        expires_at: Timestamp::from_millis(1_795_377_908_118).after(Duration::from_hours(2)),
        token: None,
    }
}

fn yuan(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("in range")
}

fn creation(code: &str, minor: u64) -> Call {
    Call::Create { code: channel(code), intent: intent(minor), original_api: OriginalApi::No }
}

fn query() -> Call {
    Call::Query { code: channel("wx_native") }
}

fn refund(minor: u64) -> Call {
    let refund = RefundIntent { amount: yuan(minor), reason: Some("商品已售完".to_owned()) };
    Call::Refund { code: channel("wx_native"), refund }
}

fn refund_query(minor: u64) -> Call {
    let refund = RefundIntent { amount: yuan(minor), reason: Some("商品已售完".to_owned()) };
    Call::QueryRefund { code: channel("wx_native"), kind: RefundKind::Refund, refund }
}

fn channel(code: &str) -> ChannelCode {
    code.parse().expect("a channel code")
}

/// Short names of what notices proved: for verified ones the outcome's name.
fn names(notified: &[Notified]) -> Vec<&'static str> {
    notified
        .iter()
        .map(|notified| match notified {
            Notified::Verified { facts, .. } => facts[0].outcome.name(),
            Notified::Hint { .. } => "hint",
            Notified::NeedMaterial(_) => "need_material",
            Notified::Unverified { .. } => "unverified",
        })
        .collect()
}

/// An answer signed by the provider now.
fn signed_reply(world: &World, status: u16, body: &str) -> HttpReply {
    let key = &keys().platform[0];
    HttpReply { status, headers: signed_headers(world, key, &key.serial, body), body: body.to_owned().into() }
}

fn signed_headers(world: &World, key: &KeyPair, serial: &str, body: &str) -> Vec<(String, String)> {
    world.simulator.signed(serial, key, body.as_bytes())
}
