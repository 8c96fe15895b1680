//! Settings of a sandbox account, and the keys in them.

use maxpay_engine::channel::{Context, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::Mode;
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use url::Url;

use crate::parts::digest::sha256;

pub(super) const MERCHANT_ID: &str = "merchant_id";
pub(super) const BASE_URL: &str = "base_url";
const SECRET: &str = "secret";
const NOTIFY_SECRET: &str = "notify_secret";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    vec![
        SettingField {
            name: MERCHANT_ID,
            secret: false,
            needed: true,
            doc: "The merchant at the simulated provider: 4 to 32 letters, digits, _ or -.",
        },
        SettingField {
            name: BASE_URL,
            secret: false,
            needed: true,
            doc: "Where the simulator is, for example http://sandbox.invalid for the one in process.",
        },
        SettingField {
            name: SECRET,
            secret: true,
            needed: true,
            doc: "Signs requests and answers: 16 to 256 bytes, enrolled with the simulator.",
        },
        SettingField {
            name: NOTIFY_SECRET,
            secret: true,
            needed: false,
            doc: "Signs notifications, where it is another one than secret: 16 to 256 bytes.",
        },
    ]
}

/// See [`maxpay_engine::channel::Adapter::validate`].
pub(super) fn validate(
    mode: Mode,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
) -> Result<String, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, why: &str| errors.push(FieldError { field: field.to_owned(), why: why.to_owned() });
    if mode == Mode::Live {
        wrong("mode", "the sandbox moves no money: it serves test mode only");
    }
    let merchant_id = settings.get(MERCHANT_ID).and_then(Value::as_str).unwrap_or_default();
    if !is_merchant_id(merchant_id) {
        wrong(MERCHANT_ID, "must be 4 to 32 letters, digits, _ or -, for example 2088000000000001");
    }
    let base = settings.get(BASE_URL).and_then(Value::as_str).and_then(base_url);
    if base.is_none() {
        wrong(BASE_URL, "must be an http or https address without query, for example http://sandbox.invalid");
    }
    match secrets.named(SECRET) {
        Some(secret) if SECRET_BYTES.contains(&secret.len()) => {}
        Some(_) => wrong(SECRET, "must be 16 to 256 bytes"),
        None => wrong(SECRET, "is needed: the key that was enrolled with the simulator"),
    }
    if secrets.named(NOTIFY_SECRET).is_some_and(|secret| !SECRET_BYTES.contains(&secret.len())) {
        wrong(NOTIFY_SECRET, "must be 16 to 256 bytes, or not be there");
    }
    for name in settings.keys().filter(|name| ![MERCHANT_ID, BASE_URL].contains(&name.as_str())) {
        wrong(name, "is no setting of this channel that is shown: merchant_id and base_url are");
    }
    for name in secrets.0.keys().filter(|name| ![SECRET, NOTIFY_SECRET].contains(&name.as_str())) {
        wrong(name, "is no secret setting of this channel: secret and notify_secret are");
    }
    match base {
        Some(base) if errors.is_empty() => Ok(format!("{merchant_id} at {base}")),
        Some(_) | None => Err(errors),
    }
}

/// Whether the text can be a merchant.
pub(super) fn is_merchant_id(text: &str) -> bool {
    (4..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The base address without a slash at its end. `None`: it is none.
pub(super) fn base_url(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// An address below the account's base address.
pub(super) fn address(context: &Context<'_>, path: &str) -> Option<Url> {
    format!("{}{path}", base_url(context.account.text(BASE_URL))?).parse().ok()
}

/// The key that signs: the newest.
pub(super) fn signing_key<'a>(context: &Context<'a>) -> Option<&'a Secret> {
    context.account.secrets.first()?.named(SECRET)
}

/// The keys that verify answers, newest first.
pub(super) fn reply_keys<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Secret> {
    context.account.secrets_named(SECRET)
}

/// The keys that verify notifications, newest first.
pub(super) fn notice_keys<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Secret> {
    context.account.secrets.iter().filter_map(|revision| revision.named(NOTIFY_SECRET).or(revision.named(SECRET)))
}

/// What the WeChat look-alikes show as their app id: it follows from the merchant.
pub(super) fn app_id(merchant_id: &str) -> String {
    format!("wx{}", &hex::encode(sha256(merchant_id.as_bytes()))[..16])
}
