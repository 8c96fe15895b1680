//! After a success: other attempts that may still bring money are closed, or asked about, until they have ended or
//! brought it.

use crate::channel::Outcome;
use crate::machine::Told;
use crate::model::{Attempt, AttemptEnd, CallKind, SendState, Transaction};

use super::evidence::{self, About};
use super::work::{DAY, Work};
use super::{closing, ending, looks, sending};

/// Whether the attempt may still bring money that nobody has told: it was sent, and not refused.
pub(super) fn is_doubtful(record: &Transaction, attempt: &Attempt) -> bool {
    attempt.ended.is_none()
        && attempt.sends.iter().any(|send| matches!(send.state, SendState::Unknown | SendState::Executed))
        && !record.receipts.iter().any(|receipt| receipt.number == attempt.number)
}

/// Whether any attempt is so.
pub(super) fn any_doubtful(record: &Transaction) -> bool {
    record.attempts.iter().any(|attempt| is_doubtful(record, attempt))
}

/// It is paid: whatever else a payer could still pay is closed at once.
pub(super) fn begin(work: &mut Work<'_>) {
    for index in doubtful(&work.record) {
        if let Some(attempt) = work.record.attempts.get_mut(index) {
            attempt.looks = 0;
        }
    }
    ask(work);
}

/// Its due time has come: the same again.
pub(super) fn due(work: &mut Work<'_>) {
    if !ask(work) {
        work.note("it has ended");
        return;
    }
    work.doubt("another attempt of it may still be paid");
}

fn doubtful(record: &Transaction) -> Vec<usize> {
    let attempts = record.attempts.iter().enumerate();
    attempts.filter(|(_, attempt)| is_doubtful(record, attempt)).map(|(index, _)| index).collect()
}

/// Asks the channel to close what may still be paid, or what became of it where there is no close. Whether there is any.
fn ask(work: &mut Work<'_>) -> bool {
    let doubtful = doubtful(&work.record);
    if doubtful.is_empty() {
        return false;
    }
    let unheard_of = doubtful.iter().filter_map(|index| work.record.attempts.get(*index)).all(closing::is_not_found);
    let mut looked = 0;
    for index in doubtful {
        let Some(attempt) = work.record.attempts.get(index) else { continue };
        // A charge is no order that could be closed.
        let closes = work.rules.close.is_some() && attempt.intent.token.is_none();
        let number = attempt.number.clone();
        work.call(number, if closes { CallKind::Close } else { CallKind::Query });
        looked = looks::count_look(work, index).max(looked);
    }
    let schedule = work.rules.close.as_ref().map_or(&work.rules.query.schedule, |close| &close.schedule);
    let moment = closing::moment_of_all(&work.record, work.rules);
    match looks::next_wait(schedule, looked) {
        Some(wait) => work.look_in(wait),
        // As healthy as can be of an order that nobody has begun to pay: from then on the same word is its end.
        None if unheard_of && work.now() < moment => work.look_in(moment.since(work.now())),
        None => work.overdue("another attempt than the paid one may still be paid"),
    }
    work.note("asked the channel to close what else of it may still be paid, or what became of that");
    true
}

/// A word without money about such an attempt: it may end the attempt, and never moves the status.
pub(super) fn told(work: &mut Work<'_>, index: usize, about: &About<'_>, told: &Told) {
    let Some(attempt) = work.record.attempts.get(index) else { return };
    let open_sends = attempt.sends.iter().any(|send| matches!(send.state, SendState::Unknown | SendState::Executed));
    let was_opened = attempt.sends.iter().any(|send| send.state == SendState::Executed);
    let decline_ends =
        (attempt.intent.token.is_some() || work.rules.decline_final) && sending::sending_is_over(work, attempt);
    let end = match (about, &told.outcome) {
        (About::Send, Outcome::Declined(why)) if !open_sends => Some(AttemptEnd::Declined(why.clone())),
        (About::Send, Outcome::NotExecuted(why) | Outcome::AccountRefused(why)) if !open_sends => {
            Some(AttemptEnd::NotSent(why.clone()))
        }
        (About::Order, Outcome::Declined(why)) if decline_ends => Some(AttemptEnd::Declined(why.clone())),
        // Nothing is sent again once it is paid. What was opened may not show before a payer begins to pay it.
        (About::Order, Outcome::NotFound) if !was_opened && sending::not_found_counts(work, attempt, told) => {
            Some(AttemptEnd::NotSent("the channel does not know it".to_owned()))
        }
        (About::Send | About::Order | About::CloseRefused | About::Session(_) | About::Nothing, _) => None,
    };
    // Perhaps it is paid.
    let close_is_doubtful = matches!(about, About::CloseRefused | About::Nothing) && evidence::is_of_close(told);
    if close_is_doubtful {
        let number = attempt.number.clone();
        work.call(number, CallKind::Query);
    }
    match end {
        Some(end) => ending::end_attempt(work, index, end),
        None => work.look_within(DAY),
    }
}
