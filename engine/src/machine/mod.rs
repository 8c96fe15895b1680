//! The verbs: what follows from a record and an input. Pure and total: no clock, no randomness, no I/O, no waiting.
//!
//! This is the only room that makes a new status. Commands can be refused; evidence cannot.

pub mod delivery;
mod input;
pub mod schedule;
pub mod transaction;

pub use input::{
    AccountPause, Effect, Input, Moment, NewAlarm, NewEvent, Refusal, Source, Step, Told, Vouched, VouchedOutcome,
};
