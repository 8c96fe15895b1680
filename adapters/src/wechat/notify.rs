//! From a notification's bytes to what it proves, and what is answered to it.
//!
//! The signature is checked over the bytes as they came, then the content is opened, then it is read (4012071382).

use bytes::Bytes;
use maxpay_engine::channel::{Acknowledgement, Context, Fact, FactSubject, Notified, Outcome, RawNotification};
use maxpay_engine::model::Timestamp;

use super::account::{self, MCHID};
use super::certificates;
use super::reply;
use super::sealed;
use super::signature::{Proof, proof};
use super::wire::{self, NoticeBody, RefundedBody, TransactionBody};

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(raw: &RawNotification, context: &Context<'_>) -> Notified {
    let find = |serial: &str| certificates::keys(serial, context);
    let at = match proof(|name| raw.header(name), &raw.body, context.now, find) {
        Proof::Holds(at) => at,
        Proof::Unsigned => return unverified("there is no signature"),
        Proof::Broken(why) => return unverified(why),
        Proof::UnknownKey(serial) => {
            let wanted = certificates::is_downloadable(&serial) && !certificates::fetched_lately(context);
            return match certificates::request(context).filter(|_| wanted) {
                Some(request) => Notified::NeedMaterial(request),
                None => unverified("the signature is by a key that is not known"),
            };
        }
    };
    let Some(notice) = wire::read::<NoticeBody>(&raw.body) else {
        return unverified("the signed notification cannot be read");
    };
    let Some(opened) = account::api_keys(context).find_map(|key| sealed::open(&notice.resource.sealed, key)) else {
        return unverified("the content does not open under api_v3_key: was the key changed on the merchant platform?");
    };
    match notice.event_type.as_str() {
        "TRANSACTION.SUCCESS" => match wire::read::<TransactionBody>(opened.expose()) {
            Some(body) => of_order(&body, at, context),
            None => unverified("the order in the notification cannot be read"),
        },
        "REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED" => match wire::read::<RefundedBody>(opened.expose()) {
            Some(body) => of_refund(&notice.event_type, &body, at),
            None => unverified("the refund in the notification cannot be read"),
        },
        // It is WeChat Pay's, but of a kind that no document here names: look instead.
        _ => match wire::read::<TransactionBody>(opened.expose()) {
            Some(body) => hint(body.out_trade_no),
            None => unverified("the notification is of a kind that is not known"),
        },
    }
}

fn of_order(body: &TransactionBody, at: Timestamp, context: &Context<'_>) -> Notified {
    let outcome = reply::traded(body);
    let owners = vec![(MCHID, body.mchid.clone()), (account::owner_of(&body.appid, context), body.appid.clone())];
    // It is sent when an order was paid: one that says anything else is looked into.
    if !matches!(outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. }) {
        return hint(body.out_trade_no.clone());
    }
    verified(Fact {
        subject: FactSubject::Attempt(body.out_trade_no.clone()),
        owners,
        provider_time: Some(at),
        numbered_at: None,
        outcome,
    })
}

fn of_refund(event: &str, body: &RefundedBody, at: Timestamp) -> Notified {
    // The event and what it carries say the same, or nothing is believed of it.
    if event.strip_prefix("REFUND.") != Some(body.status.as_str()) {
        return unverified("the refund's state is not the one of the event");
    }
    let owners = body.mchid.iter().map(|mchid| (MCHID, mchid.clone())).collect();
    let subject = FactSubject::Refund(body.out_refund_no.clone());
    verified(Fact { subject, owners, provider_time: Some(at), numbered_at: None, outcome: reply::refunded(body) })
}

fn verified(fact: Fact) -> Notified {
    Notified::Verified { facts: vec![fact], ack: acknowledged(), refusal: refused(503, "not now") }
}

fn hint(number: String) -> Notified {
    Notified::Hint { number, ack: acknowledged(), refusal: refused(503, "not now") }
}

fn unverified(reason: &str) -> Notified {
    Notified::Unverified { reason: reason.to_owned(), refusal: refused(401, "not verified") }
}

/// 200 or 204 acknowledges; what else is in it is not read (4012791861).
fn acknowledged() -> Acknowledgement {
    json(200, "SUCCESS", "OK")
}

/// Anything from 400 on refuses, with this body (4012791861).
fn refused(status: u16, message: &str) -> Acknowledgement {
    json(status, "FAIL", message)
}

fn json(status: u16, code: &str, message: &str) -> Acknowledgement {
    let body = format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
    Acknowledgement { status, content_type: "application/json".to_owned(), body: Bytes::from(body) }
}
