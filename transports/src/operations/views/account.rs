//! Accounts with providers.

use maxpay_engine::model::{Account, AccountState, Mode, Revision, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One contract with a provider. Its secret settings are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    /// Its id; part of the notify address `/notify/{adapter}/{id}`.
    pub id: String,
    /// `test` or `live`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// Which adapter speaks for it.
    pub adapter: String,
    /// The channel codes it serves.
    pub codes: Vec<String>,
    /// For people.
    pub label: String,
    /// Among several accounts for one code, a higher one goes first.
    #[schema(format = Int64, maximum = 4_294_967_295_u32)]
    pub priority: u32,
    /// Among accounts of equal priority, the share it takes.
    pub weight: u32,
    /// Whether it takes creates.
    pub state: AccountStateView,
    /// The newest revision's settings that are no secrets.
    #[schema(value_type = Object)]
    pub settings: Option<Box<RawValue>>,
    /// When its settings were saved, oldest first.
    pub revisions: Vec<RevisionView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            mode: account.mode,
            adapter: account.adapter.clone(),
            codes: account.codes.iter().map(ToString::to_string).collect(),
            label: account.label.clone(),
            priority: account.priority,
            weight: account.weight,
            state: AccountStateView::from(&account.state),
            settings: account.revisions.last().and_then(|revision| super::raw(&revision.settings)),
            revisions: account.revisions.iter().map(RevisionView::from).collect(),
            created_at: account.created_at,
        }
    }
}

/// Whether an account is used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
#[schema(as = AccountState)]
pub enum AccountStateView {
    /// It takes creates.
    Active,
    /// The provider refused the account itself: saving its settings or an operator resumes it.
    Paused {
        /// What the provider said.
        reason: String,
        /// When.
        #[schema(value_type = String, format = DateTime)]
        since: Timestamp,
    },
    /// Deleted by the merchant: no creates; what is under way goes on.
    Disabled,
}

impl From<&AccountState> for AccountStateView {
    fn from(state: &AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Paused { reason, since } => Self::Paused { reason: reason.clone(), since: *since },
            AccountState::Disabled => Self::Disabled,
        }
    }
}

/// One saved state of an account's settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Revision)]
pub struct RevisionView {
    /// Counts from 1.
    pub number: u32,
    /// When it was saved.
    #[schema(value_type = String, format = DateTime)]
    pub saved_at: Timestamp,
}

impl From<&Revision> for RevisionView {
    fn from(revision: &Revision) -> Self {
        Self { number: revision.number, saved_at: revision.saved_at }
    }
}
