//! Settings of a v2 account, and the keys in them.

use maxpay_engine::channel::http::ClientIdentity;
use maxpay_engine::channel::{Context, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::{Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::super::account::{
    APPID, APPID_APP, APPID_MINI, BASE_URL, CERTIFICATE, MCHID, PLAIN, PRIVATE_KEY, Wrong, check_certificate,
    check_plain, identity,
};
use crate::parts::rsa::PrivateKey;
use crate::parts::x509::Certificate;

pub(in crate::wechat) const API_KEY: &str = "api_key";
pub(in crate::wechat) const SIGN_TYPE: &str = "sign_type";
pub(in crate::wechat) const HMAC: &str = "HMAC-SHA256";
pub(in crate::wechat) const MD5: &str = "MD5";

const SECRET: [&str; 3] = [API_KEY, CERTIFICATE, PRIVATE_KEY];

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    let field = |name, secret, needed, doc| SettingField { name, secret, needed, doc };
    vec![
        field(MCHID, false, true, "The merchant number: 6 to 32 digits."),
        field(APPID, false, true, "The app id that orders are made for: wx and 16 letters or digits."),
        field(APPID_APP, false, false, "The mobile app's id for wx_app, where it is another one than appid."),
        field(APPID_MINI, false, false, "The mini program's id for wx_mini, where it is another one than appid."),
        field(SIGN_TYPE, false, false, "How requests are signed: HMAC-SHA256 (the default) or MD5."),
        field(
            BASE_URL,
            false,
            false,
            "https://api.mch.weixin.qq.com (the default) or https://api2.mch.weixin.qq.com; in test mode a simulator's.",
        ),
        field(API_KEY, true, true, "The API key (v2): exactly 32 letters or digits."),
        field(CERTIFICATE, true, false, "The merchant's API certificate (apiclient_cert.pem). Refunds need it."),
        field(PRIVATE_KEY, true, false, "Its private key (apiclient_key.pem). Refunds need it."),
    ]
}

/// See [`maxpay_engine::channel::Adapter::validate`].
pub(super) fn validate(
    mode: Mode,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
    now: Timestamp,
) -> Result<String, Vec<FieldError>> {
    let mut wrong = Wrong(Vec::new());
    let mchid = settings.get(MCHID).and_then(Value::as_str).unwrap_or_default();
    let base = check_plain(mode, settings, &mut wrong);
    let kind = settings.get(SIGN_TYPE).map(|kind| kind.as_str().unwrap_or_default());
    if kind.is_some_and(|kind| ![HMAC, MD5].contains(&kind)) {
        wrong.say(SIGN_TYPE, "must be HMAC-SHA256 or MD5, or not be there");
    }
    match secrets.named(API_KEY) {
        Some(key) if key.len() == 32 && key.expose().iter().all(u8::is_ascii_alphanumeric) => {}
        Some(_) => wrong.say(API_KEY, "must be exactly 32 ASCII letters and digits"),
        None => wrong.say(API_KEY, "is needed: the API key (v2) that was set on the merchant platform"),
    }
    check_identity(mchid, secrets, now, &mut wrong);
    let plain = [&PLAIN[..], &[SIGN_TYPE]].concat();
    for name in settings.keys().filter(|name| !plain.contains(&name.as_str())) {
        wrong.say(name, format!("is no setting of this channel that is shown: {} are", plain.join(", ")));
    }
    for name in secrets.0.keys().filter(|name| !SECRET.contains(&name.as_str())) {
        wrong.say(name, format!("is no secret setting of this channel: {} are", SECRET.join(", ")));
    }
    if wrong.0.is_empty() { Ok(identity(settings, &base)) } else { Err(wrong.0) }
}

fn check_identity(mchid: &str, secrets: &SecretSettings, now: Timestamp, wrong: &mut Wrong) {
    let key = match secrets.named(PRIVATE_KEY).map(PrivateKey::read) {
        Some(Ok(key)) => Some(key),
        Some(Err(why)) => {
            wrong.say(PRIVATE_KEY, why);
            None
        }
        None if secrets.named(CERTIFICATE).is_some() => {
            wrong.say(PRIVATE_KEY, "is needed with certificate: the content of apiclient_key.pem");
            None
        }
        None => None,
    };
    match secrets.named(CERTIFICATE).map(|pem| Certificate::read_one(pem.expose())) {
        Some(Ok(certificate)) => check_certificate(&certificate, mchid, key.as_deref(), now, wrong),
        Some(Err(why)) => wrong.say(CERTIFICATE, why),
        None if key.is_some() => {
            wrong.say(CERTIFICATE, "is needed with private_key: the content of apiclient_cert.pem");
        }
        None => {}
    }
}

/// How requests are signed.
pub(super) fn sign_type<'a>(context: &Context<'a>) -> &'a str {
    let settings = context.account.settings;
    settings.get(SIGN_TYPE).and_then(Value::as_str).filter(|kind| *kind == MD5).unwrap_or(HMAC)
}

/// The key that signs: the newest revision's.
pub(super) fn signing_key<'a>(context: &Context<'a>) -> Option<&'a Secret> {
    context.account.secrets.first()?.named(API_KEY)
}

/// The keys that verify and open, of all revisions, newest first.
pub(super) fn keys<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Secret> {
    context.account.secrets.iter().filter_map(|revision| revision.named(API_KEY))
}

/// With what refunds prove themselves in the TLS handshake: the newest revision's. `None`: it has none.
pub(super) fn client_identity(context: &Context<'_>) -> Option<ClientIdentity> {
    let newest = context.account.secrets.first()?;
    let (certificate, key) = (newest.named(CERTIFICATE)?, newest.named(PRIVATE_KEY)?);
    let pem = [certificate.expose(), b"\n", key.expose()].concat();
    Some(ClientIdentity::from_pem(Secret::from_bytes(pem)))
}
