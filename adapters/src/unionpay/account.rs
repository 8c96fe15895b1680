//! Settings of a UnionPay account, and what is made of them: who signs, and who is believed.
//!
//! The certificates are a secret setting, public as they are: the engine hands an adapter the secrets of every revision,
//! and the shown settings of one. So UnionPay may change its authority while payments are open.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::{AccountView, FieldError, SecretSettings, SettingField};
use maxpay_engine::model::{Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use url::Url;

use crate::parts::parsed::Parsed;
use crate::parts::pkcs12::Archive;
use crate::parts::rsa::PrivateKey;
use crate::parts::x509::Certificate;

pub(super) const MERCHANT_ID: &str = "merchant_id";
pub(super) const GATEWAY: &str = "gateway";
pub(super) const CERTIFICATES: &str = "certificates";
pub(super) const PFX: &str = "pfx";
pub(super) const PFX_PASSWORD: &str = "pfx_password";

const LIVE_GATEWAY: &str = "https://gateway.95516.com";
const TEST_GATEWAY: &str = "https://gateway.test.95516.com";
/// Its gateways are below it.
const DOMAIN: &str = ".95516.com";
/// Its test gateways are.
const TEST_DOMAIN: &str = ".test.95516.com";
/// Whose certificate signs answers and notices: the third part, between `@`, of its common name.
const UNIONPAY: &str = "中国银联股份有限公司";
/// The test gateway has signed under this name too.
const TEST_HOLDER: &str = "00040000:SIGN";

/// In the names of the authorities below which the test gateway's certificates are.
const TEST_AUTHORITY: &str = "CFCA TEST";

/// Accounts of each kind that stay parsed.
const KEPT_MAX: usize = 256;
static SIGNERS: Parsed<Signer> = Parsed::new(KEPT_MAX);
static TRUSTED: Parsed<Trust> = Parsed::new(KEPT_MAX);

/// The settings, for the manifest.
pub(super) fn settings() -> Vec<SettingField> {
    let open = |name, needed, doc| SettingField { name, secret: false, needed, doc };
    let sealed = |name, doc| SettingField { name, secret: true, needed: true, doc };
    vec![
        open(MERCHANT_ID, true, "The merchant (merId): 15 letters and digits."),
        open(
            GATEWAY,
            false,
            "Where UnionPay is: https://gateway.95516.com in live mode and https://gateway.test.95516.com in test mode \
             when it is left out.",
        ),
        sealed(
            CERTIFICATES,
            "The certificates that UnionPay's signature is checked up to, PEM, one after the other: the root \
             (acp_prod_root.cer) and the middle (acp_prod_middle.cer).",
        ),
        sealed(PFX, "The merchant's signing certificate with its key: the .pfx file in base64."),
        sealed(PFX_PASSWORD, "The password of that file."),
    ]
}

/// Who signs requests.
pub(super) struct Signer {
    pub key: Arc<PrivateKey>,
    /// The certificate's serial number, in decimal: `certId`.
    pub cert_id: String,
    certificate: Certificate,
}

/// Who is believed.
pub(super) struct Trust {
    pub roots: Vec<Certificate>,
    pub middles: Vec<Certificate>,
    /// Names of which a signer must have one.
    pub holders: &'static [&'static str],
}

impl Trust {
    /// Whether they can be saved: of roots and of middles one is valid now, and none is for tests in live mode.
    fn check(&self, mode: Mode, now: Timestamp) -> Result<(), String> {
        let all = || self.roots.iter().chain(&self.middles);
        if let Some(test) = all().find(|one| mode == Mode::Live && one.subject().contains(TEST_AUTHORITY)) {
            return Err(format!(
                "{} is for tests: acp_prod_root.cer and acp_prod_middle.cer are wanted",
                test.subject()
            ));
        }
        for some in [&self.roots, &self.middles] {
            let valid = |one: &Certificate| (one.not_before()..=one.not_after()).contains(&now);
            if let Some(one) = some.first().filter(|_| !some.iter().any(valid)) {
                return Err(format!("{} is valid from {} to {}", one.subject(), one.not_before(), one.not_after()));
            }
        }
        Ok(())
    }
}

/// See [`maxpay_engine::channel::Adapter::validate`].
pub(super) fn validate(
    mode: Mode,
    settings: &Map<String, Value>,
    secrets: &SecretSettings,
    now: Timestamp,
) -> Result<String, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, why: &str| errors.push(FieldError { field: field.to_owned(), why: why.to_owned() });
    let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    let merchant_id = text(MERCHANT_ID);
    if !is_merchant_id(merchant_id) {
        wrong(MERCHANT_ID, "must be the merId: 15 letters and digits, for example 777290058110048");
    }
    let gateway = match settings.get(GATEWAY) {
        None => Ok(default_gateway(mode).to_owned()),
        Some(Value::String(text)) => read_gateway(mode, text),
        Some(_) => Err("must be a text"),
    };
    if let Err(why) = &gateway {
        wrong(GATEWAY, why);
    }
    let certificates = secrets.named(CERTIFICATES).and_then(Secret::expose_text).unwrap_or_default();
    if let Err(why) = read_trust(mode, certificates).and_then(|trust| trust.check(mode, now)) {
        wrong(CERTIFICATES, &why);
    }
    if secrets.named(PFX).is_none() {
        wrong(PFX, "is needed: the .pfx file that CFCA issued to the merchant, in base64");
    }
    if secrets.named(PFX_PASSWORD).is_none() {
        wrong(PFX_PASSWORD, "is needed: the password of the .pfx file");
    }
    if let (Some(pfx), Some(password)) = (secrets.named(PFX), secrets.named(PFX_PASSWORD)) {
        match read_signer(pfx, password) {
            Err((field, why)) => wrong(field, &why),
            Ok(signer) if now.seconds() > signer.certificate.not_after().seconds() => {
                wrong(PFX, &format!("expired at {}: get a new one from CFCA", signer.certificate.not_after()));
            }
            Ok(signer) if now.seconds() < signer.certificate.not_before().seconds() => {
                wrong(PFX, &format!("is valid only from {}", signer.certificate.not_before()));
            }
            Ok(_) => {}
        }
    }
    for name in settings.keys().filter(|name| ![MERCHANT_ID, GATEWAY].contains(&name.as_str())) {
        wrong(name, "is no setting of this channel that is shown: merchant_id and gateway are");
    }
    for name in secrets.0.keys().filter(|name| ![CERTIFICATES, PFX, PFX_PASSWORD].contains(&name.as_str())) {
        wrong(name, "is no secret setting of this channel: certificates, pfx and pfx_password are");
    }
    match gateway {
        Ok(gateway) if errors.is_empty() => Ok(format!("{merchant_id} at {gateway}")),
        Ok(_) | Err(_) => Err(errors),
    }
}

/// Whether the text can be a merchant.
pub(super) fn is_merchant_id(text: &str) -> bool {
    text.len() == 15 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn default_gateway(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => LIVE_GATEWAY,
        Mode::Test => TEST_GATEWAY,
    }
}

fn read_gateway(mode: Mode, text: &str) -> Result<String, &'static str> {
    const SHAPE: &str = "must be an http or https address without query, for example https://gateway.test.95516.com";
    let url: Url = text.parse().map_err(|_| SHAPE)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(SHAPE);
    }
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let of_live = host.ends_with(DOMAIN) && !host.ends_with(TEST_DOMAIN);
    match mode {
        Mode::Live if !(of_live && url.scheme() == "https") => {
            return Err(
                "must be an https address of UnionPay (….95516.com, and no test one) in live mode; leave it out \
                        for the usual one",
            );
        }
        Mode::Test if of_live => return Err("is where real money moves: not in test mode"),
        Mode::Live | Mode::Test => {}
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address below the account's gateway. `None`: the gateway is no address.
pub(super) fn address(account: &AccountView<'_>, path: &str) -> Option<Url> {
    let gateway = match account.text(GATEWAY) {
        "" => default_gateway(account.mode).to_owned(),
        text => read_gateway(account.mode, text).ok()?,
    };
    format!("{gateway}{path}").parse().ok()
}

/// Who signs for the account: the newest archive.
pub(super) fn signer(account: &AccountView<'_>) -> Option<Arc<Signer>> {
    let newest = account.secrets.first()?;
    read_signer(newest.named(PFX)?, newest.named(PFX_PASSWORD)?).ok()
}

/// Who is believed about the account: the certificates of every revision.
pub(super) fn trust(account: &AccountView<'_>) -> Option<Arc<Trust>> {
    let mut texts: Vec<&str> = account.secrets_named(CERTIFICATES).filter_map(Secret::expose_text).collect();
    texts.dedup();
    read_trust(account.mode, &texts.join("\n")).ok()
}

fn read_signer(pfx: &Secret, password: &Secret) -> Result<Arc<Signer>, (&'static str, String)> {
    // The parsed key is remembered under both, parted by a byte that base64 has not.
    let source = Secret::from_bytes([pfx.expose(), &[0], password.expose()].concat());
    SIGNERS.of(source.expose(), |_| {
        let packed =
            Secret::from_bytes(pfx.expose().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
        let bytes = STANDARD.decode(packed.expose()).map(Secret::from_bytes);
        let bytes =
            bytes.map_err(|_| (PFX, "is not base64: encode the .pfx file, for example with base64 -w0".to_owned()))?;
        let archive = Archive::open(bytes.expose(), password).map_err(|error| {
            let field = if error == crate::parts::pkcs12::ArchiveError::Password { PFX_PASSWORD } else { PFX };
            let why = if field == PFX { error.to_string() } else { "does not open the archive in pfx".to_owned() };
            (field, why)
        })?;
        let key = PrivateKey::read(&archive.key).map_err(|_| (PFX, "holds a key that is not RSA".to_owned()))?;
        Ok(Signer { key, cert_id: archive.certificate.serial_decimal(), certificate: archive.certificate })
    })
}

fn read_trust(mode: Mode, text: &str) -> Result<Arc<Trust>, String> {
    let holders: &'static [&'static str] = match mode {
        Mode::Live => &[UNIONPAY],
        Mode::Test => &[UNIONPAY, TEST_HOLDER],
    };
    TRUSTED.of(format!("{mode} {text}").as_bytes(), |_| {
        let all = Certificate::read_all(text.as_bytes()).map_err(|error| error.to_string())?;
        if let Some(other) = all.iter().find(|certificate| !certificate.is_authority()) {
            return Err(format!("{} signs no certificates: the root and the middle are wanted", other.subject()));
        }
        let (roots, middles): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|certificate| certificate.subject() == certificate.issuer());
        if roots.is_empty() {
            return Err("holds no root (a certificate that signed itself): add acp_prod_root.cer".to_owned());
        }
        Ok(Trust { roots, middles, holders })
    })
}
