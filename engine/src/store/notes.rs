//! Small records beside the nouns of [`crate::model`]: what the engine notes down to keep its promises.

use bincode::{Decode, Encode};

use crate::model::{RawId, Sealed, Timestamp, TransactionId};

/// What was answered under an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Idempotency {
    /// SHA-256 of the request's body; another body under the same key is refused.
    pub body_digest: [u8; 32],
    /// What kind of resource was made or changed, as the operations table names it; at most 32 characters.
    pub resource_kind: String,
    /// Which one.
    pub resource_id: RawId,
    /// The HTTP status that was answered.
    pub status_code: u16,
    /// When; the row is kept for 24 hours.
    pub created_at: Timestamp,
}

/// Who used a key that may be used once for ever.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OnceOwner {
    /// The transaction that used it.
    pub transaction_id: TransactionId,
    /// When.
    pub taken_at: Timestamp,
}

/// Why a record is set aside: nothing works on it until an operator retries it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetAside {
    /// What is wrong, for people; at most 500 characters.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// Raw evidence behind a transition, with its own retention.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// The bytes as they came, sealed.
    pub raw: Sealed,
    /// When they came.
    pub received_at: Timestamp,
}

/// What an adapter downloaded for an account: certificates and the like. Opaque to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Material {
    /// The bytes, as the adapter gave them.
    pub bytes: Vec<u8>,
    /// When they were fetched.
    pub fetched_at: Timestamp,
}

/// An engine-wide value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MetaValue(pub Vec<u8>);
