//! Subscriptions, and what a test send came to.

use maxpay_engine::api::TestSend;
use maxpay_engine::model::{DeliveryMode, Mode, Subscription, SubscriptionState, Target, Timestamp};
use maxpay_engine::webhook::{ReceivedResponse, SentRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::TryResultView;

/// A merchant's wish to hear of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// Its id.
    pub id: String,
    /// It hears of events of this mode only: `test` or `live`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// Where to.
    pub target: TargetView,
    /// Names of the headers sent along; their values are never shown again.
    pub headers: Vec<String>,
    /// Which events.
    #[schema(value_type = Vec<String>)]
    pub event_types: Vec<&'static str>,
    /// `events`, or `test_sends_only`.
    #[schema(value_type = String)]
    pub delivery: DeliveryMode,
    /// `enabled`, `disabled` or `deleted`.
    #[schema(value_type = String)]
    pub state: SubscriptionState,
    /// For people.
    pub description: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The signing secret (`whsec_…`): in the answer to its creation, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl From<&Subscription> for SubscriptionView {
    fn from(subscription: &Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            mode: subscription.mode,
            target: TargetView::from(&subscription.target),
            headers: subscription.headers.iter().map(|header| header.name.clone()).collect(),
            event_types: subscription.event_types.iter().map(|kind| kind.name()).collect(),
            delivery: subscription.delivery,
            state: subscription.state,
            description: subscription.description.clone(),
            created_at: subscription.created_at,
            secret: None,
        }
    }
}

/// Where deliveries go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Target)]
pub enum TargetView {
    /// An address.
    Url {
        /// `http` or `https`.
        url: String,
    },
    /// A named handler.
    Function {
        /// Its name.
        name: String,
    },
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        match target {
            Target::Url(url) => Self::Url { url: url.clone() },
            Target::Function(name) => Self::Function { name: name.clone() },
        }
    }
}

/// What a test send came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestSend)]
pub struct TestSendView {
    /// Whether the target answered 200, or its handler took it.
    pub success: bool,
    /// The request as it was sent; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<SentView>,
    /// The response, as far as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ReceivedView>,
    /// What came of it.
    pub result: TryResultView,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
}

impl From<&TestSend> for TestSendView {
    fn from(test: &TestSend) -> Self {
        let transcript = &test.transcript;
        Self {
            success: test.success,
            request: transcript.request.as_ref().map(SentView::from),
            response: transcript.response.as_ref().map(ReceivedView::from),
            result: TryResultView::from(&transcript.result),
            started_at: transcript.started_at,
            ended_at: transcript.ended_at,
        }
    }
}

/// A request as it was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SentRequest)]
pub struct SentView {
    /// An address, or the name of a function.
    pub target: String,
    /// In the order they were sent. Values of the subscription's own headers read `[secret]`.
    pub headers: Vec<WireHeader>,
    /// The body, as text.
    pub body: String,
}

impl From<&SentRequest> for SentView {
    fn from(sent: &SentRequest) -> Self {
        Self {
            target: sent.target.clone(),
            headers: wire(&sent.headers),
            body: String::from_utf8_lossy(&sent.body).into_owned(),
        }
    }
}

/// A response as it came.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivedResponse)]
pub struct ReceivedView {
    /// HTTP status.
    pub status: u16,
    /// In the order they came.
    pub headers: Vec<WireHeader>,
    /// The body as text, cut at the sender's cap.
    pub body: String,
}

impl From<&ReceivedResponse> for ReceivedView {
    fn from(received: &ReceivedResponse) -> Self {
        Self {
            status: received.status,
            headers: wire(&received.headers),
            body: String::from_utf8_lossy(&received.body).into_owned(),
        }
    }
}

/// One header.
#[derive(Debug, Serialize, ToSchema)]
pub struct WireHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

fn wire(headers: &[(String, String)]) -> Vec<WireHeader> {
    headers.iter().map(|(name, value)| WireHeader { name: name.clone(), value: value.clone() }).collect()
}
