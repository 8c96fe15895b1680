//! What the payer's device needs.

use maxpay_engine::model::{NamedAction, PayerAction, PayerStep, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What the payer's device needs next.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[schema(as = Payer)]
pub enum PayerView {
    /// One of these.
    Actions {
        /// By the code they are for.
        actions: Vec<NamedActionView>,
    },
    /// The order is there, but what the payer needs was lost with the answer: it ends by evidence, and the merchant
    /// starts anew.
    Lost,
}

impl From<&PayerStep> for PayerView {
    fn from(step: &PayerStep) -> Self {
        match step {
            PayerStep::Actions(actions) => Self::Actions { actions: actions.iter().map(Into::into).collect() },
            PayerStep::Lost => Self::Lost,
        }
    }
}

/// A payer action and the channel code it is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedAction)]
pub struct NamedActionView {
    /// The channel code.
    pub name: String,
    /// What to do.
    pub action: ActionView,
    /// Past it, it is renewed on the next read, where the channel allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub usable_until: Option<Timestamp>,
}

impl From<&NamedAction> for NamedActionView {
    fn from(named: &NamedAction) -> Self {
        Self { name: named.name.clone(), action: ActionView::from(&named.action), usable_until: named.usable_until }
    }
}

/// What to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = PayerAction)]
pub enum ActionView {
    /// A signed order text for a phone SDK.
    AppOrder {
        /// Handed over as it is.
        order: String,
    },
    /// Named parameters for a phone or page SDK.
    Prepay {
        /// Name and value.
        #[serde(serialize_with = "pairs")]
        #[schema(value_type = std::collections::BTreeMap<String, String>)]
        parameters: Vec<(String, String)>,
    },
    /// An address to send the payer to.
    Redirect {
        /// Absolute URL.
        url: String,
    },
    /// A whole HTML page whose form submits itself.
    Form {
        /// The page.
        html: String,
    },
    /// A text to draw as a QR code.
    QrText {
        /// The text.
        text: String,
    },
    /// A wallet's session for the payer's page; the token then comes in by *authorize*.
    WalletSession {
        /// The wallet's own JSON; absent until a session was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        session: Option<Box<RawValue>>,
    },
}

impl From<&PayerAction> for ActionView {
    fn from(action: &PayerAction) -> Self {
        match action {
            PayerAction::AppOrder { order } => Self::AppOrder { order: order.clone() },
            PayerAction::Prepay { parameters } => Self::Prepay { parameters: parameters.clone() },
            PayerAction::Redirect { url } => Self::Redirect { url: url.clone() },
            PayerAction::Form { html } => Self::Form { html: html.clone() },
            PayerAction::QrText { text } => Self::QrText { text: text.clone() },
            PayerAction::WalletSession { session } => {
                Self::WalletSession { session: session.as_deref().and_then(super::raw) }
            }
        }
    }
}

fn pairs<S: serde::Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// A wallet session that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayerSession)]
pub struct SessionView {
    /// What the payer's device needs now.
    pub actions: Vec<NamedActionView>,
}
