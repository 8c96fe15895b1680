//! Hints: somebody who proves nothing says that there is news of an attempt. Each is kept, in whatever status, until a
//! query that was asked after it has been answered; it moves no schedule but its own.

use crate::channel::Outcome;
use crate::machine::{Source, Told};
use crate::model::{AttemptNumber, CallKind, Hint, Timestamp, Transaction};

use super::looks;
use super::work::{DAY, WAIT_MIN, Work};

/// Takes a hint about an attempt: it is due at once.
pub(super) fn take(work: &mut Work<'_>, number: &AttemptNumber) {
    let now = work.now();
    let Some(index) = work.attempt_index(number) else {
        work.note("a hint about an attempt that was never made: nothing changes");
        return;
    };
    let Some(attempt) = work.record.attempts.get_mut(index) else { return };
    if attempt.hint.is_some_and(|hint| hint.next_at <= now) {
        work.note("a hint that is followed soon anyway");
        return;
    }
    attempt.hint = Some(Hint { at: now, next_at: now, looks: 0 });
    work.note(format!("a hint: the channel is to be asked about {number}"));
}

/// Asks about every attempt whose hint is due, and plans the next time in case that no answer comes.
pub(super) fn due(work: &mut Work<'_>) {
    let now = work.now();
    let schedule = &work.rules.query.schedule;
    let mut asked = Vec::new();
    for attempt in &mut work.record.attempts {
        let Some(hint) = attempt.hint.as_mut().filter(|hint| hint.next_at <= now) else { continue };
        let wait = looks::next_wait(schedule, hint.looks).unwrap_or(DAY).max(WAIT_MIN);
        hint.looks = hint.looks.saturating_add(1);
        hint.next_at = now.after(wait);
        asked.push(attempt.number.clone());
    }
    for number in asked {
        work.note(format!("asked the channel about {number} because of a hint"));
        work.call(number, CallKind::Query);
    }
}

/// The answer to a query that was asked after the hint has settled it, whatever it says.
pub(super) fn answered(work: &mut Work<'_>, index: usize, told: &Told) {
    let (Source::Answer { call: CallKind::Query, .. }, Some(asked_at)) = (told.source, told.asked_at) else { return };
    if !is_answer(&told.outcome) {
        return;
    }
    let Some(attempt) = work.record.attempts.get_mut(index) else { return };
    if attempt.hint.is_some_and(|hint| asked_at >= hint.at) {
        attempt.hint = None;
        work.note("the hint is answered");
    }
}

/// Whether the channel has said where the order stands.
fn is_answer(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::AwaitingPayer(_)
        | Outcome::Succeeded(_)
        | Outcome::Declined(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::PaidThenReturned { .. } => true,
        Outcome::NotExecuted(_)
        | Outcome::AccountRefused(_)
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::Unknown(_) => false,
    }
}

/// When the first hint is to be followed.
pub(super) fn next_at(record: &Transaction) -> Option<Timestamp> {
    record.attempts.iter().filter_map(|attempt| attempt.hint).map(|hint| hint.next_at).min()
}
