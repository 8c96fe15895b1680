//! Adapters that are deliberately wrong, each in one way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    AccountView, Acknowledgement, Adapter, Answer, Call, Context, Fact, FactSubject, FieldError, Interpreted, Manifest,
    Notified, Outcome, Paid, Prepared, RawNotification, Recreate, RefundRules, SecretSettings, Step, Subject,
    VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Currency, Intent, Mode, Money, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use crate::conformance::{self, Lack, Provider, Stage};
use crate::sandbox::Sandbox;
use crate::sandbox::simulator::SandboxCandidate;

/// What is wrong with an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    TrustsUnsigned,
    ClosesPaid,
    IgnoresNumber,
    IgnoresOwner,
    FailureIsDecline,
    PageIsNotFound,
    NotFoundIsClosed,
    SecretInReason,
    SecretInLog,
    SecretInAddress,
    SecretInError,
    NewNumbers,
    OneNumber,
    Undetermined,
    RelativeExpiry,
    WrongDecimals,
    TellsAsked,
    TrustsForgedNotices,
    TrustsOldNotices,
    IgnoresNoticeOwner,
    AcknowledgesLies,
    AcknowledgesWrongly,
    ClaimsRefused,
    ClaimsNoClose,
    ClaimsDeclineOpen,
    ClaimsSignedHere,
    ClaimsNothingUnsigned,
    ClaimsRefunds,
    FetchesAnywhere,
    TakesAnyToken,
    Panics,
}

impl Plant {
    pub const ALL: [Self; 32] = [
        Self::Nothing,
        Self::TrustsUnsigned,
        Self::ClosesPaid,
        Self::IgnoresNumber,
        Self::IgnoresOwner,
        Self::FailureIsDecline,
        Self::PageIsNotFound,
        Self::NotFoundIsClosed,
        Self::SecretInReason,
        Self::SecretInLog,
        Self::SecretInAddress,
        Self::SecretInError,
        Self::NewNumbers,
        Self::OneNumber,
        Self::Undetermined,
        Self::RelativeExpiry,
        Self::WrongDecimals,
        Self::TellsAsked,
        Self::TrustsForgedNotices,
        Self::TrustsOldNotices,
        Self::IgnoresNoticeOwner,
        Self::AcknowledgesLies,
        Self::AcknowledgesWrongly,
        Self::ClaimsRefused,
        Self::ClaimsNoClose,
        Self::ClaimsDeclineOpen,
        Self::ClaimsSignedHere,
        Self::ClaimsNothingUnsigned,
        Self::ClaimsRefunds,
        Self::FetchesAnywhere,
        Self::TakesAnyToken,
        Self::Panics,
    ];

    /// A case that must fail by it.
    pub fn fails(self) -> Option<&'static str> {
        Some(match self {
            Self::Nothing => return None,
            Self::TrustsUnsigned => "an unsigned answer to a query proves no more than it may",
            Self::ClosesPaid => "a close of a paid order never says closed",
            Self::IgnoresNumber => "read as the answer about another order",
            Self::IgnoresOwner => "read for another merchant",
            Self::FailureIsDecline => "its body under a failing status",
            Self::PageIsNotFound => "a gateway's own page",
            Self::NotFoundIsClosed => "an unknown number is not found",
            Self::SecretInReason => "an answer shows secret",
            Self::SecretInLog => "a log line shows secret",
            Self::SecretInAddress => "the address of a request shows secret",
            Self::SecretInError => "an error about secret does not show what it was",
            Self::NewNumbers => "the order is in the books once, under its number",
            Self::OneNumber => "a create says which number it is about",
            Self::Undetermined => "the same create gives the same bytes",
            Self::RelativeExpiry => "the order ends when the intent says, not later",
            Self::WrongDecimals => "minor units of JPY can be paid",
            Self::TellsAsked => "another amount is told as it was paid",
            Self::TrustsForgedNotices => "a forged notice is refused",
            Self::TrustsOldNotices => "a notice of a day ago is refused",
            Self::IgnoresNoticeOwner => "another merchant's notice is not taken for ours",
            Self::AcknowledgesLies => "of nonsense as application/json are refused",
            Self::AcknowledgesWrongly => "the provider takes the acknowledgement for what it is",
            Self::ClaimsRefused => "sent again, a create does what Refused claims",
            Self::ClaimsNoClose => "there is a close if and only if the manifest says so",
            Self::ClaimsDeclineOpen => "a decline is final if and only if the manifest says so",
            Self::ClaimsSignedHere => "a create is signed here if and only if the manifest says so",
            Self::ClaimsNothingUnsigned => "the unsigned refusal of a query is in the manifest",
            Self::ClaimsRefunds => "there is a refund if and only if the manifest says so",
            Self::FetchesAnywhere => "no session is fetched from https://evil.example.net",
            Self::TakesAnyToken => "nonsense is no token",
            Self::Panics => "nothing panics",
        })
    }

    fn code(self) -> &'static str {
        if self == Self::FetchesAnywhere { "apple_pay" } else { "wx_native" }
    }
}

/// The sandbox with something planted.
pub struct Candidate(pub Plant);

impl conformance::Candidate for Candidate {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        let inner = Sandbox::new();
        let mut manifest = inner.manifest().clone();
        for rules in &mut manifest.codes {
            match self.0 {
                Plant::ClaimsRefused => rules.recreate = Recreate::Refused,
                Plant::ClaimsNoClose => rules.close = None,
                Plant::ClaimsDeclineOpen => rules.decline_final = false,
                Plant::ClaimsSignedHere => (rules.locally_signed, rules.recreate) = (true, Recreate::Resign),
                Plant::ClaimsRefunds => {
                    rules.refund = Some(RefundRules {
                        partial: true,
                        min_gap: Duration::ZERO,
                        count_max: 10,
                        window: Duration::from_hours(24),
                        query: rules.query.clone(),
                    });
                }
                _ => {}
            }
        }
        if self.0 == Plant::ClaimsNothingUnsigned {
            manifest.unsigned.clear();
        }
        Arc::new(Planted { inner, manifest, plant: self.0, count: AtomicU64::new(0) })
    }

    fn codes(&self) -> Vec<ChannelCode> {
        vec![self.0.code().parse().expect("a code")]
    }

    fn lacks(&self) -> Vec<Lack> {
        SandboxCandidate.lacks()
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        SandboxCandidate.open(stage)
    }
}

struct Planted {
    inner: Sandbox,
    manifest: Manifest,
    plant: Plant,
    count: AtomicU64,
}

impl Adapter for Planted {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        if self.plant == Plant::SecretInError
            && let Some(secret) =
                secrets.named("secret").and_then(Secret::expose_text).filter(|it| it.contains("shown"))
        {
            return Err(vec![FieldError { field: "secret".to_owned(), why: format!("{secret} is no good secret") }]);
        }
        self.inner.validate(mode, settings, secrets, now)
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let number = context.subject.map(|subject| subject.number.to_owned()).unwrap_or_default();
        let prepare = |call: &Call, number: &str| {
            let subject = context.subject.map(|subject| Subject { number, ..subject });
            self.inner.prepare(call, &Context { subject, ..copied(context, context.now) })
        };
        match (self.plant, call) {
            (Plant::NewNumbers, Call::Create { .. }) => {
                let count = self.count.fetch_add(1, Ordering::Relaxed);
                prepare(call, &format!("{number}{count:02}"))
            }
            (Plant::OneNumber, _) => prepare(call, "always-the-same"),
            (Plant::Undetermined, _) => with_header(prepare(call, &number), self.count.fetch_add(1, Ordering::Relaxed)),
            (Plant::SecretInAddress, _) => match prepare(call, &number) {
                Prepared::Send(mut request) => {
                    request.url.set_query(secret_of(context));
                    Prepared::Send(request)
                }
                other => other,
            },
            (Plant::SecretInLog, _) => {
                tracing::info!(key = secret_of(context), "a request is built");
                prepare(call, &number)
            }
            (Plant::RelativeExpiry, Call::Create { code, intent, original_api }) => {
                let intent = Intent { expires_at: context.now.after(Duration::from_hours(3)), ..intent.clone() };
                prepare(&Call::Create { code: code.clone(), intent, original_api: *original_api }, &number)
            }
            (Plant::WrongDecimals, Call::Create { code, intent, original_api })
                if intent.amount.currency().exponent() == 0 =>
            {
                let amount =
                    Money::new(intent.amount.minor().saturating_mul(100).min(10_000_000_000), intent.amount.currency());
                let intent = Intent { amount: amount.expect("small"), ..intent.clone() };
                prepare(&Call::Create { code: code.clone(), intent, original_api: *original_api }, &number)
            }
            (Plant::FetchesAnywhere, Call::PayerSession { validation_url: Some(url), .. }) => match url.parse() {
                Ok(url) => Prepared::Send(HttpRequest::get(url)),
                Err(_) => prepare(call, &number),
            },
            _ => prepare(call, &number),
        }
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        assert!(self.plant != Plant::Panics || !reply.body.is_empty(), "an answer has a body");
        let read = self.inner.interpret(call, step, reply, context);
        let Interpreted::Done(mut answer) = read else { return read };
        let is_unknown = matches!(answer.outcome, Outcome::Unknown(_));
        match self.plant {
            Plant::TrustsUnsigned if is_unknown && reply.header("sandbox-signature").is_none() => {
                answer = said(&reply.body).unwrap_or(answer);
            }
            Plant::ClosesPaid if matches!((call, &answer.outcome), (Call::Close { .. }, Outcome::Succeeded(_))) => {
                answer.outcome = Outcome::Closed;
            }
            Plant::IgnoresNumber => answer.number = None,
            Plant::IgnoresOwner => answer.owners.clear(),
            Plant::FailureIsDecline if reply.status >= 500 => {
                answer.outcome = Outcome::Declined("it did not work".to_owned());
            }
            Plant::PageIsNotFound if reply.status == 404 => answer.outcome = Outcome::NotFound,
            Plant::NotFoundIsClosed if answer.outcome == Outcome::NotFound => answer.outcome = Outcome::Closed,
            Plant::SecretInReason if is_unknown => {
                answer.outcome = Outcome::Unknown(format!("not under {}", secret_of(context).unwrap_or_default()));
            }
            Plant::TellsAsked => {
                let asked = serde_json::from_slice::<Value>(&reply.body).ok().and_then(|body| body["amount"].as_u64());
                if let (Outcome::Succeeded(paid), Some(asked)) = (&mut answer.outcome, asked) {
                    paid.amount = Money::new(asked, paid.amount.currency()).expect("small");
                }
            }
            _ => {}
        }
        Interpreted::Done(answer)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        let yes = Acknowledgement { status: 200, content_type: "text/plain".to_owned(), body: Bytes::from("success") };
        let read = self.inner.notification(raw, context);
        match (self.plant, read) {
            (Plant::TrustsForgedNotices, Notified::Unverified { reason, refusal }) => match said(&raw.body) {
                Some(Answer { number: Some(number), owners, outcome, .. }) => {
                    let subject = FactSubject::Attempt(number);
                    let facts = vec![Fact { subject, numbered_at: None, owners, provider_time: None, outcome }];
                    Notified::Verified { facts, ack: yes, refusal }
                }
                _ => Notified::Unverified { reason, refusal },
            },
            (Plant::TrustsOldNotices, Notified::Unverified { .. }) => {
                self.inner.notification(raw, &copied(context, context.now.before(Duration::from_hours(24))))
            }
            (Plant::IgnoresNoticeOwner, Notified::Verified { mut facts, ack, refusal }) => {
                for fact in &mut facts {
                    fact.owners.clear();
                }
                Notified::Verified { facts, ack, refusal }
            }
            (Plant::AcknowledgesLies, Notified::Unverified { reason, .. }) => {
                Notified::Unverified { reason, refusal: yes }
            }
            (Plant::AcknowledgesWrongly, Notified::Verified { facts, refusal, .. }) => {
                let ack = Acknowledgement { body: Bytes::from("OK"), ..yes };
                Notified::Verified { facts, ack, refusal }
            }
            (_, read) => read,
        }
    }

    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        if self.plant == Plant::TakesAnyToken {
            return Ok(VerifiedToken { once_key: "any".to_owned(), digest: [0; 32] });
        }
        self.inner.verify_token(code, intent, token, context)
    }

    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        self.inner.shown(code, number, actions)
    }
}

pub fn copied<'a>(context: &Context<'a>, now: Timestamp) -> Context<'a> {
    let AccountView { id, mode, settings, secrets, notify_url } = context.account;
    Context {
        now,
        entropy: context.entropy,
        account: AccountView { id, mode, settings, secrets, notify_url },
        material: context.material,
        subject: context.subject,
        original: context.original,
    }
}

fn secret_of<'a>(context: &Context<'a>) -> Option<&'a str> {
    context.account.secrets.first()?.named("secret")?.expose_text()
}

fn with_header(prepared: Prepared, count: u64) -> Prepared {
    match prepared {
        Prepared::Send(request) => Prepared::Send(request.header("x-nonce", count.to_string())),
        other => other,
    }
}

/// What a body says, whoever signed it.
fn said(body: &[u8]) -> Option<Answer> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let payment = &body["payment"];
    let outcome = match body["state"].as_str()? {
        "paid" => Outcome::Succeeded(Paid {
            trade_number: payment["trade_number"].as_str()?.to_owned(),
            amount: Money::new(payment["amount"].as_u64()?, payment["currency"].as_str()?.parse::<Currency>().ok()?)
                .ok()?,
            paid_at: None,
        }),
        "open" => Outcome::Unpaid,
        _ => return None,
    };
    let number = body["number"].as_str().map(ToOwned::to_owned);
    let owners = vec![("merchant_id", body["merchant_id"].as_str()?.to_owned())];
    Some(Answer { number, owners, provider_time: None, outcome })
}
