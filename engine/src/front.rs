//! The front door: what a host asks of [`crate::Engine`], one file per kind of thing asked for.
//!
//! Every command runs to its end on the engine's own runtime, reads off the caller's thread, and answers after its
//! commit. Who may ask what is the doors' affair.

mod access;
mod account_settings;
mod accounts;
mod apps;
mod content;
mod create;
mod deliveries;
mod idempotency;
mod inbox;
mod keys;
mod lists;
mod notifications;
mod operator_keys;
mod operators;
mod retries;
mod route;
mod settle;
mod subscriptions;
mod transactions;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{SlowStore, refusing_store};

pub use account_settings::account_lacks;
pub(crate) use idempotency::{Claim, Claimed, KeysInProgress, is_forgotten};
pub(crate) use settle::Decided;

use crate::Error;

/// A text for people: not empty, at most `max` characters, no control characters.
fn check_text(field: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    check_optional_text(field, text, max)
}

/// As [`check_text`]; may be empty.
fn check_optional_text(field: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(Error::field(field, format!("at most {max} characters and no control characters")));
    }
    Ok(())
}
