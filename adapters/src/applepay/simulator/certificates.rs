//! Certificates as the simulated Apple makes them: an authority's key, and X.509 signed with it.

use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use der::asn1::{BitString, ObjectIdentifier, OctetString, UtcTime};
use der::{Decode, Encode};
use maxpay_engine::model::Timestamp;
use x509_cert::certificate::{CertificateInner, TbsCertificateInner, Version};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::super::signature::ECDSA_SHA256;

const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const BASIC_CONSTRAINTS: &str = "2.5.29.19";

/// What a certificate says, besides its issuer and its key.
pub(super) struct Said<'a> {
    pub subject: &'a str,
    pub serial: u32,
    pub validity: (Timestamp, Timestamp),
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Further extensions: identifier and content.
    pub marks: &'a [(&'a str, &'a [u8])],
}

/// A key on P-256, or on P-384 for a root.
pub(super) struct AuthorityKey {
    pair: EcdsaKeyPair,
    algorithm: ObjectIdentifier,
    pub pkcs8: Vec<u8>,
}

impl AuthorityKey {
    pub fn p256() -> Self {
        let pkcs8 = made(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self::read(&pkcs8, false).expect("it was made a moment ago")
    }

    pub fn p384() -> Self {
        let pkcs8 = made(&ECDSA_P384_SHA384_ASN1_SIGNING);
        Self::read(&pkcs8, true).expect("it was made a moment ago")
    }

    /// `None`: it is no such key.
    pub fn read(pkcs8: &[u8], is_root: bool) -> Option<Self> {
        let (curve, algorithm) = if is_root {
            (&ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_SHA384)
        } else {
            (&ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_SHA256)
        };
        let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).ok()?;
        Some(Self { pair, algorithm, pkcs8: pkcs8.to_vec() })
    }

    pub fn public_key(&self) -> Vec<u8> {
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(self.pair.public_key());
        der.expect("a public key has this form").as_ref().to_vec()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).expect("a key signs any message").as_ref().to_vec()
    }

    /// A certificate for `public_key`, issued by the holder of this key under the name `issuer`.
    pub fn issue(&self, issuer: &str, public_key: &[u8], said: &Said<'_>) -> Vec<u8> {
        let algorithm = AlgorithmIdentifierOwned { oid: self.algorithm, parameters: None };
        let mut extensions = Vec::new();
        if said.is_authority {
            // SEQUENCE { BOOLEAN TRUE }
            extensions.push(extension(BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xff]));
        }
        extensions.extend(said.marks.iter().map(|(oid, content)| extension(oid, false, content)));
        let signed = TbsCertificateInner {
            version: Version::V3,
            serial_number: SerialNumber::from(said.serial),
            signature: algorithm.clone(),
            issuer: name(issuer),
            validity: Validity { not_before: time(said.validity.0), not_after: time(said.validity.1) },
            subject: name(said.subject),
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(public_key).expect("a public key"),
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(extensions),
        };
        let signature = self.sign(&signed.to_der().expect("what was put together can be written"));
        let certificate = CertificateInner {
            tbs_certificate: signed,
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(&signature).expect("whole bytes"),
        };
        certificate.to_der().expect("what was put together can be written")
    }
}

fn made(curve: &'static EcdsaSigningAlgorithm) -> Vec<u8> {
    let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new());
    key.expect("keys can be made").as_ref().to_vec()
}

fn extension(oid: &str, critical: bool, content: &[u8]) -> Extension {
    Extension {
        extn_id: ObjectIdentifier::new(oid).expect("an identifier, written in this folder"),
        critical,
        extn_value: OctetString::new(content).expect("a short content"),
    }
}

/// The name as a certificate holds it.
pub(super) fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name, put together in this folder from checked parts")
}

/// The moment as a certificate or a signature holds it: to the second.
pub(super) fn time(at: Timestamp) -> Time {
    let seconds = std::time::Duration::from_secs(at.seconds());
    Time::UtcTime(UtcTime::from_unix_duration(seconds).expect("before 2050"))
}
