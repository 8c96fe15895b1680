//! From a notice's bytes to what it proves, and what is answered to it.
//!
//! Payments are told of on success only, voids and refunds either way, each under its own number. A notice carries no
//! time of its own: an old one verifies again while its certificate is valid, and says the same thing again.

use maxpay_engine::channel::{Acknowledgement, Context, Fact, FactSubject, Notified, Outcome, RawNotification};

use crate::parts::beijing;

use super::account::{self, MERCHANT_ID};
use super::message::Message;
use super::reply;
use super::request::{TYPE_PAYMENT, TYPE_REFUND, TYPE_VOID};

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(raw: &RawNotification, context: &Context<'_>) -> Notified {
    let Some(message) = Message::read_form(&raw.body) else {
        return unverified("the notice cannot be read".to_owned());
    };
    let Some(trust) = account::trust(&context.account) else {
        return unverified("the account's certificates cannot be read".to_owned());
    };
    if let Err(why) = message.verify(&trust, context.now) {
        return unverified(format!("the notice does not prove itself: {why}"));
    }
    let number = message.field("orderId").to_owned();
    if number.is_empty() || message.field("merId").is_empty() {
        return unverified("the notice names no order".to_owned());
    }
    let txn_type = message.field("txnType");
    let subject = match txn_type {
        TYPE_PAYMENT => FactSubject::Attempt(number.clone()),
        TYPE_VOID | TYPE_REFUND => FactSubject::Refund(number.clone()),
        _ => return hint(number, &message, context),
    };
    let Some(numbered_at) = beijing::read_packed(message.field("txnTime")) else {
        return hint(number, &message, context);
    };
    let outcome = reply::decided(&message, txn_type, message.field("respCode"));
    // It is UnionPay's, and says nothing that settles anything: look instead.
    if matches!(outcome, Outcome::Unknown(_) | Outcome::Processing) {
        return hint(number, &message, context);
    }
    let fact = Fact {
        subject,
        numbered_at: Some(numbered_at),
        owners: vec![(MERCHANT_ID, message.field("merId").to_owned())],
        provider_time: None,
        outcome,
    };
    Notified::Verified { facts: vec![fact], ack: acknowledged(), refusal: refused(503) }
}

/// A hint names an order of the account's own merchant; another's is nobody's business here.
fn hint(number: String, message: &Message, context: &Context<'_>) -> Notified {
    if message.field("merId") != context.account.text(MERCHANT_ID) {
        return unverified("the notice is another merchant's".to_owned());
    }
    Notified::Hint { number, ack: acknowledged(), refusal: refused(503) }
}

fn unverified(reason: String) -> Notified {
    Notified::Unverified { reason, refusal: refused(400) }
}

/// Status 200 acknowledges, whatever the body.
fn acknowledged() -> Acknowledgement {
    Acknowledgement::text(200, "ok")
}

fn refused(status: u16) -> Acknowledgement {
    Acknowledgement::text(status, "fail")
}
