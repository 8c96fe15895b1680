//! After a success: other attempts whose outcome is not known are asked about until they have ended or brought money.

use crate::channel::Outcome;
use crate::machine::Told;
use crate::model::{Attempt, AttemptEnd, AttemptNumber, CallKind, SendState, Transaction};

use super::evidence::About;
use super::work::{DAY, Work};
use super::{ending, looks, sending};

/// Whether the attempt may still bring money that nobody has told: it was sent, with an unknown outcome.
pub(super) fn is_doubtful(record: &Transaction, attempt: &Attempt) -> bool {
    attempt.ended.is_none()
        && attempt.sends.iter().any(|send| send.state == SendState::Unknown)
        && !record.receipts.iter().any(|receipt| receipt.number == attempt.number)
}

/// Whether any attempt is so.
pub(super) fn any_doubtful(record: &Transaction) -> bool {
    record.attempts.iter().any(|attempt| is_doubtful(record, attempt))
}

/// Its due time has come: asks about every attempt of unknown outcome.
pub(super) fn due(work: &mut Work<'_>) {
    let record = &work.record;
    let doubtful: Vec<(usize, AttemptNumber)> = record
        .attempts
        .iter()
        .enumerate()
        .filter(|(_, attempt)| is_doubtful(record, attempt))
        .map(|(index, attempt)| (index, attempt.number.clone()))
        .collect();
    if doubtful.is_empty() {
        work.note("it has ended");
        return;
    }
    let mut looked = 0;
    for (index, number) in doubtful {
        work.call(number, CallKind::Query);
        looked = looks::count_look(work, index).max(looked);
    }
    work.doubt("another attempt of it has no known outcome");
    match looks::next_wait(&work.rules.query.schedule, looked) {
        Some(wait) => work.look_in(wait),
        None => work.overdue("another attempt than the paid one has no known outcome"),
    }
    work.note("asked the channel what became of another attempt");
}

/// A word without money about an attempt of unknown outcome: it may end the attempt, and never moves the status.
pub(super) fn told(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    let Some(attempt) = work.record.attempts.get(index) else { return };
    let open_sends = attempt.sends.iter().any(|send| matches!(send.state, SendState::Unknown | SendState::Executed));
    let decline_ends =
        (attempt.intent.token.is_some() || work.rules.decline_final) && sending::sending_is_over(work, attempt);
    let end = match (about, &told.outcome) {
        (About::Send, Outcome::Declined(why)) if !open_sends => Some(AttemptEnd::Declined(why.clone())),
        (About::Send, Outcome::NotExecuted(why) | Outcome::AccountRefused(why)) if !open_sends => {
            Some(AttemptEnd::NotSent(why.clone()))
        }
        (About::Order, Outcome::Declined(why)) if decline_ends => Some(AttemptEnd::Declined(why.clone())),
        // Nothing is sent again once it is paid.
        (About::Order, Outcome::NotFound) if sending::not_found_counts(work, attempt, told) => {
            Some(AttemptEnd::NotSent("the channel does not know it".to_owned()))
        }
        (About::Send | About::Order | About::CloseRefused | About::Session(_) | About::Nothing, _) => None,
    };
    match end {
        Some(end) => ending::end_attempt(work, index, end),
        None => work.look_within(DAY),
    }
}
