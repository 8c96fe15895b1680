//! From a reply's bytes to what it proves.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Context, Interpreted, Material, Outcome, Paid, RefundIntent};
use maxpay_engine::model::{Currency, Money, NamedAction, PayerAction, Timestamp};
use serde_json::value::RawValue;

use crate::parts::beijing;

use super::account::{self, material_name};
use super::certificates::{self, Leaf};
use super::codes::{self, QR_LIFE};
use super::request;
use super::signed::Envelope;

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn interpret(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
    let Some(method) = request::method(call) else { return unknown("Alipay has no such operation") };
    if !(200..300).contains(&reply.status) {
        return unknown(&format!("status {}", reply.status));
    }
    let Some(envelope) = Envelope::read(&reply.body, method) else {
        return unknown("the answer cannot be read, or can be read in two ways");
    };
    let Some(fields) = Fields::read(envelope.object) else { return unknown("the answer cannot be read") };
    if matches!(call, Call::Maintain) {
        return certificate(&envelope, &fields, context);
    }
    match verify(&envelope, context) {
        Verdict::Holds => Interpreted::Done(signed(call, &envelope, &fields, context)),
        Verdict::Unsigned => Interpreted::bare(unsigned(&fields)),
        Verdict::Wrong => unknown("the signature does not hold"),
        Verdict::Unknown(number) => match request::certificate(&number, context) {
            Some(request) => Interpreted::NeedMaterial(request),
            None => unknown("the answer is signed under a certificate that is not known"),
        },
    }
}

fn unknown(why: &str) -> Interpreted {
    Interpreted::bare(Outcome::Unknown(why.to_owned()))
}

/// What a signature came to.
pub(super) enum Verdict {
    /// It is Alipay's.
    Holds,
    /// There is none.
    Unsigned,
    /// It is not Alipay's, as far as any key that is known tells.
    Wrong,
    /// It is under a certificate of this number, which is not here.
    Unknown(String),
}

fn verify(envelope: &Envelope<'_>, context: &Context<'_>) -> Verdict {
    let Some(sign) = &envelope.sign else { return Verdict::Unsigned };
    let holds = |text: &[u8], sign: &str| judged(&[text], sign, envelope.certificate.as_deref(), context);
    holds(envelope.object.as_bytes(), sign)
}

/// Judges a signature over one of `texts`: under the certificate it names, or, where it names none, under any that is
/// known. In public-key mode there are no certificates, and a number says nothing.
pub(super) fn judged(texts: &[&[u8]], sign: &str, number: Option<&str>, context: &Context<'_>) -> Verdict {
    let (leaves, mut keys) = (account::alipay_certificates(context), account::alipay_keys(context));
    match number {
        Some(number) if !leaves.is_empty() => match leaves.iter().find(|leaf| leaf.number == number) {
            Some(leaf) => keys = vec![leaf.key.clone()],
            None if certificates::is_number(number) => return Verdict::Unknown(number.to_owned()),
            None => return Verdict::Wrong,
        },
        Some(_) | None => keys.extend(leaves.iter().map(|leaf| leaf.key.clone())),
    }
    let holds = keys.iter().any(|key| texts.iter().any(|text| key.verifies_sha256_base64(text, sign)));
    if holds { Verdict::Holds } else { Verdict::Wrong }
}

/// The gateway does not sign where it cannot tell who asks.
fn unsigned(fields: &Fields<'_>) -> Outcome {
    codes::unsigned(&fields.text("code"), &fields.text("sub_code"))
}

fn signed(call: &Call, envelope: &Envelope<'_>, fields: &Fields<'_>, context: &Context<'_>) -> Answer {
    let (code, sub_code) = (fields.text("code"), fields.text("sub_code"));
    let done = code == "10000" && !envelope.is_error;
    let outcome = match (call, done) {
        (_, false) => codes::refused(call.kind(), &code, &sub_code),
        (Call::Create { .. }, true) => created(fields, context),
        (Call::Query { .. }, true) => queried(fields),
        (Call::Close { .. }, true) => Outcome::Closed,
        (Call::Refund { refund, .. }, true) => refunded(fields, refund, context),
        (Call::QueryRefund { .. }, true) => refund_queried(fields, context),
        (Call::Void { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. }, true) => {
            Outcome::Unknown("Alipay has no such operation".to_owned())
        }
    };
    let order = Some(fields.text("out_trade_no")).filter(|number| !number.is_empty());
    let (number, outcome) = match (call, order) {
        // A refund's answer names the order; the refund itself only where it is asked about.
        (Call::Refund { .. } | Call::QueryRefund { .. }, order) => named_refund(fields, order, done, outcome, context),
        (_, None) if done => (None, Outcome::Unknown("the answer does not say which order it is about".to_owned())),
        (_, order) => (order, outcome),
    };
    Answer { number, owners: Vec::new(), provider_time: None, outcome }
}

/// What an answer names that is about a refund.
const NAMES: [&str; 3] = ["out_trade_no", "trade_no", "out_request_no"];

/// The number an answer about a refund is held against: ours where it names our order, else the one it names.
fn named_refund(
    fields: &Fields<'_>,
    order: Option<String>,
    done: bool,
    outcome: Outcome,
    context: &Context<'_>,
) -> (Option<String>, Outcome) {
    let (Some(original), Some(subject)) = (context.original, context.subject) else {
        return (None, Outcome::Unknown("a refund needs its payment".to_owned()));
    };
    match order {
        Some(order) if order != original.number => return (Some(order), outcome),
        // Success and nothing else: no such refund was received (alipay.trade.fastpay.refund.query, refund_status).
        None if outcome == Outcome::NotFound && NAMES.iter().all(|name| fields.text(name).is_empty()) => {
            return (None, outcome);
        }
        None if done => return (None, Outcome::Unknown("the answer does not say which order it is about".to_owned())),
        Some(_) | None => {}
    }
    let named = |name: &str, ours: &str| Some(fields.text(name)).filter(|text| !text.is_empty() && text != ours);
    match named("out_request_no", subject.number).or(named("trade_no", original.trade_number)) {
        Some(other) => (Some(other), outcome),
        None => (Some(subject.number.to_owned()), outcome),
    }
}

fn created(fields: &Fields<'_>, context: &Context<'_>) -> Outcome {
    let text = fields.text("qr_code");
    if text.is_empty() {
        return Outcome::Unknown("the answer lacks the code to scan".to_owned());
    }
    Outcome::AwaitingPayer(vec![NamedAction {
        name: "ali_qrcode".to_owned(),
        action: PayerAction::QrText { text },
        usable_until: Some(context.now.after(QR_LIFE)),
    }])
}

fn queried(fields: &Fields<'_>) -> Outcome {
    let status = fields.text("trade_status");
    match status.as_str() {
        "WAIT_BUYER_PAY" => Outcome::Unpaid,
        "TRADE_SUCCESS" | "TRADE_FINISHED" => match paid(fields, "send_pay_date") {
            Some(paid) => Outcome::Succeeded(paid),
            None => Outcome::Unknown("the answer says paid and names no readable payment".to_owned()),
        },
        // Two meanings: never paid, or paid and wholly given back.
        "TRADE_CLOSED" if !shows_payment(fields) => Outcome::Closed,
        "TRADE_CLOSED" => match paid(fields, "send_pay_date") {
            Some(paid) => Outcome::PaidThenReturned {
                returned: paid.amount,
                paid,
                refunds: Vec::new(),
                by: BY.to_owned(),
                is_final: true,
            },
            None => Outcome::Unknown("the answer says closed and shows a payment that cannot be read".to_owned()),
        },
        _ => Outcome::Unknown(format!("trade_status {}", plain(&status))),
    }
}

/// Who gave money back, as far as Alipay tells.
pub(super) const BY: &str = "a refund that Alipay tells of";

/// Whether anything says that money was once there: a time of payment, an amount above zero, or one that cannot be read.
pub(super) fn shows_payment(fields: &Fields<'_>) -> bool {
    let times = ["send_pay_date", "gmt_payment", "gmt_refund"];
    let amounts = ["buyer_pay_amount", "receipt_amount", "invoice_amount", "point_amount", "refund_fee"];
    times.iter().any(|name| !fields.text(name).is_empty())
        || !["", "[]"].contains(&fields.text("fund_bill_list").as_str())
        || amounts.iter().any(|name| {
            let text = fields.text(name);
            !text.is_empty() && yuan(&text).is_none_or(|amount| !amount.is_zero())
        })
}

/// The payment that is told of: what was paid is the order's amount, vouchers included.
pub(super) fn paid(fields: &Fields<'_>, time: &str) -> Option<Paid> {
    let trade_number = fields.text("trade_no");
    let amount = yuan(&fields.text("total_amount")).filter(|amount| !amount.is_zero())?;
    let paid_at: Option<Timestamp> = beijing::read_spaced(&fields.text(time));
    (!trade_number.is_empty()).then_some(Paid { trade_number, amount, paid_at })
}

/// Code 10000 alone is no refund: `fund_change` says whether money moved in this very call. `refund_fee` is the sum of
/// all refunds of the trade.
fn refunded(fields: &Fields<'_>, refund: &RefundIntent, context: &Context<'_>) -> Outcome {
    if fields.text("fund_change") != "Y" {
        // Done before by the same request, or not done: the query of the refund tells.
        return Outcome::Processing;
    }
    let sum = yuan(&fields.text("refund_fee"));
    if sum.is_none_or(|sum| sum.minor() < refund.amount.minor()) {
        return Outcome::Unknown("money went back, and less in all than was asked".to_owned());
    }
    let trade_number = context.subject.map_or_else(String::new, |subject| subject.number.to_owned());
    let paid_at = beijing::read_spaced(&fields.text("gmt_refund_pay"));
    Outcome::Succeeded(Paid { trade_number, amount: refund.amount, paid_at })
}

fn refund_queried(fields: &Fields<'_>, context: &Context<'_>) -> Outcome {
    let (status, amount) = (fields.text("refund_status"), fields.text("refund_amount"));
    match (status.as_str(), amount.as_str()) {
        // Not done, or not received: alipay.trade.fastpay.refund.query, refund_status.
        ("", "") => Outcome::NotFound,
        ("REFUND_SUCCESS", amount) => {
            let number = fields.text("out_request_no");
            if context.subject.is_none_or(|subject| subject.number != number) {
                return Outcome::Unknown("the answer does not say which refund it is about".to_owned());
            }
            let Some(amount) = yuan(amount).filter(|amount| !amount.is_zero()) else {
                return Outcome::Unknown("the answer says refunded and names no readable amount".to_owned());
            };
            let paid_at = beijing::read_spaced(&fields.text("gmt_refund_pay"));
            Outcome::Succeeded(Paid { trade_number: number, amount, paid_at })
        }
        (status, _) => Outcome::Unknown(format!("refund_status {}", plain(status))),
    }
}

/// A certificate that was asked for: trusted when it leads to the merchant's root and stands where the one stands that
/// the merchant saved. Its signature may be under the very certificate that it brings, so that proves nothing more.
fn certificate(envelope: &Envelope<'_>, fields: &Fields<'_>, context: &Context<'_>) -> Interpreted {
    let learned = || {
        let refused = || codes::refused(maxpay_engine::model::CallKind::Maintain, &fields.text("code"), "");
        if fields.text("code") != "10000" || envelope.is_error {
            return Err(format!("no certificate: {}", refused().name()));
        }
        let text = STANDARD.decode(fields.text("alipay_cert_content")).map_err(|_| "not base64".to_owned())?;
        let leaf = Leaf::read(&text)?;
        let (roots, saved) = account::trusted(context).ok_or("the account is not in certificate mode")?;
        leaf.check(&roots, context.now).map_err(|why| why.to_string())?;
        if !leaf.may_follow(&saved) {
            return Err("it is not issued as the one that was saved".to_owned());
        }
        let holds = |sign: &str| leaf.key.verifies_sha256_base64(envelope.object.as_bytes(), sign);
        if envelope.certificate.as_deref() == Some(&leaf.number) && !envelope.sign.as_deref().is_some_and(holds) {
            return Err("it does not verify the answer that brings it".to_owned());
        }
        Ok(Material { name: material_name(&leaf.number), bytes: text })
    };
    match learned() {
        Ok(material) => Interpreted::Learned(vec![material]),
        Err(why) => unknown(&format!("the downloaded certificate is refused: {why}")),
    }
}

/// An amount in yuan. Alipay writes two decimals; fewer are read too, because refusing a payment for a zero would be
/// worse.
pub(super) fn yuan(text: &str) -> Option<Money> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.is_empty() || fraction.len() > 2 {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    Money::new(format!("{whole}{fraction:0<2}").parse().ok()?, Currency::CNY).ok()
}

/// What may be shown of a text that came from outside.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(40).collect()
}

/// The fields of an answer or of a notification, by name.
pub(super) struct Fields<'t> {
    by_name: BTreeMap<String, Field<'t>>,
}

enum Field<'t> {
    Json(&'t RawValue),
    Text(&'t str),
}

impl<'t> Fields<'t> {
    /// Reads an object. `None`: it is none.
    fn read(object: &'t str) -> Option<Self> {
        let raw: BTreeMap<String, &'t RawValue> = serde_json::from_str(object).ok()?;
        Some(Self { by_name: raw.into_iter().map(|(name, value)| (name, Field::Json(value))).collect() })
    }

    /// The fields of a form.
    pub fn of_form(pairs: &'t [(String, String)]) -> Self {
        let by_name = pairs.iter().map(|(name, value)| (name.clone(), Field::Text(value))).collect();
        Self { by_name }
    }

    /// The text or number of that name as text; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        match self.by_name.get(name) {
            None => String::new(),
            Some(Field::Text(text)) => (*text).to_owned(),
            Some(Field::Json(raw)) => match raw.get() {
                text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
                "null" => String::new(),
                other => other.to_owned(),
            },
        }
    }
}
