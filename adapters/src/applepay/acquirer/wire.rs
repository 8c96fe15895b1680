//! The built-in acquirer's dialect, as both sides write it: JSON over HTTPS, every request and answer signed with
//! HMAC-SHA256 under a shared secret.
//!
//! Header `acquirer-signature: t=<milliseconds since 1970>,v1=<hex>`. What is signed, in lines that end in `\n`:
//! the direction (`request` or `reply`), the time, the path (of an answer: the request's path, a blank, the status), and
//! the hex SHA-256 of the body. So nothing can be sent back as something else, and card data is not copied to be signed.
//!
//! | path | asks | answers |
//! |---|---|---|
//! | `/v1/charges` | [`ChargeBody`] | the charge |
//! | `/v1/charges/query` | [`NumberBody`] | the charge |
//! | `/v1/voids`, `/v1/refunds` | [`BackBody`] | the void or refund |
//! | `/v1/voids/query`, `/v1/refunds/query` | [`NumberBody`] | the void or refund |
//!
//! The number is the key of idempotency: the same words again get the answer as it is now, other words a *conflict*.
//!
//! A payment is refunded for 365 days, and 50 times at most: what comes later, or is one more, is *declined*.

use std::time::Duration;

use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};

use crate::parts::digest::{hmac_sha256, same, sha256};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "acquirer-signature";

/// How far the signer's clock may be from the reader's, either way.
pub const SIGNATURE_WINDOW: Duration = Duration::from_mins(5);

pub(in crate::applepay) const CHARGE: &str = "/v1/charges";
pub(in crate::applepay) const QUERY: &str = "/v1/charges/query";
pub(in crate::applepay) const VOID: &str = "/v1/voids";
pub(in crate::applepay) const QUERY_VOID: &str = "/v1/voids/query";
pub(in crate::applepay) const REFUND: &str = "/v1/refunds";
pub(in crate::applepay) const QUERY_REFUND: &str = "/v1/refunds/query";

/// What a signature is over, besides time and body.
#[derive(Debug, Clone, Copy)]
pub(in crate::applepay) enum Signed<'a> {
    Request(&'a str),
    Reply(&'a str, u16),
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::applepay) enum Refused {
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
pub(in crate::applepay) fn sign(secret: &Secret, what: Signed<'_>, at: Timestamp, body: &[u8]) -> String {
    format!("t={},v1={}", at.millis(), mac(secret, what, at, body))
}

/// When it was signed, under one of the secrets.
pub(in crate::applepay) fn verify<'s>(
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
    let at = time.parse().ok().filter(|_| plain).and_then(Timestamp::exactly).ok_or(Refused::Malformed)?;
    let secret = secrets.into_iter().find(|secret| same(&mac(secret, what, at, body), given)).ok_or(Refused::Wrong)?;
    // The age is judged last: only a signature that holds can be called old.
    if at.since(now).max(now.since(at)) > SIGNATURE_WINDOW { Err(Refused::Stale) } else { Ok((at, secret)) }
}

fn mac(secret: &Secret, what: Signed<'_>, at: Timestamp, body: &[u8]) -> String {
    let (direction, subject) = match what {
        Signed::Request(path) => ("request", path.to_owned()),
        Signed::Reply(path, status) => ("reply", format!("{path} {status}")),
    };
    let text = format!("{direction}\n{}\n{subject}\n{}\n", at.millis(), hex::encode(sha256(body)));
    hex::encode(hmac_sha256(secret, text.as_bytes()))
}

/// A charge, borrowed from what is charged so that card data is written once.
#[derive(Serialize)]
pub(in crate::applepay) struct ChargeBody<'a> {
    pub merchant_id: &'a str,
    pub number: &'a str,
    pub numbered_at: Timestamp,
    /// Minor units.
    pub amount: u64,
    pub currency: &'a str,
    pub subject: &'a str,
    /// After it the acquirer must not charge.
    pub expires_at: Timestamp,
    pub wallet: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardBody<'a>>,
    /// The wallet's own token, JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
}

/// Card data of a charge.
#[derive(Serialize)]
pub(in crate::applepay) struct CardBody<'a> {
    /// The device's account number.
    pub number: &'a str,
    /// YYMMDD.
    pub expires: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cryptogram: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eci: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emv_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_pin: Option<&'a str>,
}

/// A void or a refund.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::applepay) struct BackBody {
    pub merchant_id: String,
    pub number: String,
    pub numbered_at: Timestamp,
    /// The charge's number.
    pub charge_number: String,
    /// The acquirer's number for the charge.
    pub trade_number: String,
    /// Minor units.
    pub amount: u64,
    pub currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A query.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::applepay) struct NumberBody {
    pub merchant_id: String,
    pub number: String,
}

/// Where a charge, a void or a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::applepay) enum State {
    /// Money moved: taken, or given back.
    Approved,
    /// Refused for good; no money moved and none will.
    Declined,
    /// Accepted, not decided.
    Processing,
    /// Decided, but a person must do something first: the merchant's balance is too small, for instance.
    Held,
    /// The number is not known.
    NotFound,
    /// The number stands for something else.
    Conflict,
    /// Too much to do: nothing was executed.
    Busy,
    /// It says something impossible: nothing was executed, and never will be.
    Invalid,
}

/// Any signed answer.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::applepay) struct AnswerBody {
    pub merchant_id: String,
    pub number: String,
    pub state: State,
    /// The acquirer's number for it; with *approved*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_number: Option<String>,
    /// Minor units; with *approved*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What of a charge went back otherwise than by the merchant's refunds and voids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnedBody>,
}

/// Money that went back in the acquirer's console.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::applepay) struct ReturnedBody {
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
}

/// Why an unsigned 401 was answered.
#[derive(Serialize, Deserialize)]
pub(in crate::applepay) struct DoorBody {
    pub error: DoorError,
}

/// What was wrong at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::applepay) enum DoorError {
    /// No such merchant.
    UnknownMerchant,
    /// The signature is missing or wrong.
    BadSignature,
    /// The signature is too old or from the future: the clocks disagree.
    StaleSignature,
}
