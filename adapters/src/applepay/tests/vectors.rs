//! Seven tokens that real devices made and others published (`adapters/vectors/README.md`): each holds at its time, none
//! today.

use std::time::Duration;

use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;

use super::intent;
use crate::applepay::APPLE_ROOT;
use crate::applepay::opening::read_openers;
use crate::applepay::token::{Expected, Refused, Token, WINDOW};
use crate::parts::digest::sha256;
use crate::parts::x509::Certificate;

/// Name, token, certificate and key where published, when it was signed.
struct Vector {
    name: &'static str,
    token: &'static [u8],
    pair: Option<(&'static str, &'static str)>,
    merchant_id: &'static str,
    /// In cents.
    minor: u64,
    signed_at: &'static str,
}

macro_rules! file {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/applepay/", $name)
    };
}

const VECTORS: [Vector; 7] = [
    Vector {
        name: "gala",
        merchant_id: "merchant.test.spreedly.123merchant",
        token: include_bytes!(file!("gala-token.json")),
        pair: Some((include_str!(file!("gala-certificate.pem")), include_str!(file!("gala-key.pem")))),
        minor: 100,
        signed_at: "2021-09-01T19:03:06Z",
    },
    Vector {
        name: "basis-theory-ec-old",
        merchant_id: "merchant.basistheory.sales",
        token: include_bytes!(file!("basis-theory-ec-old-token.json")),
        pair: Some((
            include_str!(file!("basis-theory-ec-old-certificate.pem")),
            include_str!(file!("basis-theory-ec-old-key.pem")),
        )),
        minor: 100,
        signed_at: "2023-03-20T20:46:55Z",
    },
    Vector {
        name: "basis-theory-ios",
        merchant_id: "merchant.basistheory.sales",
        token: include_bytes!(file!("basis-theory-ios-token.json")),
        pair: Some((
            include_str!(file!("basis-theory-ec-old-certificate.pem")),
            include_str!(file!("basis-theory-ec-old-key.pem")),
        )),
        minor: 1099,
        signed_at: "2023-08-31T17:57:13Z",
    },
    Vector {
        name: "basis-theory-ec-new",
        merchant_id: "merchant.basistheory.sales",
        token: include_bytes!(file!("basis-theory-ec-new-token.json")),
        pair: Some((
            include_str!(file!("basis-theory-ec-new-certificate.pem")),
            include_str!(file!("basis-theory-ec-new-key.pem")),
        )),
        minor: 100,
        signed_at: "2023-09-13T13:49:38Z",
    },
    Vector {
        name: "basis-theory-rsa",
        merchant_id: "merchant.basistheory.sales",
        token: include_bytes!(file!("basis-theory-rsa-token.json")),
        pair: Some((
            include_str!(file!("basis-theory-rsa-certificate.pem")),
            include_str!(file!("basis-theory-rsa-key.pem")),
        )),
        minor: 100,
        signed_at: "2024-01-08T17:54:44Z",
    },
    Vector {
        name: "processout-ec",
        merchant_id: "",
        token: include_bytes!(file!("processout-ec-token.json")),
        pair: None,
        minor: 100,
        signed_at: "2017-02-01T18:45:06Z",
    },
    Vector {
        name: "processout-rsa",
        merchant_id: "",
        token: include_bytes!(file!("processout-rsa-token.json")),
        pair: None,
        minor: 100,
        signed_at: "2017-02-01T21:56:53Z",
    },
];

fn root() -> Certificate {
    Certificate::read_one(APPLE_ROOT).expect("a certificate")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn verify(vector: &Vector, minor: u64, currency: &str, now: Timestamp) -> Result<String, Refused> {
    let openers = vector.pair.map(|(certificate, key)| {
        read_openers(&Secret::from_text(&format!("{certificate}{key}")))
            .unwrap_or_else(|why| panic!("{}: {why}", vector.name))
    });
    let root = root();
    let expected = Expected {
        openers: openers.into_iter().collect(),
        merchant_id: vector.merchant_id,
        root: &root,
        networks: Vec::new(),
        must_be_bound: false,
        transaction: "66f0a1b2c3d4e5f607182930",
    };
    let opened = Token::read(vector.token)?.verify(&expected, &intent(minor, currency, now), now)?;
    Ok(opened.once_key)
}

#[test]
fn the_pinned_root_is_apples() {
    // Its SHA-256 fingerprint is the one Apple publishes.
    let fingerprint = "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179";
    assert_eq!(hex::encode(sha256(root().der())), fingerprint);
}

#[test]
fn published_tokens_hold_at_their_time() {
    // Signature, chain and freshness of all; where the key is published, it opens to its amount in USD and to no other.
    for vector in &VECTORS {
        let now = at(vector.signed_at);
        Token::read(vector.token)
            .expect("a token")
            .check_signature(&root(), now)
            .unwrap_or_else(|why| panic!("{}: {why}", vector.name));
        match vector.pair {
            Some(_) => {
                let once_key =
                    verify(vector, vector.minor, "USD", now).unwrap_or_else(|why| panic!("{}: {why}", vector.name));
                assert_eq!(once_key.len(), 64, "{}", vector.name);
                assert_eq!(verify(vector, vector.minor + 1, "USD", now), Err(Refused::Amount), "{}", vector.name);
                assert_eq!(verify(vector, vector.minor, "CAD", now), Err(Refused::Currency), "{}", vector.name);
            }
            None => assert_eq!(verify(vector, 100, "USD", now), Err(Refused::UnknownCertificate), "{}", vector.name),
        }
    }
}

#[test]
fn published_tokens_are_refused_by_the_clock() {
    // A moment past the window either way, and today.
    for vector in &VECTORS {
        let signed_at = at(vector.signed_at);
        let edge = WINDOW + Duration::from_secs(1);
        for now in [signed_at.after(edge), signed_at.before(edge), at("2026-11-25T00:00:00Z")] {
            let refused = Token::read(vector.token).expect("a token").check_signature(&root(), now);
            assert_eq!(refused, Err(Refused::NotFresh { signed_at, now }), "{}", vector.name);
        }
        for now in [signed_at.after(WINDOW), signed_at.before(WINDOW)] {
            assert_eq!(Token::read(vector.token).expect("a token").check_signature(&root(), now), Ok(()));
        }
    }
}
