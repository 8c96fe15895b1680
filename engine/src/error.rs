//! Why the engine does not do what it was asked, as a caller needs to know it.

use crate::channel::FieldError;
use crate::model::TransactionId;
use crate::store::{CommitError, StoreError};

/// Why an operation was not done.
///
/// Every variant has a stable code ([`Error::code`]) that all doors show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such object in the caller's app and mode.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A field is wrong.
    #[error("{}", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Which fields, and what would be right. At least one.
        fields: Vec<FieldError>,
    },
    /// No account of the app and mode serves this channel.
    #[error("the app has no account for channel {0} in this mode")]
    NoAccount(String),
    /// No adapter knows this channel code.
    #[error("{0} is no channel code")]
    UnknownChannel(String),
    /// Every account of the app for this channel is paused or disabled.
    #[error("the account for channel {0} is paused: {1}")]
    AccountPaused(String, String),
    /// What an account signs with cannot be used: its sealed settings do not open. Names the account, or the channel
    /// that was asked for.
    #[error("the signing material of {0} cannot be used")]
    CertificateUnusable(String),
    /// The bill number belongs to another transaction that is open or paid.
    #[error("the bill number belongs to transaction {0}")]
    BillNumberConflict(TransactionId),
    /// The same idempotency key came with another body.
    #[error("the idempotency key was used with another body")]
    IdempotencyMismatch,
    /// The same idempotency key is being worked on.
    #[error("a request with this idempotency key is under way")]
    IdempotencyInProgress,
    /// The payer's token was used for another charge.
    #[error("the token was used before")]
    TokenUsed,
    /// The payer's token does not verify.
    #[error("the token is refused: {0}")]
    TokenRefused(String),
    /// The object's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The channel has no such operation.
    #[error("the channel has no such operation")]
    Unsupported,
    /// A limit of the app is reached.
    #[error("{0}")]
    LimitReached(String),
    /// Too much is under way: try again later. Nothing was done.
    #[error("the engine is busy")]
    Busy,
    /// The engine is draining or has stopped. Nothing was done.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// The record is set aside until an operator looks at it.
    #[error("the record is set aside")]
    SetAside,
    /// The store cannot answer.
    #[error("the store is unavailable: {0}")]
    StoreUnavailable(String),
    /// It is not known whether it was done. Ask again; repeat only under the same number.
    #[error("it is not known whether this was done")]
    OutcomeUnknown,
    /// A defect of ours. Nothing is claimed about what was done.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// A wrong field.
    #[must_use]
    pub fn field(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid { fields: vec![FieldError { field: field.to_owned(), why: why.into() }] }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Invalid { .. } => "invalid_request",
            Self::NoAccount(_) => "channel_not_configured",
            Self::UnknownChannel(_) => "unknown_channel",
            Self::AccountPaused(..) => "account_paused",
            Self::CertificateUnusable(_) => "certificate_unusable",
            Self::BillNumberConflict(_) => "bill_number_conflict",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::TokenUsed => "token_used",
            Self::TokenRefused(_) => "token_refused",
            Self::Conflict(_) => "conflict",
            Self::Unsupported => "unsupported",
            Self::LimitReached(_) => "limit_reached",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
            Self::SetAside => "set_aside",
            Self::StoreUnavailable(_) => "store_unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<StoreError> for Error {
    fn from(why: StoreError) -> Self {
        match why {
            StoreError::Row { .. } => Self::SetAside,
            StoreError::Unavailable(why) => Self::StoreUnavailable(why),
            StoreError::InUse(_) | StoreError::Damaged(_) => Self::StoreUnavailable(why.to_string()),
        }
    }
}

impl From<CommitError> for Error {
    /// For commits that are not tried again: a changed row is *busy*, because nothing was written and the same request
    /// may go through in a moment.
    fn from(why: CommitError) -> Self {
        match why {
            CommitError::Conflict(_) | CommitError::Stale | CommitError::Busy => Self::Busy,
            CommitError::TooLarge => Self::LimitReached(why.to_string()),
            CommitError::Fenced(why) => Self::StoreUnavailable(why.to_string()),
            CommitError::OutcomeUnknown => Self::OutcomeUnknown,
        }
    }
}
