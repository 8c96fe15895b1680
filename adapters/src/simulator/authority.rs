//! Keys and certificates of the providers' side: made when they are needed, so that no simulator has a default secret.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use der::asn1::{Any, BitString, GeneralizedTime, Null, OctetString};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{TbsCertificate, Version};

use crate::parts::rsa::PrivateKey;
use crate::parts::x509::Certificate;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// A new RSA key of 2048 bits, as DER of PKCS#8.
#[must_use]
pub fn new_key() -> Secret {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the machine has randomness");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key that was just made has a form");
    Secret::from_bytes(der.as_ref().to_vec())
}

/// Who issues certificates. Its `Debug` shows its certificate only.
#[derive(Debug, Clone)]
pub struct Authority {
    key: Arc<PrivateKey>,
    certificate: Certificate,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Says<'a> {
    /// Whose it is, as RFC 4514 writes it: `CN=…,O=…,C=CN`.
    pub subject: &'a str,
    /// Its serial number.
    pub serial: u64,
    /// From when it is valid.
    pub from: Timestamp,
    /// For how long.
    pub life: Duration,
    /// Whether it may issue others.
    pub authority: bool,
}

impl Authority {
    /// An authority of its own.
    #[must_use]
    pub fn root(key: Arc<PrivateKey>, says: Says<'_>) -> Self {
        let certificate = certificate(says, &key, &name(says.subject), &key);
        Self { key, certificate }
    }

    /// An authority below this one.
    #[must_use]
    pub fn below(&self, key: Arc<PrivateKey>, says: Says<'_>) -> Self {
        let certificate = self.issue(says, &key);
        Self { key, certificate }
    }

    /// Issues a certificate for the public half of `key`.
    #[must_use]
    pub fn issue(&self, says: Says<'_>, key: &PrivateKey) -> Certificate {
        certificate(says, key, &name(&self.certificate.subject()), &self.key)
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

fn name(text: &str) -> Name {
    Name::from_str(text).expect("names are written by the simulators")
}

fn certificate(says: Says<'_>, key: &PrivateKey, issuer: &Name, signer: &PrivateKey) -> Certificate {
    make(says, key, issuer, signer).expect("a certificate of known parts has a form")
}

fn make(says: Says<'_>, key: &PrivateKey, issuer: &Name, signer: &PrivateKey) -> der::Result<Certificate> {
    let null = || Any::encode_from(&Null).map(Some);
    let algorithm = AlgorithmIdentifierOwned { oid: RSA_SHA256, parameters: null()? };
    let time =
        |at: Timestamp| GeneralizedTime::from_unix_duration(Duration::from_secs(at.seconds())).map(Time::GeneralTime);
    let constraints = BasicConstraints { ca: says.authority, path_len_constraint: None };
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&says.serial.to_be_bytes())?,
        signature: algorithm.clone(),
        issuer: issuer.clone(),
        validity: Validity { not_before: time(says.from)?, not_after: time(says.from.after(says.life))? },
        subject: name(says.subject),
        subject_public_key_info: SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid: RSA, parameters: null()? },
            subject_public_key: BitString::from_bytes(key.public_der())?,
        },
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(vec![Extension {
            extn_id: BASIC_CONSTRAINTS,
            critical: true,
            extn_value: OctetString::new(constraints.to_der()?)?,
        }]),
    };
    let signature = BitString::from_bytes(&signer.sign_sha256(&tbs.to_der()?))?;
    let whole = x509_cert::Certificate { tbs_certificate: tbs, signature_algorithm: algorithm, signature }.to_der()?;
    Certificate::read_one(&whole).map_err(|_| x509_cert::Certificate::from_der(&[]).expect_err("nothing is no form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::x509::check_chain;

    #[test]
    fn what_is_issued_leads_to_its_root() {
        // Leaf, intermediate and root are a chain; another root of the same name issued none of it.
        let keys = [(); 4].map(|()| PrivateKey::read(&new_key()).expect("a key"));
        let from = Timestamp::from_millis(1_795_377_908_000);
        let says =
            |subject, serial, authority| Says { subject, serial, from, life: Duration::from_hours(24), authority };
        let root = Authority::root(Arc::clone(&keys[0]), says("CN=Root,O=A\\, B,C=CN", 1, true));
        let middle = root.below(Arc::clone(&keys[1]), says("CN=Middle,C=CN", 2, true));
        let leaf = middle.issue(says("CN=支付-1,C=CN", 3, false), &keys[2]);
        let stranger = Authority::root(Arc::clone(&keys[3]), says("CN=Root,O=A\\, B,C=CN", 1, true));
        let above = [middle.certificate().clone()];
        assert_eq!(leaf.issuer(), "CN=Middle,C=CN");
        assert_eq!(leaf.serial_decimal(), "3");
        assert!(check_chain(&leaf, &above, &[root.certificate().clone()], from).is_ok());
        assert!(check_chain(&leaf, &above, &[stranger.certificate().clone()], from).is_err());
    }
}
