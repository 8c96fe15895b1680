//! Apps and their keys: the operator's.

use crate::model::{App, IssuedKey, KeyKind, LatePolicy, Mode, Timestamp};
use crate::secrets::Secret;

/// What a new app is to be.
#[derive(Debug, Clone)]
pub struct CreateApp {
    /// For people; 1 to 100 characters.
    pub name: String,
    /// As [`App::strict_bill_numbers`].
    pub strict_bill_numbers: bool,
    /// As [`App::late_policy`].
    pub late_policy: LatePolicy,
}

/// A new app and its first keys: client, API and master key of test mode, and of live mode.
#[derive(Debug)]
pub struct CreatedApp {
    /// The app.
    pub app: App,
    /// Its keys with their secrets, shown this once. Empty when the answer repeats an earlier one.
    pub issued: Vec<Issued>,
    /// Whether this request made it.
    pub first: bool,
}

/// What changes of an app.
#[derive(Debug, Clone, Default)]
pub struct UpdateApp {
    /// A new name.
    pub name: Option<String>,
    /// Disables or enables it.
    pub disabled: Option<bool>,
    /// As [`App::strict_bill_numbers`].
    pub strict_bill_numbers: Option<bool>,
    /// As [`App::late_policy`].
    pub late_policy: Option<LatePolicy>,
}

/// Which key is to be issued, or imported.
#[derive(Debug)]
pub struct IssueKey {
    /// What it may do.
    pub kind: KeyKind,
    /// Which mode it opens.
    pub mode: Mode,
    /// The key itself when it is imported: one that is compiled into a merchant's apps. 16 to 128 visible ASCII
    /// characters. `None`: a new one is made.
    pub import: Option<Secret>,
    /// For whom, for session tokens.
    pub owner: Option<String>,
    /// When it ends; session tokens only, which end after 180 days when nobody says.
    pub expires_at: Option<Timestamp>,
}

/// A key that was just issued.
#[derive(Debug)]
pub struct Issued {
    /// Its record.
    pub key: IssuedKey,
    /// The key itself, to be shown once ([`Secret::reveal_once`](crate::secrets::Secret)). `None` when the answer
    /// repeats an earlier one.
    pub secret: Option<Secret>,
    /// Whether this request issued it.
    pub first: bool,
}
