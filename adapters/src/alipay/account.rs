//! Settings of an Alipay account, and the keys in them.
//!
//! Keys and certificates are all secret settings, public ones too: the engine hands an adapter the secrets of every
//! revision, so that an answer under yesterday's key still verifies.

use std::sync::Arc;

use maxpay_engine::channel::{Context, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::{Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use url::Url;

use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::parts::x509::ChainError;

use super::certificates::{Leaf, Roots};

pub(super) const APP_ID: &str = "app_id";
pub(super) const SELLER_ID: &str = "seller_id";
const GATEWAY: &str = "gateway";
const PRODUCTS: &str = "products";
const PRIVATE_KEY: &str = "private_key";
const ALIPAY_PUBLIC_KEY: &str = "alipay_public_key";
const APP_CERT: &str = "app_cert";
const ALIPAY_CERT: &str = "alipay_cert";
const ROOT_CERT: &str = "alipay_root_cert";
const CERTIFICATES: [&str; 3] = [APP_CERT, ALIPAY_CERT, ROOT_CERT];

/// What downloaded certificates are called, in front of their number.
const MATERIAL: &str = "alipay_cert/";

const LIVE_GATEWAY: &str = "https://openapi.alipay.com/gateway.do";
const SANDBOX_GATEWAY: &str = "https://openapi-sandbox.dl.alipaydev.com/gateway.do";

/// Products as the setting names them, and the code each is for.
const PRODUCT_CODES: [(&str, &str); 4] =
    [("app", "ali_app"), ("web", "ali_web"), ("wap", "ali_wap"), ("qrcode", "ali_qrcode")];

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    let field = |name, secret, needed, doc| SettingField { name, secret, needed, doc };
    vec![
        field(APP_ID, false, true, "The application: 16 digits, as the Alipay console shows it (APPID)."),
        field(SELLER_ID, false, true, "The merchant's PID: 2088 and 12 more digits. Notifications must name it."),
        field(
            GATEWAY,
            false,
            false,
            "Test mode: the gateway's address, where it is not Alipay's own sandbox. Live mode always uses \
             https://openapi.alipay.com/gateway.do.",
        ),
        field(
            PRODUCTS,
            false,
            false,
            "Which products the contract has, joined by commas: app, web, wap, qrcode. All, where nothing is said.",
        ),
        field(PRIVATE_KEY, true, true, "The application's private RSA key, 2048 bits: PEM or bare base64."),
        field(ALIPAY_PUBLIC_KEY, true, false, "Public-key mode: Alipay's public key for this application."),
        field(APP_CERT, true, false, "Certificate mode: appCertPublicKey_….crt."),
        field(ALIPAY_CERT, true, false, "Certificate mode: alipayCertPublicKey_RSA2.crt."),
        field(ROOT_CERT, true, false, "Certificate mode: alipayRootCert.crt."),
    ]
}

/// See [`maxpay_engine::channel::Adapter::validate`].
pub(super) fn validate(
    mode: Mode,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
    now: Timestamp,
) -> Result<String, Vec<FieldError>> {
    let mut errors = Errors::default();
    let text = |name| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    if !digits(text(APP_ID), 16) {
        errors.add(APP_ID, "must be 16 digits, for example 2021001161683774");
    }
    if !digits(text(SELLER_ID), 16) || !text(SELLER_ID).starts_with("2088") {
        errors.add(SELLER_ID, "must be the merchant's PID: 16 digits that begin with 2088");
    }
    let address = gateway(mode, text(GATEWAY));
    match mode {
        Mode::Live if !["", LIVE_GATEWAY].contains(&text(GATEWAY)) => {
            errors.add(GATEWAY, "live accounts use https://openapi.alipay.com/gateway.do: leave it out");
        }
        Mode::Live | Mode::Test if address.is_none() => {
            errors.add(GATEWAY, "must be an http or https address without query, or not be there");
        }
        Mode::Test if address.as_ref().is_some_and(is_live) => {
            errors.add(GATEWAY, "is where real money moves: not in test mode");
        }
        Mode::Live | Mode::Test => {}
    }
    let known = |word: &str| PRODUCT_CODES.iter().any(|(name, _)| *name == word);
    if settings.contains_key(PRODUCTS) && !text(PRODUCTS).split(',').map(str::trim).all(known) {
        errors.add(PRODUCTS, "must be some of app, web, wap and qrcode, joined by commas, or not be there");
    }
    for name in settings.keys().filter(|name| ![APP_ID, SELLER_ID, GATEWAY, PRODUCTS].contains(&name.as_str())) {
        errors.add(name, "is no setting of this channel that is shown: app_id, seller_id, gateway and products are");
    }
    validate_keys((text(APP_ID), text(SELLER_ID)), secrets, now, &mut errors);
    match address {
        Some(address) if errors.0.is_empty() => Ok(format!("{} of {} at {address}", text(APP_ID), text(SELLER_ID))),
        Some(_) | None => Err(errors.0),
    }
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, field: &str, why: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), why: why.into() });
    }

    fn kept<T, E: std::fmt::Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|why| self.add(field, why.to_string())).ok()
    }
}

fn validate_keys((app_id, seller_id): (&str, &str), secrets: &SecretSettings, now: Timestamp, errors: &mut Errors) {
    let known = [PRIVATE_KEY, ALIPAY_PUBLIC_KEY, APP_CERT, ALIPAY_CERT, ROOT_CERT];
    for name in secrets.0.keys().filter(|name| !known.contains(&name.as_str())) {
        errors.add(name, format!("is no secret setting of this channel: {} are", known.join(", ")));
    }
    let key = secrets.named(PRIVATE_KEY).map(PrivateKey::read);
    let key = key.and_then(|read| errors.kept(PRIVATE_KEY, read));
    if secrets.named(PRIVATE_KEY).is_none() {
        errors.add(PRIVATE_KEY, "is needed: the application's private key");
    }
    let certificates = CERTIFICATES.iter().filter(|name| secrets.named(name).is_some()).count();
    match (secrets.named(ALIPAY_PUBLIC_KEY), certificates) {
        (Some(public), 0) => {
            let public = errors.kept(ALIPAY_PUBLIC_KEY, PublicKey::read(public.expose()));
            if let (Some(key), Some(public)) = (&key, &public)
                && key.belongs_to(public)
            {
                errors.add(ALIPAY_PUBLIC_KEY, "is the application's own public key: Alipay's is wanted");
            }
        }
        (Some(_), _) => errors.add(
            ALIPAY_PUBLIC_KEY,
            "stands beside certificates: an application is in public-key mode or in certificate mode",
        ),
        (None, 0) => errors.add(
            ALIPAY_PUBLIC_KEY,
            "is needed; or, for an application in certificate mode, app_cert, alipay_cert and alipay_root_cert",
        ),
        (None, _) => validate_certificates((app_id, seller_id), key.as_deref(), secrets, now, errors),
    }
}

fn validate_certificates(
    (app_id, seller_id): (&str, &str),
    key: Option<&PrivateKey>,
    secrets: &SecretSettings,
    now: Timestamp,
    errors: &mut Errors,
) {
    for name in CERTIFICATES.iter().filter(|name| secrets.named(name).is_none()) {
        errors.add(name, "is needed in certificate mode, as the other two are");
    }
    let roots = secrets.named(ROOT_CERT).and_then(|text| errors.kept(ROOT_CERT, Roots::read(text.expose())));
    let mut leaf = |name| {
        let leaf = errors.kept(name, Leaf::read(secrets.named(name)?.expose()))?;
        let (from, until) = (leaf.certificate.not_before(), leaf.certificate.not_after());
        if now < from || now > until {
            errors.add(name, format!("is valid from {from} to {until}: download a new one in the console"));
        } else if let Some(roots) = &roots {
            match leaf.check(roots, now) {
                Ok(()) => {}
                // Older downloads hold the certificate alone: nothing to check, and the merchant vouches for it.
                Err(ChainError::NoIssuer { .. }) if leaf.above.is_empty() => {}
                Err(why) => errors.add(name, format!("does not lead to {ROOT_CERT}: {why}")),
            }
        }
        Some(leaf)
    };
    let (app, alipay) = (leaf(APP_CERT), leaf(ALIPAY_CERT));
    if let (Some(key), Some(app)) = (key, &app)
        && !key.belongs_to(&app.key)
    {
        errors.add(APP_CERT, "is for another key than private_key");
    }
    if let Some((seller, application)) = app.as_ref().and_then(|app| app.holder()) {
        if application != app_id {
            errors.add(APP_CERT, format!("is the certificate of application {application}"));
        } else if seller != seller_id {
            errors.add(SELLER_ID, format!("is not {seller}, whose application {APP_CERT} is for"));
        }
    }
    if alipay.as_ref().is_some_and(|alipay| alipay.holder().is_some()) {
        errors.add(ALIPAY_CERT, "is an application's certificate: alipayCertPublicKey_RSA2.crt is wanted");
    }
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The gateway of an account of that mode. `None`: the setting is no address.
fn gateway(mode: Mode, setting: &str) -> Option<Url> {
    let text = match (mode, setting) {
        (Mode::Live, _) => LIVE_GATEWAY,
        (Mode::Test, "") => SANDBOX_GATEWAY,
        (Mode::Test, setting) => setting,
    };
    let url: Url = text.parse().ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

/// Whether real money moves there: the sandbox is below alipaydev.com.
fn is_live(gateway: &Url) -> bool {
    let host = gateway.host_str().unwrap_or_default().trim_end_matches('.');
    host == "alipay.com" || host.ends_with(".alipay.com")
}

/// Where requests of the account go.
pub(super) fn address(context: &Context<'_>) -> Option<Url> {
    gateway(context.account.mode, context.account.text(GATEWAY))
}

/// Whether the account's contract has the product of that code.
pub(super) fn has_product(context: &Context<'_>, code: &str) -> bool {
    let products = context.account.text(PRODUCTS);
    let name = PRODUCT_CODES.iter().find(|(_, of)| *of == code).map_or("", |(name, _)| *name);
    products.is_empty() || products.split(',').any(|product| product.trim() == name)
}

/// What signs, and what it says of itself in certificate mode.
pub(super) struct Signer {
    pub key: Arc<PrivateKey>,
    /// `app_cert_sn` and `alipay_root_cert_sn`.
    pub certificates: Option<(String, String)>,
}

/// The newest revision's key. The reason is for people.
pub(super) fn signer(context: &Context<'_>) -> Result<Signer, String> {
    let secrets = context.account.secrets.first().ok_or("the account has no keys")?;
    let secret = secrets.named(PRIVATE_KEY).ok_or("the account has no private_key")?;
    let key = PrivateKey::read(secret).map_err(|why| format!("private_key {why}"))?;
    let certificates = match (secrets.named(APP_CERT), secrets.named(ROOT_CERT)) {
        (Some(app), Some(root)) => {
            let app = Leaf::read(app.expose()).map_err(|why| format!("{APP_CERT} {why}"))?;
            let root = Roots::read(root.expose()).map_err(|why| format!("{ROOT_CERT} {why}"))?;
            Some((app.number.clone(), root.number.clone()))
        }
        (Some(_) | None, _) => None,
    };
    Ok(Signer { key, certificates })
}

/// Alipay's certificates: those that were saved, newest revision first, then those that were downloaded.
pub(super) fn alipay_certificates(context: &Context<'_>) -> Vec<Arc<Leaf>> {
    let saved = context.account.secrets_named(ALIPAY_CERT);
    let downloaded = context.material.iter().filter(|material| material.name.starts_with(MATERIAL));
    let texts = saved.map(Secret::expose).chain(downloaded.map(|material| &*material.bytes));
    texts.filter_map(|text| Leaf::read(text).ok()).collect()
}

/// Alipay's public keys of public-key mode, newest revision first.
pub(super) fn alipay_keys(context: &Context<'_>) -> Vec<Arc<PublicKey>> {
    let saved = context.account.secrets_named(ALIPAY_PUBLIC_KEY);
    saved.filter_map(|secret| PublicKey::read(secret.expose()).ok()).collect()
}

/// The newest revision's roots, and the certificate of Alipay's that was saved with them.
pub(super) fn trusted(context: &Context<'_>) -> Option<(Arc<Roots>, Arc<Leaf>)> {
    let secrets = context.account.secrets.first()?;
    let roots = Roots::read(secrets.named(ROOT_CERT)?.expose()).ok()?;
    Some((roots, Leaf::read(secrets.named(ALIPAY_CERT)?.expose()).ok()?))
}

/// What a downloaded certificate is kept as.
pub(super) fn material_name(number: &str) -> String {
    format!("{MATERIAL}{number}")
}
