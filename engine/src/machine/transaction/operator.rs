//! What operators decide, by name and with a reason.

use crate::channel::Paid;
use crate::machine::{NewEvent, Refusal, Vouched, VouchedOutcome};
use crate::model::{AttemptEnd, Attention, CloseEvidence, EventKind, Receipt, ReceiptState, Status};

use super::aftermath;
use super::ending;
use super::money::{self, Telling};
use super::sending;
use super::work::Work;

/// An operator vouches for what became of an attempt.
pub(super) fn vouch(work: &mut Work<'_>, vouched: &Vouched) -> Result<(), Refusal> {
    let Some(index) = work.attempt_index(&vouched.number) else {
        return Err(Refusal::Unknown(format!("attempt {}", vouched.number)));
    };
    match &vouched.outcome {
        VouchedOutcome::Paid { trade_number, amount } => {
            let paid = Paid { trade_number: trade_number.clone(), amount: *amount, paid_at: None };
            work.note("an operator vouches that it was paid");
            money::succeeded(work, &vouched.number, &paid);
            Ok(())
        }
        VouchedOutcome::NotPaid => not_paid(work, index),
    }
}

fn not_paid(work: &mut Work<'_>, index: usize) -> Result<(), Refusal> {
    match work.record.status {
        Status::Succeeded { .. } => return not_paid_either(work, index),
        Status::Failed { .. } | Status::Closed { .. } => return Err(Refusal::Ended(work.record.status.name())),
        Status::Created | Status::Submitting { .. } | Status::AwaitingPayer { .. } | Status::Closing => {}
    }
    let unsettled = |receipt: &&Receipt| {
        let back = receipt.returned.as_ref().filter(|returned| returned.is_final).map_or(0, |back| back.amount_minor);
        receipt.state == ReceiptState::Mismatch && back < receipt.amount.minor()
    };
    if work.record.receipts.iter().any(|receipt| unsettled(&receipt)) {
        return Err(Refusal::Contradicts("money of another amount or currency was received".to_owned()));
    }
    let Some(attempt) = work.record.attempts.get(index) else { return Ok(()) };
    if attempt.sends_made > 0 && !sending::sending_is_over(work, attempt) {
        return Err(Refusal::Contradicts("a call of this attempt is still under way".to_owned()));
    }
    work.note("an operator vouches that it was not paid");
    ending::end_by(work, index, AttemptEnd::Closed, CloseEvidence::Operator);
    // Ended by the channel, and held open only by money that has gone back: the operator's word settles it.
    if work.record.is_open() && work.all_ended() {
        ending::close(work, CloseEvidence::Operator);
    }
    Ok(())
}

/// Of a paid transaction, an operator can end an attempt of unknown outcome; the status stays.
fn not_paid_either(work: &mut Work<'_>, index: usize) -> Result<(), Refusal> {
    let Some(attempt) = work.record.attempts.get(index) else { return Ok(()) };
    if !aftermath::is_doubtful(&work.record, attempt) {
        return Err(Refusal::Contradicts("money was received".to_owned()));
    }
    if !sending::sending_is_over(work, attempt) {
        return Err(Refusal::Contradicts("a call of this attempt is still under way".to_owned()));
    }
    work.note("an operator vouches that this attempt was not paid");
    ending::end_by(work, index, AttemptEnd::Closed, CloseEvidence::Operator);
    Ok(())
}

/// An operator accepts money of another amount or currency as the payment.
pub(super) fn accept_mismatch(work: &mut Work<'_>, trade_number: &str) -> Result<(), Refusal> {
    let of =
        |state: ReceiptState| move |receipt: &Receipt| receipt.state == state && receipt.trade_number == trade_number;
    let receipts = &mut work.record.receipts;
    let paid_before = receipts.iter().any(Receipt::counts);
    let Some(index) = receipts.iter().position(of(ReceiptState::Mismatch)) else {
        if receipts.iter().any(of(ReceiptState::Accepted)) {
            work.note("accepted before");
            return Ok(());
        }
        return Err(Refusal::Unknown(format!("mismatched receipt {trade_number}")));
    };
    let Some(receipt) = receipts.get_mut(index) else { return Ok(()) };
    receipt.state = ReceiptState::Accepted;
    let (amount, paid_at) = (receipt.amount, receipt.paid_at);
    if !work.mismatch_waits() {
        work.unflag(Attention::Mismatch);
    }
    work.note(format!("an operator accepts {amount}"));
    if paid_before {
        money::duplicate(work, trade_number.to_owned(), amount);
    } else {
        money::pay(work, trade_number, amount, paid_at, Telling::Accepted);
    }
    Ok(())
}

/// An operator accepts a late success: `payment.succeeded` is published if the app's policy has held it.
pub(super) fn accept_late(work: &mut Work<'_>) {
    if !work.record.attention.contains(&Attention::LateSuccess) {
        work.note("no late success is held");
        return;
    }
    work.unflag(Attention::LateSuccess);
    work.note("an operator accepts the late success");
    // What was published then decides, not what today's policy says.
    if work.record.success_held {
        work.record.success_held = false;
        let counted = work.record.receipts.iter().find(|receipt| receipt.counts());
        let trade_number = counted.map(|receipt| receipt.trade_number.clone());
        let moved = counted.and_then(|receipt| money::differing(work.record.amount, receipt.amount));
        work.publish(NewEvent { kind: EventKind::PaymentSucceeded, trade_number, moved, reason: None });
    }
}
