//! What a call or a notification told: never refused, whatever it says and however often.

use std::time::Duration;

use crate::channel::Outcome;
use crate::machine::{AccountPause, Source, Told};
use crate::model::{
    AlarmKind, AttemptEnd, CallKind, CloseEvidence, LastOutcome, NamedAction, PayerStep, Status, Submission,
};

use super::work::{Work, clip};
use super::{aftermath, closing, ending, hints, looks, money, returned, sending, submit};

/// How long queries of an account wait that the provider has refused.
const REFUSED_WAIT: Duration = Duration::from_hours(1);

/// Of what a word without money speaks.
pub(super) enum About<'a> {
    /// Of one send of a create or charge.
    Send,
    /// Of the order at the channel.
    Order,
    /// The channel did not take a close: the order may be paid.
    CloseRefused,
    /// Of what the payer's device needs.
    Session(&'a [NamedAction]),
    /// Of the call that was to bring a word, and of nothing else.
    Nothing,
}

/// Takes what was told.
pub(super) fn told(work: &mut Work<'_>, told: &Told) {
    work.evidence_digest = told.digest;
    if told.number.transaction != work.record.id {
        work.note("told of another transaction's number: nothing changes");
        work.alarm(AlarmKind::WrongOwner, &format!("told of {}, which is another transaction's", told.number));
        return;
    }
    let index = work.attempt_index(&told.number);
    if let Some(index) = index {
        hints::answered(work, index, told);
    }
    match &told.outcome {
        Outcome::Succeeded(paid) => {
            note_executed(work, index, told);
            money::succeeded(work, &told.number, paid);
        }
        Outcome::PaidThenReturned { paid, returned, refunds, by, is_final } => {
            note_executed(work, index, told);
            let figure = returned::Figure { returned: *returned, refunds, by, is_final: *is_final };
            returned::paid_then_returned(work, &told.number, paid, &figure);
        }
        Outcome::AwaitingPayer(_)
        | Outcome::Declined(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::NotExecuted(_)
        | Outcome::AccountRefused(_)
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::Unknown(_) => {
            if let Some(index) = index {
                without_money(work, index, told);
            } else {
                work.note("told of an attempt that was never made: nothing changes");
                work.alarm(AlarmKind::WrongOwner, &format!("told of {}, an attempt that was never made", told.number));
            }
        }
    }
}

/// Money proves that a send was executed.
fn note_executed(work: &mut Work<'_>, index: Option<usize>, told: &Told) {
    if let (true, Some(index)) = (work.record.is_open(), index) {
        sending::note_send(work, index, told);
        note_last(work, index, told);
    }
}

/// Keeps the newest word of an attempt; the same word again changes nothing.
fn note_last(work: &mut Work<'_>, index: usize, told: &Told) {
    let call = match told.source {
        Source::Answer { call, .. } => call,
        Source::Notification => CallKind::Notification,
    };
    let text = clip(&describe(&told.outcome));
    let at = work.now();
    let Some(attempt) = work.record.attempts.get_mut(index) else { return };
    if attempt.last_outcome.as_ref().is_none_or(|last| last.call != call || last.text != text) {
        attempt.last_outcome = Some(LastOutcome { call, text, at });
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Declined(why)
        | Outcome::NotExecuted(why)
        | Outcome::AccountRefused(why)
        | Outcome::Held(why)
        | Outcome::Unknown(why) => format!("{}: {why}", outcome.name()),
        Outcome::AwaitingPayer(_)
        | Outcome::Succeeded(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::Processing
        | Outcome::PaidThenReturned { .. } => outcome.name().to_owned(),
    }
}

/// A word without money about attempt `index`.
fn without_money(work: &mut Work<'_>, index: usize, told: &Told) {
    if let (Outcome::AccountRefused(why), Source::Answer { .. }) = (&told.outcome, told.source) {
        refuse_account(work, index, why, told.account_revision);
    }
    let Some(attempt) = work.record.attempts.get(index) else { return };
    let stands = work.record.is_open() && attempt.ended.is_none() || aftermath::is_doubtful(&work.record, attempt);
    if !stands {
        work.note(format!("told {}: it has ended, nothing changes", told.outcome.name()));
        return;
    }
    work.note(format!("told {}", describe(&told.outcome)));
    sending::note_send(work, index, told);
    note_last(work, index, told);
    let about = about(told);
    if matches!(about, About::Send | About::Order) && told.outcome == Outcome::Closed && nothing_signed_yet(work) {
        ending::end_attempt(work, index, AttemptEnd::Closed);
        return;
    }
    if matches!(about, About::Order) && closing::expiry_has_closed(work, index, told) {
        ending::end_by(work, index, AttemptEnd::Closed, CloseEvidence::Expired);
        return;
    }
    match work.record.status {
        Status::Created => while_created(work, index, &about, told),
        Status::Submitting { what } if work.newest() == Some(index) => match what {
            Submission::Create => while_submitting(work, index, &about, told),
            Submission::Charge => while_charging(work, index, &about, told),
        },
        Status::AwaitingPayer { .. } => while_awaiting(work, index, &about, told),
        Status::Closing => while_closing(work, index, &about, told),
        Status::Succeeded { .. } => aftermath::told(work, index, &about, told),
        // Not the newest attempt's: it belongs to its attempt and moves nothing.
        Status::Submitting { .. } | Status::Failed { .. } | Status::Closed { .. } => {}
    }
    slow_down(work, told);
}

/// A signature of ours is no word of the channel's: in `created` only an order's *closed* counts.
fn nothing_signed_yet(work: &Work<'_>) -> bool {
    !(work.record.status == Status::Created && work.rules.locally_signed)
}

fn about(told: &Told) -> About<'_> {
    let of_order = match &told.outcome {
        Outcome::NotExecuted(_) | Outcome::AccountRefused(_) | Outcome::Unknown(_) => About::Nothing,
        Outcome::AwaitingPayer(_)
        | Outcome::Succeeded(_)
        | Outcome::Declined(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::Processing
        | Outcome::Held(_)
        | Outcome::PaidThenReturned { .. } => About::Order,
    };
    let Source::Answer { call, .. } = told.source else { return of_order };
    match (call, &told.outcome) {
        (CallKind::Create | CallKind::Authorize, _) => About::Send,
        (CallKind::Close, Outcome::Declined(_) | Outcome::Processing | Outcome::Held(_)) => About::CloseRefused,
        (CallKind::Query | CallKind::Close | CallKind::Notification, _) => of_order,
        (CallKind::PayerSession, Outcome::AwaitingPayer(actions)) => About::Session(actions),
        (
            CallKind::PayerSession
            | CallKind::Void
            | CallKind::Refund
            | CallKind::QueryRefund
            | CallKind::Statement
            | CallKind::Maintain,
            _,
        ) => About::Nothing,
    }
}

/// The provider refuses the account itself: its sends pause, a person is told. `revision` is the newest one then.
pub(super) fn refuse_account(work: &mut Work<'_>, index: usize, why: &str, revision: Option<u32>) {
    let Some(attempt) = work.record.attempts.get(index) else { return };
    let account = attempt.account_id;
    // The newest one when the attempt was made was no older than what the call used.
    let revision = revision.unwrap_or(attempt.revision);
    work.pauses_account = Some(AccountPause { account_id: account, revision, reason: clip(why) });
    work.alarm(AlarmKind::AccountRefused, &format!("the provider refuses account {account}: {why}"));
}

/// Queries of a refused account wait longer.
fn slow_down(work: &mut Work<'_>, told: &Told) {
    let Source::Answer { call, .. } = told.source else { return };
    let refused = matches!(told.outcome, Outcome::AccountRefused(_));
    if refused && call != CallKind::Create && call != CallKind::Authorize {
        work.look_not_within(REFUSED_WAIT);
    }
}

fn while_created(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    match about {
        About::Send if sending::may_send(work) => submit::take_signed(work, index, &told.outcome),
        // Too late for its payer: its due time closes it.
        About::Send | About::Order | About::CloseRefused | About::Session(_) | About::Nothing => {}
    }
}

fn while_submitting(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    match (about, &told.outcome) {
        (About::Send, Outcome::AwaitingPayer(actions)) => opened(work, actions),
        (About::Order, Outcome::AwaitingPayer(actions)) if !actions.is_empty() => opened(work, actions),
        (About::Send, Outcome::Declined(why) | Outcome::AccountRefused(why)) => {
            sending::send_refused(work, index, why, false);
        }
        (About::Send, Outcome::NotExecuted(why)) => sending::send_refused(work, index, why, true),
        (About::Order, Outcome::Declined(why)) if decline_ends(work, index) => {
            ending::end_attempt(work, index, AttemptEnd::Declined(why.clone()));
        }
        (About::Send | About::Order, Outcome::Unpaid)
        | (About::Order, Outcome::AwaitingPayer(_) | Outcome::Declined(_)) => sending::order_is_there(work, index),
        (About::Order, Outcome::NotFound) => not_found(work, index, told),
        (About::Send | About::Order, Outcome::Processing | Outcome::Held(_)) => look_soon(work, index),
        (About::Send | About::Order | About::CloseRefused | About::Session(_) | About::Nothing, _) => {
            work.doubt(&describe(&told.outcome));
            look_soon(work, index);
        }
    }
}

/// Whether it is the answer to a close.
pub(super) fn is_of_close(told: &Told) -> bool {
    matches!(told.source, Source::Answer { call: CallKind::Close, .. })
}

/// Whether a *declined* of the order ends it: where it is final, and nothing of it is on its way.
fn decline_ends(work: &Work<'_>, index: usize) -> bool {
    work.rules.decline_final
        && work.record.attempts.get(index).is_some_and(|attempt| sending::sending_is_over(work, attempt))
}

/// The channel holds the order open, and here is its payer action.
fn opened(work: &mut Work<'_>, actions: &[NamedAction]) {
    let step = PayerStep::Actions(actions.to_vec());
    work.no_doubt();
    if work.record.close_requested.is_some() {
        closing::begin(work, step);
    } else {
        work.note("the payer is awaited");
        looks::await_payer(work, step);
    }
}

/// The channel does not know the order of a create.
fn not_found(work: &mut Work<'_>, index: usize, told: &Told) {
    let Some(attempt) = work.record.attempts.get(index) else { return };
    if !sending::not_found_counts(work, attempt, told) {
        look_when_visible(work, index);
    } else if work.record.close_requested.is_none() {
        sending::resend_unknown_order(work, index);
    } else if work.rules.close.is_some() {
        closing::begin(work, PayerStep::Lost);
    }
}

/// A *not found* of too early a moment: looks again when it will mean something.
fn look_when_visible(work: &mut Work<'_>, index: usize) {
    let from = work.record.attempts.get(index).and_then(|attempt| sending::visible_from(attempt, work));
    match from.filter(|from| *from > work.now()) {
        Some(from) => work.look_within(from.since(work.now())),
        // It was asked too early and answered late, or the provider's clock is behind.
        None => look_soon(work, index),
    }
    work.note("it is too early for that to mean anything");
}

/// Looks again after the schedule's next wait, where nothing sooner is planned.
fn look_soon(work: &mut Work<'_>, index: usize) {
    let looks = work.record.attempts.get(index).map_or(0, |attempt| attempt.looks);
    if let Some(wait) = looks::next_wait(&work.rules.query.schedule, looks) {
        work.look_within(wait);
    }
}

fn while_charging(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    match (about, &told.outcome) {
        (About::Send | About::Order, Outcome::AwaitingPayer(actions)) if !actions.is_empty() => opened(work, actions),
        (About::Send, Outcome::Declined(why)) => {
            ending::end_attempt(work, index, AttemptEnd::Declined(why.clone()));
        }
        (About::Order, Outcome::Declined(why)) if charge_is_over(work, index) => {
            ending::end_attempt(work, index, AttemptEnd::Declined(why.clone()));
        }
        (About::Send, Outcome::NotExecuted(why) | Outcome::AccountRefused(why)) => {
            ending::end_attempt(work, index, AttemptEnd::NotSent(why.clone()));
        }
        (About::Order, Outcome::NotFound) => {
            let believed =
                work.record.attempts.get(index).is_some_and(|attempt| sending::not_found_counts(work, attempt, told));
            if believed {
                let why = "the channel does not know the charge".to_owned();
                ending::end_attempt(work, index, AttemptEnd::NotSent(why));
            } else {
                look_when_visible(work, index);
            }
        }
        (About::Send | About::Order, Outcome::Processing | Outcome::Held(_)) => look_soon(work, index),
        (About::Send | About::Order | About::CloseRefused | About::Session(_) | About::Nothing, _) => {
            work.doubt(&describe(&told.outcome));
            look_soon(work, index);
        }
    }
}

fn charge_is_over(work: &Work<'_>, index: usize) -> bool {
    work.record.attempts.get(index).is_some_and(|attempt| sending::sending_is_over(work, attempt))
}

fn while_awaiting(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    let is_order = work.order() == Some(index);
    match (about, &told.outcome) {
        (About::Session(actions), _) => renewed(work, actions),
        (About::Send | About::Order, Outcome::AwaitingPayer(actions)) if is_order && !actions.is_empty() => {
            renewed(work, actions);
        }
        (About::Send, Outcome::Declined(why) | Outcome::AccountRefused(why)) => {
            sending::send_refused(work, index, why, false);
        }
        (About::Send, Outcome::NotExecuted(why)) => sending::send_refused(work, index, why, true),
        (About::Order, Outcome::Declined(why)) if decline_ends(work, index) => {
            ending::end_attempt(work, index, AttemptEnd::Declined(why.clone()));
        }
        // The order is proved to be there: only the payer is awaited.
        (About::Send | About::Order, Outcome::Unpaid | Outcome::AwaitingPayer(_)) => work.no_doubt(),
        (About::CloseRefused, _) => work.ask(CallKind::Query),
        (About::Send | About::Order | About::Nothing, _) => {}
    }
}

/// A payer action that takes the place of the one before it.
fn renewed(work: &mut Work<'_>, actions: &[NamedAction]) {
    let step = PayerStep::Actions(actions.to_vec());
    work.no_doubt();
    if work.record.status != (Status::AwaitingPayer { step: step.clone() }) {
        work.record.status = Status::AwaitingPayer { step };
        work.note("here is a new payer action");
    }
}

fn while_closing(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    match (about, &told.outcome) {
        (About::CloseRefused, _) => {
            work.note("the channel did not take the close: asked what became of the order");
            work.ask(CallKind::Query);
        }
        (About::Nothing, _) => {
            work.doubt(&describe(&told.outcome));
            // It may be paid: closes alone would never tell.
            if is_of_close(told) {
                work.ask(CallKind::Query);
            }
        }
        // Declined for good there is nothing left to close; in whatever open status that is heard.
        (About::Order, Outcome::Declined(why)) if decline_ends(work, index) => {
            ending::end_attempt(work, index, AttemptEnd::Declined(why.clone()));
        }
        // Only *closed* closes; the next close is asked by the schedule.
        (About::Send | About::Order | About::Session(_), _) => {
            if !work.record.attention.contains(&crate::model::Attention::InDoubt) {
                work.no_doubt();
            }
        }
    }
}
