//! Settings: the right ones are taken, and each wrong one is named with what would be right.

use std::time::Duration;

use maxpay_engine::channel::Adapter;
use maxpay_engine::clock::Clock;
use maxpay_engine::model::Mode;
use maxpay_engine::secrets::Secret;
use serde_json::{Value, json};

use super::{MERCHANT, World};
use crate::applepay::{ApplePay, Https};
use crate::parts::x509::Certificate;

fn errors(world: &World, mode: Mode) -> Vec<String> {
    let judged = world.adapter.validate(mode, &world.settings, &world.secrets[0], world.clock.now().wall);
    judged.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_simulator_gives_is_taken() {
    // In test mode, with an identity that names merchant and acquirer; the least an account needs is taken too.
    let mut world = World::new();
    let identity =
        world.adapter.validate(Mode::Test, &world.settings, &world.secrets[0], world.clock.now().wall).expect("valid");
    assert_eq!(identity, format!("{MERCHANT} through acq_com_example_shop at http://applepay.invalid/acquirer"));
    for name in ["domain", "display_name", "test_root", "test_session_url"] {
        world.settings.remove(name);
    }
    world.secrets[0].0.remove("merchant_identity");
    assert_eq!(errors(&world, Mode::Test), Vec::<String>::new());
    world.set("acquirer_url", "https://acquirer.example.com/pay/");
    assert_eq!(errors(&world, Mode::Live), Vec::<String>::new());
}

#[test]
fn each_wrong_setting_is_named() {
    // One at a time; the message begins with the field and says what would be right.
    let table: [(&str, Value, &str); 18] = [
        ("merchant_id", json!("com.example"), "merchant_id: must be an Apple merchant identifier"),
        ("merchant_id", json!("merchant.com.example.else"), "processing: the certificate of"),
        ("domain", json!("https://shop.example.com"), "domain: must be the registered domain alone"),
        ("domain", json!("localhost"), "domain: must be"),
        ("domain", Value::Null, "domain: must be"),
        ("display_name", json!(""), "display_name: must be 1 to 64"),
        ("display_name", json!("支".repeat(65)), "display_name: must be 1 to 64"),
        ("region", json!("mars"), "region: must be global or china"),
        ("networks", json!([]), "networks: must be a list"),
        ("networks", json!("visa"), "networks: must be a list"),
        ("charge_with", json!("cash"), "charge_with: must be card or token"),
        ("require_application_data", json!("yes"), "require_application_data: must be true or false"),
        ("test_root", json!("-----"), "test_root: must be one certificate"),
        ("test_session_url", json!("http://a/b?c"), "test_session_url: must be"),
        ("acquirer_url", json!("ftp://a"), "acquirer_url: must be an https address"),
        ("acquirer_url", json!("https://a?b"), "acquirer_url: must be an https address"),
        ("acquirer_merchant_id", json!("a b"), "acquirer_merchant_id: must be"),
        ("colour", json!("red"), "colour: is no setting"),
    ];
    for (name, value, wanted) in table {
        let mut world = World::new();
        world.set(name, value.clone());
        let errors = errors(&world, Mode::Test);
        assert!(errors.iter().any(|error| error.starts_with(wanted)), "{name} {value}: {errors:?}");
    }
}

#[test]
fn each_wrong_secret_is_named() {
    // Keys and certificates that do not parse, do not match, or are somebody else's; nothing of them is shown.
    let world = World::new();
    let text = |name: &str| world.secrets[0].named(name).and_then(Secret::expose_text).expect("text").to_owned();
    let (processing, identity) = (text("processing"), text("merchant_identity"));
    let (certificate, key) = processing.split_once("-----BEGIN PRIVATE").expect("both");
    let key = format!("-----BEGIN PRIVATE{}", key.split("-----BEGIN CERT").next().expect("a key"));
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGk=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
    let table = [
        ("processing", None, "is needed"),
        ("processing", Some(String::new()), "neither PEM"),
        ("processing", Some("hunter2".to_owned()), "neither PEM"),
        ("processing", Some(certificate.to_owned()), "no private key"),
        ("processing", Some(key.clone()), "no certificate"),
        ("processing", Some(format!("{certificate}{locked}")), "password"),
        ("processing", Some(format!("{certificate}{broken}")), "neither P-256"),
        ("processing", Some(identity.clone()), "is not an Apple Pay Payment Processing certificate"),
        ("processing", Some(format!("{}{key}", certificate_of(&identity))), "do not belong together"),
        ("merchant_identity", Some("aHVudGVyMg==".to_owned()), "PKCS#12"),
        ("merchant_identity", Some(certificate_of(&identity)), "one private key"),
        ("merchant_identity", Some(format!("{}{key}", certificate_of(&identity))), "do not belong together"),
        ("merchant_identity", Some(format!("{identity}{key}")), "one private key"),
        ("merchant_identity", Some(format!("{}{locked}", certificate_of(&identity))), "password"),
        ("merchant_identity", None, "is needed where domain is set"),
        ("acquirer_secret", Some("short".to_owned()), "32 to 256"),
        ("acquirer_secret", None, "is needed"),
        ("colour", Some("red".to_owned()), "is no secret setting"),
    ];
    for (name, value, wanted) in table {
        let mut world = World::new();
        match &value {
            Some(value) => drop(world.secrets[0].0.insert(name.to_owned(), Secret::from_text(value))),
            None => drop(world.secrets[0].0.remove(name)),
        }
        let errors = errors(&world, Mode::Test);
        assert!(
            errors.iter().any(|error| error.starts_with(name) && error.contains(wanted)),
            "{name}: {wanted}: {errors:?}"
        );
        assert!(!format!("{errors:?}").contains("hunter2"));
    }
}

#[test]
fn certificates_that_have_ended_are_refused() {
    // Ten years from now both have; the message says whose and until when.
    let world = World::new();
    world.clock.advance(Duration::from_hours(11 * 365 * 24));
    let errors = errors(&world, Mode::Test);
    for name in ["processing", "merchant_identity"] {
        assert!(errors.iter().any(|error| error.starts_with(name) && error.contains("is valid from")), "{errors:?}");
    }
}

#[test]
fn test_settings_are_refused_in_live_mode() {
    // Another root, another session server, an acquirer without TLS, or a build with another root.
    let world = World::new();
    let errors = errors(&world, Mode::Live);
    for name in ["test_root", "test_session_url", "acquirer_url"] {
        assert!(errors.iter().any(|error| error.starts_with(name)), "{name}: {errors:?}");
    }
    let root = world.simulator.root_pem().expect("a root");
    let other = ApplePay::trusting(Https, Certificate::read_one(root.as_bytes()).expect("a certificate"));
    assert!(other.manifest().test_mode_only);
    let judged = other
        .validate(Mode::Live, &world.settings, &world.secrets[0], world.clock.now().wall)
        .expect_err("test mode only");
    assert!(judged.iter().any(|error| error.field == "mode"));
}

fn certificate_of(pem: &str) -> String {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let (body, _) = rest.split_once("-----END CERTIFICATE-----").expect("its end");
    format!("-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----\n")
}
