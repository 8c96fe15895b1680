//! Deliveries.

use maxpay_engine::api::ResendOutcome;
use maxpay_engine::model::{Delivery, DeliveryState, DeliveryTry, Mode, Timestamp, TryResult};
use serde::Serialize;
use utoipa::ToSchema;

/// One event on its way to one subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// `test` or `live`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// To which subscription.
    pub subscription_id: String,
    /// Which event: the same id over all its deliveries.
    pub event_id: String,
    /// What happened: `payment.succeeded` …
    #[schema(value_type = String)]
    pub event_type: &'static str,
    /// The transaction it speaks of.
    pub transaction_id: String,
    /// `due`, `held`, `delivered`, `exhausted` or `cancelled`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Of `due`: when it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// Of `delivered`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// Tries of the schedule since it was made or resumed.
    pub tries_done: u32,
    /// Every try that ended, oldest first; at most 32.
    pub attempts: Vec<TryView>,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        let (due_at, delivered_at) = match delivery.state {
            DeliveryState::Due { at } => (Some(at), None),
            DeliveryState::Delivered { at } => (None, Some(at)),
            DeliveryState::Held { .. } | DeliveryState::Exhausted | DeliveryState::Cancelled => (None, None),
        };
        Self {
            id: delivery.id.to_string(),
            mode: delivery.mode,
            subscription_id: delivery.subscription_id.to_string(),
            event_id: delivery.event_id.to_string(),
            event_type: delivery.kind.name(),
            transaction_id: delivery.transaction_id.to_string(),
            state: match delivery.state {
                DeliveryState::Due { .. } => "due",
                DeliveryState::Held { .. } => "held",
                DeliveryState::Delivered { .. } => "delivered",
                DeliveryState::Exhausted => "exhausted",
                DeliveryState::Cancelled => "cancelled",
            },
            due_at,
            delivered_at,
            tries_done: delivery.tries_done,
            attempts: delivery.tries.iter().map(TryView::from).collect(),
            created_at: delivery.created_at,
        }
    }
}

/// One try that ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct TryView {
    /// Counts from 1 over the whole life of the delivery.
    pub number: u32,
    /// Whether a person asked for it, outside the schedule.
    pub resend: bool,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// Whether the target took it.
    pub success: bool,
    /// What came of it.
    pub result: TryResultView,
}

impl From<&DeliveryTry> for TryView {
    fn from(attempt: &DeliveryTry) -> Self {
        Self {
            number: attempt.number,
            resend: attempt.resend,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            success: attempt.result.is_success(),
            result: TryResultView::from(&attempt.result),
        }
    }
}

/// What came of a try.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = DeliveryResult)]
pub enum TryResultView {
    /// The target answered; 200 alone is success.
    Answered {
        /// HTTP status.
        status: u16,
        /// The first bytes of the body, as text.
        excerpt: String,
    },
    /// No whole answer head came.
    NoAnswer {
        /// What went wrong.
        reason: String,
    },
    /// The address is not allowed; nothing was sent.
    Refused {
        /// Why.
        reason: String,
    },
    /// A handler of the embedding service took it.
    FunctionOk,
    /// A handler of the embedding service failed.
    FunctionFailed {
        /// What it said.
        reason: String,
    },
}

impl From<&TryResult> for TryResultView {
    fn from(result: &TryResult) -> Self {
        match result {
            TryResult::Answered { status, excerpt } => Self::Answered { status: *status, excerpt: excerpt.clone() },
            TryResult::NoAnswer { reason } => Self::NoAnswer { reason: reason.clone() },
            TryResult::Refused { reason } => Self::Refused { reason: reason.clone() },
            TryResult::FunctionOk => Self::FunctionOk,
            TryResult::FunctionFailed { reason } => Self::FunctionFailed { reason: reason.clone() },
        }
    }
}

/// What a resend came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resend)]
pub struct ResendView {
    /// The delivery after it.
    pub delivery: DeliveryView,
    /// The try itself.
    pub attempt: TryView,
}

impl From<&ResendOutcome> for ResendView {
    fn from(outcome: &ResendOutcome) -> Self {
        Self { delivery: (&outcome.delivery).into(), attempt: (&outcome.attempt).into() }
    }
}
