//! The sandbox from both sides: the adapter, the provider, and what goes between them.

mod adapter;
mod amounts;
mod notices;
mod provider;
mod shapes;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Notified, OriginalApi, Outcome, Prepared,
    RawNotification, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::{
    AccountId, ChannelCode, Currency, Intent, Mode, Money, NamedAction, PayerAction, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use serde_json::{Map, Value};

use crate::sandbox::Sandbox;
use crate::sandbox::simulator::{IN_PROCESS, PayerCommand, SandboxClient, Simulator, SimulatorParts};
use crate::simulator::{Ledger, Notice, NoticeReply};

const MERCHANT: &str = "2088000000000001";
const SECRET: &str = "hunter2-hunter2-hunter2";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const NOTIFY_URL: &str = "http://127.0.0.1:8080/notify/sandbox/0123456789abcdef01234567";
const CODES: [&str; 12] = [
    "ali_app",
    "ali_web",
    "ali_wap",
    "ali_qrcode",
    "wx_app",
    "wx_native",
    "wx_jsapi",
    "wx_mini",
    "wx_h5",
    "unipay_app",
    "unipay_web",
    "apple_pay",
];

/// A merchant's side and a provider's side on one virtual clock.
struct World {
    adapter: Sandbox,
    simulator: Arc<Simulator>,
    clock: VirtualClock,
    entropy: SeededEntropy,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    /// Notices that arrived, and how many of the next ones are not acknowledged.
    inbox: Arc<Mutex<(Vec<Notice>, usize)>>,
}

impl World {
    fn new() -> Self {
        Self::on(Ledger::memory())
    }

    fn on_file(path: &Path) -> Self {
        Self::on(Ledger::open(path).expect("a ledger"))
    }

    fn on(ledger: Ledger) -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_377_908_118));
        let key = SealingKey::from_text(&"42".repeat(32)).expect("a key");
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger,
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
            sealer: Arc::new(Sealer::new(&key)),
        })
        .expect("a simulator");
        simulator.enrol(MERCHANT, Secret::from_text(SECRET), None).expect("enrolled");
        let inbox = Arc::new(Mutex::new((Vec::new(), 0_usize)));
        let arrived = Arc::clone(&inbox);
        simulator.set_sink(Arc::new(move |notice| {
            let mut inbox = arrived.lock().expect("no panic");
            inbox.0.push(notice);
            let status = if inbox.1 > 0 { 503 } else { 200 };
            inbox.1 = inbox.1.saturating_sub(1);
            Box::pin(async move { Ok(NoticeReply { status, body: "success".into() }) })
        }));
        let settings = serde_json::json!({ "merchant_id": MERCHANT, "base_url": IN_PROCESS });
        Self {
            adapter: Sandbox::new(),
            simulator,
            clock,
            entropy: SeededEntropy::new(1),
            settings: settings.as_object().expect("an object").clone(),
            secrets: vec![secrets(SECRET)],
            inbox,
        }
    }

    fn context(&self) -> Context<'_> {
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
            subject: Some(Subject { number: NUMBER, numbered_at: Timestamp::from_millis(1_795_377_908_000) }),
            original: None,
        }
    }

    fn client(&self) -> SandboxClient {
        SandboxClient::new(Arc::clone(&self.simulator), None)
    }

    async fn carry(&self, request: HttpRequest) -> Result<HttpReply, SendFailure> {
        let limits = SendLimits { deadline: Duration::from_secs(10), body_max: 65_536 };
        self.client().send(request, limits).await
    }

    /// Makes the call as the engine does; no answer is *unknown*.
    async fn call(&self, call: &Call) -> Answer {
        let request = match self.adapter.prepare(call, &self.context()) {
            Prepared::Done(answer) => return answer,
            Prepared::Send(request) => request,
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("the sandbox asks for nothing else"),
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
                panic!("the sandbox needs one step")
            }
        }
    }

    /// The request of a call that is sent.
    fn request(&self, call: &Call) -> HttpRequest {
        let Prepared::Send(request) = self.adapter.prepare(call, &self.context()) else { panic!("it is sent") };
        request
    }

    /// Creates the order, and opens it where the payer has to.
    async fn create(&self, code: &str, minor: u64) -> Answer {
        let answer = self.call(&creation(code, minor, "CNY")).await;
        if let Outcome::AwaitingPayer(actions) = &answer.outcome
            && ["ali_app", "ali_web", "ali_wap", "unipay_web"].contains(&code)
        {
            assert_eq!(self.simulator.open_order(text_of(&actions[0])).expect("it opens"), NUMBER);
        }
        answer
    }

    async fn query(&self, code: &str) -> Outcome {
        self.call(&Call::Query { code: channel(code) }).await.outcome
    }

    async fn close(&self, code: &str) -> Outcome {
        self.call(&Call::Close { code: channel(code) }).await.outcome
    }

    async fn charge(&self, minor: u64, token: &str) -> Outcome {
        let call = Call::Authorize {
            code: channel("apple_pay"),
            intent: intent(minor, "CNY"),
            token: Secret::from_text(token),
        };
        self.call(&call).await.outcome
    }

    fn pay(&self, command: PayerCommand) {
        self.simulator.payer(NUMBER, command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    /// Lets time pass, ticking whenever something falls due, and gives what each notice that arrived came to.
    async fn pass(&self, time: Duration) -> Vec<Notified> {
        let end = self.clock.now().wall.after(time);
        loop {
            while self.simulator.tick(self.clock.now().wall).await.expect("the books are open") > 0 {}
            let next = self.simulator.next_due().expect("the books are open").filter(|next| *next <= end);
            let now = self.clock.now().wall;
            match next {
                Some(next) => self.clock.advance(next.since(now).max(Duration::from_millis(1))),
                None if now < end => self.clock.advance(end.since(now)),
                None => break,
            }
        }
        let arrived = std::mem::take(&mut self.inbox.lock().expect("no panic").0);
        arrived.iter().map(|notice| self.notified(notice)).collect()
    }

    fn notified(&self, notice: &Notice) -> Notified {
        assert_eq!(notice.url, NOTIFY_URL);
        let raw = RawNotification { headers: notice.headers.clone(), query: String::new(), body: notice.body.clone() };
        self.adapter.notification(&raw, &Context { subject: None, ..self.context() })
    }
}

fn intent(minor: u64, currency: &str) -> Intent {
    let currency: Currency = currency.parse().expect("a currency");
    Intent {
        amount: Money::new(minor, currency).expect("in range"),
        subject: "it will be ok! \"支付\" & more".to_owned(),
        return_url: Some("http://www.example.com/back?a=1&b=2".to_owned()),
        show_url: None,
        payer: PayerInputs { openid: Some("o-1".to_owned()), ..PayerInputs::default() },
        expires_at: Timestamp::from_millis(1_795_377_908_118).after(Duration::from_hours(2)),
        token: None,
    }
}

fn creation(code: &str, minor: u64, currency: &str) -> Call {
    let intent = self::intent(minor, currency);
    Call::Create { code: channel(code), intent, original_api: OriginalApi::No }
}

fn channel(code: &str) -> ChannelCode {
    code.parse().expect("a channel code")
}

fn secrets(secret: &str) -> SecretSettings {
    let mut settings = SecretSettings::default();
    settings.0.insert("secret".to_owned(), Secret::from_text(secret));
    settings
}

/// What a payer would carry to the provider.
fn text_of(named: &NamedAction) -> &str {
    match &named.action {
        PayerAction::AppOrder { order } => order,
        PayerAction::Redirect { url } => url,
        PayerAction::Form { html } => html,
        PayerAction::Prepay { .. } | PayerAction::QrText { .. } | PayerAction::WalletSession { .. } => {
            panic!("nothing is carried")
        }
    }
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

fn token(letter: char, card: &str) -> String {
    let transaction_id = letter.to_string().repeat(64);
    format!(r#"{{"version":"SANDBOX_v1","transaction_id":"{transaction_id}","card":"{card}"}}"#)
}
