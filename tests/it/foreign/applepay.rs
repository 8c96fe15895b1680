//! OpenSSL, as others built it, reads what the simulated Apple signs: the detached CMS signature over a token.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::applepay::simulator::{IN_PROCESS, Simulator, SimulatorParts, TokenVersion, TokenWish};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::clock::System;
use maxpay_engine::model::{Currency, Money};
use serde_json::Value;

const MERCHANT: &str = "merchant.com.example.shop";

#[test]
fn openssl_verifies_the_simulators_tokens() {
    // Both versions: the chain, the signed attributes and the signature hold; over other content they do not.
    let openssl = super::find("openssl").expect("missing: run .ci/run, or apt-get install openssl");
    let clock = Arc::new(System::new());
    let parts = SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::memory(),
        clock: clock.clone(),
        entropy: clock,
    };
    let simulator = Simulator::open(parts).expect("a simulator");
    simulator.enrol(MERCHANT, "shop.example.com").expect("enrolled");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("it is written");
    write("root.pem", simulator.root_pem().expect("a root").as_bytes());
    let amount = Money::new(100, Currency::CNY).expect("in range");
    for (version, sent) in [(TokenVersion::Ec, "ephemeralPublicKey"), (TokenVersion::Rsa, "wrappedKey")] {
        let token = simulator.token(MERCHANT, &TokenWish { version, ..TokenWish::of(amount) }).expect("a token");
        let token: Value = serde_json::from_slice(token.expose()).expect("JSON");
        let text = |path: &str| token.pointer(path).and_then(Value::as_str).expect("a text").to_owned();
        let base64 = |path: &str| STANDARD.decode(text(path)).expect("base64");
        let id = hex::decode(text("/paymentData/header/transactionId")).expect("hex");
        let mut content = [base64(&format!("/paymentData/header/{sent}")), base64("/paymentData/data"), id].concat();
        write("signature.der", &base64("/paymentData/signature"));
        write("content.bin", &content);
        assert_eq!(verify(&openssl, folder.path()), Ok(()), "{version:?}");
        content[0] ^= 1;
        write("content.bin", &content);
        assert!(verify(&openssl, folder.path()).is_err(), "{version:?}: over other content");
    }
}

fn verify(openssl: &Path, folder: &Path) -> Result<(), String> {
    let told = Command::new(openssl)
        .current_dir(folder)
        .args(["cms", "-verify", "-inform", "DER", "-in", "signature.der", "-content", "content.bin", "-binary"])
        .args(["-CAfile", "root.pem", "-purpose", "any", "-out", "verified.bin"])
        .output()
        .expect("it runs");
    if told.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&told.stderr).into_owned()) }
}
