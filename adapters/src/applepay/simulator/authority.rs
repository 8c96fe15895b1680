//! The simulated Apple: a root, an intermediate and two leaves with Apple's markers, a second authority that issues to
//! merchants, and the keys of all. They are made once, lie in the ledger, and are good for nothing but this simulator.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parts::digest::sha256;
use crate::parts::x509::Certificate;

use super::super::opening::MERCHANT_ID_HASH;
use super::super::signature::{INTERMEDIATE_MARKER, LEAF_MARKER, Version};
use super::certificates::{AuthorityKey, Said};

const ROOT: &str = "CN=Simulated Root CA - G3,O=MaxPay Simulator,C=US";
const INTERMEDIATE: &str = "CN=Simulated Application Integration CA - G3,O=MaxPay Simulator,C=US";
const DEVELOPERS: &str = "CN=Simulated Developer Relations CA,O=MaxPay Simulator,C=US";
const EC_LEAF: &str = "CN=simulated-ec-signing,O=MaxPay Simulator,C=US";
const RSA_LEAF: &str = "CN=simulated-rsa-signing,O=MaxPay Simulator,C=US";
/// An extension whose content is an ASN.1 NULL: Apple's markers.
const NULL: &[u8] = &[0x05, 0x00];
const YEAR: Duration = Duration::from_hours(365 * 24);

/// Keys and certificates, base64 of DER.
#[derive(Serialize, Deserialize)]
pub(super) struct AuthorityRow {
    root: String,
    intermediate: String,
    developers_key: String,
    ec: LeafRow,
    rsa: LeafRow,
    /// Leaves and an intermediate with something wrong, for tokens with that flaw.
    unmarked_leaf: LeafRow,
    unmarked_intermediate: String,
    under_unmarked: LeafRow,
    stranger: LeafRow,
    stranger_intermediate: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LeafRow {
    key: String,
    certificate: String,
}

/// Which of the certificates sign a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    Right,
    UnmarkedLeaf,
    UnmarkedIntermediate,
    /// All marks are right, under another root.
    OtherRoot,
}

/// A leaf, its intermediate, and what signs with it.
pub(super) struct Signer {
    pub leaf: Vec<u8>,
    pub intermediate: Vec<u8>,
    key: SignerKey,
}

enum SignerKey {
    Ecdsa(AuthorityKey),
    Rsa(RsaKeyPair),
}

/// A key with the certificate that was issued for it, both PEM.
pub(super) struct Issued {
    pub certificate: Vec<u8>,
    pub pem: String,
}

impl AuthorityRow {
    /// Makes everything anew: valid from ten years before `now` to ten years after it.
    pub fn make(now: Timestamp) -> Self {
        let ends = validity(now);
        let root = AuthorityKey::p384();
        let authority = |subject, serial| Said { subject, serial, validity: ends, is_authority: true, marks: &[] };
        let root_certificate = root.issue(ROOT, &root.public_key(), &authority(ROOT, 1));
        let marked = |subject, serial, marker| Said { marks: marker, ..authority(subject, serial) };
        let marks: &[(&str, &[u8])] = &[(INTERMEDIATE_MARKER, NULL)];
        let (middle, unmarked, developers) = (AuthorityKey::p256(), AuthorityKey::p256(), AuthorityKey::p256());
        let intermediate = root.issue(ROOT, &middle.public_key(), &marked(INTERMEDIATE, 2, marks));
        let unmarked_intermediate = root.issue(ROOT, &unmarked.public_key(), &authority(INTERMEDIATE, 3));
        let (other_root, other_middle) = (AuthorityKey::p384(), AuthorityKey::p256());
        let stranger_intermediate = other_root.issue(ROOT, &other_middle.public_key(), &marked(INTERMEDIATE, 2, marks));
        let leaf_marks: &[(&str, &[u8])] = &[(LEAF_MARKER, NULL)];
        Self {
            root: STANDARD.encode(root_certificate),
            intermediate: STANDARD.encode(intermediate),
            developers_key: STANDARD.encode(&developers.pkcs8),
            ec: ec_leaf(&middle, ends, leaf_marks),
            rsa: rsa_leaf(&middle, ends, leaf_marks),
            unmarked_leaf: ec_leaf(&middle, ends, &[]),
            unmarked_intermediate: STANDARD.encode(unmarked_intermediate),
            under_unmarked: ec_leaf(&unmarked, ends, leaf_marks),
            stranger: ec_leaf(&other_middle, ends, leaf_marks),
            stranger_intermediate: STANDARD.encode(stranger_intermediate),
        }
    }

    /// The root, PEM: what an account names as `test_root`.
    pub fn root_pem(&self) -> Option<String> {
        Certificate::read_one(&decoded(&self.root)?).ok().map(|root| root.pem())
    }

    /// What signs a token of that version. `None`: the row was damaged.
    pub fn signer(&self, version: Version, chain: Chain) -> Option<Signer> {
        let (row, intermediate) = match (chain, version) {
            (Chain::Right, Version::Ecdsa) => (&self.ec, &self.intermediate),
            (Chain::Right, Version::Rsa) => (&self.rsa, &self.intermediate),
            (Chain::UnmarkedLeaf, _) => (&self.unmarked_leaf, &self.intermediate),
            (Chain::UnmarkedIntermediate, _) => (&self.under_unmarked, &self.unmarked_intermediate),
            (Chain::OtherRoot, _) => (&self.stranger, &self.stranger_intermediate),
        };
        let der = decoded(&row.key)?;
        let key = match AuthorityKey::read(&der, false) {
            Some(key) => SignerKey::Ecdsa(key),
            None => SignerKey::Rsa(RsaKeyPair::from_pkcs8(&der).ok()?),
        };
        Some(Signer { leaf: decoded(&row.certificate)?, intermediate: decoded(intermediate)?, key })
    }

    /// A processing certificate for a merchant, with a key of that version made for it.
    pub fn issue_processing(&self, merchant_id: &str, version: Version, serial: u32, now: Timestamp) -> Option<Issued> {
        let hash = [&[0x0c, 0x40], hex::encode_upper(sha256(merchant_id.as_bytes())).as_bytes()].concat();
        let subject = format!("UID={merchant_id},CN=Simulated Payment Processing:{merchant_id},C=US");
        self.issue(&subject, &[(MERCHANT_ID_HASH, &hash)], version, serial, now)
    }

    /// A merchant identity certificate, with a key made for it.
    pub fn issue_identity(&self, merchant_id: &str, serial: u32, now: Timestamp) -> Option<Issued> {
        let subject = format!("UID={merchant_id},CN=Simulated Merchant Identity:{merchant_id},C=US");
        self.issue(&subject, &[], Version::Ecdsa, serial, now)
    }

    fn issue(
        &self,
        subject: &str,
        marks: &[(&str, &[u8])],
        version: Version,
        serial: u32,
        now: Timestamp,
    ) -> Option<Issued> {
        let issuer = AuthorityKey::read(&decoded(&self.developers_key)?, false)?;
        let (key, public_key) = match version {
            Version::Ecdsa => {
                let key = AuthorityKey::p256();
                let public_key = key.public_key();
                (key.pkcs8, public_key)
            }
            Version::Rsa => rsa_pair(),
        };
        let said = Said { subject, serial, validity: validity(now), is_authority: false, marks };
        let certificate = issuer.issue(DEVELOPERS, &public_key, &said);
        let pem = format!("{}{}", pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", &key));
        Some(Issued { certificate, pem })
    }
}

impl Signer {
    /// Signs with SHA-256.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            SignerKey::Ecdsa(key) => key.sign(message),
            SignerKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("a key of 2048 bits signs any message");
                signature
            }
        }
    }
}

fn validity(now: Timestamp) -> (Timestamp, Timestamp) {
    (now.before(10 * YEAR), now.after(10 * YEAR))
}

fn ec_leaf(issuer: &AuthorityKey, validity: (Timestamp, Timestamp), marks: &[(&str, &[u8])]) -> LeafRow {
    let key = AuthorityKey::p256();
    let said = Said { subject: EC_LEAF, serial: 4, validity, is_authority: false, marks };
    let certificate = issuer.issue(INTERMEDIATE, &key.public_key(), &said);
    LeafRow { key: STANDARD.encode(&key.pkcs8), certificate: STANDARD.encode(certificate) }
}

fn rsa_leaf(issuer: &AuthorityKey, validity: (Timestamp, Timestamp), marks: &[(&str, &[u8])]) -> LeafRow {
    let (key, public_key) = rsa_pair();
    let said = Said { subject: RSA_LEAF, serial: 5, validity, is_authority: false, marks };
    let certificate = issuer.issue(INTERMEDIATE, &public_key, &said);
    LeafRow { key: STANDARD.encode(key), certificate: STANDARD.encode(certificate) }
}

/// PKCS#8, and the public half as SubjectPublicKeyInfo.
fn rsa_pair() -> (Vec<u8>, Vec<u8>) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("keys can be made");
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("a key has this form").as_ref().to_vec();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).expect("a public key has this form");
    (private, public.as_ref().to_vec())
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
