//! Webhook subscriptions.

use std::fmt;

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

/// What a new subscription is to be. Its `Debug` shows neither header values nor the secret.
#[derive(Clone)]
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

impl fmt::Debug for CreateSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSubscription")
            .field("target", &self.target)
            .field("headers", &names(&self.headers))
            .field("event_types", &self.event_types)
            .field("delivery", &self.delivery)
            .field("secret", &self.secret.as_ref().map(|_| "[secret]"))
            .field("description", &self.description)
            .finish()
    }
}

/// A subscription that was just made.
#[derive(Debug)]
pub struct CreatedSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// Its signing secret, shown this once. `None` when the answer repeats an earlier one.
    pub secret: Option<Secret>,
    /// Whether this request made it.
    pub first: bool,
}

/// What changes of a subscription. Its `Debug` shows no header values.
#[derive(Clone, Default)]
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

impl fmt::Debug for UpdateSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateSubscription")
            .field("target", &self.target)
            .field("headers", &self.headers.as_deref().map(names))
            .field("event_types", &self.event_types)
            .field("delivery", &self.delivery)
            .field("state", &self.state)
            .field("description", &self.description)
            .finish()
    }
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// What a test send came to.
#[derive(Debug)]
pub struct TestSend {
    /// Whether the target answered 200 (or its handler took it).
    pub success: bool,
    /// The exact request, and the response as far as it came.
    pub transcript: Transcript,
}
