//! The steps of a transaction.

use maxpay_engine::api::TimelineEntry;
use maxpay_engine::model::{Cause, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// One step of a transaction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineEntryView {
    /// Counts from 1.
    pub number: u32,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Status before; empty for the first.
    pub from: String,
    /// Status after.
    pub to: String,
    /// What brought it about.
    pub cause: CauseView,
    /// Why.
    pub note: String,
    /// SHA-256 of the evidence, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_sha256: Option<String>,
    /// SHA-256 of the entry before it, in hexadecimal: an edit shows.
    pub previous_sha256: String,
}

impl From<&TimelineEntry> for TimelineEntryView {
    fn from(entry: &TimelineEntry) -> Self {
        let step = &entry.transition;
        Self {
            number: step.number,
            at: step.at,
            from: step.from.clone(),
            to: step.to.clone(),
            cause: CauseView::from(&step.cause),
            note: step.note.clone(),
            evidence_sha256: step.evidence_digest.map(hex::encode),
            previous_sha256: hex::encode(step.previous),
        }
    }
}

/// What brought a step about.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Cause)]
pub enum CauseView {
    /// A command of the merchant's.
    Command {
        /// Its name.
        name: String,
    },
    /// The answer to a call of ours.
    Answer,
    /// A verified notification.
    Notification,
    /// The clock.
    Clock,
    /// An operator.
    Operator {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Command(name) => Self::Command { name: name.clone() },
            Cause::Answer => Self::Answer,
            Cause::Notification => Self::Notification,
            Cause::Clock => Self::Clock,
            Cause::Operator { author, reason } => Self::Operator { author: author.clone(), reason: reason.clone() },
        }
    }
}
