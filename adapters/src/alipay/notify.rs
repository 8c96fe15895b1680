//! From a notification's bytes to what it proves, and what is answered to it.
//!
//! A refund has no notification of its own: the address of the payment is told the payment again, with the sum of all
//! refunds so far. Such a sum settles no single refund; the engine asks about those.

use bytes::Bytes;
use maxpay_engine::channel::{Acknowledgement, Context, Fact, FactSubject, Notified, Outcome, RawNotification};

use crate::parts::{beijing, canonical};

use super::account::{APP_ID, SELLER_ID};
use super::reply::{self, BY, Fields, Verdict, yuan};
use super::request;
use super::signed::notice_text;

/// The body that acknowledges a notification, with status 200: these seven bytes and no others.
pub(super) const ACKNOWLEDGED: &[u8] = b"success";

/// Longest notification that is read, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(raw: &RawNotification, context: &Context<'_>) -> Notified {
    if raw.body.len() > BODY_MAX {
        return unverified("it is too long");
    }
    let Ok(text) = std::str::from_utf8(&raw.body) else { return unverified("it is not a form") };
    let pairs = canonical::read_query(text);
    let mut names: Vec<&String> = pairs.iter().map(|(name, _)| name).collect();
    names.sort();
    if names.windows(2).any(|two| two[0] == two[1]) {
        return unverified("a field stands in it twice");
    }
    let fields = Fields::of_form(&pairs);
    let sign = fields.text("sign");
    if sign.is_empty() {
        return unverified("it is not signed");
    }
    // Nothing of it is believed before the signature holds. RSA with SHA-1 is not what was asked for.
    if fields.text("sign_type") != "RSA2" {
        return unverified("it is not signed with RSA2");
    }
    let number = Some(fields.text("alipay_cert_sn")).filter(|number| !number.is_empty());
    let texts = [notice_text(&pairs, true), notice_text(&pairs, false)];
    match reply::judged(&[texts[0].as_bytes(), texts[1].as_bytes()], &sign, number.as_deref(), context) {
        Verdict::Holds if could_be_parted_otherwise(&pairs) => look(&fields),
        Verdict::Holds => verified(&fields),
        Verdict::Unsigned | Verdict::Wrong => unverified("the signature does not hold"),
        Verdict::Unknown(number) => match request::certificate(&number, context).filter(|_| is_serial(&number)) {
            Some(request) => Notified::NeedMaterial(request),
            None => unverified("it is signed under a certificate that is not known"),
        },
    }
}

/// Whether the same signed text is that of other fields too: it joins raw names and values, so a value with `&` in it may
/// be several fields of the notice that was signed, and a name with `=` in it the beginning of a value.
fn could_be_parted_otherwise(pairs: &[(String, String)]) -> bool {
    pairs.iter().any(|(name, value)| name.contains(['&', '=']) || value.contains('&'))
}

/// It is Alipay's, and says nothing that is to be believed here: look instead.
fn look(fields: &Fields<'_>) -> Notified {
    match fields.text("out_trade_no") {
        number if number.is_empty() => unverified("it names no order"),
        number => Notified::Hint { number, ack: acknowledged(), refusal: refused(503) },
    }
}

/// Whether it can be the number of a certificate, which is an MD5 in hex: no other is worth a request.
fn is_serial(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn verified(fields: &Fields<'_>) -> Notified {
    let number = fields.text("out_trade_no");
    if number.is_empty() {
        return unverified("it names no order");
    }
    let trades = fields.text("notify_type") == "trade_status_sync";
    let Some(outcome) = outcome(fields).filter(|_| trades) else {
        return look(fields);
    };
    let fact = Fact {
        subject: FactSubject::Attempt(number),
        // Both stand in every notification about a trade; one that lacks them is somebody else's.
        numbered_at: None,
        owners: [APP_ID, SELLER_ID].map(|name| (name, fields.text(name))).into(),
        provider_time: beijing::read_spaced(&fields.text("notify_time")),
        outcome,
    };
    Notified::Verified { facts: vec![fact], ack: acknowledged(), refusal: refused(503) }
}

/// What a trade's notification proves, by its status and by whether it tells of a refund. `None`: nothing.
fn outcome(fields: &Fields<'_>) -> Option<Outcome> {
    let sum = fields.text("refund_fee");
    let refund = !fields.text("gmt_refund").is_empty() || yuan(&sum).is_some_and(|sum| !sum.is_zero());
    match fields.text("trade_status").as_str() {
        "TRADE_SUCCESS" | "TRADE_FINISHED" if !refund => Some(Outcome::Succeeded(reply::paid(fields, "gmt_payment")?)),
        "TRADE_SUCCESS" | "TRADE_FINISHED" | "TRADE_CLOSED" if refund => {
            let paid = reply::paid(fields, "gmt_payment")?;
            let whole = fields.text("trade_status") == "TRADE_CLOSED" && sum.is_empty();
            let returned = if whole { paid.amount } else { yuan(&sum)? };
            // Each figure is final as far as it goes: a later one is larger and replaces it.
            Some(Outcome::PaidThenReturned { paid, returned, refunds: Vec::new(), by: BY.to_owned(), is_final: true })
        }
        "TRADE_CLOSED" if !reply::shows_payment(fields) => Some(Outcome::Closed),
        _ => None,
    }
}

fn unverified(reason: &str) -> Notified {
    Notified::Unverified { reason: reason.to_owned(), refusal: refused(400) }
}

fn acknowledged() -> Acknowledgement {
    Acknowledgement { status: 200, content_type: "text/plain".to_owned(), body: Bytes::from_static(ACKNOWLEDGED) }
}

fn refused(status: u16) -> Acknowledgement {
    Acknowledgement::text(status, "fail")
}
