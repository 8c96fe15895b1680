//! What is taken as an account, and what is said about what is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::{Adapter, FieldError, SecretSettings};
use maxpay_engine::model::Mode;
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::super::UnionPay;
use super::{MERCHANT, at, keys, secrets, secrets_with, settings};

const OLD_PFX: &[u8] = include_bytes!("../../../vectors/pkcs12/rc2-3des.pfx");
const NO_KEY: &[u8] = include_bytes!("../../../vectors/pkcs12/no-key.p12");
const CURVE: &[u8] = include_bytes!("../../../vectors/pkcs12/pbes2-ec.p12");
const LEAF: &str = include_str!("../../../vectors/x509/rsa-sha1-leaf.pem");
const ROOT: &str = include_str!("../../../vectors/x509/rsa-sha1-root.pem");
const MIDDLE: &str = include_str!("../../../vectors/x509/rsa-sha1-middle.pem");

fn validate(mode: Mode, settings: &Map<String, Value>, secrets: &SecretSettings) -> Result<String, Vec<FieldError>> {
    UnionPay::new().validate(mode, settings, secrets, at("2026-11-25T00:00:00Z"))
}

fn with(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    let mut settings = settings();
    settings.insert(name.to_owned(), value.into());
    settings
}

fn archive(bytes: &[u8], password: &str) -> SecretSettings {
    let pfx = Secret::from_text(&STANDARD.encode(bytes));
    let mut secrets = secrets();
    secrets.0.extend([("pfx".to_owned(), pfx), ("pfx_password".to_owned(), Secret::from_text(password))]);
    secrets
}

#[test]
fn good_settings_name_their_contract() {
    // Merchant and gateway are the identity; keys and certificates are not.
    let identity = validate(Mode::Test, &settings(), &secrets()).expect("good settings");
    assert_eq!(identity, format!("{MERCHANT} at http://unionpay.invalid"));
    let mut usual = settings();
    usual.remove("gateway");
    assert_eq!(validate(Mode::Live, &usual, &secrets()), Ok(format!("{MERCHANT} at https://gateway.95516.com")));
    assert_eq!(validate(Mode::Test, &usual, &secrets()), Ok(format!("{MERCHANT} at https://gateway.test.95516.com")));
    let broken: String = keys().merchant.pfx.expose_text().expect("text").chars().flat_map(|it| [it, '\n']).collect();
    let mut wrapped = secrets();
    wrapped.0.insert("pfx".to_owned(), Secret::from_text(&broken));
    assert!(validate(Mode::Test, &settings(), &wrapped).is_ok(), "line breaks of base64 are passed over");
}

#[test]
fn what_is_wrong_is_named() {
    // One field, and why, and nothing of a secret.
    let good = secrets;
    let root_only = keys().authority.certificates().split("-----END CERTIFICATE-----").nth(1).unwrap_or_default();
    let middle_only = format!("{root_only}-----END CERTIFICATE-----\n");
    let table: Vec<(Map<String, Value>, SecretSettings, &str, &str)> = vec![
        (with("merchant_id", "123"), good(), "merchant_id", "15 letters and digits"),
        (with("merchant_id", "77729005811004-"), good(), "merchant_id", "15 letters and digits"),
        (with("gateway", "ftp://x"), good(), "gateway", "http or https"),
        (with("gateway", "https://a@b.example/?x=1"), good(), "gateway", "http or https"),
        (with("gateway", 5), good(), "gateway", "a text"),
        (settings(), secrets_with(""), "certificates", "no certificate"),
        (settings(), secrets_with("-----BEGIN CERTIFICATE-----"), "certificates", "PEM"),
        (settings(), secrets_with(LEAF), "certificates", "signs no certificates"),
        (settings(), secrets_with(MIDDLE), "certificates", "no root"),
        (settings(), secrets_with(&middle_only), "certificates", "no root"),
        (with("certificates", "shown"), good(), "certificates", "no setting"),
        (with("hunter2", "x"), good(), "hunter2", "no setting"),
        (settings(), archive(OLD_PFX, "000001"), "pfx_password", "does not open"),
        (settings(), archive(OLD_PFX, "000000"), "pfx", "expired at 2018"),
        (settings(), archive(NO_KEY, "hunter2"), "pfx", "no private key"),
        (settings(), archive(CURVE, "hunter2"), "pfx", "not RSA"),
        (settings(), archive(b"hunter2", "hunter2"), "pfx", "not a PKCS#12 archive"),
    ];
    for (settings, secrets, field, why) in table {
        let errors = validate(Mode::Test, &settings, &secrets).expect_err(why);
        assert!(errors.len() == 1 && errors[0].field == field && errors[0].why.contains(why), "{errors:?}");
        assert!(field == "hunter2" || !format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }
    let mut no_base64 = secrets();
    no_base64.0.insert("pfx".to_owned(), Secret::from_text("hunter2 is no base64!"));
    let errors = validate(Mode::Test, &settings(), &no_base64).expect_err("not base64");
    assert!(errors[0].why.contains("not base64") && !format!("{errors:?}").contains("hunter2"), "{errors:?}");
    let mut no_password = secrets();
    no_password.0.remove("pfx_password");
    assert_eq!(validate(Mode::Test, &settings(), &no_password).expect_err("no password")[0].field, "pfx_password");
    // In live mode requests go to UnionPay alone, and in test mode never to where real money moves.
    for (mode, gateway) in [
        (Mode::Live, "http://gateway.95516.com"),
        (Mode::Live, "https://gateway.example.com"),
        (Mode::Live, "https://95516.com.example"),
        (Mode::Live, "https://gateway.test.95516.com"),
        (Mode::Test, "https://gateway.95516.com"),
        (Mode::Test, "https://GATEWAY.95516.com./"),
        (Mode::Test, "http://101.95516.com"),
    ] {
        let errors = validate(mode, &with("gateway", gateway), &secrets()).expect_err(gateway);
        assert_eq!(errors[0].field, "gateway", "{mode} {gateway}");
    }
    // Who is believed must be able to sign today, and for the mode.
    let published = secrets_with(&format!("{ROOT}{MIDDLE}"));
    let mut usual = settings();
    usual.remove("gateway");
    let errors = validate(Mode::Live, &usual, &published).expect_err("for tests");
    assert!(errors[0].field == "certificates" && errors[0].why.contains("is for tests"), "{errors:?}");
    assert!(validate(Mode::Test, &usual, &published).is_ok());
    let late = UnionPay::new().validate(Mode::Test, &usual, &published, at("2046-01-01T00:00:00Z"));
    let errors = late.expect_err("they have expired");
    assert!(
        errors.iter().any(|error| error.field == "certificates" && error.why.contains("is valid from")),
        "{errors:?}"
    );
    let errors = validate(Mode::Test, &Map::new(), &SecretSettings::default()).expect_err("nothing");
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["merchant_id", "certificates", "pfx", "pfx_password"]);
}
