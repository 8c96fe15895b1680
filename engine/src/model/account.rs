//! An account: one contract with a channel's provider, and its credentials in revisions.

use bincode::{Decode, Encode};

use super::{AccountId, AppId, ChannelCode, Mode, Sealed, Timestamp};

/// One contract of an app with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Its id; part of the notify address.
    pub id: AccountId,
    /// The app it belongs to.
    pub app_id: AppId,
    /// The mode it belongs to.
    pub mode: Mode,
    /// Raised by every change.
    pub version: u64,
    /// Which adapter speaks for it: `sandbox`, `alipay` …
    pub adapter: String,
    /// The channel codes it serves.
    pub codes: Vec<ChannelCode>,
    /// For people; at most 100 characters.
    pub label: String,
    /// Among several accounts for one code, a higher one goes first.
    pub priority: u32,
    /// Among accounts of equal priority, the share it takes.
    pub weight: u32,
    /// Whether it takes creates and sends.
    pub state: AccountState,
    /// Oldest first; at least one, at most 100. All have the same identity.
    pub revisions: Vec<Revision>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether an account is used.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AccountState {
    /// It takes creates.
    Active,
    /// The provider refused the account itself: nothing that creates is sent until its settings are saved or an
    /// operator resumes it.
    Paused {
        /// What the provider said.
        reason: String,
        /// When.
        since: Timestamp,
    },
    /// Deleted by the merchant: no creates; what is under way goes on.
    Disabled,
}

/// One saved state of an account's settings.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Revision {
    /// Counts from 1.
    pub number: u32,
    /// The settings that are no secret, as the adapter takes them: JSON text. Includes the identity.
    pub settings: String,
    /// The secret ones: sealed JSON text.
    pub secrets: Sealed,
    /// What makes it this contract and no other: merchant, app and seller ids, hosts. Text of the adapter's making.
    pub identity: String,
    /// When it was saved.
    pub saved_at: Timestamp,
}
