//! Accounts with providers.

use crate::model::{Account, ChannelCode};

/// What a new account is to be.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// Which adapter speaks for it.
    pub adapter: String,
    /// The codes it serves; empty: all of the adapter's.
    pub codes: Vec<ChannelCode>,
    /// For people.
    pub label: String,
    /// As [`crate::model::Account::priority`].
    pub priority: u32,
    /// As [`crate::model::Account::weight`]; at least 1.
    pub weight: u32,
    /// All settings by name, secret ones too.
    pub settings: AccountSettings,
}

/// An account that was made, or found.
#[derive(Debug, Clone)]
pub struct CreatedAccount {
    /// As it is now.
    pub account: Account,
    /// Whether this request made it.
    pub first: bool,
}

/// Settings as they come in: a JSON object. Never printed, because it holds secrets.
#[derive(Clone)]
pub struct AccountSettings(pub serde_json::Map<String, serde_json::Value>);

impl std::fmt::Debug for AccountSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountSettings({} fields)", self.0.len())
    }
}

/// What changes of an account.
#[derive(Debug, Clone, Default)]
pub struct UpdateAccount {
    /// The codes it serves.
    pub codes: Option<Vec<ChannelCode>>,
    /// For people.
    pub label: Option<String>,
    /// As [`crate::model::Account::priority`].
    pub priority: Option<u32>,
    /// As [`crate::model::Account::weight`].
    pub weight: Option<u32>,
    /// Settings to change; those not named stay as they are. Makes a new revision of the same identity; another
    /// identity is refused, it is another account. Saving settings ends a pause.
    pub settings: Option<AccountSettings>,
}
