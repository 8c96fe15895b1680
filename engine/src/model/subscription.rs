//! A merchant's wish to hear of events.

use bincode::{Decode, Encode};

use super::{AppId, EventKind, Mode, Sealed, SubscriptionId, Timestamp};

/// One target of an app. At most 64 a mode.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub app_id: AppId,
    /// It hears of events of this mode only.
    pub mode: Mode,
    /// Raised by every change.
    pub version: u64,
    /// Where to.
    pub target: Target,
    /// Sent along with every request; at most 16. Values are sealed: they often are credentials.
    pub headers: Vec<Header>,
    /// Which events; sorted.
    pub event_types: Vec<EventKind>,
    /// Whether it gets events, or only what the test button sends.
    pub delivery: DeliveryMode,
    /// Whether it is in use.
    pub state: SubscriptionState,
    /// The secret of `webhook-signature`, sealed: `whsec_` and base64.
    pub secret: Sealed,
    /// For people; at most 200 characters.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where deliveries go.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// An `http` or `https` address.
    Url(String),
    /// A named handler: a closure of the embedding service, or a function container.
    Function(String),
}

/// One additional header.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// As the merchant wrote it.
    pub name: String,
    /// Sealed text.
    pub value: Sealed,
}

/// What a subscription gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// Events of its mode.
    Events,
    /// Nothing but test sends.
    TestSendsOnly,
}

/// Whether a subscription is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// It is.
    Enabled,
    /// New events are written as held deliveries.
    Disabled,
    /// Its deliveries are cancelled; kept so that they can be explained.
    Deleted,
}
