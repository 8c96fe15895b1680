//! One step of a record, so that every state can be explained.

use bincode::{Decode, Encode};

use super::Timestamp;

/// One step of a record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Transition {
    /// Counts from 1 in its record.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Native status before, or empty for the first.
    pub from: String,
    /// Native status after.
    pub to: String,
    /// What brought it about.
    pub cause: Cause,
    /// Why, for people; at most 300 characters, no secrets.
    pub note: String,
    /// SHA-256 of the evidence, where there is any.
    pub evidence_digest: Option<[u8; 32]>,
    /// SHA-256 of the row before it, zeros for the first: an edit shows.
    pub previous: [u8; 32],
}

/// What brought a step about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Cause {
    /// A command of the merchant's: its name.
    Command(String),
    /// The answer to a call of ours.
    Answer,
    /// A verified notification.
    Notification,
    /// The clock.
    Clock,
    /// An operator.
    Operator {
        /// Who.
        author: String,
        /// Why, in their words.
        reason: String,
    },
}
