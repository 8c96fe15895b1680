//! One event on its way to one subscription.

use bincode::{Decode, Encode};

use super::{AppId, DeliveryId, EventId, EventKind, Mode, SubscriptionId, Timestamp, TransactionId};

/// One event to one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delivery {
    /// Its id: made from the event's and the subscription's, so that a repeat makes the same.
    pub id: DeliveryId,
    /// Whose it is.
    pub app_id: AppId,
    /// Of which world.
    pub mode: Mode,
    /// Raised by every change.
    pub version: u64,
    /// To which subscription.
    pub subscription_id: SubscriptionId,
    /// Which event.
    pub event_id: EventId,
    /// Where the event stands: commit and index.
    pub event_at: (u64, u32),
    /// Kind of the event.
    pub kind: EventKind,
    /// The transaction it speaks of.
    pub transaction_id: TransactionId,
    /// When it was written.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries of the schedule that ended since it was made or resumed.
    pub tries_done: u32,
    /// Every try that ended, oldest first; at most 32, then the oldest after the first are dropped.
    pub tries: Vec<DeliveryTry>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum DeliveryState {
    /// To be tried at that moment, or as soon after it as can be.
    Due {
        /// When.
        at: Timestamp,
    },
    /// Waits for the subscription to be enabled, switched to events, or its function to be registered.
    Held {
        /// When its next try is due once nothing holds it: holding shortens no gap.
        due_at: Timestamp,
    },
    /// The target answered 200.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// No tries left.
    Exhausted,
    /// The subscription was deleted.
    Cancelled,
}

/// One try that ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeliveryTry {
    /// Counts from 1 over the whole life of the delivery.
    pub number: u32,
    /// Whether a person asked for it, outside the schedule.
    pub resend: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What came of it.
    pub result: TryResult,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum TryResult {
    /// The target answered; 200 alone is success.
    Answered {
        /// HTTP status.
        status: u16,
        /// The first bytes of the body, as text; at most 2,048.
        excerpt: String,
    },
    /// No whole answer head came.
    NoAnswer {
        /// What went wrong, without addresses of ours.
        reason: String,
    },
    /// The address is not allowed; nothing was sent.
    Refused {
        /// Why.
        reason: String,
    },
    /// A handler of the embedding service took it.
    FunctionOk,
    /// A handler of the embedding service failed.
    FunctionFailed {
        /// What it said.
        reason: String,
    },
}

impl TryResult {
    /// Whether the target took the event.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Answered { status, .. } => *status == 200,
            Self::FunctionOk => true,
            Self::NoAnswer { .. } | Self::Refused { .. } | Self::FunctionFailed { .. } => false,
        }
    }
}
