//! Settings of an Apple Pay account, and the keys in them. The acquirer's stand beside them and are its own.

use std::sync::Arc;

use maxpay_engine::channel::http::ClientIdentity;
use maxpay_engine::channel::{Context, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::{Mode, Timestamp};
use serde_json::{Map, Value};
use url::Url;

use crate::parts::x509::Certificate;

use super::identity::{as_pem, not_valid, read_identity};
use super::opening::{Opener, read_openers};
use super::session;

pub(super) const MERCHANT_ID: &str = "merchant_id";
pub(super) const DOMAIN: &str = "domain";
pub(super) const DISPLAY_NAME: &str = "display_name";
pub(super) const REGION: &str = "region";
const NETWORKS: &str = "networks";
const CHARGE_WITH: &str = "charge_with";
const BIND: &str = "require_application_data";
const TEST_ROOT: &str = "test_root";
const TEST_SESSION_URL: &str = "test_session_url";
const PROCESSING: &str = "processing";
const PROCESSING_PASSWORD: &str = "processing_password";
const MERCHANT_IDENTITY: &str = "merchant_identity";
const MERCHANT_IDENTITY_PASSWORD: &str = "merchant_identity_password";

const NETWORKS_MAX: usize = 32;
const DISPLAY_NAME_MAX: usize = 64;

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    let field = |name, secret, needed, doc| SettingField { name, secret, needed, doc };
    vec![
        field(MERCHANT_ID, false, true, "The merchant identifier, for example merchant.com.example.shop."),
        field(
            PROCESSING,
            true,
            true,
            "The Apple Pay Payment Processing certificate with its private key: PEM, one after the other, or the base64 \
             of a .p12 file. While one replaces another, both pairs as PEM; EC_v1 (P-256) and RSA_v1 (2048 bits) may \
             stand together.",
        ),
        field(PROCESSING_PASSWORD, true, false, "The password of processing, where that is a .p12 file."),
        field(
            MERCHANT_IDENTITY,
            true,
            false,
            "The Apple Pay Merchant Identity certificate with its private key: PEM, or the base64 of a .p12 file. For \
             pages; then domain and display_name are needed too.",
        ),
        field(MERCHANT_IDENTITY_PASSWORD, true, false, "The password of merchant_identity, where that is a .p12 file."),
        field(DOMAIN, false, false, "The registered domain of the page, bare: shop.example.com."),
        field(DISPLAY_NAME, false, false, "The merchant's name on the sheet, at most 64 characters."),
        field(REGION, false, false, "Which of Apple's gateways gives sessions: global (default) or china."),
        field(
            NETWORKS,
            false,
            false,
            "Card networks that are taken, as the payment request names them: [\"visa\", \"masterCard\"]. Without it, all.",
        ),
        field(
            CHARGE_WITH,
            false,
            false,
            "What the acquirer is sent: card (default; opened here) or token (as it came, opened there again).",
        ),
        field(
            BIND,
            false,
            false,
            "true: a token must carry the transaction's id as its application data. Otherwise it may.",
        ),
        field(TEST_ROOT, false, false, "In test mode only. PEM: the root that stands for Apple's, of a simulator."),
        field(
            TEST_SESSION_URL,
            false,
            false,
            "In test mode only: where sessions are asked instead of at Apple, of a simulator.",
        ),
    ]
}

/// See [`maxpay_engine::channel::Adapter::validate`]; the acquirer's own settings are not looked at.
pub(super) fn validate(
    mode: Mode,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
    now: Timestamp,
) -> Result<String, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, why: String| errors.push(FieldError { field: field.to_owned(), why });
    let merchant_id = settings.get(MERCHANT_ID).and_then(Value::as_str).unwrap_or_default();
    if !is_merchant_id(merchant_id) {
        wrong(MERCHANT_ID, "must be an Apple merchant identifier, for example merchant.com.example.shop".to_owned());
    }
    if let Some(why) = processing_error(merchant_id, secrets, now) {
        wrong(PROCESSING, why);
    }
    for (field, why) in web_errors(merchant_id, settings, secrets, now) {
        wrong(field, why);
    }
    for (field, why) in plain_errors(mode, settings) {
        wrong(field, why.to_owned());
    }
    if errors.is_empty() { Ok(merchant_id.to_owned()) } else { Err(errors) }
}

fn processing_error(merchant_id: &str, secrets: &SecretSettings, now: Timestamp) -> Option<String> {
    let Some(text) = secrets.named(PROCESSING) else {
        return Some("is needed: the Payment Processing certificate and its private key, PEM or .p12".to_owned());
    };
    let read = as_pem(text, secrets.named(PROCESSING_PASSWORD))
        .and_then(|pem| read_openers(&pem).map_err(|why| why.to_string()));
    let openers = match read {
        Ok(openers) => openers,
        Err(why) => return Some(why),
    };
    if let Some(other) = openers.iter().find(|opener| !opener.is_of(merchant_id)) {
        return Some(format!("the certificate of {} is another merchant_id's", other.certificate.subject()));
    }
    // One that has ended may stand beside the one that replaces it.
    let mut reasons = openers.iter().map(|opener| not_valid(&opener.certificate, now));
    if reasons.any(|why| why.is_none()) {
        return None;
    }
    openers.iter().find_map(|opener| not_valid(&opener.certificate, now))
}

/// What only pages need: all of it or nothing.
fn web_errors(
    merchant_id: &str,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut errors = Vec::new();
    let identity = secrets.named(MERCHANT_IDENTITY);
    let [domain, display_name] = [DOMAIN, DISPLAY_NAME].map(|name| settings.get(name));
    let read = identity.map(|text| {
        let pem = as_pem(text, secrets.named(MERCHANT_IDENTITY_PASSWORD))?;
        let (_, certificate) = read_identity(&pem, merchant_id)?;
        not_valid(&certificate, now).map_or(Ok(()), Err)
    });
    match read {
        Some(Err(why)) => errors.push((MERCHANT_IDENTITY, why)),
        None if domain.is_some() => errors.push((
            MERCHANT_IDENTITY,
            "is needed where domain is set: the Merchant Identity certificate and its private key".to_owned(),
        )),
        Some(Ok(())) | None => {}
    }
    let wants = |value: Option<&Value>, fits: fn(&str) -> bool| match value {
        Some(value) => !value.as_str().is_some_and(fits),
        None => identity.is_some(),
    };
    if wants(domain, is_domain) {
        errors.push((
            DOMAIN,
            "must be the registered domain alone, without https:// and path: shop.example.com".to_owned(),
        ));
    }
    if wants(display_name, is_display_name) {
        errors.push((DISPLAY_NAME, "must be 1 to 64 characters, without control characters".to_owned()));
    }
    errors
}

fn plain_errors(mode: Mode, settings: &Map<String, Value>) -> Vec<(&'static str, &'static str)> {
    let mut errors = Vec::new();
    let mut check = |name: &'static str, fits: &dyn Fn(&Value) -> bool, why: &'static str| {
        if settings.get(name).is_some_and(|value| !fits(value)) {
            errors.push((name, why));
        }
    };
    let one_of = |value: &Value, words: [&str; 2]| value.as_str().is_some_and(|text| words.contains(&text));
    check(REGION, &|value| one_of(value, ["global", "china"]), "must be global or china");
    check(CHARGE_WITH, &|value| one_of(value, ["card", "token"]), "must be card or token");
    check(BIND, &Value::is_boolean, "must be true or false");
    check(
        NETWORKS,
        &|value| networks(value).is_some(),
        "must be a list of 1 to 32 network names, for example [\"visa\"]",
    );
    if mode == Mode::Live {
        const WHY: &str = "is for test mode only: in live mode Apple's own is the only one";
        check(TEST_ROOT, &|_| false, WHY);
        check(TEST_SESSION_URL, &|_| false, WHY);
    } else {
        let is_certificate =
            |value: &Value| value.as_str().is_some_and(|text| Certificate::read_one(text.as_bytes()).is_ok());
        check(TEST_ROOT, &is_certificate, "must be one certificate, PEM");
        let is_url = |value: &Value| value.as_str().and_then(session_url).is_some();
        check(TEST_SESSION_URL, &is_url, "must be an http or https address without path and query");
    }
    errors
}

/// Apple's are reverse domain names behind `merchant.`; the rest is the developer's choice.
fn is_merchant_id(text: &str) -> bool {
    let rest = text.strip_prefix("merchant.").unwrap_or_default();
    !rest.is_empty()
        && text.len() <= 255
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

fn is_display_name(text: &str) -> bool {
    (1..=DISPLAY_NAME_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn networks(value: &Value) -> Option<Vec<String>> {
    let is_name = |name: &&str| {
        (2..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let list = value.as_array().filter(|list| (1..=NETWORKS_MAX).contains(&list.len()))?;
    list.iter().map(|name| name.as_str().filter(is_name).map(str::to_owned)).collect()
}

fn session_url(text: &str) -> Option<Url> {
    let mut url: Url = text.parse().ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    url.set_path(session::PATH);
    plain.then_some(url)
}

/// What a page's session is asked with: the newest identity. `None`: the account serves no pages.
pub(super) fn merchant_identity(context: &Context<'_>) -> Option<ClientIdentity> {
    let newest = context.account.secrets.first()?;
    let is_whole = [DOMAIN, DISPLAY_NAME].iter().all(|name| !context.account.text(name).is_empty());
    let text = newest.named(MERCHANT_IDENTITY).filter(|_| is_whole)?;
    let pem = as_pem(text, newest.named(MERCHANT_IDENTITY_PASSWORD)).ok()?;
    read_identity(&pem, context.account.text(MERCHANT_ID)).ok().map(|(identity, _)| identity)
}

/// Where sessions are asked instead of at Apple. Never in live mode, whatever the settings say.
pub(super) fn test_session_url(mode: Mode, settings: &Map<String, Value>) -> Option<Url> {
    let text = settings.get(TEST_SESSION_URL).and_then(Value::as_str).filter(|_| mode == Mode::Test)?;
    session_url(text)
}

/// The root that stands for Apple's. Never in live mode, whatever the settings say.
pub(super) fn test_root(context: &Context<'_>) -> Option<Certificate> {
    if context.account.mode != Mode::Test {
        return None;
    }
    Certificate::read_one(context.account.text(TEST_ROOT).as_bytes()).ok()
}

/// The processing keys of every revision, newest first.
pub(super) fn openers(context: &Context<'_>) -> Vec<Arc<Vec<Opener>>> {
    let pems = context
        .account
        .secrets
        .iter()
        .filter_map(|revision| as_pem(revision.named(PROCESSING)?, revision.named(PROCESSING_PASSWORD)).ok());
    pems.filter_map(|pem| read_openers(&pem).ok()).collect()
}

/// The card networks that are taken; empty: all.
pub(super) fn taken_networks(context: &Context<'_>) -> Vec<String> {
    context.account.settings.get(NETWORKS).and_then(networks).unwrap_or_default()
}

/// Whether the acquirer is sent the token as it came.
pub(super) fn sends_token(context: &Context<'_>) -> bool {
    context.account.text(CHARGE_WITH) == "token"
}

/// Whether tokens must name their transaction.
pub(super) fn must_be_bound(context: &Context<'_>) -> bool {
    context.account.settings.get(BIND).and_then(Value::as_bool).unwrap_or_default()
}
