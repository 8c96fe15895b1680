//! Keys of a simulated WeChat Pay and of its merchants: real RSA keys, made here, that protect nothing.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::Encode;
use der::asn1::{Any, BitString, ObjectIdentifier, UtcTime};
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use x509_cert::certificate::{CertificateInner, TbsCertificateInner, Version};
use x509_cert::name::RdnSequence;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use crate::parts::digest::sha256;
use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::parts::x509::Certificate;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
/// 2020-01-01 and 2045-01-01: every clock of a simulation lies between.
const VALID: (u64, u64) = (1_577_836_800, 2_366_841_600);

/// An RSA key and the certificate that names it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    pub(in crate::wechat) private: Arc<PrivateKey>,
    pub(in crate::wechat) public: Arc<PublicKey>,
    pkcs8: Secret,
    /// Upper-case hexadecimal digits.
    pub(in crate::wechat) serial: String,
    certificate: String,
    public_pem: String,
}

/// A key pair as a service keeps it: the private key, base64 of PKCS#8, and the certificate, PEM.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptPair {
    key: String,
    certificate: String,
}

impl KeyPair {
    /// A new key with a certificate of that common name.
    ///
    /// # Panics
    /// The operating system gives no randomness.
    #[must_use]
    pub fn generate(common_name: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the operating system gives randomness");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("a key that was made can be written");
        let pkcs8 = Secret::from_bytes(der.as_ref().to_vec());
        let private = PrivateKey::read(&pkcs8).expect("a key of 2048 bits, written as PKCS#8");
        let certificate = certificate(common_name, &spki(&private), &private);
        Self::of(pkcs8, private, certificate)
    }

    /// The pair that was kept. `None`: it was damaged.
    pub(super) fn read(kept: &KeptPair) -> Option<Self> {
        let pkcs8 = Secret::from_bytes(STANDARD.decode(&kept.key).ok()?);
        let private = PrivateKey::read(&pkcs8).ok()?;
        let certificate = Certificate::read_one(kept.certificate.as_bytes()).ok()?;
        let belongs = private.belongs_to(PublicKey::read(certificate.public_key()).ok()?.as_ref());
        belongs.then(|| Self::of(pkcs8, private, kept.certificate.clone()))
    }

    /// As it is to be kept, private key included.
    pub(super) fn kept(&self) -> KeptPair {
        KeptPair { key: STANDARD.encode(self.pkcs8.expose()), certificate: self.certificate.clone() }
    }

    fn of(pkcs8: Secret, private: Arc<PrivateKey>, certificate: String) -> Self {
        let spki = spki(&private).to_der().expect("a key that was read can be written");
        let public = PublicKey::read(&spki).expect("the public half of a key of 2048 bits");
        let serial = hex::encode_upper(serial_of(&private));
        Self { private, public, pkcs8, serial, certificate, public_pem: pem("PUBLIC KEY", &spki) }
    }

    /// The private key as PEM.
    #[must_use]
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", self.pkcs8.expose())
    }

    /// The public key as PEM.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
}

fn spki(key: &PrivateKey) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned {
        algorithm: algorithm(RSA),
        subject_public_key: BitString::from_bytes(key.public_der()).expect("a short bit string"),
    }
}

/// The serial number of a key's certificate: twenty bytes, as the real ones have; the first is not zero and not negative.
fn serial_of(key: &PrivateKey) -> [u8; 20] {
    let mut serial = [0; 20];
    serial.copy_from_slice(&sha256(key.public_der())[..20]);
    serial[0] = 0x40 | serial[0] & 0x3f;
    serial
}

/// The certificate as PEM. It signs itself.
fn certificate(common_name: &str, spki: &SubjectPublicKeyInfoOwned, key: &PrivateKey) -> String {
    let serial = serial_of(key);
    let time = |seconds| {
        let time = UtcTime::from_unix_duration(Duration::from_secs(seconds)).expect("a moment before 2050");
        Time::UtcTime(time)
    };
    let name = RdnSequence::from_str(&format!("CN={common_name},O=Simulator,C=CN")).expect("a plain name");
    let tbs = TbsCertificateInner {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).expect("twenty bytes"),
        signature: algorithm(SHA256_WITH_RSA),
        issuer: name.clone(),
        validity: Validity { not_before: time(VALID.0), not_after: time(VALID.1) },
        subject: name,
        subject_public_key_info: spki.clone(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    };
    let signature = key.sign_sha256(&tbs.to_der().expect("a certificate of plain parts"));
    let whole: CertificateInner = CertificateInner {
        tbs_certificate: tbs,
        signature_algorithm: algorithm(SHA256_WITH_RSA),
        signature: BitString::from_bytes(&signature).expect("a short bit string"),
    };
    pem("CERTIFICATE", &whole.to_der().expect("a certificate of plain parts"))
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What the provider signs with: public keys with their ids, and platform certificates, the newest last.
#[derive(Debug, Clone)]
pub struct ProviderKeys {
    pub(super) public: Vec<KeyPair>,
    pub(super) platform: Vec<KeyPair>,
}

impl ProviderKeys {
    /// These keys.
    ///
    /// # Panics
    /// There is no platform key.
    #[must_use]
    pub fn new(public: KeyPair, platform: Vec<KeyPair>) -> Self {
        assert!(!platform.is_empty(), "the provider needs a platform certificate");
        Self { public: vec![public], platform }
    }

    /// The id of the newest public key.
    #[must_use]
    pub fn public_key_id(&self) -> String {
        id_of(self.newest_public())
    }

    /// The newest public key as PEM, for the account's settings.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        self.newest_public().public_pem()
    }

    /// The public key of that id; the newest, if there is none of it (any more).
    pub(super) fn public_of(&self, id: &str) -> (String, KeyPair) {
        let key = self.public.iter().find(|key| id_of(key) == id).unwrap_or_else(|| self.newest_public());
        (id_of(key), key.clone())
    }

    pub(super) fn newest_public(&self) -> &KeyPair {
        self.public.last().expect("there is a public key from the beginning on")
    }

    pub(super) fn newest(&self) -> &KeyPair {
        self.platform.last().expect("there is a platform key from the beginning on")
    }
}

/// The id of a public key.
fn id_of(key: &KeyPair) -> String {
    let digits: String = key.serial.bytes().map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("PUB_KEY_ID_0{digits}")
}
