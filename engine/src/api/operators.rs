//! What operators look at and decide.

use crate::model::{KeyId, Timestamp};
use crate::secrets::Secret;

/// A credential of an operator that was just issued.
#[derive(Debug)]
pub struct OperatorKey {
    /// Names it.
    pub id: KeyId,
    /// The credential (`op_…`), shown this once; only its digest is kept.
    pub secret: Secret,
}

/// A record that killed its actor twice, or does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAsideRecord {
    /// `transaction`, `subscription`, or the name of another table in lower case.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub since: Timestamp,
}

/// Which alarms of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlarmFilter {
    /// Only those nobody has acknowledged.
    pub open_only: bool,
}
