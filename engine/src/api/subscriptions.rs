//! Webhook subscriptions.

use crate::model::{DeliveryMode, EventKind, Subscription, SubscriptionState};
use crate::secrets::Secret;
use crate::webhook::Transcript;

/// Where a subscription is to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRequest {
    /// An `http` or `https` address.
    Url(String),
    /// A named handler.
    Function(String),
}

/// What a new subscription is to be.
#[derive(Debug, Clone)]
pub struct CreateSubscription {
    /// Where to.
    pub target: TargetRequest,
    /// Names and values sent along; at most 16. Values are kept sealed.
    pub headers: Vec<(String, String)>,
    /// Which events; empty: `payment.succeeded`.
    pub event_types: Vec<EventKind>,
    /// What it gets.
    pub delivery: DeliveryMode,
    /// The signing secret (`whsec_…`) to use; `None`: a new one is made.
    pub secret: Option<String>,
    /// For people.
    pub description: String,
}

/// A subscription that was just made.
#[derive(Debug)]
pub struct CreatedSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// Its signing secret, shown this once. `None` when the answer repeats an earlier one.
    pub secret: Option<Secret>,
}

/// What changes of a subscription.
#[derive(Debug, Clone, Default)]
pub struct UpdateSubscription {
    /// Where to.
    pub target: Option<TargetRequest>,
    /// Replaces all headers.
    pub headers: Option<Vec<(String, String)>>,
    /// Which events.
    pub event_types: Option<Vec<EventKind>>,
    /// What it gets.
    pub delivery: Option<DeliveryMode>,
    /// Enables or disables it; deleting has its own operation.
    pub state: Option<SubscriptionState>,
    /// For people.
    pub description: Option<String>,
}

/// What a test send came to.
#[derive(Debug)]
pub struct TestSend {
    /// Whether the target answered 200 (or its handler took it).
    pub success: bool,
    /// The exact request, and the response as far as it came.
    pub transcript: Transcript,
}
