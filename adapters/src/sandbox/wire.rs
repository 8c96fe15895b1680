//! The dialect itself, as both sides write it: bodies, and the signature over every one of them.
//!
//! Header `sandbox-signature: t=<milliseconds since 1970>,v1=<hex HMAC-SHA256>`. What is signed begins with which
//! direction it goes, so that nothing can be sent back as something else.

use std::time::Duration;

use maxpay_engine::model::{PayerInputs, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};

use crate::parts::digest::{hmac_sha256, same};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";

/// How far the signer's clock may be from the reader's, either way.
pub const SIGNATURE_WINDOW: Duration = Duration::from_mins(5);

/// Paths below the base address.
pub(super) const CREATE: &str = "/v1/orders";
pub(super) const QUERY: &str = "/v1/orders/query";
pub(super) const CLOSE: &str = "/v1/orders/close";
pub(super) const CHARGE: &str = "/v1/charges";
pub(super) const SESSION: &str = "/v1/sessions";
pub(super) const GATEWAY: &str = "/gateway.do";
pub(super) const FORM: &str = "/form.do";

/// What a signature is over, besides time and body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signed<'a> {
    /// A request to the provider, by its path below the base address.
    Request(&'a str),
    /// The answer to a request of that path.
    Reply(&'a str, u16),
    /// A notification.
    Notice,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no signature")]
    Missing,
    #[error("the signature cannot be read")]
    Malformed,
    #[error("the signature is too old or from the future")]
    Stale,
    #[error("the signature is wrong")]
    Wrong,
}

/// The header's value.
pub(super) fn sign(secret: &Secret, what: Signed<'_>, at: Timestamp, body: &[u8]) -> String {
    format!("t={},v1={}", at.millis(), mac(secret, what, at, body))
}

/// When it was signed, and which of the secrets holds.
pub(super) fn verify<'s>(
    secrets: impl IntoIterator<Item = &'s Secret>,
    what: Signed<'_>,
    header: Option<&str>,
    now: Timestamp,
    body: &[u8],
) -> Result<(Timestamp, &'s Secret), Refused> {
    let (time, given) = header
        .ok_or(Refused::Missing)?
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .ok_or(Refused::Malformed)?;
    let plain = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    let at: Timestamp = time.parse().ok().filter(|_| plain).map(Timestamp::from_millis).ok_or(Refused::Malformed)?;
    let secret = secrets.into_iter().find(|secret| same(&mac(secret, what, at, body), given)).ok_or(Refused::Wrong)?;
    // The age is judged last: only a signature that holds can be called old.
    if at.since(now).max(now.since(at)) > SIGNATURE_WINDOW { Err(Refused::Stale) } else { Ok((at, secret)) }
}

fn mac(secret: &Secret, what: Signed<'_>, at: Timestamp, body: &[u8]) -> String {
    let head = match what {
        Signed::Request(path) => format!("request\n{}\nPOST {path}\n", at.millis()),
        Signed::Reply(path, status) => format!("reply\n{}\n{path} {status}\n", at.millis()),
        Signed::Notice => format!("notice\n{}\n", at.millis()),
    };
    hex::encode(hmac_sha256(secret, &[head.as_bytes(), body].concat()))
}

/// A create, or a charge: then with the token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderBody {
    pub merchant_id: String,
    pub number: String,
    pub numbered_at: Timestamp,
    pub channel: String,
    /// Minor units.
    pub amount: u64,
    pub currency: String,
    pub subject: String,
    pub notify_url: String,
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_url: Option<String>,
    #[serde(default)]
    pub payer: PayerInputs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A query, a close, or a request for a wallet session.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberBody {
    pub merchant_id: String,
    pub number: String,
}

/// What the payer's device hands over: the only token the sandbox knows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    /// `SANDBOX_v1`.
    pub version: String,
    /// 64 lower-case hexadecimal digits; may be charged once.
    pub transaction_id: String,
    /// What the card does.
    #[serde(default)]
    pub card: Card,
}

/// What the card behind a token does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Card {
    #[default]
    Approve,
    Decline,
    Processing,
}

impl TokenBody {
    /// Reads a token. The reason tells nothing of its content.
    pub fn read(token: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(token).map_err(|_| {
            "a sandbox token is a JSON object with version, transaction_id and, if wanted, card \
             (approve, decline or processing)"
                .to_owned()
        })?;
        if read.version != "SANDBOX_v1" {
            return Err("version must be SANDBOX_v1".to_owned());
        }
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if read.transaction_id.len() != 64 || !read.transaction_id.bytes().all(hex) {
            return Err("transaction_id must be 64 lower-case hexadecimal digits".to_owned());
        }
        Ok(read)
    }
}

/// Where an order stands, in the provider's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireState {
    /// Open and not paid.
    Open,
    /// Open and not paid; the create had arrived before (`unipay_app` answers no second create).
    Duplicate,
    /// Paid; money that went back stands beside it.
    Paid,
    /// Closed without a payment.
    Closed,
    /// Refused for good.
    Declined,
    /// A charge that is not decided.
    Processing,
    /// The number is not known.
    NotFound,
    /// The number stands for another order.
    Conflict,
    /// Too much to do: nothing was executed.
    Busy,
    /// The request says something impossible: nothing was executed.
    Invalid,
    /// A wallet session.
    Session,
}

/// Any signed answer, and the body of a notification.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AnswerBody {
    pub merchant_id: String,
    pub number: String,
    pub state: WireState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnedBody>,
    /// Prepay id, serial for the phone SDK or wallet session, as the channel has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The text of a QR code, or an address to send the payer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// One payment.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PaymentBody {
    pub trade_number: String,
    /// Minor units.
    pub amount: u64,
    pub currency: String,
    pub paid_at: Timestamp,
}

/// Money that went back in the provider's console.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ReturnedBody {
    pub refund_number: String,
    /// Minor units.
    pub amount: u64,
    pub by: String,
}

impl AnswerBody {
    /// Reads a body. `None`: it is no JSON object of this shape; an array of its values in order, which serde would take
    /// for one, is none.
    pub fn read(body: &[u8]) -> Option<Self> {
        if body.trim_ascii_start().starts_with(b"{") { serde_json::from_slice(body).ok() } else { None }
    }

    /// An answer that says where the order stands and nothing else.
    pub fn bare(merchant_id: &str, number: &str, state: WireState) -> Self {
        Self {
            merchant_id: merchant_id.to_owned(),
            number: number.to_owned(),
            state,
            amount: None,
            currency: None,
            reason: None,
            payment: None,
            returned: None,
            handle: None,
            link: None,
        }
    }

    /// The same with a reason.
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}

/// Why an unsigned 401 was answered.
#[derive(Serialize, Deserialize)]
pub(super) struct DoorBody {
    pub error: DoorError,
}

/// What was wrong at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DoorError {
    /// No such merchant.
    UnknownMerchant,
    /// The signature is missing or wrong.
    BadSignature,
    /// The signature is too old or from the future: the clocks disagree.
    StaleSignature,
}
