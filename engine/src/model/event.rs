//! A published fact.

use bincode::{Decode, Encode};

use super::{AppId, EventId, Mode, Timestamp, TransactionId};

/// A fact that subscribers may hear of. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Public id: the same over all deliveries and tries.
    pub id: EventId,
    /// Whose it is.
    pub app_id: AppId,
    /// Of which world.
    pub mode: Mode,
    /// What happened.
    pub kind: EventKind,
    /// The transaction it speaks of.
    pub transaction_id: TransactionId,
    /// When it happened.
    pub created_at: Timestamp,
    /// What is told: the transaction as it was at this moment.
    pub data: EventData,
}

/// Which fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum EventKind {
    /// `payment.succeeded`
    PaymentSucceeded,
    /// `payment.succeeded_late`: after *closed* or *failed*.
    PaymentSucceededLate,
    /// `payment.duplicate`: a second success of a bill number, or a second receipt of a transaction.
    PaymentDuplicate,
    /// `payment.closed`
    PaymentClosed,
    /// `payment.failed`
    PaymentFailed,
    /// `payment.mismatch`: money of another amount or currency than asked.
    PaymentMismatch,
    /// `payment.returned`: paid, and then given back by the channel or in its console.
    PaymentReturned,
    /// `refund.succeeded` (reserved)
    RefundSucceeded,
    /// `refund.failed` (reserved)
    RefundFailed,
}

impl EventKind {
    /// Every kind that is published today.
    pub const ALL: [Self; 7] = [
        Self::PaymentSucceeded,
        Self::PaymentSucceededLate,
        Self::PaymentDuplicate,
        Self::PaymentClosed,
        Self::PaymentFailed,
        Self::PaymentMismatch,
        Self::PaymentReturned,
    ];

    /// The name in subscriptions, bodies and the `maxpay-event` header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentSucceeded => "payment.succeeded",
            Self::PaymentSucceededLate => "payment.succeeded_late",
            Self::PaymentDuplicate => "payment.duplicate",
            Self::PaymentClosed => "payment.closed",
            Self::PaymentFailed => "payment.failed",
            Self::PaymentMismatch => "payment.mismatch",
            Self::PaymentReturned => "payment.returned",
            Self::RefundSucceeded => "refund.succeeded",
            Self::RefundFailed => "refund.failed",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an event tells, as values and not as text: each target writes it its own way.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EventData {
    /// The merchant's number.
    pub bill_num: String,
    /// The channel code.
    pub channel: String,
    /// The amount asked for, in minor units.
    pub amount_minor: u64,
    /// Its currency.
    pub currency: String,
    /// When the transaction was made.
    pub created_at: Timestamp,
    /// When it ended; for a success, when it was paid.
    pub ended_at: Option<Timestamp>,
    /// The merchant's extras: JSON text.
    pub extras: Option<String>,
    /// The native status at this moment.
    pub status: String,
    /// The provider's number, where money moved.
    pub trade_number: Option<String>,
    /// What was paid in all, in minor units.
    pub paid_minor: u64,
    /// What was given back in all, in minor units.
    pub refunded_minor: u64,
    /// The amount that this event is about, where it or its currency differs from what was asked for.
    pub moved_minor: Option<u64>,
    /// Its currency; there exactly when `moved_minor` is.
    pub moved_currency: Option<String>,
    /// The transaction that was paid first under the same bill number.
    pub duplicate_of: Option<TransactionId>,
    /// Why, where there is a reason to tell.
    pub reason: Option<String>,
}
