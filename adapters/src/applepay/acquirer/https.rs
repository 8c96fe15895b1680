//! The acquirer that is built in: the dialect of [`super::wire`], for whoever puts a small service in front of their
//! acquirer's own interface, and for the sandbox acquirer.

use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    Answer, Context, FieldError, Interpreted, Outcome, Paid, Prepared, QueryRules, RefundIntent, RefundKind,
    RefundRules, SecretSettings, SettingField, Step, Subject, UnsignedAnswer, VoidRules,
};
use maxpay_engine::model::{Intent, Mode, Money, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::super::card::Hidden;
use super::super::currencies;
use super::wire::{
    self, AnswerBody, BackBody, CardBody, ChargeBody, DoorBody, DoorError, NumberBody, Refused, SIGNATURE_HEADER,
    Signed, State,
};
use super::{Acquirer, Asked, Payment, PaymentForm, Terms};

pub(in crate::applepay) const BASE_URL: &str = "acquirer_url";
pub(in crate::applepay) const MERCHANT_ID: &str = "acquirer_merchant_id";
pub(in crate::applepay) const SECRET: &str = "acquirer_secret";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=256;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The built-in acquirer. It keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Https;

impl Acquirer for Https {
    fn terms(&self) -> Terms {
        let query = || QueryRules {
            // A charge that was sent is known within a call's deadline, or was never begun.
            truth_from: Duration::from_secs(30),
            truth_until: None,
            schedule: waits(&[2, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY]),
            awaiting_schedule: Vec::new(),
        };
        Terms {
            settings: settings(),
            currencies: currencies::all(),
            amount_minor: (1, 10_000_000_000),
            subject_bytes_max: 127,
            min_life: Duration::from_secs(15),
            grace: Duration::from_secs(MINUTE),
            query: query(),
            refund: Some(RefundRules {
                partial: true,
                min_gap: Duration::ZERO,
                count_max: 50,
                window: Duration::from_secs(365 * DAY),
                query: query(),
            }),
            void: Some(VoidRules { utc_offset: Duration::ZERO, cut_off: Duration::from_secs(23 * HOUR) }),
            unsigned: vec![
                UnsignedAnswer { answer: "401 unknown_merchant or bad_signature", proves: "account_refused" },
                UnsignedAnswer { answer: "401 stale_signature: the clocks disagree", proves: "not_executed" },
            ],
            call_deadline: Duration::from_secs(15),
        }
    }

    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        _now: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong =
            |field: &str, why: &str| errors.push(FieldError { field: field.to_owned(), why: why.to_owned() });
        let text = |name| settings.get(name).and_then(Value::as_str).unwrap_or_default();
        let base = base_url(text(BASE_URL), mode);
        if base.is_none() {
            wrong(
                BASE_URL,
                "must be an https address without query, for example https://acquirer.example.com/pay (http only in \
                 test mode)",
            );
        }
        if !is_merchant_id(text(MERCHANT_ID)) {
            wrong(MERCHANT_ID, "must be 1 to 64 letters, digits, _ or -: the merchant as the acquirer knows it");
        }
        match secrets.named(SECRET) {
            Some(secret) if SECRET_BYTES.contains(&secret.len()) => {}
            Some(_) => wrong(SECRET, "must be 32 to 256 bytes"),
            None => wrong(SECRET, "is needed: the secret that is shared with the acquirer, 32 to 256 bytes"),
        }
        match base {
            Some(base) if errors.is_empty() => Ok(format!("{} at {base}", text(MERCHANT_ID))),
            Some(_) | None => Err(errors),
        }
    }

    fn charge(&self, intent: &Intent, payment: &Payment<'_>, context: &Context<'_>) -> Prepared {
        let Some(subject) = context.subject else { return no_number() };
        let (card, token) = match payment.form {
            PaymentForm::Card(card) => (
                Some(CardBody {
                    number: card.application_primary_account_number.expose(),
                    expires: card.application_expiration_date.expose(),
                    cryptogram: card.payment_data.online_payment_cryptogram.as_ref().map(Hidden::expose),
                    eci: card.payment_data.eci_indicator.as_ref().map(Hidden::expose),
                    emv_data: card.payment_data.emv_data.as_ref().map(Hidden::expose),
                    encrypted_pin: card.payment_data.encrypted_pin_data.as_ref().map(Hidden::expose),
                }),
                None,
            ),
            PaymentForm::Token(token) => (None, token.expose_text()),
        };
        let currency = intent.amount.currency();
        let body = ChargeBody {
            merchant_id: context.account.text(MERCHANT_ID),
            number: subject.number,
            numbered_at: subject.numbered_at,
            amount: intent.amount.minor(),
            currency: currency.code(),
            subject: &intent.subject,
            expires_at: intent.expires_at,
            wallet: "apple_pay",
            network: payment.network,
            card,
            token,
        };
        // Card data is written once: into a buffer that never has to move while it grows.
        let room = 4096 + 6 * intent.subject.len() + 2 * token.map_or(0, str::len);
        send(wire::CHARGE, &body, room, context)
    }

    fn prepare(&self, asked: &Asked<'_>, context: &Context<'_>) -> Prepared {
        let Some(subject) = context.subject else { return no_number() };
        match asked {
            // A charge needs what is charged: it comes by the other way.
            Asked::Charge(_) => Prepared::Unsupported,
            Asked::Query | Asked::QueryRefund(..) => {
                let merchant_id = context.account.text(MERCHANT_ID).to_owned();
                send(path(asked), &NumberBody { merchant_id, number: subject.number.to_owned() }, 256, context)
            }
            Asked::Void(refund) | Asked::Refund(refund) => match back(refund, subject, context) {
                Some(body) => send(path(asked), &body, 1024, context),
                None => not_executed("a refund needs the payment that it gives back"),
            },
        }
    }

    fn interpret(&self, asked: &Asked<'_>, _step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        Interpreted::Done(read(asked, reply, context))
    }
}

fn settings() -> Vec<SettingField> {
    vec![
        SettingField {
            name: BASE_URL,
            secret: false,
            needed: true,
            doc: "Where the acquirer is, for example https://acquirer.example.com/pay.",
        },
        SettingField {
            name: MERCHANT_ID,
            secret: false,
            needed: true,
            doc: "The merchant as the acquirer knows it: 1 to 64 letters, digits, _ or -.",
        },
        SettingField {
            name: SECRET,
            secret: true,
            needed: true,
            doc: "Signs requests to the acquirer and its answers: 32 to 256 bytes, shared with it.",
        },
    ]
}

pub(in crate::applepay) fn is_merchant_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The base address without a slash at its end. `None`: it is none.
fn base_url(text: &str, mode: Mode) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && mode == Mode::Test);
    let plain = scheme
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

fn waits(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

fn path(asked: &Asked<'_>) -> &'static str {
    match asked {
        Asked::Charge(_) => wire::CHARGE,
        Asked::Query => wire::QUERY,
        Asked::Void(_) => wire::VOID,
        Asked::Refund(_) => wire::REFUND,
        Asked::QueryRefund(RefundKind::Void, _) => wire::QUERY_VOID,
        Asked::QueryRefund(RefundKind::Refund, _) => wire::QUERY_REFUND,
    }
}

fn back(refund: &RefundIntent, subject: Subject<'_>, context: &Context<'_>) -> Option<BackBody> {
    let original = context.original?;
    Some(BackBody {
        merchant_id: context.account.text(MERCHANT_ID).to_owned(),
        number: subject.number.to_owned(),
        numbered_at: subject.numbered_at,
        charge_number: original.number.to_owned(),
        trade_number: original.trade_number.to_owned(),
        amount: refund.amount.minor(),
        currency: refund.amount.currency().to_string(),
        reason: refund.reason.clone(),
    })
}

fn send(path: &str, body: &impl Serialize, room: usize, context: &Context<'_>) -> Prepared {
    let Some(secret) = context.account.secrets.first().and_then(|newest| newest.named(SECRET)) else {
        return not_executed("the account has no acquirer_secret");
    };
    let base = base_url(context.account.text(BASE_URL), context.account.mode);
    let Some(url) = base.and_then(|base| format!("{base}{path}").parse::<Url>().ok()) else {
        return not_executed("the account's acquirer_url is no address");
    };
    // It may hold card data: zeroed when the request is gone.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *bytes, body).expect("bodies are structs of texts and numbers");
    let signature = wire::sign(secret, Signed::Request(path), context.now, &bytes);
    let body = Bytes::from_owner(bytes);
    Prepared::Send(HttpRequest::post(url, "application/json", body).header(SIGNATURE_HEADER, signature))
}

fn read(asked: &Asked<'_>, reply: &HttpReply, context: &Context<'_>) -> Answer {
    let keys = context.account.secrets_named(SECRET);
    let signed = Signed::Reply(path(asked), reply.status);
    let header = reply.header(SIGNATURE_HEADER);
    let signed_at = match wire::verify(keys, signed, header, context.now, &reply.body) {
        Ok((signed_at, _)) => signed_at,
        Err(Refused::Missing) => return Answer::bare(unsigned(reply)),
        Err(refused) => return Answer::bare(Outcome::Unknown(refused.to_string())),
    };
    let Some(body) = AnswerBody::read(&reply.body) else {
        return Answer::bare(Outcome::Unknown("the signed answer cannot be read".to_owned()));
    };
    Answer {
        outcome: outcome(asked, &body),
        number: Some(body.number),
        owners: vec![(MERCHANT_ID, body.merchant_id)],
        provider_time: Some(signed_at),
    }
}

/// The door refuses without a signature where it cannot know under which key to sign.
fn unsigned(reply: &HttpReply) -> Outcome {
    let door = if reply.status == 401 { serde_json::from_slice::<DoorBody>(&reply.body).ok() } else { None };
    match door.map(|body| body.error) {
        Some(DoorError::UnknownMerchant) => {
            Outcome::AccountRefused("the acquirer does not know acquirer_merchant_id".to_owned())
        }
        Some(DoorError::BadSignature) => {
            Outcome::AccountRefused("the acquirer refuses the signature under acquirer_secret".to_owned())
        }
        Some(DoorError::StaleSignature) => Outcome::NotExecuted("the acquirer's clock disagrees with ours".to_owned()),
        None => Outcome::Unknown(format!("status {} without a signature", reply.status)),
    }
}

fn outcome(asked: &Asked<'_>, body: &AnswerBody) -> Outcome {
    let reason = || body.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    match (body.state, asked) {
        (State::Approved, _) => approved(asked, body),
        (State::Declined, _) if body.trade_number.is_some() || body.returned.is_some() => {
            Outcome::Unknown("the answer says declined and names money".to_owned())
        }
        (State::Declined, _) | (State::Invalid, Asked::Charge(_) | Asked::Void(_) | Asked::Refund(_)) => {
            Outcome::Declined(reason())
        }
        (State::Processing, _) => Outcome::Processing,
        (State::Held, Asked::Void(_) | Asked::Refund(_) | Asked::QueryRefund(..)) => Outcome::Held(reason()),
        (State::NotFound, Asked::Query | Asked::QueryRefund(..)) => Outcome::NotFound,
        (State::Busy, _) => Outcome::NotExecuted(reason()),
        (state @ (State::Held | State::NotFound | State::Conflict | State::Invalid), _) => {
            Outcome::Unknown(format!("{state:?} answers no such call: {}", reason()))
        }
    }
}

fn approved(asked: &Asked<'_>, body: &AnswerBody) -> Outcome {
    let unreadable = || Outcome::Unknown("the answer says approved and names no readable money".to_owned());
    let money = |minor: u64| Money::read(minor, body.currency.as_deref()?).ok();
    let (Some(trade_number), Some(amount)) = (body.trade_number.clone(), body.amount.and_then(money)) else {
        return unreadable();
    };
    if let Asked::Void(refund) | Asked::Refund(refund) | Asked::QueryRefund(_, refund) = asked
        && refund.amount != amount
    {
        return Outcome::Unknown(format!("{amount} went back, {} was to", refund.amount));
    }
    let paid = Paid { trade_number, amount, paid_at: body.done_at };
    match (&body.returned, asked) {
        (None, _) => Outcome::Succeeded(paid),
        (Some(returned), Asked::Charge(_) | Asked::Query) => {
            let Some(back) = money(returned.amount) else { return unreadable() };
            Outcome::PaidThenReturned {
                paid,
                returned: back,
                refunds: vec![(Some(returned.refund_number.clone()), Some(back))],
                by: returned.by.clone(),
                is_final: true,
            }
        }
        (Some(_), Asked::Void(_) | Asked::Refund(_) | Asked::QueryRefund(..)) => unreadable(),
    }
}

fn no_number() -> Prepared {
    not_executed("a call needs a number")
}

fn not_executed(why: &str) -> Prepared {
    Prepared::Done(Answer::bare(Outcome::NotExecuted(why.to_owned())))
}
