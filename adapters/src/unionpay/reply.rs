//! From a reply's bytes to what it proves.

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Context, Interpreted, Outcome, Paid, RefundKind};
use maxpay_engine::model::{NamedAction, PayerAction, Timestamp};

use crate::parts::beijing;

use super::account::{self, MERCHANT_ID};
use super::codes::{APP, Class, class};
use super::message::Message;
use super::request::{TYPE_PAYMENT, TYPE_REFUND, TYPE_VOID};

/// Who returns a payment that came too late.
const RETURNED_BY: &str = "UnionPay, because the payment was made after its time-out";

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn interpret(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
    Interpreted::Done(read(call, reply, context))
}

fn read(call: &Call, reply: &HttpReply, context: &Context<'_>) -> Answer {
    if reply.status != 200 {
        return unknown(format!("status {}", reply.status));
    }
    let Some(message) = Message::read_answer(&reply.body) else {
        return unknown("the answer cannot be read".to_owned());
    };
    let Some(trust) = account::trust(&context.account) else {
        return unknown("the account's certificates cannot be read".to_owned());
    };
    if let Err(why) = message.verify(&trust, context.now) {
        return unknown(format!("the answer does not prove itself: {why}"));
    }
    if !message.has(&["orderId", "txnTime", "merId", "respCode"]) {
        return unknown("the signed answer names no order".to_owned());
    }
    // orderId alone is no order: the same one at another time is another.
    let same_time =
        context.subject.is_some_and(|subject| beijing::packed(subject.numbered_at) == message.field("txnTime"));
    let outcome = if same_time {
        outcome(call, &message)
    } else {
        Outcome::Unknown("the answer names another time of the order".to_owned())
    };
    Answer {
        number: Some(message.field("orderId").to_owned()),
        owners: vec![(MERCHANT_ID, message.field("merId").to_owned())],
        provider_time: None,
        outcome,
    }
}

fn unknown(why: String) -> Answer {
    Answer::bare(Outcome::Unknown(why))
}

fn outcome(call: &Call, message: &Message) -> Outcome {
    match call {
        Call::Create { .. } => created(message),
        Call::Void { .. } => given_back(message, TYPE_VOID),
        Call::Refund { .. } => given_back(message, TYPE_REFUND),
        Call::Query { .. } => queried(message, TYPE_PAYMENT),
        Call::QueryRefund { kind: RefundKind::Void, .. } => queried(message, TYPE_VOID),
        Call::QueryRefund { kind: RefundKind::Refund, .. } => queried(message, TYPE_REFUND),
        Call::Close { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => {
            Outcome::Unknown("UnionPay has no such operation".to_owned())
        }
    }
}

/// What the answer to an order of the app says. Its respCode is about the order, not about money.
fn created(message: &Message) -> Outcome {
    let code = message.field("respCode");
    match class(code) {
        Class::Done if message.has(&["tn"]) => Outcome::AwaitingPayer(vec![NamedAction {
            name: APP.to_owned(),
            action: PayerAction::AppOrder { order: message.field("tn").to_owned() },
            usable_until: None,
        }]),
        Class::Done => Outcome::Unknown("the order was taken, and its tn is missing".to_owned()),
        // It proves that an earlier send arrived. Its tn is given once.
        Class::Duplicate => Outcome::Unpaid,
        Class::NotNow => Outcome::NotExecuted(reason(message)),
        Class::Account => Outcome::AccountRefused(reason(message)),
        Class::Refused => Outcome::Declined(reason(message)),
        Class::DoneTooLate
        | Class::Underway
        | Class::PayerIsAsked
        | Class::NotFound
        | Class::OriginalState
        | Class::Unclear => Outcome::Unknown(reason(message)),
    }
}

/// What the answer to a void or a refund says: 00 means that it was taken, not that it succeeded.
fn given_back(message: &Message, txn_type: &str) -> Outcome {
    if !matches!(message.field("txnType"), kind if kind == txn_type) {
        return Outcome::Unknown("the answer is about another kind of transaction".to_owned());
    }
    match class(message.field("respCode")) {
        Class::Done | Class::Underway => Outcome::Processing,
        Class::NotNow => Outcome::NotExecuted(reason(message)),
        Class::Account => Outcome::AccountRefused(reason(message)),
        // 34 here is about the payment that it names.
        Class::Refused | Class::OriginalState | Class::NotFound => Outcome::Declined(reason(message)),
        // A duplicate proves that an earlier send arrived, and not what became of it.
        Class::Duplicate | Class::DoneTooLate | Class::PayerIsAsked | Class::Unclear => {
            Outcome::Unknown(reason(message))
        }
    }
}

/// What the answer to a query says: respCode is about the query, origRespCode about the transaction.
fn queried(message: &Message, txn_type: &str) -> Outcome {
    match class(message.field("respCode")) {
        Class::Done => decided(message, txn_type, message.field("origRespCode")),
        // Final for a payment only after its payTimeout: until then the payer may not have come yet.
        Class::NotFound => Outcome::NotFound,
        Class::Account => Outcome::AccountRefused(reason(message)),
        Class::DoneTooLate
        | Class::Underway
        | Class::PayerIsAsked
        | Class::Duplicate
        | Class::NotNow
        | Class::Refused
        | Class::OriginalState
        | Class::Unclear => Outcome::Unknown(reason(message)),
    }
}

/// What `code` says of the transaction that the message describes. Also read from notices.
pub(super) fn decided(message: &Message, txn_type: &str, code: &str) -> Outcome {
    if message.field("txnType") != txn_type {
        return Outcome::Unknown("the message is about another kind of transaction".to_owned());
    }
    let payment = txn_type == TYPE_PAYMENT;
    match class(code) {
        Class::Done => match paid(message) {
            Some(paid) => Outcome::Succeeded(paid),
            None => Outcome::Unknown("it succeeded, and names no readable amount or queryId".to_owned()),
        },
        Class::DoneTooLate if payment => match paid(message) {
            // UnionPay returns it within some working days.
            Some(paid) => Outcome::PaidThenReturned {
                returned: paid.amount,
                paid,
                refunds: Vec::new(),
                by: RETURNED_BY.to_owned(),
                is_final: false,
            },
            None => Outcome::Unknown("it was paid too late, and names no readable amount or queryId".to_owned()),
        },
        Class::Underway => Outcome::Processing,
        // The payer's bank waits for the payer: nothing is paid.
        Class::PayerIsAsked if payment => Outcome::Unpaid,
        Class::Refused => Outcome::Declined(reason(message)),
        Class::OriginalState if !payment => Outcome::Declined(reason(message)),
        Class::Unclear if matches!(code, "03" | "04" | "06") => Outcome::Processing,
        Class::DoneTooLate
        | Class::PayerIsAsked
        | Class::Duplicate
        | Class::NotFound
        | Class::NotNow
        | Class::Account
        | Class::OriginalState
        | Class::Unclear => Outcome::Unknown(reason(message)),
    }
}

fn paid(message: &Message) -> Option<Paid> {
    let trade_number = message.field("queryId");
    if trade_number.is_empty() {
        return None;
    }
    Some(Paid { trade_number: trade_number.to_owned(), amount: message.amount()?, paid_at: traced_at(message) })
}

/// `traceTime` is MMDDhhmmss of Beijing; its year is that of txnTime, or the one after it.
fn traced_at(message: &Message) -> Option<Timestamp> {
    let (year, rest) = message.field("txnTime").split_at_checked(4)?;
    let trace = message.field("traceTime");
    let year: u16 = year.parse().ok()?;
    let year =
        if trace < rest.get(..10)? && rest.starts_with("12") && trace.starts_with("01") { year + 1 } else { year };
    beijing::read_packed(&format!("{year:04}{trace}"))
}

/// The code and its text, for people.
fn reason(message: &Message) -> String {
    let (code, text) = match message.field("origRespCode") {
        "" => (message.field("respCode"), message.field("respMsg")),
        code => (code, message.field("origRespMsg")),
    };
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(100).collect();
    format!("{code} {text}")
}
