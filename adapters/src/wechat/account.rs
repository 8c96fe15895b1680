//! Settings of a WeChat Pay account, and the keys in them.
//!
//! What belongs to a key is stored with it, among the secrets: the merchant certificate or its serial number, and the id
//! of WeChat Pay's public key. Keys are the newest revision's, settings the revision's of the attempt, so a serial number
//! among the settings would be the old one's after a change.

use std::sync::Arc;

use maxpay_engine::channel::{Context, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::{ChannelCode, Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use url::Url;

use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::parts::x509::{COMMON_NAME, Certificate};

use super::certificates::KEY_ID_PREFIX;

pub(crate) const MCHID: &str = "mchid";
pub(crate) const APPID: &str = "appid";
pub(crate) const APPID_APP: &str = "appid_app";
pub(crate) const APPID_MINI: &str = "appid_mini";
pub(crate) const BASE_URL: &str = "base_url";
pub(crate) const PRIVATE_KEY: &str = "private_key";
pub(crate) const CERTIFICATE: &str = "certificate";
pub(super) const CERTIFICATE_SERIAL: &str = "certificate_serial";
pub(super) const API_V3_KEY: &str = "api_v3_key";
pub(super) const PUBLIC_KEY: &str = "wechatpay_public_key";
pub(super) const PUBLIC_KEY_ID: &str = "wechatpay_public_key_id";

/// WeChat Pay's hosts: the nearest and the remote entrance.
const HOSTS: [&str; 2] = ["api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"];
const DEFAULT_URL: &str = "https://api.mch.weixin.qq.com";

pub(crate) const PLAIN: [&str; 5] = [MCHID, APPID, APPID_APP, APPID_MINI, BASE_URL];
const SECRET: [&str; 6] = [PRIVATE_KEY, CERTIFICATE, CERTIFICATE_SERIAL, API_V3_KEY, PUBLIC_KEY, PUBLIC_KEY_ID];

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    let field = |name, secret, needed, doc| SettingField { name, secret, needed, doc };
    vec![
        field(MCHID, false, true, "The merchant number: 6 to 32 digits."),
        field(APPID, false, true, "The app id that orders are made for: wx and 16 letters or digits."),
        field(APPID_APP, false, false, "The mobile app's id for wx_app, where it is another one than appid."),
        field(APPID_MINI, false, false, "The mini program's id for wx_mini, where it is another one than appid."),
        field(
            BASE_URL,
            false,
            false,
            "https://api.mch.weixin.qq.com (the default) or https://api2.mch.weixin.qq.com; in test mode a simulator's.",
        ),
        field(PRIVATE_KEY, true, true, "The merchant's API private key (apiclient_key.pem)."),
        field(
            CERTIFICATE,
            true,
            false,
            "The merchant's API certificate (apiclient_cert.pem). It, or certificate_serial, is needed.",
        ),
        field(CERTIFICATE_SERIAL, true, false, "The serial number of the merchant's API certificate, in hexadecimal."),
        field(API_V3_KEY, true, true, "The APIv3 key: exactly 32 letters or digits."),
        field(
            PUBLIC_KEY,
            true,
            false,
            "WeChat Pay's public key (pub_key.pem), where the merchant has one. Without it platform certificates are \
             downloaded.",
        ),
        field(PUBLIC_KEY_ID, true, false, "The id of WeChat Pay's public key: PUB_KEY_ID_ and digits."),
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
    check_merchant_keys(mchid, secrets, now, &mut wrong);
    check_provider_keys(secrets, &mut wrong);
    for name in settings.keys().filter(|name| !PLAIN.contains(&name.as_str())) {
        wrong.say(name, format!("is no setting of this channel that is shown: {} are", PLAIN.join(", ")));
    }
    for name in secrets.0.keys().filter(|name| !SECRET.contains(&name.as_str())) {
        wrong.say(name, format!("is no secret setting of this channel: {} are", SECRET.join(", ")));
    }
    if !wrong.0.is_empty() {
        return Err(wrong.0);
    }
    Ok(identity(settings, &base))
}

/// Merchant, app ids and host: the contract.
pub(crate) fn identity(settings: &Map<String, Value>, base: &str) -> String {
    let text = |name| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    let appids: Vec<_> = [APPID, APPID_APP, APPID_MINI].map(text).into_iter().filter(|id| !id.is_empty()).collect();
    format!("{} with {} at {base}", text(MCHID), appids.join(", "))
}

/// The errors so far.
pub(crate) struct Wrong(pub Vec<FieldError>);

impl Wrong {
    pub fn say(&mut self, field: &str, why: impl ToString) {
        self.0.push(FieldError { field: field.to_owned(), why: why.to_string() });
    }
}

/// Merchant, app ids and address, which both dialects have. Gives the address.
pub(crate) fn check_plain(mode: Mode, settings: &Map<String, Value>, wrong: &mut Wrong) -> String {
    let text = |name: &str| settings.get(name).map(|value| value.as_str().unwrap_or_default());
    let mchid = text(MCHID).unwrap_or_default();
    if !(6..=32).contains(&mchid.len()) || !mchid.bytes().all(|byte| byte.is_ascii_digit()) {
        wrong.say(MCHID, "must be 6 to 32 digits, as the merchant platform shows them, for example 1900000109");
    }
    for name in [APPID, APPID_APP, APPID_MINI] {
        if !text(name).map_or(name != APPID, is_appid) {
            wrong.say(name, "must be wx and 16 lower-case letters or digits, for example wxd678efh567hg6787");
        }
    }
    let base = text(BASE_URL).unwrap_or(DEFAULT_URL);
    let Some(url) = base_url(base) else {
        wrong.say(BASE_URL, format!("must be an address without query, for example {DEFAULT_URL}"));
        return String::new();
    };
    let real = url.host_str().is_some_and(|host| HOSTS.contains(&host));
    let whole = url.scheme() == "https" && url.port().is_none() && url.path() == "/";
    match mode {
        Mode::Live if !(real && whole) => {
            wrong.say(BASE_URL, format!("must be {DEFAULT_URL} or https://api2.mch.weixin.qq.com in live mode"));
        }
        Mode::Test if real => {
            let why = "WeChat Pay has no test environment: in test mode this is the address of a simulator, for example \
                       http://127.0.0.1:8090";
            wrong.say(BASE_URL, why);
        }
        Mode::Live | Mode::Test => {}
    }
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_appid(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() == 18 && text.starts_with("wx") && text.bytes().all(letters)
}

fn base_url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

fn check_merchant_keys(mchid: &str, secrets: &SecretSettings, now: Timestamp, wrong: &mut Wrong) {
    let private = match secrets.named(PRIVATE_KEY).map(PrivateKey::read) {
        Some(Ok(key)) => Some(key),
        Some(Err(why)) => {
            wrong.say(PRIVATE_KEY, why);
            None
        }
        None => {
            wrong.say(PRIVATE_KEY, "is needed: the content of apiclient_key.pem");
            None
        }
    };
    let given = secrets.named(CERTIFICATE_SERIAL).map(|serial| serial.expose_text().and_then(serial_of));
    if given == Some(None) {
        wrong.say(CERTIFICATE_SERIAL, "must be 8 to 64 hexadecimal digits, as the merchant platform shows them");
    }
    match secrets.named(CERTIFICATE).map(|pem| Certificate::read_one(pem.expose())) {
        Some(Ok(certificate)) => {
            check_certificate(&certificate, mchid, private.as_deref(), now, wrong);
            if given.flatten().is_some_and(|given| given != certificate.serial_hex()) {
                wrong.say(CERTIFICATE_SERIAL, "is not the serial number of certificate: leave one of the two out");
            }
        }
        Some(Err(why)) => wrong.say(CERTIFICATE, why),
        None if given.is_none() => {
            wrong.say(CERTIFICATE, "is needed, or certificate_serial: the content of apiclient_cert.pem");
        }
        None => {}
    }
    match secrets.named(API_V3_KEY) {
        Some(key) if key.len() == 32 && key.expose().iter().all(u8::is_ascii_alphanumeric) => {}
        Some(_) => wrong.say(API_V3_KEY, "must be exactly 32 ASCII letters and digits"),
        None => wrong.say(API_V3_KEY, "is needed: the APIv3 key that was set on the merchant platform"),
    }
}

/// Whether a certificate is the key's, and valid now.
pub(crate) fn check_certificate(
    certificate: &Certificate,
    mchid: &str,
    private: Option<&PrivateKey>,
    now: Timestamp,
    wrong: &mut Wrong,
) {
    match (private, PublicKey::read(certificate.public_key())) {
        (_, Err(_)) => wrong.say(CERTIFICATE, "holds no RSA key of 2048 bits or more"),
        (Some(private), Ok(public)) if !private.belongs_to(&public) => {
            wrong.say(CERTIFICATE, "does not belong to private_key: both must be of one download");
        }
        (_, Ok(_)) => {}
    }
    // Its name is the merchant's number; in a name of another kind nothing is looked for.
    let name = certificate.subject_part(COMMON_NAME).unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name != mchid && is_number(&name) && is_number(mchid) {
        wrong.say(CERTIFICATE, format!("is merchant {name}'s"));
    }
    if now > certificate.not_after() {
        wrong.say(CERTIFICATE, format!("expired at {}: apply for a new one", certificate.not_after()));
    } else if now < certificate.not_before() {
        wrong.say(CERTIFICATE, format!("is valid from {} only", certificate.not_before()));
    }
}

fn check_provider_keys(secrets: &SecretSettings, wrong: &mut Wrong) {
    let (key, id) = (secrets.named(PUBLIC_KEY), secrets.named(PUBLIC_KEY_ID));
    match key.map(|key| PublicKey::read(key.expose())) {
        Some(Ok(public)) => {
            let private = secrets.named(PRIVATE_KEY).and_then(|key| PrivateKey::read(key).ok());
            if private.is_some_and(|private| private.belongs_to(&public)) {
                wrong.say(PUBLIC_KEY, "is the merchant's own public key: WeChat Pay's (pub_key.pem) is wanted");
            }
            if id.is_none() {
                wrong.say(PUBLIC_KEY_ID, "is needed with wechatpay_public_key: PUB_KEY_ID_ and digits");
            }
        }
        Some(Err(why)) => wrong.say(PUBLIC_KEY, why),
        None if id.is_some() => wrong.say(PUBLIC_KEY, "is needed with wechatpay_public_key_id: pub_key.pem"),
        None => {}
    }
    let shaped = |id: &Secret| {
        let digits = id.expose_text().and_then(|id| id.strip_prefix(KEY_ID_PREFIX)).unwrap_or_default();
        (8..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if id.is_some_and(|id| !shaped(id)) {
        wrong.say(PUBLIC_KEY_ID, "must be PUB_KEY_ID_ and digits, as the merchant platform shows it");
    }
}

fn serial_of(text: &str) -> Option<String> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ((8..=64).contains(&text.len()) && hex).then(|| text.to_ascii_uppercase())
}

/// The setting that names the app id of a code, and the app id.
pub(crate) fn appid<'a>(code: &ChannelCode, context: &Context<'a>) -> (&'static str, &'a str) {
    let settings = context.account.settings;
    let own = match code.as_str() {
        "wx_app" => APPID_APP,
        "wx_mini" => APPID_MINI,
        _ => APPID,
    };
    let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    if text(own).is_empty() { (APPID, text(APPID)) } else { (own, text(own)) }
}

/// Whose an app id in a notification is: the setting that names it, else `appid`, which it then disagrees with.
pub(crate) fn owner_of(appid: &str, context: &Context<'_>) -> &'static str {
    let named = |name: &&str| context.account.settings.get(*name).and_then(Value::as_str) == Some(appid);
    [APPID, APPID_APP, APPID_MINI].into_iter().find(named).unwrap_or(APPID)
}

/// An address below the account's base address. `target` is path and query.
pub(crate) fn address(context: &Context<'_>, target: &str) -> Option<Url> {
    let given = context.account.text(BASE_URL);
    let base = base_url(if given.is_empty() { DEFAULT_URL } else { given })?;
    format!("{}{target}", base.as_str().trim_end_matches('/')).parse().ok()
}

/// The key that signs, and the serial number of its certificate: the newest revision's.
pub(super) fn signing(context: &Context<'_>) -> Option<(Arc<PrivateKey>, String)> {
    let newest = context.account.secrets.first()?;
    let key = PrivateKey::read(newest.named(PRIVATE_KEY)?).ok()?;
    let serial = match newest.named(CERTIFICATE) {
        Some(pem) => Certificate::read_one(pem.expose()).ok()?.serial_hex(),
        None => serial_of(newest.named(CERTIFICATE_SERIAL)?.expose_text()?)?,
    };
    Some((key, serial))
}

/// The APIv3 keys of all revisions, newest first.
pub(super) fn api_keys<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Secret> {
    context.account.secrets.iter().filter_map(|revision| revision.named(API_V3_KEY))
}

/// The id of WeChat Pay's public key that answers shall be signed with: the newest revision's. `None`: it has none, and
/// answers come under platform certificates.
pub(super) fn public_key_id<'a>(context: &Context<'a>) -> Option<&'a str> {
    context.account.secrets.first()?.named(PUBLIC_KEY_ID)?.expose_text()
}

/// WeChat Pay's public keys of all revisions with their ids, newest first.
pub(super) fn public_keys<'a>(context: &Context<'a>) -> impl Iterator<Item = (&'a str, Option<Arc<PublicKey>>)> {
    context.account.secrets.iter().filter_map(|revision| {
        let id = revision.named(PUBLIC_KEY_ID)?.expose_text()?;
        Some((id, PublicKey::read(revision.named(PUBLIC_KEY)?.expose()).ok()))
    })
}
