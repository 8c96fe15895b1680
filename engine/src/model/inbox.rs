//! A verified notification that has no home yet.

use bincode::{Decode, Encode};

use super::{AccountId, InboxId, Sealed, Timestamp};

/// A verified notification whose transaction is unknown, set aside or busy. Applied when its record returns, or by an
/// operator.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InboxItem {
    /// Its id.
    pub id: InboxId,
    /// The account it came to.
    pub account_id: AccountId,
    /// The number it names.
    pub number: String,
    /// Why it has no home.
    pub reason: String,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// Headers and body as they came, sealed; interpreted again when applied.
    pub raw: Sealed,
    /// When it came.
    pub received_at: Timestamp,
}
