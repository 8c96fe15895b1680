//! Why a message to a transaction came to nothing, and what its caller hears of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;
use crate::machine::Refusal;
use crate::store::CommitError;

/// Why a message came to nothing.
pub(crate) enum Failure {
    /// It is refused; the record is as it was.
    Refused(Error),
    /// What is held may not be what is durable: read again.
    Distrust(Error),
    /// The record made the machine fail.
    Poisoned(String),
}

impl From<Error> for Failure {
    fn from(why: Error) -> Self {
        Self::Refused(why)
    }
}

/// What a commit that is not made again is to the message.
pub(super) fn commit_failure(why: CommitError) -> Failure {
    match why {
        CommitError::OutcomeUnknown => Failure::Distrust(Error::OutcomeUnknown),
        CommitError::Conflict(_)
        | CommitError::Stale
        | CommitError::Busy
        | CommitError::TooLarge
        | CommitError::Fenced(_) => Failure::Refused(why.into()),
    }
}

/// What the machine's refusal is to a caller.
pub(super) fn refused(why: &Refusal) -> Error {
    match why {
        Refusal::Unsupported => Error::Unsupported,
        Refusal::Unknown(_)
        | Refusal::Ended(_)
        | Refusal::Status(_)
        | Refusal::CloseRequested
        | Refusal::TooLate
        | Refusal::TokenKnown
        | Refusal::Contradicts(_) => Error::Conflict(why.to_string()),
        Refusal::Range | Refusal::AttemptsUsedUp => Error::LimitReached(why.to_string()),
    }
}

/// Runs the machine so that a defect in it ends this message and not the thread's other work.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Failure::Poisoned(format!("the machine failed: {}", what.unwrap_or("it says nothing")))
    })
}
