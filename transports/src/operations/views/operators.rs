//! What operators look at.

use maxpay_engine::api::SetAsideRecord;
use maxpay_engine::model::{Alarm, AlarmKind, InboxItem, OperatorCredential, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A verified notification that has no home yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboxItem)]
pub struct InboxItemView {
    /// Its id.
    pub id: String,
    /// The account it came to.
    pub account_id: String,
    /// The number it names.
    pub number: String,
    /// Why it has no home.
    pub reason: String,
    /// SHA-256 of its body, in hexadecimal.
    pub body_sha256: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
}

impl From<&InboxItem> for InboxItemView {
    fn from(item: &InboxItem) -> Self {
        Self {
            id: item.id.to_string(),
            account_id: item.account_id.to_string(),
            number: item.number.clone(),
            reason: item.reason.clone(),
            body_sha256: hex::encode(item.digest),
            received_at: item.received_at,
        }
    }
}

/// A key of the operator's. What it is was told when it was issued, and never again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorKey)]
pub struct OperatorKeyView {
    /// Names it, for revoking.
    pub id: String,
    /// Its last four characters.
    pub hint: String,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<&OperatorCredential> for OperatorKeyView {
    fn from(key: &OperatorCredential) -> Self {
        Self { id: key.id.to_string(), hint: key.hint.clone(), created_at: key.created_at, revoked_at: key.revoked_at }
    }
}

/// A record that killed its actor twice, or does not decode.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetAsideRecord)]
pub struct SetAsideView {
    /// `transaction` or `subscription`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

impl From<&SetAsideRecord> for SetAsideView {
    fn from(record: &SetAsideRecord) -> Self {
        Self { kind: record.kind.to_owned(), id: record.id.clone(), reason: record.reason.clone(), since: record.since }
    }
}

/// Something a person must look at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alarm)]
pub struct AlarmView {
    /// Its id.
    pub id: String,
    /// `in_doubt`, `mismatch`, `duplicate`, `late_success`, `returned`, `wrong_owner`, `account_refused`, `inbox`,
    /// `set_aside`, `function_missing`, `store`, `key_missing`, `over_refunded` or `defect`.
    #[schema(value_type = String)]
    pub kind: AlarmKind,
    /// The id of the record it is about.
    pub subject: String,
    /// What happened.
    pub text: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub raised_at: Timestamp,
    /// Who has seen it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
}

impl From<&Alarm> for AlarmView {
    fn from(alarm: &Alarm) -> Self {
        Self {
            id: alarm.id.to_string(),
            kind: alarm.kind,
            subject: alarm.subject.clone(),
            text: alarm.text.clone(),
            raised_at: alarm.raised_at,
            acknowledged_by: alarm.acknowledged.as_ref().map(|(who, _)| who.clone()),
            acknowledged_at: alarm.acknowledged.as_ref().map(|(_, when)| *when),
        }
    }
}

/// It was done, and there is nothing more to say.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

impl Done {
    /// It was done.
    #[must_use]
    pub fn yes() -> Self {
        Self { done: true }
    }
}
