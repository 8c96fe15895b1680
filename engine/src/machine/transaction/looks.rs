//! When it is looked at without being asked, and what is asked then.

use std::time::Duration;

use crate::channel::Recreate;
use crate::model::{CallKind, PayerStep, Status};

use super::closing;
use super::sending::{never_executed, passed_here, retry, visible_from};
use super::work::{DAY, Work, targets};

/// The wait after look `index` of a schedule. `None`: the schedule is used up.
pub(super) fn next_wait(schedule: &[Duration], index: u32) -> Option<Duration> {
    usize::try_from(index).ok().and_then(|index| schedule.get(index)).copied()
}

/// As [`next_wait`]; the last one repeats, and an empty schedule is one look a day.
pub(super) fn wait_of(schedule: &[Duration], index: u32) -> Duration {
    next_wait(schedule, index).or_else(|| schedule.last().copied()).unwrap_or(DAY)
}

/// Somebody asks to look now.
pub(super) fn query_now(work: &mut Work<'_>) {
    work.ask(CallKind::Query);
    work.note("asked the channel what became of it");
}

/// The channel holds the order open and the payer is awaited.
pub(super) fn await_payer(work: &mut Work<'_>, step: PayerStep) {
    for attempt in &mut work.record.attempts {
        attempt.looks = 0;
    }
    work.record.status = Status::AwaitingPayer { step };
    let wait = match work.rules.query.awaiting_schedule.as_slice() {
        [] => DAY,
        schedule => wait_of(schedule, 0),
    };
    work.look_in(wait);
}

/// No answer to a create: the same number is asked about; never sent again straight away.
pub(super) fn due_submitting(work: &mut Work<'_>) {
    let Some(index) = work.newest() else { return work.look_in(DAY) };
    closing::expire(work);
    if work.all_ended() {
        closing::look_daily(work);
        return;
    }
    let Some(attempt) = work.record.attempts.get(index) else { return };
    if never_executed(attempt) && !attempt.sends.is_empty() {
        retry(work, index);
        return;
    }
    let visible = visible_from(attempt, work).is_some_and(|from| passed_here(&work.record, work.moment, from, true));
    let asked_before = attempt.looks > 0;
    work.doubt("no answer to the create");
    if work.rules.recreate == Recreate::Refused
        && visible
        && asked_before
        && work.record.close_requested.is_none()
        && !work.mismatch_waits()
    {
        lose_order(work);
        return;
    }
    ask_in_doubt(work, "the create has no known outcome");
}

/// No outcome within the visibility delay, on a channel that refuses a second create: the payer action is given up, the
/// order goes on until evidence ends it.
pub(super) fn lose_order(work: &mut Work<'_>) {
    work.note("no outcome of the create in time: its payer action is lost");
    await_payer(work, PayerStep::Lost);
    work.ask(CallKind::Query);
}

/// No answer to a charge: the same number is asked about, and it is never sent again.
pub(super) fn due_charging(work: &mut Work<'_>) {
    if work.all_ended() {
        closing::look_daily(work);
        return;
    }
    work.doubt("no answer to the charge");
    ask_in_doubt(work, "the charge has no known outcome");
}

fn ask_in_doubt(work: &mut Work<'_>, what: &str) {
    let Some(index) = work.newest() else { return work.look_in(DAY) };
    work.ask(CallKind::Query);
    let looks = count_look(work, index);
    match next_wait(&work.rules.query.schedule, looks) {
        Some(wait) => work.look_in(wait),
        None => work.overdue(what),
    }
    work.note(format!("asked the channel what became of it, look {}", looks.saturating_add(1)));
}

/// The payer is awaited.
pub(super) fn due_awaiting(work: &mut Work<'_>) {
    if closing::expire(work) {
        return;
    }
    if closing::expired_by_wall(work) {
        // The answer to this shows what time it is.
        work.note("it has expired by the wall clock alone");
        work.ask(CallKind::Query);
    }
    if work.all_ended() {
        closing::look_daily(work);
    } else if work.record.close_requested.is_some() {
        closing::due_without_close(work);
    } else {
        ask_while_awaiting(work);
    }
}

/// Asks whether the payer has paid, and plans the next time.
pub(super) fn ask_while_awaiting(work: &mut Work<'_>) {
    let Some(index) = work.newest() else { return work.look_in(DAY) };
    let schedule = &work.rules.query.awaiting_schedule;
    if schedule.is_empty() || targets(&work.record).is_empty() {
        work.look_in(DAY);
        return;
    }
    work.ask(CallKind::Query);
    let looks = count_look(work, index);
    // The look at the end of wait 0 is followed by wait 1.
    let wait = wait_of(schedule, looks.saturating_add(1));
    work.look_in(wait);
    work.note("asked the channel whether it was paid");
}

/// Counts a look of attempt `index`. How many there were before.
pub(super) fn count_look(work: &mut Work<'_>, index: usize) -> u32 {
    let Some(attempt) = work.record.attempts.get_mut(index) else { return 0 };
    let before = attempt.looks;
    attempt.looks = before.saturating_add(1);
    before
}
