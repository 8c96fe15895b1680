//! Something a person must look at.

use bincode::{Decode, Encode};

use super::{AlarmId, Timestamp};

/// Something a person must look at.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Alarm {
    /// Its id.
    pub id: AlarmId,
    /// What kind.
    pub kind: AlarmKind,
    /// The record it is about: its id as text.
    pub subject: String,
    /// What happened, for people, without secrets; at most 500 characters.
    pub text: String,
    /// When.
    pub raised_at: Timestamp,
    /// Who has seen it, and when.
    pub acknowledged: Option<(String, Timestamp)>,
}

/// What kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A call stays without an answer after the last scheduled look.
    InDoubt,
    /// Money of another amount or currency.
    Mismatch,
    /// A second success of a bill number or transaction.
    Duplicate,
    /// A success after *closed* or *failed*.
    LateSuccess,
    /// Paid money went back without a refund of ours.
    Returned,
    /// More was given back than was paid.
    OverRefunded,
    /// An answer or notification names somebody else's order, account or merchant.
    WrongOwner,
    /// The provider refuses the account itself.
    AccountRefused,
    /// A verified notification has no home.
    Inbox,
    /// A record killed its actor twice, or does not decode.
    SetAside,
    /// A subscription names a function that nobody registered.
    FunctionMissing,
    /// The store was fenced.
    Store,
    /// A payment cannot be told to a subscription: the app has no master key to sign it with.
    KeyMissing,
    /// A part of the engine failed by a defect, and goes on.
    Defect,
}

impl AlarmKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::InDoubt,
        Self::Mismatch,
        Self::Duplicate,
        Self::LateSuccess,
        Self::Returned,
        Self::OverRefunded,
        Self::WrongOwner,
        Self::AccountRefused,
        Self::Inbox,
        Self::SetAside,
        Self::FunctionMissing,
        Self::Store,
        Self::KeyMissing,
        Self::Defect,
    ];

    /// Its name, as doors and metrics show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            Self::Mismatch => "mismatch",
            Self::Duplicate => "duplicate",
            Self::LateSuccess => "late_success",
            Self::Returned => "returned",
            Self::OverRefunded => "over_refunded",
            Self::WrongOwner => "wrong_owner",
            Self::AccountRefused => "account_refused",
            Self::Inbox => "inbox",
            Self::SetAside => "set_aside",
            Self::FunctionMissing => "function_missing",
            Self::Store => "store",
            Self::KeyMissing => "key_missing",
            Self::Defect => "defect",
        }
    }
}
