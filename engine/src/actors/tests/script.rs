//! A channel whose provider answers what a test tells it to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use crate::channel::{
    Acknowledgement, Adapter, Answer, Call, CloseRules, CodeManifest, Context, Fact, FactSubject, FieldError,
    Interpreted, Manifest, Material, Notified, Outcome, Paid, Prepared, QueryRules, RawNotification, Recreate,
    SecretSettings, SettingField, Step, VerifiedToken,
};
use crate::model::{ChannelCode, Currency, Intent, Mode, Money, NamedAction, PayerAction, Timestamp};
use crate::secrets::Secret;

pub const SENT: &str = "script_sent";
pub const LOCAL: &str = "script_local";
pub const TOKEN: &str = "script_token";
/// How old material of this channel becomes.
pub const MATERIAL_KEPT: Duration = Duration::from_hours(12);

/// The adapter.
pub struct Script {
    manifest: Manifest,
    /// While closed, preparing blocks its thread.
    pub gate: Arc<Gate>,
}

/// Blocks threads while it is closed.
#[derive(Default)]
pub struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub fn close(&self) {
        *self.closed.lock().expect("no panic") = true;
    }

    pub fn open(&self) {
        *self.closed.lock().expect("no panic") = false;
        self.opened.notify_all();
    }

    pub fn pass(&self) {
        let closed = self.closed.lock().expect("no panic");
        drop(self.opened.wait_while(closed, |closed| *closed).expect("no panic"));
    }
}

impl Script {
    pub fn new() -> Self {
        let fields = vec![SettingField { name: "merchant", secret: false, needed: true, doc: "whose it is" }];
        let manifest = Manifest {
            adapter: "script",
            test_mode_only: false,
            settings: fields,
            codes: vec![code(SENT, false), code(LOCAL, true), CodeManifest { authorize: true, ..code(TOKEN, true) }],
            material_kept: Some(MATERIAL_KEPT),
            fixed_hosts: Vec::new(),
            unsigned: Vec::new(),
        };
        Self { manifest, gate: Arc::default() }
    }
}

fn code(name: &str, locally_signed: bool) -> CodeManifest {
    CodeManifest {
        code: name.parse().expect("a code"),
        group: "script",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs: Vec::new(),
        subject_bytes_max: 128,
        expiry: (Duration::from_mins(1), Duration::from_hours(24)),
        expiry_default: Duration::from_hours(2),
        min_life: Duration::from_secs(30),
        grace: Duration::from_mins(1),
        recreate: if locally_signed { Recreate::Resign } else { Recreate::ReturnsAction },
        decline_final: false,
        action_lifetime: None,
        locally_signed,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::from_secs(2),
            truth_until: None,
            schedule: vec![Duration::from_secs(5), Duration::from_secs(10)],
            awaiting_schedule: vec![Duration::from_mins(5)],
        },
        close: Some(CloseRules { schedule: vec![Duration::from_secs(5)] }),
        refund: None,
        void: None,
        not_executed_max: 3,
        call_deadline: Duration::from_secs(10),
    }
}

impl Adapter for Script {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        _: Mode,
        settings: &serde_json::Map<String, serde_json::Value>,
        _: &SecretSettings,
        _: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        Ok(settings.get("merchant").and_then(|it| it.as_str()).unwrap_or_default().to_owned())
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        self.gate.pass();
        let number = context.subject.as_ref().map(|subject| subject.number).unwrap_or_default();
        let path = match call {
            Call::Create { code, .. } if code.as_str() != SENT => {
                return Prepared::Done(Answer::bare(awaiting(code, number)));
            }
            Call::Create { .. } => "create",
            Call::Query { .. } => "query",
            Call::Close { .. } => "close",
            Call::Authorize { .. } => "authorize",
            Call::Maintain => "maintain",
            Call::Void { .. } | Call::Refund { .. } | Call::QueryRefund { .. } | Call::PayerSession { .. } => {
                return Prepared::Unsupported;
            }
        };
        let url = format!("http://script/{path}/{number}").parse().expect("an address");
        Prepared::Send(HttpRequest::get(url))
    }

    fn interpret(&self, call: &Call, _: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        let text = std::str::from_utf8(&reply.body).expect("scripts are text");
        assert!(text != "panic", "the script says so");
        let number = context.subject.as_ref().map(|subject| subject.number).unwrap_or_default();
        if matches!(call, Call::Maintain) {
            return Interpreted::Learned(vec![Material { name: text.to_owned(), bytes: Vec::new() }]);
        }
        if text == "sealed" && context.material.is_empty() {
            return Interpreted::NeedMaterial(maintain());
        }
        let code = match call {
            Call::Create { code, .. } | Call::Query { code } | Call::Close { code } => code.clone(),
            Call::Void { .. }
            | Call::Refund { .. }
            | Call::QueryRefund { .. }
            | Call::Maintain
            | Call::PayerSession { .. }
            | Call::Authorize { .. } => SENT.parse().expect("a code"),
        };
        let mut answer = Answer::bare(outcome(text, &code, number));
        if let Some((_, owner)) = text.split_once('@') {
            answer.owners.push(("merchant", owner.to_owned()));
        }
        Interpreted::Done(answer)
    }

    fn verify_token(
        &self,
        _: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        let text = token.expose_text().unwrap_or_default();
        let until = text.strip_prefix("until ").and_then(|until| until.parse().ok());
        let old = until.is_some_and(|until| context.now.millis() > until);
        let other_amount = text.strip_prefix("for ").is_some_and(|amount| amount != intent.amount.major());
        if text == "bad" || old || other_amount {
            return Err("it is bad".to_owned());
        }
        Ok(VerifiedToken { once_key: text.to_owned(), digest: Sha256::digest(token.expose()).into() })
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        let refusal = ack(400, "no");
        if raw.header("sign") == Some("by another key") && context.material.is_empty() {
            return Notified::NeedMaterial(maintain());
        }
        // A proof that grows old, as a stamped signature does.
        let until = raw.header("sign").and_then(|sign| sign.strip_prefix("good until ")?.parse().ok());
        let good = raw.header("sign") == Some("good") || until.is_some_and(|until| context.now.millis() <= until);
        if !good && raw.header("sign") != Some("by another key") {
            return Notified::Unverified { reason: "no sign".to_owned(), refusal };
        }
        let text = String::from_utf8_lossy(&raw.body).into_owned();
        let (number, text) = text.split_once(' ').expect("number and outcome");
        let code: ChannelCode = SENT.parse().expect("a code");
        if text == "hint" {
            return Notified::Hint { number: number.to_owned(), ack: ack(200, "yes"), refusal };
        }
        let owners = text.split_once('@').map(|(_, owner)| ("merchant", owner.to_owned()));
        let fact = Fact {
            subject: FactSubject::Attempt(number.to_owned()),
            numbered_at: raw.header("numbered-at").and_then(|at| at.parse().ok()),
            owners: owners.into_iter().collect(),
            provider_time: None,
            outcome: outcome(text, &code, number),
        };
        Notified::Verified { facts: vec![fact], ack: ack(200, "yes"), refusal }
    }

    fn shown(&self, _: &ChannelCode, number: &str, _: &[NamedAction]) -> Vec<(String, String)> {
        vec![("number".to_owned(), number.to_owned())]
    }
}

fn maintain() -> HttpRequest {
    HttpRequest::get("http://script/maintain/".parse().expect("an address"))
}

fn ack(status: u16, text: &'static str) -> Acknowledgement {
    Acknowledgement { status, content_type: "text/plain".to_owned(), body: Bytes::from_static(text.as_bytes()) }
}

fn awaiting(code: &ChannelCode, number: &str) -> Outcome {
    let action = PayerAction::QrText { text: format!("pay {number}") };
    Outcome::AwaitingPayer(vec![NamedAction { name: code.to_string(), action, usable_until: None }])
}

fn outcome(text: &str, code: &ChannelCode, number: &str) -> Outcome {
    let word = text.split('@').next().unwrap_or_default();
    match word {
        "await" | "sealed" => awaiting(code, number),
        "unpaid" => Outcome::Unpaid,
        "not_found" => Outcome::NotFound,
        "closed" => Outcome::Closed,
        "account_refused" => Outcome::AccountRefused("no contract".to_owned()),
        "paid" => Outcome::Succeeded(Paid {
            trade_number: format!("T{number}"),
            amount: Money::new(100, Currency::CNY).expect("small"),
            paid_at: None,
        }),
        other => Outcome::Unknown(other.to_owned()),
    }
}

/// The provider: answers by the kind of call, and remembers what it was asked.
pub struct Provider {
    state: Mutex<State>,
    /// How many requests came.
    asked: watch::Sender<usize>,
    /// While false, answers wait.
    open: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// What is answered next to a kind of call; the last one stays.
    answers: BTreeMap<&'static str, VecDeque<Result<&'static str, SendFailure>>>,
    log: Vec<String>,
}

impl Provider {
    pub fn new() -> Self {
        let provider = Self { state: Mutex::default(), asked: watch::Sender::new(0), open: watch::Sender::new(true) };
        provider.answers("create", &["await"]);
        provider.answers("query", &["unpaid"]);
        provider.answers("close", &["closed"]);
        provider.answers("authorize", &["paid"]);
        provider
    }

    /// What is answered to calls of that kind: one after the other, the last one for ever.
    pub fn answers(&self, kind: &'static str, answers: &[&'static str]) {
        let answers = answers.iter().map(|text| Ok(*text)).collect();
        self.state.lock().expect("no panic").answers.insert(kind, answers);
    }

    /// Fails the next call of that kind, before what it would answer otherwise.
    pub fn fails(&self, kind: &'static str, failure: SendFailure) {
        self.state.lock().expect("no panic").answers.entry(kind).or_default().push_front(Err(failure));
    }

    /// Lets answers wait.
    pub fn hold(&self) {
        self.open.send_replace(false);
    }

    /// Lets answers go.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// What was asked so far: `create/number` …
    pub fn log(&self) -> Vec<String> {
        self.state.lock().expect("no panic").log.clone()
    }

    /// How many requests of that kind came.
    pub fn count(&self, kind: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(kind)).count()
    }

    /// Waits until so many requests of that kind came.
    pub async fn asked(&self, kind: &str, count: usize) {
        let mut asked = self.asked.subscribe();
        while self.count(kind) < count {
            asked.changed().await.expect("the provider is there");
        }
    }
}

/// The way to a provider.
pub struct Wire(pub Arc<Provider>);

impl HttpClient for Wire {
    fn send(&self, request: HttpRequest, _: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let provider = Arc::clone(&self.0);
        Box::pin(async move {
            let line = request.url.path().trim_start_matches('/').to_owned();
            let kind = line.split('/').next().unwrap_or_default().to_owned();
            let answer = {
                let mut state = provider.state.lock().expect("no panic");
                state.log.push(line);
                let answers = state.answers.get_mut(kind.as_str()).expect("the script has an answer");
                if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
            };
            provider.asked.send_modify(|count| *count += 1);
            let mut open = provider.open.subscribe();
            open.wait_for(|open| *open).await.expect("the provider is there");
            let body = Bytes::from_static(answer.expect("the script has an answer")?.as_bytes());
            Ok(HttpReply { status: 200, headers: Vec::new(), body })
        })
    }
}
