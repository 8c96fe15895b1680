//! Ends without money: of an attempt, and then of the transaction, when every attempt of it has ended.

use crate::model::{
    AttemptEnd, CloseEvidence, EventKind, NamedAction, PayerAction, PayerStep, Status, Submission, Transaction,
};

use super::work::{Work, clip};
use super::{closing, looks};

/// An attempt ended without money, by the channel's word; the transaction follows when all have.
pub(super) fn end_attempt(work: &mut Work<'_>, index: usize, end: AttemptEnd) {
    let evidence = match end {
        AttemptEnd::Closed => CloseEvidence::Channel,
        AttemptEnd::Declined(_) | AttemptEnd::NotSent(_) => CloseEvidence::AttemptsEnded,
    };
    end_by(work, index, end, evidence);
}

/// As [`end_attempt`]; `evidence` is what closes the transaction if this closes it.
pub(super) fn end_by(work: &mut Work<'_>, index: usize, end: AttemptEnd, evidence: CloseEvidence) {
    let Some(attempt) = work.record.attempts.get_mut(index) else { return };
    if attempt.ended.is_some() {
        return;
    }
    attempt.ended = Some(end.clone());
    let was_charge = attempt.intent.token.is_some();
    // A wallet's order is signed here and never stands at the channel: a charge that is declined for good leaves
    // nothing that the payer could still pay.
    if was_charge && work.rules.decline_final && matches!(end, AttemptEnd::Declined(_)) {
        end_unsent(work);
    }
    follow(work, index, evidence);
}

/// Ends every attempt of which nothing was ever sent.
pub(super) fn end_unsent(work: &mut Work<'_>) {
    for attempt in &mut work.record.attempts {
        if attempt.sends_made == 0 && attempt.ended.is_none() {
            attempt.ended = Some(AttemptEnd::NotSent("nothing was sent".to_owned()));
        }
    }
}

/// What follows for the transaction from the end of attempt `index`.
fn follow(work: &mut Work<'_>, index: usize, evidence: CloseEvidence) {
    if !work.record.is_open() {
        return;
    }
    if work.all_ended() {
        conclude(work, evidence);
        return;
    }
    // Another attempt still stands; the end moves the status only if it is the newest one's.
    let charging = work.record.status == Status::Submitting { what: Submission::Charge };
    if work.newest() == Some(index) && charging {
        let step = PayerStep::Actions(vec![wallet_session(&work.record)]);
        work.no_doubt();
        if work.record.close_requested.is_some() {
            closing::begin(work, step);
        } else {
            work.note("the charge ended without money; a fresh token makes a new one");
            looks::await_payer(work, step);
        }
    }
}

/// Every attempt has ended without money.
pub(super) fn conclude(work: &mut Work<'_>, evidence: CloseEvidence) {
    if work.mismatch_waits() {
        work.note("the channel has ended it, but money of another amount or currency waits for a person");
        work.look_in(super::work::DAY);
        return;
    }
    let ends: Vec<&AttemptEnd> = work.record.attempts.iter().filter_map(|attempt| attempt.ended.as_ref()).collect();
    let asked = work.record.close_requested.is_some();
    let was_charge = work.record.attempts.last().is_some_and(|attempt| attempt.intent.token.is_some());
    let any_closed = ends.iter().any(|end| **end == AttemptEnd::Closed);
    let none_sent = ends.iter().all(|end| matches!(end, AttemptEnd::NotSent(_)));
    match ends.last() {
        Some(AttemptEnd::Declined(why)) if !(was_charge && (asked || any_closed)) => {
            let reason = format!("declined: {why}");
            fail(work, &reason);
        }
        Some(AttemptEnd::NotSent(why)) if !asked && !any_closed => {
            let reason = format!("not_sent: {why}");
            fail(work, &reason);
        }
        Some(AttemptEnd::Declined(_) | AttemptEnd::NotSent(_) | AttemptEnd::Closed) | None => {
            let never = none_sent && evidence == CloseEvidence::AttemptsEnded;
            close(work, if never { CloseEvidence::NeverSent } else { evidence });
        }
    }
}

/// The transaction is closed.
pub(super) fn close(work: &mut Work<'_>, evidence: CloseEvidence) {
    let reason = match evidence {
        CloseEvidence::NeverSent => "nothing of it was ever executed at the channel",
        CloseEvidence::Channel => "the channel says that it is closed",
        CloseEvidence::Expired => "after its signed expiry the channel holds no payment for it",
        CloseEvidence::AttemptsEnded => "every attempt of it had ended without money",
        CloseEvidence::Operator => "an operator vouches that it was not paid",
    };
    end(work, Status::Closed { evidence });
    work.note(format!("closed: {reason}"));
    work.publish_plain(EventKind::PaymentClosed, Some(reason.to_owned()));
}

/// The transaction failed.
fn fail(work: &mut Work<'_>, reason: &str) {
    end(work, Status::Failed { reason: clip(reason) });
    work.note(format!("failed: {reason}"));
    work.publish_plain(EventKind::PaymentFailed, Some(reason.to_owned()));
}

fn end(work: &mut Work<'_>, status: Status) {
    let now = work.now();
    work.record.status = status;
    work.record.ended_at = Some(now);
    work.record.close_requested = None;
    work.no_doubt();
    let bill = work.bill_mut();
    bill.open = bill.open.saturating_sub(1);
}

/// What the payer's device needs for another charge: a new session of its wallet.
fn wallet_session(record: &Transaction) -> NamedAction {
    NamedAction {
        name: record.channel.to_string(),
        action: PayerAction::WalletSession { session: None },
        usable_until: None,
    }
}
