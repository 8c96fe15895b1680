//! Money that came in: receipts, the success they make, duplicates, mismatches, and successes that come late.

use crate::channel::Paid;
use crate::machine::NewEvent;
use crate::model::{
    AlarmKind, AttemptNumber, Attention, EventKind, Money, Receipt, ReceiptState, Status, Timestamp, TransactionId,
};

use super::aftermath;
use super::work::{Work, clip};

/// Whether a success is told to subscribers as a success.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// It is.
    Success,
    /// It is, and a person has decided so: the policy on late successes does not hold it back.
    Accepted,
    /// It is not: the money went back, and that is told instead.
    Withheld,
}

/// Proof of a payment. The same proof again changes nothing.
pub(super) fn succeeded(work: &mut Work<'_>, number: &AttemptNumber, paid: &Paid) {
    match book(work, number, paid) {
        Some(index) => follow(work, index, Telling::Success),
        None => work.note("told of a payment that is booked already"),
    }
}

/// Books a receipt under its key. `None`: it is there already.
pub(super) fn book(work: &mut Work<'_>, number: &AttemptNumber, paid: &Paid) -> Option<usize> {
    let same = |receipt: &&Receipt| receipt.number == *number && receipt.trade_number == paid.trade_number;
    if let Some(booked) = work.record.receipts.iter().find(same).map(|receipt| receipt.amount) {
        if booked != paid.amount {
            let text =
                format!("payment {} was booked as {booked} and is now told as {}", paid.trade_number, paid.amount);
            work.note(text.clone());
            work.alarm(AlarmKind::Mismatch, &text);
        }
        return None;
    }
    let now = work.now();
    let known = work.attempt_index(number).is_some();
    let state = if !known || paid.amount != work.record.amount {
        ReceiptState::Mismatch
    } else if work.record.receipts.iter().any(Receipt::counts) {
        ReceiptState::Duplicate
    } else {
        ReceiptState::Counted
    };
    if !known {
        let text = format!("{} was paid under {number}, an attempt that was never made", paid.amount);
        work.alarm(AlarmKind::WrongOwner, &text);
    }
    work.record.receipts.push(Receipt {
        number: number.clone(),
        trade_number: paid.trade_number.clone(),
        amount: paid.amount,
        paid_at: paid.paid_at.unwrap_or(now),
        recorded_at: now,
        state,
        refunded_minor: 0,
        reserved_minor: 0,
        returned: None,
    });
    work.record.receipts.len().checked_sub(1)
}

/// What follows from a receipt that was just booked.
pub(super) fn follow(work: &mut Work<'_>, index: usize, telling: Telling) {
    let Some(receipt) = work.record.receipts.get(index) else { return };
    let (trade_number, amount, paid_at, state) =
        (receipt.trade_number.clone(), receipt.amount, receipt.paid_at, receipt.state);
    match state {
        ReceiptState::Mismatch => mismatch(work, trade_number, amount),
        ReceiptState::Duplicate => duplicate(work, trade_number, amount),
        ReceiptState::Counted | ReceiptState::Accepted => pay(work, &trade_number, amount, paid_at, telling),
    }
}

/// Money of another amount or currency, or under a number that was never given: outside the sums until an operator accepts it.
fn mismatch(work: &mut Work<'_>, trade_number: String, amount: Money) {
    let text = if amount == work.record.amount {
        format!("{amount} was paid under a number that was never given")
    } else {
        format!("{amount} was paid, {} was asked for", work.record.amount)
    };
    work.note(format!("{text}: a person must look"));
    work.flag(Attention::Mismatch);
    work.alarm(AlarmKind::Mismatch, &text);
    let event = NewEvent {
        kind: EventKind::PaymentMismatch,
        trade_number: Some(trade_number),
        moved: differing(work.record.amount, amount),
        reason: Some(text),
    };
    work.publish(event);
}

/// A further payment of a transaction that was paid already.
pub(super) fn duplicate(work: &mut Work<'_>, trade_number: String, amount: Money) {
    let text = format!("a further payment of {amount}, the provider's number {trade_number}");
    work.note(text.clone());
    work.flag(Attention::Duplicate);
    work.alarm(AlarmKind::Duplicate, &text);
    let event = NewEvent {
        kind: EventKind::PaymentDuplicate,
        trade_number: Some(trade_number),
        moved: differing(work.record.amount, amount),
        reason: Some(clip(&text)),
    };
    work.publish(event);
}

/// The transaction is paid, from whatever state.
pub(super) fn pay(work: &mut Work<'_>, trade_number: &str, amount: Money, paid_at: Timestamp, telling: Telling) {
    let was_open = work.record.is_open();
    let late = !was_open;
    let before = work.record.status.name();
    work.record.status = Status::Succeeded { late, paid_at };
    work.record.ended_at = Some(paid_at);
    work.record.close_requested = None;
    work.no_doubt();
    work.note(if late { format!("paid after it was {before}: {amount}") } else { format!("paid: {amount}") });
    aftermath::begin(work);
    let paid_before = enter_bill(work, was_open);
    tell(work, trade_number, amount, late, telling);
    if let Some(other) = paid_before {
        second_of_bill(work, trade_number, amount, other);
    }
}

/// Notes the payment in the Bill row. The other transaction that was paid first, if there is one.
fn enter_bill(work: &mut Work<'_>, was_open: bool) -> Option<TransactionId> {
    let id = work.record.id;
    let bill = work.bill_mut();
    if was_open {
        bill.open = bill.open.saturating_sub(1);
    }
    let first_paid = *bill.first_paid.get_or_insert(id);
    (first_paid != id).then_some(first_paid)
}

fn tell(work: &mut Work<'_>, trade_number: &str, amount: Money, late: bool, telling: Telling) {
    if telling == Telling::Withheld {
        return;
    }
    let event = |kind| NewEvent {
        kind,
        trade_number: Some(trade_number.to_owned()),
        moved: differing(work.record.amount, amount),
        reason: None,
    };
    let (success, success_late) = (event(EventKind::PaymentSucceeded), event(EventKind::PaymentSucceededLate));
    if !late {
        work.publish(success);
        return;
    }
    work.publish(success_late);
    if telling == Telling::Accepted {
        work.publish(success);
        return;
    }
    if work.policy.publishes_late(work.record.door) {
        work.publish(success);
    } else {
        work.record.success_held = true;
    }
    work.flag(Attention::LateSuccess);
    work.alarm(AlarmKind::LateSuccess, &format!("{amount} was paid after the transaction had ended"));
}

/// Another transaction of the bill number was paid first.
fn second_of_bill(work: &mut Work<'_>, trade_number: &str, amount: Money, other: TransactionId) {
    work.record.duplicate_of = Some(other);
    let text = format!("the bill number was paid before, by transaction {other}");
    work.note(text.clone());
    work.flag(Attention::Duplicate);
    work.alarm(AlarmKind::Duplicate, &text);
    let event = NewEvent {
        kind: EventKind::PaymentDuplicate,
        trade_number: Some(trade_number.to_owned()),
        moved: differing(work.record.amount, amount),
        reason: Some(text),
    };
    work.publish(event);
}

/// The amount an event is about, where it differs from the one asked for.
pub(super) fn differing(asked: Money, amount: Money) -> Option<Money> {
    (asked != amount).then_some(amount)
}
