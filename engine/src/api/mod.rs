//! What a host asks of the engine: requests, replies, and the doors they go through.
//!
//! Who may ask what is decided by the transports' table of operations; here a caller is already a [`Scope`] or an
//! operator.

mod access;
mod accounts;
mod apps;
mod deliveries;
mod notifications;
mod operators;
mod page;
mod subscriptions;
mod transactions;

pub use access::{Credential, Principal, Proof, Right, SignRules, Unauthenticated};
pub use accounts::{AccountSettings, CreateAccount, CreatedAccount, UpdateAccount};
pub use apps::{CreateApp, CreatedApp, IssueKey, Issued, UpdateApp};
pub use deliveries::{DeliveryFilter, ResendOutcome};
pub use notifications::NotificationReply;
pub use operators::{AlarmFilter, OperatorKey, SetAsideRecord};
pub use page::{Page, PageRequest};
pub use subscriptions::{CreateSubscription, CreatedSubscription, TargetRequest, TestSend, UpdateSubscription};
pub use transactions::{Authorize, CreateTransaction, Created, RecordsQuery, TimelineEntry, TransactionFilter};

use crate::model::{AppId, KeyOwner, Mode};

/// One app in one mode: everything a merchant sees lies in one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The app.
    pub app_id: AppId,
    /// The mode.
    pub mode: Mode,
}

/// A client's own key for one request, so that a repeat finds what the first one made.
///
/// Kept for 24 hours, written in the same commit as what was made. The same key with another body is
/// [`crate::Error::IdempotencyMismatch`]; while the first request has not committed,
/// [`crate::Error::IdempotencyInProgress`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key it is.
    pub owner: KeyOwner,
    /// The mode of the credential; `None` for an operator's.
    pub mode: Option<Mode>,
    /// Name of the operation.
    pub route: &'static str,
    /// As the client sent it: 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of the request's content.
    pub body_digest: [u8; 32],
}
