//! Proof of one payment.

use bincode::{Decode, Encode};

use super::{AttemptNumber, Money, Timestamp};

/// Proof of one payment, keyed by (attempt, channel trade number).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// The attempt that was paid.
    pub number: AttemptNumber,
    /// The provider's number for it.
    pub trade_number: String,
    /// What was paid, as the provider says.
    pub amount: Money,
    /// When, as the provider says; else when the proof came.
    pub paid_at: Timestamp,
    /// When the proof came.
    pub recorded_at: Timestamp,
    /// Whether it counts.
    pub state: ReceiptState,
    /// Given back, in minor units of `amount`.
    pub refunded_minor: u64,
    /// Promised to refunds that are under way, in minor units of `amount`.
    pub reserved_minor: u64,
    /// Given back by the channel or in the provider's console, without a refund of ours.
    pub returned: Option<ExternalReturn>,
}

/// Whether a receipt counts as paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ReceiptState {
    /// It is the transaction's payment.
    Counted,
    /// A further payment of a transaction that was paid already: counted and flagged.
    Duplicate,
    /// Another amount or currency than asked, or under a number that was never given: outside `paid` until an operator
    /// accepts it.
    Mismatch,
    /// A mismatch that an operator accepted: counted.
    Accepted,
}

/// Money of a receipt that went back without a refund of ours.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ExternalReturn {
    /// The provider's refund number, else `returned`.
    pub key: String,
    /// How much in all, in minor units of the receipt's currency. A later figure replaces it.
    pub amount_minor: u64,
    /// Who gave it back, as the provider says.
    pub by: String,
    /// Whether the provider calls it final.
    pub is_final: bool,
    /// When the newest word of it came.
    pub at: Timestamp,
}
