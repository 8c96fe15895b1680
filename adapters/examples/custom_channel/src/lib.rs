//! A channel of one's own: the adapter of Lantern, a provider whose payers scan a code.
//!
//! Lantern takes JSON over `POST {base_url}/orders`, `/orders/query` and `/orders/close`. Requests, answers and
//! notifications carry `lantern-signature: <milliseconds>,<hex HMAC-SHA256>` over direction, path, time and body, under
//! the shop's secret. Its answer to everything is an order: shop, number, state, amount, currency. [`provider`] is
//! Lantern's side of that.
#![deny(missing_docs)]

pub mod provider;

use std::time::Duration;

use maxpay_adapters::parts::digest::{hmac_sha256, same};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    Acknowledgement, Adapter, Answer, Call, CodeManifest, Context, Fact, FactSubject, FieldError, Interpreted,
    Manifest, Notified, Outcome, Paid, Prepared, RawNotification, SecretSettings, SettingField, Step, UnsignedAnswer,
};
use maxpay_engine::model::{CallKind, ChannelCode, Mode, Money, NamedAction, PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const SIGNATURE: &str = "lantern-signature";
/// How far the clocks of both sides may be apart.
const WINDOW: Duration = Duration::from_mins(5);
const PATHS: [(CallKind, &str); 3] =
    [(CallKind::Create, "/orders"), (CallKind::Query, "/orders/query"), (CallKind::Close, "/orders/close")];

/// An order, as Lantern tells it.
#[derive(Clone, Serialize, Deserialize)]
struct Told {
    shop: String,
    number: String,
    /// `open`, `paid`, `closed`; `unknown`, `conflict` and `busy` are about no order.
    state: String,
    /// Minor units; once it is paid, what was paid.
    amount: u64,
    currency: String,
    /// Lantern's number for the payment.
    trade: Option<String>,
    /// What the payer scans.
    code: Option<String>,
}

/// The adapter. It keeps nothing but its manifest.
#[derive(Debug)]
pub struct Lantern(Manifest);

impl Default for Lantern {
    fn default() -> Self {
        let field = |name, secret, doc| SettingField { name, secret, needed: true, doc };
        let currencies = ["CNY", "JPY", "KWD"].map(|code| code.parse().expect("an ISO code")).to_vec();
        Self(Manifest {
            adapter: "lantern",
            test_mode_only: false,
            settings: vec![
                field("shop", false, "The shop's id at Lantern."),
                field("base_url", false, "Where Lantern is: an https address."),
                field("secret", true, "Signs in both directions: at least 16 characters."),
            ],
            codes: vec![CodeManifest::plain("lantern_qr".parse().expect("a code"), "lantern", currencies)],
            material_kept: None,
            fixed_hosts: Vec::new(),
            unsigned: vec![UnsignedAnswer { answer: "401 bad signature", proves: "account_refused" }],
        })
    }
}

impl Adapter for Lantern {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn validate(
        &self,
        _: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        _: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_shop = !text("shop").is_empty() && text("shop").bytes().all(|byte| byte.is_ascii_alphanumeric());
        let checks = [
            ("shop", is_shop, "must be letters and digits, for example shop1"),
            ("base_url", text("base_url").starts_with("https://"), "must be an https address"),
            ("secret", secrets.named("secret").is_some_and(|it| it.len() >= 16), "must be at least 16 characters"),
        ];
        let error = |(field, _, why): (&str, bool, &str)| FieldError { field: field.to_owned(), why: why.to_owned() };
        let wrong: Vec<_> = checks.into_iter().filter(|(_, holds, _)| !holds).map(error).collect();
        if wrong.is_empty() { Ok(format!("{} at {}", text("shop"), text("base_url"))) } else { Err(wrong) }
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let (Some(path), Some(subject)) = (path_of(call.kind()), context.subject) else { return Prepared::Unsupported };
        let mut body = json!({ "shop": context.account.text("shop"), "number": subject.number });
        if let Call::Create { intent, .. } = call {
            body["amount"] = intent.amount.minor().into();
            body["currency"] = intent.amount.currency().code().into();
            body["subject"] = intent.subject.as_str().into();
            body["expires_at"] = intent.expires_at.millis().into();
            body["notify_url"] = context.account.notify_url.into();
        }
        let body = body.to_string();
        let url = format!("{}{path}", context.account.text("base_url")).parse();
        let (Ok(url), Some(secret)) = (url, context.account.secrets_named("secret").next()) else {
            return Prepared::Done(Answer::bare(Outcome::NotExecuted("the settings are incomplete".to_owned())));
        };
        let signature = sign(secret, &format!("request {path}"), context.now, body.as_bytes());
        Prepared::Send(HttpRequest::post(url, "application/json", body).header(SIGNATURE, signature))
    }

    fn interpret(&self, call: &Call, _: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        if reply.status == 401 && reply.body.as_ref() == b"bad signature" {
            return Interpreted::bare(Outcome::AccountRefused("Lantern refuses the signature".to_owned()));
        }
        let what = format!("reply {} {}", path_of(call.kind()).unwrap_or_default(), reply.status);
        match told(context, &what, reply.header(SIGNATURE), &reply.body) {
            Ok((at, told)) if reply.status == 200 => {
                let (provider_time, outcome) = (Some(at), outcome(call, &told));
                let (number, owners) = (Some(told.number), vec![("shop", told.shop)]);
                Interpreted::Done(Answer { number, owners, provider_time, outcome })
            }
            Ok(_) => Interpreted::bare(Outcome::Unknown(format!("a signed {}", reply.status))),
            Err(why) => Interpreted::bare(Outcome::Unknown(format!("{why}, status {}", reply.status))),
        }
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        let (ack, refusal) = (Acknowledgement::text(200, "lit"), Acknowledgement::text(400, "out"));
        match told(context, "notice", raw.header(SIGNATURE), &raw.body) {
            Err(why) => Notified::Unverified { reason: why, refusal },
            Ok((at, told)) if told.state == "paid" => {
                let (provider_time, outcome) = (Some(at), paid(&told));
                let (subject, owners) = (FactSubject::Attempt(told.number), vec![("shop", told.shop)]);
                let facts = vec![Fact { subject, numbered_at: None, owners, provider_time, outcome }];
                Notified::Verified { facts, ack, refusal }
            }
            // It is Lantern's, but says nothing that ends a payment: look instead.
            Ok((_, told)) => Notified::Hint { number: told.number, ack, refusal },
        }
    }

    fn shown(&self, _: &ChannelCode, _: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        let Some(PayerAction::QrText { text }) = actions.first().map(|named| &named.action) else { return Vec::new() };
        vec![("codeUrl".to_owned(), text.clone())]
    }
}

fn path_of(kind: CallKind) -> Option<&'static str> {
    PATHS.into_iter().find(|(known, _)| *known == kind).map(|(_, path)| path)
}

fn outcome(call: &Call, told: &Told) -> Outcome {
    match (told.state.as_str(), &told.code) {
        ("paid", _) => paid(told),
        ("closed", _) => Outcome::Closed,
        ("open", Some(code)) if matches!(call, Call::Create { .. }) => {
            let action = PayerAction::QrText { text: code.clone() };
            Outcome::AwaitingPayer(vec![NamedAction { name: "lantern_qr".to_owned(), action, usable_until: None }])
        }
        ("open", _) => Outcome::Unpaid,
        ("unknown", _) => Outcome::NotFound,
        ("busy", _) => Outcome::NotExecuted("Lantern is busy".to_owned()),
        (other, _) => Outcome::Unknown(format!("Lantern says {other}")),
    }
}

fn paid(told: &Told) -> Outcome {
    let (Ok(amount), Some(trade_number)) = (Money::read(told.amount, &told.currency), told.trade.clone()) else {
        return Outcome::Unknown("it is paid, and how much cannot be read".to_owned());
    };
    Outcome::Succeeded(Paid { trade_number, amount, paid_at: None })
}

fn sign(secret: &Secret, what: &str, at: Timestamp, body: &[u8]) -> String {
    let head = format!("{what}\n{}\n", at.millis());
    format!("{},{}", at.millis(), hex::encode(hmac_sha256(secret, &[head.as_bytes(), body].concat())))
}

/// When it was signed, if it was signed under that secret and not long ago.
fn verify(secret: &Secret, what: &str, now: Timestamp, header: &str, body: &[u8]) -> Option<Timestamp> {
    let at = Timestamp::from_millis(header.split_once(',')?.0.parse().ok()?);
    let recent = at.since(now).max(now.since(at)) <= WINDOW;
    (same(&sign(secret, what, at, body), header) && recent).then_some(at)
}

/// What Lantern told, and when.
fn told(context: &Context<'_>, what: &str, header: Option<&str>, body: &[u8]) -> Result<(Timestamp, Told), String> {
    let header = header.ok_or("there is no signature")?;
    let mut secrets = context.account.secrets_named("secret");
    let at = secrets.find_map(|secret| verify(secret, what, context.now, header, body));
    let told = serde_json::from_slice(body).map_err(|_| "it cannot be read")?;
    Ok((at.ok_or("the signature does not hold")?, told))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exam_is_passed() {
        // Every claim of the manifest holds against the provider's books, whatever happens on the way.
        maxpay_adapters::conformance::examine(&super::provider::candidate()).assert_passed();
    }
}
