//! How a transaction closes: the request, the asking, the closing moment, and what proves that it is closed.

use std::time::Duration;

use crate::channel::{CodeManifest, Outcome};
use crate::machine::Told;
use crate::model::{
    Attempt, CallKind, CloseEvidence, CloseRequest, PayerStep, Requester, Status, Submission, Timestamp, Transaction,
};

use super::sending::{not_found_counts, passed_here};
use super::work::{DAY, WAIT_MIN, Work};
use super::{ending, looks};

/// While `expires_at` has passed by the wall clock alone, it is looked again so often.
const EXPIRY_SHOWN_WAIT: Duration = Duration::from_mins(1);

/// When the channel can take no more money for an attempt: after its expiry and the last send's shortest life, and the
/// provider's grace.
pub(super) fn moment_of(attempt: &Attempt, rules: &CodeManifest) -> Timestamp {
    let expires_at = attempt.intent.expires_at;
    let sent = attempt.sends.last().map_or(expires_at, |send| send.at.after(rules.min_life));
    expires_at.max(sent).after(rules.grace)
}

/// The closing moment of every attempt that has not ended.
pub(super) fn moment_of_all(record: &Transaction, rules: &CodeManifest) -> Timestamp {
    let open = record.attempts.iter().filter(|attempt| attempt.ended.is_none());
    open.map(|attempt| moment_of(attempt, rules)).max().unwrap_or(record.expires_at)
}

/// Whether an answer is from after the closing moment: by the provider's own time; without one it must have been asked
/// after it, by both clocks of ours, and across a restart only once some provider has confirmed the wall clock.
fn moment_has_passed(work: &Work<'_>, attempt: &Attempt, told: &Told) -> bool {
    let moment = moment_of(attempt, work.rules);
    match told.provider_time {
        Some(time) => time >= moment,
        None => {
            told.asked_at.is_some_and(|asked| asked >= moment)
                && passed_here(&work.record, work.moment, moment, work.moment.clock_confirmed)
        }
    }
}

/// Whether what the channel says of an order proves that its expiry has closed it.
pub(super) fn expiry_has_closed(work: &Work<'_>, index: usize, told: &Told) -> bool {
    let Some(attempt) = work.record.attempts.get(index) else { return false };
    let proves = match told.outcome {
        Outcome::NotFound => not_found_counts(work, attempt, told),
        Outcome::Unpaid | Outcome::Declined(_) | Outcome::AwaitingPayer(_) => work.rules.close.is_none(),
        Outcome::Succeeded(_)
        | Outcome::Closed
        | Outcome::NotExecuted(_)
        | Outcome::AccountRefused(_)
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::PaidThenReturned { .. }
        | Outcome::Unknown(_) => false,
    };
    proves && moment_has_passed(work, attempt, told)
}

/// A close of what was never sent.
pub(super) fn close_unsent(work: &mut Work<'_>, by: Requester) {
    mark(work, by);
    ending::end_unsent(work);
    ending::conclude(work, CloseEvidence::AttemptsEnded);
}

/// A close while the outcome of a call is not known: remembered until it is.
pub(super) fn remember(work: &mut Work<'_>, by: Requester) {
    if mark(work, by) {
        work.note(format!("a close was asked for by {}: remembered until the outcome is known", who(by)));
    } else {
        work.note("a close was asked for before");
    }
}

/// A close of what the channel holds open.
pub(super) fn request(work: &mut Work<'_>, by: Requester) {
    if !mark(work, by) {
        work.note("a close was asked for before");
        return;
    }
    work.note(format!("a close was asked for by {}", who(by)));
    let step = match &work.record.status {
        Status::AwaitingPayer { step } => step.clone(),
        Status::Created
        | Status::Submitting { .. }
        | Status::Closing
        | Status::Succeeded { .. }
        | Status::Failed { .. }
        | Status::Closed { .. } => PayerStep::Lost,
    };
    begin(work, step);
}

fn who(by: Requester) -> &'static str {
    match by {
        Requester::Merchant => "the merchant",
        Requester::Expiry => "the clock: it has expired",
        Requester::Operator => "an operator",
    }
}

/// Notes that a close is asked for. Whether it was not before.
fn mark(work: &mut Work<'_>, by: Requester) -> bool {
    let at = work.now();
    let first = work.record.close_requested.is_none();
    if first {
        work.record.close_requested = Some(CloseRequest { by, at });
    }
    first
}

/// Begins the closing of a transaction whose close was asked for. `step` is what the payer still has where the channel
/// knows no close.
pub(super) fn begin(work: &mut Work<'_>, step: PayerStep) {
    if work.rules.locally_signed && work.rules.authorize {
        ending::end_unsent(work);
    }
    if work.all_ended() {
        ending::conclude(work, CloseEvidence::AttemptsEnded);
        return;
    }
    for attempt in &mut work.record.attempts {
        attempt.looks = 0;
        attempt.closes = 0;
    }
    if work.rules.close.is_some() {
        work.record.status = Status::Closing;
        work.no_doubt();
        ask_again(work);
    } else {
        looks::await_payer(work, step);
    }
}

/// Asks the channel once more to close.
pub(super) fn ask_again(work: &mut Work<'_>) {
    let moment = moment_of_all(&work.record, work.rules);
    let waiting = work.now() < moment;
    // At the closing moment a *not found* begins to mean something: the schedule begins anew.
    if !waiting && work.before.look_at.is_some_and(|planned| planned <= moment) {
        for attempt in &mut work.record.attempts {
            attempt.closes = 0;
        }
    }
    let asked = count_close(work);
    let (kind, schedule) = match &work.rules.close {
        Some(close) if !work.all_ended() => (CallKind::Close, &close.schedule),
        Some(_) | None => (CallKind::Query, &work.rules.query.schedule),
    };
    work.ask(kind);
    match looks::next_wait(schedule, asked) {
        Some(wait) => work.look_in(wait),
        None if waiting && not_found_so_far(&work.record) => {
            work.note("the channel does not know the order: the closing moment is waited for");
            work.look_in(DAY);
        }
        None => work.overdue("the close is not confirmed"),
    }
    work.note(format!("asked the channel to close, time {}", asked.saturating_add(1)));
}

/// Counts a close. How many there were before.
fn count_close(work: &mut Work<'_>) -> u32 {
    let asked = work.record.attempts.iter().map(|attempt| attempt.closes).max().unwrap_or(0);
    for attempt in &mut work.record.attempts {
        attempt.closes = attempt.closes.saturating_add(1);
    }
    asked
}

/// Whether the channel's newest word about every attempt that has not ended is that it does not know it: as healthy an
/// answer as can be about an order that nobody has begun to pay.
fn not_found_so_far(record: &Transaction) -> bool {
    record.attempts.iter().filter(|attempt| attempt.ended.is_none() && attempt.sends_made > 0).all(is_not_found)
}

/// Whether the channel's newest word about the attempt is that it does not know it.
pub(super) fn is_not_found(attempt: &Attempt) -> bool {
    attempt.last_outcome.as_ref().is_some_and(|last| last.text == Outcome::NotFound.name())
}

/// Its due time has come while a close was asked for on a channel that knows none: before the closing moment as while
/// the payer is awaited, after it until an answer proves the end.
pub(super) fn due_without_close(work: &mut Work<'_>) {
    if work.now() < moment_of_all(&work.record, work.rules) {
        looks::ask_while_awaiting(work);
        return;
    }
    let asked = count_close(work);
    work.ask(CallKind::Query);
    match looks::next_wait(&work.rules.query.schedule, asked) {
        Some(wait) => work.look_in(wait),
        None => work.overdue("the channel does not confirm the end of an expired order"),
    }
    work.note("the closing moment has passed: asked the channel what became of it");
}

/// Whether `expires_at` has passed by the wall clock, which may have jumped.
pub(super) fn expired_by_wall(work: &Work<'_>) -> bool {
    work.expires_by_clock() && work.now() >= work.record.expires_at
}

/// Whether `expires_at` has passed by both clocks, or by a wall clock that some provider has confirmed.
fn expiry_is_shown(work: &Work<'_>) -> bool {
    passed_here(&work.record, work.moment, work.record.expires_at, work.moment.clock_confirmed)
}

/// When to look whether it has expired.
pub(super) fn expires_next(work: &Work<'_>) -> Timestamp {
    let expires_at = work.record.expires_at;
    if work.now() < expires_at || expiry_is_shown(work) || work.record.status == Status::Created {
        return expires_at;
    }
    let missing = work.moment.alive.map(|alive| expires_at.since(work.record.created_at.after(alive)));
    let wait = missing.map_or(EXPIRY_SHOWN_WAIT, |missing| missing.clamp(WAIT_MIN, EXPIRY_SHOWN_WAIT));
    work.now().after(wait)
}

/// Asks for a close when `expires_at` has passed, by the clock. Whether it did so now.
pub(super) fn expire(work: &mut Work<'_>) -> bool {
    let due = expired_by_wall(work) && expiry_is_shown(work);
    if due {
        match work.record.status {
            Status::AwaitingPayer { .. } => request(work, Requester::Expiry),
            Status::Submitting { what: Submission::Create } => remember(work, Requester::Expiry),
            Status::Created
            | Status::Submitting { what: Submission::Charge }
            | Status::Closing
            | Status::Succeeded { .. }
            | Status::Failed { .. }
            | Status::Closed { .. } => return false,
        }
    }
    due
}

/// One look a day for what only a person can end.
pub(super) fn look_daily(work: &mut Work<'_>) {
    work.ask(CallKind::Query);
    work.look_in(DAY);
}
