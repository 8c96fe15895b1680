//! The machine of a transaction (payments.md sections 2 and 4): which record follows from a record and an input.
//!
//! One match on (status, input), in which every status stands by name: a new one compiles only once each arm has been
//! looked at. Each idea it calls has a file of its own.

mod aftermath;
mod bill;
mod closing;
mod draft;
mod ending;
mod evidence;
mod failover;
mod hints;
mod looks;
mod money;
mod operator;
mod resume;
mod returned;
mod sending;
mod submit;
#[cfg(test)]
mod tests;
mod work;

pub use bill::{BillDecision, bill_after_create, bill_candidates, bill_decision, bill_needs_index};
pub(crate) use draft::new_attempt;
pub use draft::{Draft, create};
pub use resume::resume;
pub use sending::{START_MAX, may_start_until};

use crate::channel::CodeManifest;
use crate::machine::{Input, Moment, Refusal, Source, Step};
use crate::model::{Bill, Cause, Door, LatePolicy, Requester, Status, Submission, Transaction};

use work::Work;

/// What the app decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppPolicy {
    /// What a late success publishes besides `payment.succeeded_late`.
    pub late_policy: LatePolicy,
}

impl AppPolicy {
    /// Whether a late success of a transaction made by `door` also publishes `payment.succeeded`.
    #[must_use]
    pub fn publishes_late(self, door: Door) -> bool {
        match (self.late_policy, door) {
            (LatePolicy::Publish, Door::Native | Door::Original) | (LatePolicy::ByDoor, Door::Original) => true,
            (LatePolicy::Hold, Door::Native | Door::Original) | (LatePolicy::ByDoor, Door::Native) => false,
        }
    }
}

/// Every status, for what all of them hear: a new one belongs here, or gets arms of its own.
macro_rules! any_status {
    () => {
        Status::Created
            | Status::Submitting { .. }
            | Status::AwaitingPayer { .. }
            | Status::Closing
            | Status::Succeeded { .. }
            | Status::Failed { .. }
            | Status::Closed { .. }
    };
}

/// What follows from a record and an input: the whole record after it, and what the same commit carries.
///
/// `rules` are those of the record's channel code; `bill` is its Bill row as read.
///
/// # Errors
/// A command that cannot be taken is a [`Refusal`]. [`Input::Told`], [`Input::Hint`] and [`Input::Due`] are never refused.
#[expect(clippy::match_same_arms, reason = "the table is read input by input")]
pub fn step(
    record: &Transaction,
    bill: &Bill,
    input: &Input,
    moment: Moment,
    rules: &CodeManifest,
    policy: &AppPolicy,
) -> Result<Step, Refusal> {
    use Status::{AwaitingPayer, Closed, Closing, Created, Failed, Submitting, Succeeded};
    let mut work = Work::new(record, bill, moment, rules, *policy, cause(input));
    let it = &mut work;
    let fits_not = || Err(Refusal::Status(record.status.name()));
    let has_ended = || Err(Refusal::Ended(record.status.name()));
    if matches!(input, Input::Due) {
        hints::due(it);
    }
    match (&record.status, input) {
        (Created, Input::Submit) => submit::submit(it)?,
        (Submitting { .. } | AwaitingPayer { .. } | Closing, Input::Submit) => return fits_not(),
        (Succeeded { .. } | Failed { .. } | Closed { .. }, Input::Submit) => return has_ended(),

        (Created, Input::Signed(outcome)) => submit::signed(it, outcome)?,
        (Submitting { .. } | AwaitingPayer { .. } | Closing, Input::Signed(_)) => return fits_not(),
        (Succeeded { .. } | Failed { .. } | Closed { .. }, Input::Signed(_)) => return has_ended(),

        (Created, Input::Close(by)) => closing::close_unsent(it, *by),
        (Submitting { .. }, Input::Close(by)) => closing::remember(it, *by),
        (AwaitingPayer { .. }, Input::Close(by)) => closing::request(it, *by),
        (Closing, Input::Close(_)) => it.note("a close was asked for before"),
        (Succeeded { .. } | Failed { .. } | Closed { .. }, Input::Close(_)) => return has_ended(),

        (Created, Input::QueryNow) => return fits_not(),
        (
            Submitting { .. } | AwaitingPayer { .. } | Closing | Succeeded { .. } | Failed { .. } | Closed { .. },
            Input::QueryNow,
        ) => looks::query_now(it),

        (any_status!(), Input::Authorize { token_digest, .. }) if submit::holds_token(record, token_digest) => {
            return Err(Refusal::TokenKnown);
        }
        (AwaitingPayer { .. }, Input::Authorize { once_key, token_digest, account_id, revision }) => {
            submit::authorize(it, (*once_key, *token_digest), *account_id, *revision)?;
        }
        (Created | Submitting { .. } | Closing, Input::Authorize { .. }) => return fits_not(),
        (Succeeded { .. } | Failed { .. } | Closed { .. }, Input::Authorize { .. }) => return has_ended(),

        (AwaitingPayer { step }, Input::RenewActions) => sending::renew(it, step),
        (
            Created | Submitting { .. } | Closing | Succeeded { .. } | Failed { .. } | Closed { .. },
            Input::RenewActions,
        ) => it.note("no payer action to renew"),

        // Evidence and hints are heard in every status, and so are operators.
        (any_status!(), Input::Told(told)) => evidence::told(it, told),
        (any_status!(), Input::Hint(number)) => hints::take(it, number),
        (any_status!(), Input::Vouch(vouched)) => operator::vouch(it, vouched)?,
        (any_status!(), Input::AcceptMismatch { trade_number, .. }) => operator::accept_mismatch(it, trade_number)?,

        (Created | Submitting { .. } | AwaitingPayer { .. } | Closing | Succeeded { .. }, Input::Due)
            if !it.look_is_due() =>
        {
            it.note("its own look is not due yet");
        }
        (Succeeded { .. }, Input::Due) => aftermath::due(it),
        (Failed { .. } | Closed { .. }, Input::Due) => it.note("it has ended"),
        (Created, Input::Due) => submit::due_unsent(it),
        (Submitting { what: Submission::Create }, Input::Due) => looks::due_submitting(it),
        (Submitting { what: Submission::Charge }, Input::Due) => looks::due_charging(it),
        (AwaitingPayer { .. }, Input::Due) => looks::due_awaiting(it),
        (Closing, Input::Due) => closing::ask_again(it),

        (Succeeded { late: true, .. }, Input::AcceptLate { .. }) => operator::accept_late(it),
        (
            Created
            | Submitting { .. }
            | AwaitingPayer { .. }
            | Closing
            | Succeeded { late: false, .. }
            | Failed { .. }
            | Closed { .. },
            Input::AcceptLate { .. },
        ) => return Err(Refusal::Contradicts("it is no late success".to_owned())),
    }
    Ok(work.finish())
}

/// What the timeline says brought it about.
fn cause(input: &Input) -> Cause {
    let operator =
        |author: &str, reason: &str| Cause::Operator { author: work::clip(author), reason: work::clip(reason) };
    match input {
        Input::Submit | Input::Signed(_) => Cause::Command("submit".to_owned()),
        Input::Close(Requester::Merchant | Requester::Operator) => Cause::Command("close".to_owned()),
        Input::Close(Requester::Expiry) | Input::Due => Cause::Clock,
        Input::QueryNow => Cause::Command("query".to_owned()),
        Input::Hint(_) => Cause::Command("hint".to_owned()),
        Input::Authorize { .. } => Cause::Command("authorize".to_owned()),
        Input::RenewActions => Cause::Command("renew_actions".to_owned()),
        Input::Told(told) => match told.source {
            Source::Answer { .. } => Cause::Answer,
            Source::Notification => Cause::Notification,
        },
        Input::Vouch(vouched) => operator(&vouched.author, &vouched.reason),
        Input::AcceptMismatch { author, reason, .. } | Input::AcceptLate { author, reason } => operator(author, reason),
    }
}
