//! A token from the payer's device: read, and verified in the order that Apple gives ("Payment token format reference",
//! *Verify the payment token*).
//!
//! | step | what must hold |
//! |---|---|
//! | 1 | its public key hash is one of our processing certificates' |
//! | 2–3 | Apple signed it: certificates, chain to the pinned root, digest, signature ([`super::signature`]) |
//! | 4 | it was signed within five minutes of now, while all certificates were valid |
//! | 5 | it was not charged before: the engine's, by the once-key |
//! | 6 | it opens, tag included ([`super::opening`]) |
//! | 7 | currency and amount are the order's, the card is not over, network and application data are as agreed |

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::model::{Intent, Timestamp};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::parts::digest::sha256;
use crate::parts::x509::Certificate;

use super::card::Card;
use super::currencies;
use super::opening::Opener;
use super::signature::{self, SignatureError, Version};

/// Bytes of a transaction id and of application data, which is an SHA-256 (Payment token format reference). What is signed
/// joins them without lengths: with any other length the end of one could pass for the beginning of the next.
const TRANSACTION_ID: usize = 32;
const SHA256: usize = 32;
/// How far the moment of signing may be from now, either way.
pub(super) const WINDOW: Duration = Duration::from_mins(5);

/// Why a token is refused, for people; nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "the token is no Apple Pay token: hand over the JSON of payment.token (with paymentData and paymentMethod) as \
         the device gave it"
    )]
    Unreadable,
    #[error("the token's version is neither EC_v1 nor RSA_v1")]
    Version,
    #[error("the token's {0} cannot be read")]
    Field(&'static str),
    #[error("the token is sealed for a processing certificate that this account does not have")]
    UnknownCertificate,
    #[error("the token's {0}")]
    Signature(#[from] SignatureError),
    #[error("the token was signed at {signed_at}, more than five minutes from now ({now})")]
    NotFresh { signed_at: Timestamp, now: Timestamp },
    #[error("the token does not open: it was changed, or the processing key is not the one of its certificate")]
    Sealed,
    #[error("the token's content cannot be read")]
    Content,
    #[error("the token is for another currency than the payment")]
    Currency,
    #[error("the token is for another amount than the payment")]
    Amount,
    #[error("the token's card has expired")]
    CardExpired,
    #[error("the token's card network is not among this account's networks")]
    Network,
    #[error(
        "the token's application data is not what belongs to this payment: applicationData of the payment request is \
         the transaction's id, base64, or nothing"
    )]
    ApplicationData,
}

/// What this account expects of every token.
pub(super) struct Expected<'a> {
    /// Our processing certificates with their keys, newest first.
    pub openers: Vec<Arc<Vec<Opener>>>,
    /// Whose they must be: a key of another merchant opens nothing, wherever it stands.
    pub merchant_id: &'a str,
    /// The root of Apple's chain.
    pub root: &'a Certificate,
    /// The card networks that are taken; empty: all.
    pub networks: Vec<String>,
    /// Whether a token must name the transaction in its application data.
    pub must_be_bound: bool,
    /// The transaction's id: what the page puts into the application data.
    pub transaction: &'a str,
}

/// A token that passed every step that can be judged without the engine's memory.
pub(super) struct Opened {
    /// The same for the same token, however it is written.
    pub once_key: String,
    pub card: Card,
    /// The card network's name, where the device told it.
    pub network: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenJson {
    payment_data: PaymentData,
    #[serde(default)]
    payment_method: Option<PaymentMethod>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PaymentData {
    version: String,
    data: String,
    signature: String,
    header: Header,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(default)]
    ephemeral_public_key: Option<String>,
    #[serde(default)]
    wrapped_key: Option<String>,
    public_key_hash: String,
    transaction_id: String,
    #[serde(default)]
    application_data: Option<String>,
}

#[derive(Deserialize)]
struct PaymentMethod {
    #[serde(default)]
    network: Option<String>,
}

/// A token with its texts decoded.
pub(super) struct Token {
    version: Version,
    public_key_hash: String,
    /// The ephemeral public key, or the wrapped key.
    sent: Vec<u8>,
    data: Vec<u8>,
    transaction_id: Vec<u8>,
    application_data: Option<Vec<u8>>,
    signature: Vec<u8>,
    network: Option<String>,
}

impl Token {
    /// Reads what the device gave: the whole token of a page, or `paymentData` alone as phones hand it over.
    pub fn read(text: &[u8]) -> Result<Self, Refused> {
        let (data, method) = match serde_json::from_slice::<TokenJson>(text) {
            Ok(token) => (token.payment_data, token.payment_method),
            Err(_) => (serde_json::from_slice::<PaymentData>(text).map_err(|_| Refused::Unreadable)?, None),
        };
        let (version, sent, name) = match data.version.as_str() {
            "EC_v1" => (Version::Ecdsa, data.header.ephemeral_public_key, "ephemeralPublicKey"),
            "RSA_v1" => (Version::Rsa, data.header.wrapped_key, "wrappedKey"),
            _ => return Err(Refused::Version),
        };
        let base64 = |text: &str, name| STANDARD.decode(text).map_err(|_| Refused::Field(name));
        let transaction_id = hex::decode(&data.header.transaction_id).ok();
        let application_data = data.header.application_data.map(|text| hex::decode(text).ok());
        Ok(Self {
            version,
            sent: base64(&sent.ok_or(Refused::Field(name))?, name)?,
            data: base64(&data.data, "data")?,
            signature: base64(&data.signature, "signature")?,
            public_key_hash: data.header.public_key_hash,
            transaction_id: transaction_id
                .filter(|id| id.len() == TRANSACTION_ID)
                .ok_or(Refused::Field("transactionId"))?,
            application_data: application_data
                .map(|data| data.filter(|data| data.len() == SHA256).ok_or(Refused::Field("applicationData")))
                .transpose()?,
            network: method.and_then(|method| method.network),
        })
    }

    /// Apple's steps, in Apple's order.
    pub fn verify(self, expected: &Expected<'_>, intent: &Intent, now: Timestamp) -> Result<Opened, Refused> {
        let ours = |opener: &&Opener| {
            opener.opens() == self.version
                && opener.is_of(expected.merchant_id)
                && opener.is_meant(&self.public_key_hash)
        };
        let mut openers = expected.openers.iter().flat_map(|openers| openers.iter());
        let opener = openers.find(ours).ok_or(Refused::UnknownCertificate)?;
        self.check_signature(expected.root, now)?;
        let plain = opener.open(&self.sent, &self.data).ok_or(Refused::Sealed)?;
        let card = Card::read(&plain).ok_or(Refused::Content)?;
        self.check_agreed(expected, &card, intent, now)?;
        Ok(Opened { once_key: hex::encode(&self.transaction_id), card, network: self.network })
    }

    /// Steps 2 to 4.
    pub(super) fn check_signature(&self, root: &Certificate, now: Timestamp) -> Result<(), Refused> {
        let application_data = self.application_data.as_deref().unwrap_or_default();
        let content = [&self.sent, &self.data, &self.transaction_id, application_data].concat();
        let signed_at = signature::check(&self.signature, &content, self.version, root)?;
        if signed_at.since(now).max(now.since(signed_at)) > WINDOW {
            return Err(Refused::NotFresh { signed_at, now });
        }
        Ok(())
    }

    /// Step 7.
    fn check_agreed(
        &self,
        expected: &Expected<'_>,
        card: &Card,
        intent: &Intent,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if currencies::number(intent.amount.currency()) != Some(card.currency_number().as_str()) {
            return Err(Refused::Currency);
        }
        if card.amount_minor() != intent.amount.minor() {
            return Err(Refused::Amount);
        }
        if card.has_expired(now) {
            return Err(Refused::CardExpired);
        }
        let named =
            |network: &String| self.network.as_ref().is_some_and(|of_token| of_token.eq_ignore_ascii_case(network));
        if !expected.networks.is_empty() && !expected.networks.iter().any(named) {
            return Err(Refused::Network);
        }
        // The header holds SHA-256 of what the page put in.
        let bound = sha256(expected.transaction.as_bytes());
        match &self.application_data {
            None if expected.must_be_bound => Err(Refused::ApplicationData),
            Some(data) if !bool::from(data.as_slice().ct_eq(bound.as_slice())) => Err(Refused::ApplicationData),
            None | Some(_) => Ok(()),
        }
    }
}
