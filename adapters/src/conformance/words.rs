//! What the exam says of outcomes, for people.

use maxpay_engine::channel::Outcome;

/// An outcome in a few words.
pub(super) fn shortly(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Declined(why)
        | Outcome::NotExecuted(why)
        | Outcome::AccountRefused(why)
        | Outcome::Held(why)
        | Outcome::Unknown(why) => format!("{} ({why})", outcome.name()),
        Outcome::Succeeded(paid) => format!("succeeded ({}, trade {})", paid.amount, paid.trade_number),
        Outcome::AwaitingPayer(_)
        | Outcome::Closed
        | Outcome::NotFound
        | Outcome::Unpaid
        | Outcome::Processing
        | Outcome::PaidThenReturned { .. } => outcome.name().to_owned(),
    }
}
