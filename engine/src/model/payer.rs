//! What a channel needs to know of the payer, and what the payer's device needs next.

use bincode::{Decode, Encode};

use super::Timestamp;

/// What a create says of the payer. Which of these a channel code needs is in its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayerInputs {
    /// The payer's id at a WeChat public account or mini program; at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// The address the payer comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// Kind of the page for WeChat H5: `Wap`, `iOS` or `Android`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h5_type: Option<String>,
    /// How Alipay's embedded code is drawn: 0 to 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr_mode: Option<u8>,
}

/// A payer action under the name the channel's dialect gives it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NamedAction {
    /// The channel code it is for.
    pub name: String,
    /// What to do.
    pub action: PayerAction,
    /// Past it the action is renewed on the next read or repeat, where the channel allows.
    pub usable_until: Option<Timestamp>,
}

/// What the payer's device needs next.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PayerAction {
    /// A signed order text for a phone SDK.
    AppOrder {
        /// The text, handed over as it is.
        order: String,
    },
    /// Named parameters for a phone or page SDK, in order.
    Prepay {
        /// Name and value.
        #[serde(serialize_with = "as_map")]
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
    /// A wallet's session, to be fetched for the payer's page; then the token comes in by *authorize*.
    WalletSession {
        /// Opaque JSON text of the wallet's; absent until a session was asked for.
        session: Option<String>,
    },
}

fn as_map<S: serde::Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
