//! Commands that send first: submit, the signed create, and a charge by the payer's token.

use crate::channel::Outcome;
use crate::machine::{Effect, Refusal};
use crate::model::{
    AccountId, AttemptEnd, AttemptNumber, CallKind, PayerStep, Requester, Status, Submission, Timestamp, Transaction,
};

use super::work::Work;
use super::{closing, draft, evidence, failover, looks, sending};

/// Sends the create of the attempt that stands in the record.
pub(super) fn submit(work: &mut Work<'_>) -> Result<(), Refusal> {
    let Some(index) = work.newest() else { return Err(Refusal::Unknown("attempt".to_owned())) };
    if !sending::may_send(work) {
        return Err(Refusal::TooLate);
    }
    if work.rules.locally_signed {
        sign(work, index);
        return Ok(());
    }
    if !sending::send_create(work, index) {
        return Err(Refusal::Range);
    }
    work.record.status = Status::Submitting { what: Submission::Create };
    work.note("the create is sent");
    sending::look_after_send(work);
    Ok(())
}

/// Has the create signed; the record waits for it as it is.
fn sign(work: &mut Work<'_>, index: usize) {
    sending::resign(work, index);
    work.note("the create is signed");
    sending::look_after_send(work);
}

/// It is due and nothing was sent: submit it if there is time, else close it.
pub(super) fn due_unsent(work: &mut Work<'_>) {
    if submit(work).is_err() {
        // What a refused submit has changed is nothing: it changes the record only once it is taken.
        closing::close_unsent(work, Requester::Expiry);
    }
}

/// The create of a locally signed channel was signed.
pub(super) fn signed(work: &mut Work<'_>, outcome: &Outcome) -> Result<(), Refusal> {
    let Some(index) = work.newest() else { return Err(Refusal::Unknown("attempt".to_owned())) };
    if !sending::may_send(work) {
        return Err(Refusal::TooLate);
    }
    if let Outcome::AccountRefused(why) = outcome {
        evidence::refuse_account(work, index, why, None);
    }
    take_signed(work, index, outcome);
    Ok(())
}

/// What came of signing a create of which nothing has left yet.
pub(super) fn take_signed(work: &mut Work<'_>, index: usize, outcome: &Outcome) {
    match outcome {
        Outcome::AwaitingPayer(actions) => {
            // From here on the payer's device may send it at any moment. A wallet's order never reaches the channel.
            let now = work.now();
            let to_payer = !(work.rules.locally_signed && work.rules.authorize);
            if let Some(attempt) = work.record.attempts.get_mut(index).filter(|_| to_payer) {
                let _ = sending::record_send(attempt, now);
            }
            work.note("signed; the payer is awaited");
            looks::await_payer(work, PayerStep::Actions(actions.clone()));
        }
        Outcome::Declined(why) => failover::end_refused(work, index, AttemptEnd::Declined(why.clone())),
        Outcome::NotExecuted(why) | Outcome::AccountRefused(why) => {
            failover::end_refused(work, index, AttemptEnd::NotSent(why.clone()));
        }
        Outcome::Succeeded(_)
        | Outcome::PaidThenReturned { .. }
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::Unknown(_) => {
            work.note(format!("signing came to {}: tried again later", outcome.name()));
            sending::look_after_send(work);
        }
    }
}

/// Attempts of one transaction, of which another charge may be the last: each repeats the intent, and the record with
/// whatever comes to it later must stay far below what one commit may hold.
pub(super) const ATTEMPTS_MAX: usize = 64;

/// Whether the transaction holds this token already.
pub(super) fn holds_token(record: &Transaction, token_digest: &[u8; 32]) -> bool {
    record.attempts.iter().filter_map(|attempt| attempt.intent.token.as_ref()).any(|(_, digest)| digest == token_digest)
}

/// Charges a verified token as a new attempt under a number of its own. The charge leaves once.
pub(super) fn authorize(
    work: &mut Work<'_>,
    token: ([u8; 32], [u8; 32]),
    account_id: AccountId,
    revision: u32,
) -> Result<(), Refusal> {
    if !work.rules.authorize {
        return Err(Refusal::Unsupported);
    }
    if work.record.close_requested.is_some() {
        return Err(Refusal::CloseRequested);
    }
    if !before_last_moment(work) {
        return Err(Refusal::TooLate);
    }
    if work.mismatch_waits() {
        return Err(Refusal::Contradicts("money of another amount or currency waits for a person".to_owned()));
    }
    let count = work.record.attempts.len();
    let index = u8::try_from(count).ok().filter(|_| count < ATTEMPTS_MAX).ok_or(Refusal::AttemptsUsedUp)?;
    let Some(order) = work.order().and_then(|order| work.record.attempts.get(order)) else {
        return Err(Refusal::Unknown("attempt".to_owned()));
    };
    let mut intent = order.intent.clone();
    intent.token = Some(token);
    let now = work.now();
    let number = AttemptNumber { transaction: work.record.id, index };
    let mut attempt = draft::new_attempt(number.clone(), now, account_id, revision, intent);
    let send = sending::record_send(&mut attempt, now).ok_or(Refusal::Range)?;
    work.record.attempts.push(attempt);
    work.record.status = Status::Submitting { what: Submission::Charge };
    work.claims_once = Some(token.0);
    work.effects.push(Effect::Call { number, kind: CallKind::Authorize, send });
    work.note(format!("the payer's token is charged, attempt {index}"));
    sending::look_after_send(work);
    Ok(())
}

fn before_last_moment(work: &Work<'_>) -> bool {
    let last: Timestamp = work.record.expires_at.before(work.rules.min_life);
    work.now() < last
}
