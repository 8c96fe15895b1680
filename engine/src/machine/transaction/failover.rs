//! Falling over to another account: only from a send that was proved not to have been executed, or that the channel
//! declined before a payer saw anything; never from silence.

use crate::channel::Recreate;
use crate::machine::Effect;
use crate::model::{Attempt, AttemptEnd, AttemptNumber, Fallback, Status, Submission};

use super::work::Work;
use super::{draft, ending, sending};

/// Whether a transaction that stands so may still fall over: no payer has seen anything of it.
pub(super) fn may_come(status: &Status) -> bool {
    match status {
        Status::Created | Status::Submitting { what: Submission::Create } => true,
        Status::Submitting { what: Submission::Charge }
        | Status::AwaitingPayer { .. }
        | Status::Closing
        | Status::Succeeded { .. }
        | Status::Failed { .. }
        | Status::Closed { .. } => false,
    }
}

/// Whether another account would take the transaction over if attempt `index` ended now without having been executed.
pub(super) fn is_open(work: &Work<'_>, index: usize) -> bool {
    next(work, index).is_some()
}

fn next(work: &Work<'_>, index: usize) -> Option<(Fallback, AttemptNumber)> {
    let fallback = *work.record.fallbacks.first()?;
    let number = u8::try_from(work.record.attempts.len()).ok()?;
    let free = may_come(&work.record.status) && work.newest() == Some(index) && sending::may_send(work);
    free.then_some((fallback, AttemptNumber { transaction: work.record.id, index: number }))
}

/// The channel refuses attempt `index`, or nothing of it was executed: the next account takes it over under a number of
/// its own. Without one the attempt's end is that of the transaction.
pub(super) fn end_refused(work: &mut Work<'_>, index: usize, end: AttemptEnd) {
    // Where a create moves money itself, a decline is the payer's own answer, which another account would not change.
    let of_payer = work.rules.recreate == Recreate::Never && matches!(end, AttemptEnd::Declined(_));
    let over_to = next(work, index).filter(|_| !of_payer);
    let Some((fallback, number)) = over_to else { return ending::end_attempt(work, index, end) };
    let now = work.now();
    let Some(refused) = work.record.attempts.get_mut(index) else { return };
    let intent = refused.intent.clone();
    let why = reason(refused, &end);
    refused.ended = Some(end);
    work.record.fallbacks.remove(0);
    work.record.attempts.push(draft::new_attempt(number.clone(), now, fallback.account_id, fallback.revision, intent));
    work.note(format!("{why}; account {} takes it over as {number}", fallback.account_id));
    work.no_doubt();
    let newest = index.saturating_add(1);
    if work.rules.locally_signed {
        work.effects.push(Effect::Resign { number });
    } else {
        // A number that was just given has sends to spare.
        let _ = sending::send_create(work, newest);
        work.record.status = Status::Submitting { what: Submission::Create };
    }
    sending::look_after_send(work);
}

fn reason(refused: &Attempt, end: &AttemptEnd) -> String {
    let account = refused.account_id;
    match end {
        AttemptEnd::Declined(why) => format!("account {account} was declined: {why}"),
        AttemptEnd::NotSent(why) => format!("nothing was executed for account {account}: {why}"),
        AttemptEnd::Closed => format!("the order of account {account} is closed"),
    }
}
