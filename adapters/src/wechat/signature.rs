//! The texts that are signed, by us and by WeChat Pay, and whether a signature of theirs holds.
//!
//! Every line ends with a line feed, the last one too. Bodies are signed as the bytes that go over the wire, so nothing is
//! parsed before it is proved.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::model::Timestamp;

use crate::parts::rsa::{PrivateKey, PublicKey};

/// How far the signer's clock may be from ours, either way (4012365342).
pub(super) const WINDOW: Duration = Duration::from_mins(5);

/// The scheme's name, in `Authorization` and in `Wechatpay-Signature-Type`.
pub(super) const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// How signatures begin with which WeChat Pay tests whether anybody checks them (4013053249). They never hold.
pub(super) const PROBE: &str = "WECHATPAY/SIGNTEST/";

pub(super) const TIMESTAMP: &str = "wechatpay-timestamp";
pub(super) const NONCE: &str = "wechatpay-nonce";
pub(super) const SIGNATURE: &str = "wechatpay-signature";
pub(super) const SERIAL: &str = "wechatpay-serial";
pub(super) const SIGNATURE_TYPE: &str = "wechatpay-signature-type";

/// What is signed of a request. `target` is path and query, exactly as sent.
pub(super) fn request_text(method: &str, target: &str, seconds: u64, nonce: &str, body: &[u8]) -> Vec<u8> {
    [format!("{method}\n{target}\n{seconds}\n{nonce}\n").as_bytes(), body, b"\n"].concat()
}

/// What is signed of an answer or a notification.
pub(super) fn message_text(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    [format!("{timestamp}\n{nonce}\n").as_bytes(), body, b"\n"].concat()
}

/// The client's signature over what a phone or a page hands to WeChat. The last line is the bare prepay id for an app,
/// and `prepay_id=…` for pages and mini programs (4012365338, 4012365341).
pub(super) fn client_text(appid: &str, timestamp: &str, nonce: &str, last: &str) -> String {
    format!("{appid}\n{timestamp}\n{nonce}\n{last}\n")
}

/// The value of `Authorization`.
pub(super) fn authorization(mchid: &str, serial: &str, nonce: &str, seconds: u64, signature: &str) -> String {
    format!(
        "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{seconds}\",serial_no=\"{serial}\",\
         signature=\"{signature}\""
    )
}

/// Signs a text.
pub(super) fn sign(key: &PrivateKey, text: &[u8]) -> String {
    key.sign_sha256_base64(text)
}

/// What the signature of an answer or a notification comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It holds; signed at that time.
    Holds(Timestamp),
    /// There is none.
    Unsigned,
    /// It is by a key that is not known, of this serial number or key id.
    UnknownKey(String),
    /// It does not hold. The reason is for people.
    Broken(&'static str),
}

/// Checks a signature. `keys` gives the keys of a serial number or key id.
pub(super) fn proof<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    now: Timestamp,
    keys: impl Fn(&str) -> Vec<Arc<PublicKey>>,
) -> Proof {
    let Some(signature) = header(SIGNATURE) else { return Proof::Unsigned };
    if signature.starts_with(PROBE) {
        return Proof::Broken("the signature is a probe of whether signatures are checked");
    }
    if header(SIGNATURE_TYPE).is_some_and(|kind| kind != SCHEME) {
        return Proof::Broken("the signature is of another scheme");
    }
    let (Some(timestamp), Some(nonce), Some(serial)) = (header(TIMESTAMP), header(NONCE), header(SERIAL)) else {
        return Proof::Broken("the signature's timestamp, nonce or serial number is missing");
    };
    let digits = (1..=11).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse::<u64>().ok().filter(|_| digits).and_then(|seconds| seconds.checked_mul(1000));
    let Some(at) = seconds.and_then(Timestamp::exactly) else {
        return Proof::Broken("the signature's timestamp is no number of seconds");
    };
    // Before anything is fetched for it: what is too old is no reason to look for its key.
    if at.since(now).max(now.since(at)) > WINDOW {
        return Proof::Broken("the signature is more than five minutes old, or from the future");
    }
    let known = keys(serial);
    if known.is_empty() {
        return Proof::UnknownKey(serial.to_owned());
    }
    let text = message_text(timestamp, nonce, body);
    if known.iter().any(|key| key.verifies_sha256_base64(&text, signature)) {
        Proof::Holds(at)
    } else {
        Proof::Broken("the signature is wrong")
    }
}
