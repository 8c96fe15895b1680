//! Sends of a create or charge: their bookkeeping, when one may follow, and the renewal of payer actions.

use std::time::Duration;

use crate::channel::{CodeManifest, Outcome, Recreate};
use crate::machine::{Effect, Moment, Source, Told};
use crate::model::{
    Attempt, AttemptEnd, CallKind, NamedAction, PayerStep, Send, SendState, Status, Submission, Timestamp, Transaction,
};

use super::work::Work;
use super::{closing, ending, failover, looks};

/// So many sends of an attempt are kept, and so many are made to get a lost order or payer action back.
const SENDS_KEPT: usize = 16;

/// A create or charge that has not been started so long after its send was noted is not started any more: it comes home
/// as *not executed*. Only so can anybody say when nothing of it is on its way.
pub const START_MAX: Duration = Duration::from_secs(5);

/// How much longer than its deadline the end of a call may take, here and at the channel.
const END_GRACE: Duration = Duration::from_secs(2);

/// Until when the newest send of an attempt may be started, inclusive. `None`: it was never sent.
#[must_use]
pub fn may_start_until(attempt: &Attempt) -> Option<Timestamp> {
    attempt.sends.last().map(|send| send.at.after(START_MAX))
}

/// From when on nothing of a send is on its way: it was started in time, and its call is over, with all its steps.
pub(super) fn over_at(send: &Send, rules: &CodeManifest) -> Timestamp {
    send.at.after(START_MAX.saturating_add(rules.call_deadline).saturating_add(END_GRACE))
}

/// Whether `at` has passed by both clocks of ours: a jump of the wall clock alone proves nothing.
///
/// Without a monotonic clock that runs since the record was made, `confirmed` says whether the wall clock is right.
pub(super) fn passed_here(record: &Transaction, moment: Moment, at: Timestamp, confirmed: bool) -> bool {
    moment.wall >= at
        && match moment.alive {
            Some(alive) => record.created_at.after(alive) >= at,
            None => confirmed,
        }
}

/// When a *not found* about the attempt begins to mean something: its visibility has passed, and its last send is over.
pub(super) fn visible_from(attempt: &Attempt, work: &Work<'_>) -> Option<Timestamp> {
    attempt.sends.last().map(|send| over_at(send, work.rules).after(work.rules.query.truth_from))
}

/// Whether a *not found* about the attempt is to be believed: it was asked, and answered, when it could be true.
pub(super) fn not_found_counts(work: &Work<'_>, attempt: &Attempt, told: &Told) -> bool {
    let Some(from) = visible_from(attempt, work) else { return false };
    let known = told.provider_time.is_some() || told.asked_at.is_some();
    let recent = told.provider_time.into_iter().chain(told.asked_at).all(|at| at >= from);
    let confirmed = work.moment.clock_confirmed || told.provider_time.is_some();
    let forgotten = work.rules.query.truth_until.is_some_and(|until| {
        let until = attempt.numbered_at.after(until);
        work.now() >= until || told.provider_time.is_some_and(|told| told >= until)
    });
    known && recent && passed_here(&work.record, work.moment, from, confirmed) && !forgotten
}

/// Whether nothing of the attempt is on its way any more: every send was answered, or its time is over.
pub(super) fn sending_is_over(work: &Work<'_>, attempt: &Attempt) -> bool {
    attempt.sends.iter().all(|send| {
        send.state != SendState::Unknown || passed_here(&work.record, work.moment, over_at(send, work.rules), true)
    })
}

/// Whether a create or charge may leave now.
pub(super) fn may_send(work: &Work<'_>) -> bool {
    work.record.is_open() && work.record.close_requested.is_none() && !work.mismatch_waits() && in_time(work)
}

/// No create leaves later than `min_life` before its expiry.
pub(super) fn in_time(work: &Work<'_>) -> bool {
    work.now() <= work.record.expires_at.before(work.rules.min_life)
}

/// Whether the payer action is had again by signing again.
fn signs(work: &Work<'_>) -> bool {
    work.rules.locally_signed || work.rules.recreate == Recreate::Resign
}

/// Puts a new send into the record. `None`: its number would leave the range.
pub(super) fn record_send(attempt: &mut Attempt, at: Timestamp) -> Option<u32> {
    let send = attempt.sends_made;
    attempt.sends_made = send.checked_add(1)?;
    if attempt.sends.len() >= SENDS_KEPT {
        let dropped = attempt.sends.remove(0);
        // What is not known of the dropped one stays not known.
        if let (SendState::Unknown, Some(oldest)) = (dropped.state, attempt.sends.first_mut()) {
            oldest.state = SendState::Unknown;
        }
    }
    attempt.sends.push(Send { at, state: SendState::Unknown });
    Some(send)
}

/// Sends the frozen create of attempt `index`, durably noted in the same step.
pub(super) fn send_create(work: &mut Work<'_>, index: usize) -> bool {
    let now = work.now();
    let Some(attempt) = work.record.attempts.get_mut(index) else { return false };
    let Some(send) = record_send(attempt, now) else { return false };
    let number = attempt.number.clone();
    work.effects.push(Effect::Call { number, kind: CallKind::Create, send });
    true
}

/// Notes what the answer says of the send it answers. The first word about a send stays.
pub(super) fn note_send(work: &mut Work<'_>, index: usize, told: &Told) {
    let Source::Answer { call: CallKind::Create | CallKind::Authorize, send } = told.source else { return };
    let state = match &told.outcome {
        Outcome::AwaitingPayer(_)
        | Outcome::Succeeded(_)
        | Outcome::Closed
        | Outcome::Unpaid
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::PaidThenReturned { .. } => SendState::Executed,
        Outcome::Declined(_) => SendState::Declined,
        Outcome::NotExecuted(_) | Outcome::AccountRefused(_) => SendState::NotExecuted,
        Outcome::NotFound | Outcome::Unknown(_) => return,
    };
    let signed_here = work.rules.locally_signed && told.source == (Source::Answer { call: CallKind::Create, send });
    if signed_here {
        return; // Whether the payer's device has sent it is not told by signing it.
    }
    let Some(attempt) = work.record.attempts.get_mut(index) else { return };
    if state != SendState::Executed && is_seen(attempt) {
        return; // One of the two words is wrong: what became of the send is not known.
    }
    let kept = u32::try_from(attempt.sends.len()).unwrap_or(u32::MAX);
    let position = send.checked_sub(attempt.sends_made.saturating_sub(kept)).and_then(|at| usize::try_from(at).ok());
    let noted = position.and_then(|at| attempt.sends.get_mut(at));
    if let Some(noted) = noted.filter(|noted| noted.state == SendState::Unknown) {
        noted.state = state;
    }
}

/// Whether the newest word about the attempt, told by something else than a send's own answer, is that the channel has it.
fn is_seen(attempt: &Attempt) -> bool {
    attempt.last_outcome.as_ref().is_some_and(|last| {
        let of_order = !matches!(last.call, CallKind::Create | CallKind::Authorize);
        let shows =
            [Outcome::AwaitingPayer(Vec::new()), Outcome::Unpaid, Outcome::Processing, Outcome::Held(String::new())];
        of_order && shows.iter().any(|outcome| last.text.split(':').next() == Some(outcome.name()))
    })
}

/// Whether every send of the attempt was proved not to have been executed.
pub(super) fn never_executed(attempt: &Attempt) -> bool {
    usize::try_from(attempt.sends_made) == Ok(attempt.sends.len())
        && attempt.sends.iter().all(|send| send.state == SendState::NotExecuted)
}

/// The channel refused a send, or it was not executed. While another send of the number may have been executed, that
/// speaks of this send only.
pub(super) fn send_refused(work: &mut Work<'_>, index: usize, why: &str, may_retry: bool) {
    let Some(attempt) = work.record.attempts.get(index) else { return };
    if work.rules.locally_signed || attempt.sends.is_empty() {
        work.note(format!("{why}: nothing of it was sent by us, what the payer has stays as it is"));
        return;
    }
    if usize::try_from(attempt.sends_made) != Ok(attempt.sends.len())
        || attempt.sends.iter().any(|send| matches!(send.state, SendState::Unknown | SendState::Executed))
    {
        work.note(format!("{why}: that speaks of this send only, an earlier one may have been executed"));
        work.ask(CallKind::Query);
        return;
    }
    let tries = attempt.sends_made;
    if !never_executed(attempt) {
        failover::end_refused(work, index, AttemptEnd::Declined(why.to_owned()));
        return;
    }
    let kept = u32::try_from(SENDS_KEPT).unwrap_or(u32::MAX);
    // Another account that can take it at once is better than a wait for this one.
    let may_retry = may_retry && !failover::is_open(work, index);
    if may_retry && tries < work.rules.not_executed_max.min(kept) && may_send(work) {
        work.note(format!("send {tries} was not executed: {why}; it is tried again"));
        work.record.status = Status::Submitting { what: Submission::Create };
        let wait = looks::wait_of(&work.rules.query.schedule, tries.saturating_sub(1));
        work.look_within(wait);
        return;
    }
    work.note(format!("no send was executed, of {tries}: {why}"));
    failover::end_refused(work, index, AttemptEnd::NotSent(why.to_owned()));
}

/// Every send so far was not executed, and the wait is over: sends the same number again.
pub(super) fn retry(work: &mut Work<'_>, index: usize) {
    let number_of_tries = work.record.attempts.get(index).map_or(0, |attempt| attempt.sends_made);
    if may_send(work) && send_create(work, index) {
        work.note(format!("sent again under the same number, send {}", number_of_tries.saturating_add(1)));
        look_after_send(work);
    } else {
        ending::end_attempt(work, index, AttemptEnd::NotSent("no send was executed in time".to_owned()));
    }
}

/// The next look, if the answer to what was just sent does not come.
pub(super) fn look_after_send(work: &mut Work<'_>) {
    let wait = work.rules.call_deadline.saturating_add(looks::wait_of(&work.rules.query.schedule, 0));
    work.look_in(wait);
}

/// A believed *not found* before the closing moment: it permits a resend, where the channel allows one.
pub(super) fn resend_unknown_order(work: &mut Work<'_>, index: usize) {
    if !may_send(work) || sends_used_up(work, index) {
        work.note("the channel does not know the number; it cannot be sent again");
        return;
    }
    match work.rules.recreate {
        Recreate::Resign => resign(work, index),
        Recreate::ReturnsAction | Recreate::Refused => {
            if send_create(work, index) {
                work.note("the channel does not know the number: sent again under the same number");
                look_after_send(work);
            }
        }
        Recreate::Never => work.note("the channel does not know the number; a create that moves money is only queried"),
    }
}

/// The channel holds the order open, but the answer with its payer action is missing.
pub(super) fn order_is_there(work: &mut Work<'_>, index: usize) {
    if work.record.close_requested.is_some() {
        work.note("the order is open at the channel and a close was asked for");
        closing::begin(work, PayerStep::Lost);
        return;
    }
    let Some(attempt) = work.record.attempts.get(index) else { return };
    if !sending_is_over(work, attempt) {
        let over = attempt.sends.iter().map(|send| over_at(send, work.rules)).max().unwrap_or(work.now());
        work.note("the order is there; the answer to the create is still on its way");
        work.look_within(over.since(work.now()));
        return;
    }
    if may_send(work) && !sends_used_up(work, index) {
        match work.rules.recreate {
            Recreate::Resign => {
                work.note("the order is there: its payer action is signed again");
                resign(work, index);
                return;
            }
            Recreate::ReturnsAction => {
                if send_create(work, index) {
                    work.note("the order is there: sent again under the same number for its payer action");
                    look_after_send(work);
                    return;
                }
            }
            Recreate::Refused | Recreate::Never => {}
        }
    }
    work.note("the order is there, but its payer action is lost");
    work.no_doubt();
    looks::await_payer(work, PayerStep::Lost);
}

fn sends_used_up(work: &Work<'_>, index: usize) -> bool {
    work.record.attempts.get(index).is_none_or(|attempt| attempt.sends.len() >= SENDS_KEPT)
}

/// Signs the frozen create again.
pub(super) fn resign(work: &mut Work<'_>, index: usize) {
    if let Some(attempt) = work.record.attempts.get(index) {
        let number = attempt.number.clone();
        work.effects.push(Effect::Resign { number });
    }
}

/// Renews payer actions that are past their time, on a read or repeat.
pub(super) fn renew(work: &mut Work<'_>, step: &PayerStep) {
    let now = work.now();
    let over = |action: &NamedAction| action.usable_until.is_some_and(|until| until <= now);
    let past = match step {
        PayerStep::Actions(actions) => actions.iter().any(over),
        PayerStep::Lost => false,
    };
    let order = work.order().and_then(|index| work.record.attempts.get(index).map(|attempt| (index, attempt)));
    let Some((index, attempt)) = order else { return };
    if !past || attempt.ended.is_some() || !may_send(work) {
        work.note("no payer action to renew");
        return;
    }
    if work.rules.authorize {
        let number = attempt.number.clone();
        work.effects.push(Effect::Call { number, kind: CallKind::PayerSession, send: 0 });
        work.note("a new wallet session is fetched");
    } else if signs(work) {
        resign(work, index);
        work.note("the payer action is signed again");
    } else {
        match work.rules.recreate {
            Recreate::ReturnsAction if sending_is_over(work, attempt) => {
                send_create(work, index);
                work.note("the frozen call is sent again for a new payer action");
            }
            Recreate::ReturnsAction => work.note("a new payer action is on its way"),
            Recreate::Resign | Recreate::Refused | Recreate::Never => {
                work.note("the channel gives its payer action only once");
            }
        }
    }
}
