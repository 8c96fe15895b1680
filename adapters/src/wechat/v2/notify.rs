//! From a notification's bytes to what it proves, and what is answered to it.
//!
//! Payments are told of in signed XML. Refunds are sealed and not signed (wiki/doc/api/jsapi.php?chapter=9_16): anybody who
//! ever saw the key's digest could make one, so they are a hint to look and no more.

use aes::Aes256;
use aes::cipher::{BlockDecrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use maxpay_engine::channel::{Acknowledgement, Context, Fact, FactSubject, Notified, Outcome, RawNotification};
use maxpay_engine::secrets::Secret;
use md5::{Digest, Md5};

use super::super::account::{MCHID, owner_of};
use super::super::reply::traded;
use crate::parts::xml;

use super::account;
use super::reply;
use super::signature::{holds, value};

/// See [`maxpay_engine::channel::Adapter::notification`].
pub(super) fn notification(raw: &RawNotification, context: &Context<'_>) -> Notified {
    let Ok(fields) = xml::read(&raw.body, "xml") else { return unverified("it cannot be read") };
    if let Some(sealed) = value(&fields, "req_info") {
        return of_refund(sealed, context);
    }
    match holds(&fields, account::keys(context)) {
        Some(true) => {}
        Some(false) => return unverified("the signature is wrong"),
        None => return unverified("there is no signature"),
    }
    let Some(number) = value(&fields, "out_trade_no") else { return unverified("it names no order") };
    let said = (value(&fields, "return_code"), value(&fields, "result_code"));
    // It names the time of the payment and no state; the answer to a refund, which is signed too, names neither.
    let state = value(&fields, "time_end").map(|_| "SUCCESS");
    let body = reply::order(&fields, state).filter(|_| said == (Some("SUCCESS"), Some("SUCCESS")));
    let told = body.map(|body| (traded(&body), body));
    let Some((outcome @ Outcome::Succeeded(_), body)) = told else { return hint(number.to_owned()) };
    let owners = vec![(MCHID, body.mchid), (owner_of(&body.appid, context), body.appid.clone())];
    let subject = FactSubject::Attempt(body.out_trade_no);
    let fact = Fact { subject, owners, provider_time: None, numbered_at: None, outcome };
    Notified::Verified { facts: vec![fact], ack: acknowledged(), refusal: refused() }
}

fn of_refund(sealed: &str, context: &Context<'_>) -> Notified {
    let opened = account::keys(context).find_map(|key| open(sealed, key));
    let fields = opened.and_then(|text| xml::read(text.expose(), "root").ok());
    match fields.as_deref().and_then(|fields| value(fields, "out_trade_no")) {
        Some(number) => hint(number.to_owned()),
        None => unverified("the refund does not open under api_key, or cannot be read"),
    }
}

/// AES-256 block by block under the lower-case MD5 of the key, padded as PKCS#7. `None`: it does not open.
pub(super) fn open(sealed: &str, key: &Secret) -> Option<Secret> {
    let mut text = STANDARD.decode(sealed).ok()?;
    if text.is_empty() || text.len() % 16 != 0 {
        return None;
    }
    let key = Secret::from_text(&hex::encode(Md5::digest(key.expose())));
    let cipher = Aes256::new_from_slice(key.expose()).ok()?;
    for block in text.chunks_exact_mut(16) {
        cipher.decrypt_block(block.into());
    }
    let padding = usize::from(*text.last()?);
    let well = (1..=16).contains(&padding) && text.iter().rev().take(padding).all(|byte| usize::from(*byte) == padding);
    text.truncate(text.len().checked_sub(padding)?);
    well.then(|| Secret::from_bytes(text))
}

fn hint(number: String) -> Notified {
    Notified::Hint { number, ack: acknowledged(), refusal: refused() }
}

fn unverified(reason: &str) -> Notified {
    Notified::Unverified { reason: reason.to_owned(), refusal: refused() }
}

fn acknowledged() -> Acknowledgement {
    answer(200, "SUCCESS", "OK")
}

fn refused() -> Acknowledgement {
    answer(400, "FAIL", "not verified, or not now")
}

fn answer(status: u16, code: &str, message: &str) -> Acknowledgement {
    let fields = [("return_code", code), ("return_msg", message)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = Bytes::from(xml::written("xml", &fields));
    Acknowledgement { status, content_type: "text/xml; charset=utf-8".to_owned(), body }
}
