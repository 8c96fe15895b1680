//! What others wrote reads what the simulated Apple makes: OpenSSL the detached CMS signature over a token, a payment
//! company's package the card in it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::applepay::simulator::{
    CRYPTOGRAM_HEAD, Flaw, IN_PROCESS, Simulator, SimulatorParts, TokenVersion, TokenWish,
};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::clock::System;
use serde_json::{Value, json};

use super::openssl::OpenSsl;
use super::peer::Peer;
use super::stage::yuan;

const MERCHANT: &str = "merchant.com.example.shop";

fn simulator() -> Arc<Simulator> {
    let clock = Arc::new(System::new());
    let parts = SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::memory(),
        clock: clock.clone(),
        entropy: clock,
    };
    let simulator = Simulator::open(parts).expect("a simulator");
    simulator.enrol(MERCHANT, "shop.example.com").expect("enrolled");
    simulator
}

fn token(simulator: &Simulator, wish: &TokenWish) -> Value {
    let token = simulator.token(MERCHANT, wish).expect("a token");
    serde_json::from_slice(token.expose()).expect("JSON")
}

#[test]
fn openssl_verifies_the_simulators_tokens() {
    // Both versions: the chain, the signed attributes and the signature hold; over other content, under another root or
    // over other attributes they do not.
    let (openssl, simulator) = (OpenSsl::new(), simulator());
    openssl.write("root.pem", simulator.root_pem().expect("a root"));
    for (version, sent) in [(TokenVersion::Ec, "ephemeralPublicKey"), (TokenVersion::Rsa, "wrappedKey")] {
        let table = [
            (None, true),
            (Some(Flaw::DataChanged), false),
            (Some(Flaw::TransactionIdChanged), false),
            (Some(Flaw::Signature), false),
            (Some(Flaw::OtherRoot), false),
        ];
        for (flaw, holds) in table {
            let wish = TokenWish { version, flaw, ..TokenWish::of(yuan(100)) };
            let token = token(&simulator, &wish);
            let text = |path: &str| token.pointer(path).and_then(Value::as_str).expect("a text").to_owned();
            let base64 = |path: &str| STANDARD.decode(text(path)).expect("base64");
            let id = hex::decode(text("/paymentData/header/transactionId")).expect("hex");
            let content = [base64(&format!("/paymentData/header/{sent}")), base64("/paymentData/data"), id].concat();
            openssl.write("signature.der", base64("/paymentData/signature"));
            openssl.write("content", content);
            let verify =
                "cms -verify -inform DER -in signature.der -content content -binary -CAfile root.pem -purpose any";
            let verified = openssl.run(&format!("{verify} -out verified"));
            assert_eq!(verified.is_ok(), holds, "{version:?} {flaw:?}: {verified:?}");
        }
    }
}

#[test]
fn a_payment_companys_package_opens_tokens() {
    // The simulator's of both versions, and the published ones whose keys are published too: each opens to its card. It
    // passes over the tag, so it says nothing about what was tampered with.
    let mut peer = Peer::start("applepay.cjs");
    let simulator = simulator();
    let settings = simulator.settings(MERCHANT).expect("enrolled");
    let processing = settings["processing"].as_str().expect("PEM");
    let blocks: Vec<_> = processing.split_inclusive("-----\n").collect();
    let blocks: Vec<_> = blocks.chunks(2).map(<[&str]>::concat).collect();
    let [ec, ec_key, rsa, rsa_key] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    for (version, certificate, key) in [(TokenVersion::Ec, ec, ec_key), (TokenVersion::Rsa, rsa, rsa_key)] {
        let token = token(&simulator, &TokenWish { version, ..TokenWish::of(yuan(12_345)) });
        let card = peer.must("open", json!({ "token": token, "certificate": certificate, "key": key }));
        assert_eq!((&card["transactionAmount"], &card["currencyCode"]), (&json!(12_345), &json!("156")), "{version:?}");
        let cryptogram = card["paymentData"]["onlinePaymentCryptogram"].as_str();
        assert!(cryptogram.is_some_and(|cryptogram| cryptogram.starts_with(CRYPTOGRAM_HEAD)), "{version:?}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/vectors/applepay");
    let read =
        |name: String| std::fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let table = [
        ("gala", "gala", 100),
        ("basis-theory-ec-old", "basis-theory-ec-old", 100),
        ("basis-theory-ios", "basis-theory-ec-old", 1099),
        ("basis-theory-ec-new", "basis-theory-ec-new", 100),
        ("basis-theory-rsa", "basis-theory-rsa", 100),
    ];
    for (name, pair, minor) in table {
        let token: Value = serde_json::from_str(&read(format!("{name}-token.json"))).expect("JSON");
        let token = if token["paymentData"].is_null() { json!({ "paymentData": token }) } else { token };
        let with = json!({ "token": token, "certificate": read(format!("{pair}-certificate.pem")), "key": read(format!("{pair}-key.pem")) });
        let card = peer.must("open", with);
        assert_eq!((&card["transactionAmount"], &card["currencyCode"]), (&json!(minor), &json!("840")), "{name}");
    }
}
