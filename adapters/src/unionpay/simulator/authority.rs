//! Certificates of the simulated network: a root, a middle, UnionPay's own signing certificate, those of merchants, and
//! the wrong ones that an adapter must refuse.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SerialNumber, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::parts::rsa::PrivateKey;
use crate::parts::x509::Certificate;

use super::archive;

/// The name in UnionPay's certificates.
const UNIONPAY: &str = "041@8310000000083040@中国银联股份有限公司@00016495";

/// A key with its certificate.
#[derive(Clone)]
pub(super) struct Signer {
    pub certificate: Certificate,
    pub key: Arc<PrivateKey>,
    pkcs8: Secret,
}

/// An authority as a text, to be kept by whoever runs a simulator for longer than a process.
#[derive(Serialize, Deserialize)]
struct Kept {
    certificates: String,
    middle_key: String,
    /// PEM certificate and base64 key of the five signers, in the order of the fields.
    signers: Vec<(String, String)>,
}

/// What a merchant gets: its certificate for the provider, and the archive for its settings.
pub struct MerchantKey {
    /// The certificate, PEM.
    pub certificate: String,
    /// The `.pfx` file in base64, for the setting `pfx`.
    pub pfx: Secret,
}

impl fmt::Debug for MerchantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MerchantKey([secret])")
    }
}

/// The authority of a simulated UnionPay. Making one makes seven RSA keys, which takes a second or so: one may serve any
/// number of simulators.
pub struct Authority {
    middle: Issuer<'static, KeyPair>,
    certificates: String,
    /// UnionPay's signers: the usual one, and the one after it.
    pub(super) signers: [Signer; 2],
    /// UnionPay's name, under a root of a stranger's.
    pub(super) stranger: Signer,
    /// A merchant's name, under the right root: the forgery that only the name gives away.
    pub(super) merchant_type: Signer,
    /// UnionPay's name, and its time is over.
    pub(super) expired: Signer,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// Keys could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the simulated authority cannot make keys: {0}")]
pub struct AuthorityError(String);

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

impl Authority {
    /// Makes all keys anew.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> Result<Self, AuthorityError> {
        let root = CertifiedIssuer::self_signed(authority_of("CFCA SIMULATED CS CA", 1), key()?)?;
        let (params, middle_key) = (authority_of(MIDDLE, 2), key()?);
        let middle_pem = read(params.signed_by(&middle_key, &root)?.der()).map(|read| read.pem());
        let middle = Issuer::new(params, middle_key);
        let strange = Issuer::new(authority_of(MIDDLE, 2), key()?);
        let root_pem = read(root.der()).map(|read| read.pem());
        Ok(Self {
            certificates: root_pem? + &middle_pem?,
            signers: [
                issue(&middle, UNIONPAY, 69_678_957_876, YEARS)?,
                issue(&middle, UNIONPAY, 69_678_957_877, YEARS)?,
            ],
            stranger: issue(&strange, UNIONPAY, 69_678_957_876, YEARS)?,
            merchant_type: issue(&middle, &merchant_name("777290058110048"), 69_678_957_878, YEARS)?,
            expired: issue(&middle, UNIONPAY, 69_678_957_879, (2010, 2015))?,
            middle,
        })
    }

    /// The authority that [`Self::to_secret`] told.
    ///
    /// # Errors
    /// The text is another one.
    pub fn read(kept: &Secret) -> Result<Self, AuthorityError> {
        const SHAPE: &str = "this is no authority that was kept";
        let wrong = || AuthorityError(SHAPE.to_owned());
        let kept: Kept = serde_json::from_slice(kept.expose()).map_err(|_| wrong())?;
        let open = |text: &str| STANDARD.decode(text).map(Secret::from_bytes).map_err(|_| wrong());
        let pkcs8 = open(&kept.middle_key)?;
        let key = KeyPair::try_from(pkcs8.expose())?;
        let signer = |(pem, key): &(String, String)| {
            let certificate = Certificate::read_one(pem.as_bytes()).map_err(|_| wrong())?;
            signer_of(certificate, open(key)?)
        };
        let signers = kept.signers.iter().map(signer).collect::<Result<Vec<_>, AuthorityError>>()?;
        let Ok([first, second, stranger, merchant_type, expired]) = <[Signer; 5]>::try_from(signers) else {
            return Err(wrong());
        };
        Ok(Self {
            middle: Issuer::new(authority_of(MIDDLE, 2), key),
            certificates: kept.certificates,
            signers: [first, second],
            stranger,
            merchant_type,
            expired,
        })
    }

    /// All of it as a text, keys included: with it a simulator goes on after a restart where accounts expect it.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let all = self.signers.iter().chain([&self.stranger, &self.merchant_type, &self.expired]);
        let kept = Kept {
            certificates: self.certificates.clone(),
            middle_key: STANDARD.encode(self.middle.key().serialized_der()),
            signers: all.map(|one| (one.certificate.pem(), STANDARD.encode(one.pkcs8.expose()))).collect(),
        };
        Secret::from_bytes(serde_json::to_vec(&kept).expect("a struct of texts"))
    }

    /// The root and the middle, PEM, for the setting `certificates`.
    #[must_use]
    pub fn certificates(&self) -> &str {
        &self.certificates
    }

    /// Issues a signing certificate to a merchant; `serial` tells its certificates apart (`certId`).
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn issue_merchant(
        &self,
        merchant_id: &str,
        serial: u64,
        password: &Secret,
    ) -> Result<MerchantKey, AuthorityError> {
        let key = key()?;
        let params = leaf_of(&merchant_name(merchant_id), serial, YEARS);
        let certificate = params.signed_by(&key, &self.middle)?;
        let pkcs8 = Secret::from_bytes(key.serialize_der());
        let pfx = archive::write(&pkcs8, certificate.der(), password);
        Ok(MerchantKey {
            certificate: read(certificate.der())?.pem(),
            pfx: Secret::from_text(&STANDARD.encode(pfx.expose())),
        })
    }
}

/// The name of the authority that issues to UnionPay and to merchants.
const MIDDLE: &str = "CFCA SIMULATED OCA1";
/// The years in which all but one are valid.
const YEARS: (i32, i32) = (2015, 2055);

fn key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?)
}

fn read(der: &[u8]) -> Result<Certificate, AuthorityError> {
    Certificate::read_one(der).map_err(|error| AuthorityError(error.to_string()))
}

fn merchant_name(merchant_id: &str) -> String {
    format!("041@Z2026-1-1@{merchant_id}:SIGN@00000001")
}

fn issue(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    serial: u64,
    years: (i32, i32),
) -> Result<Signer, AuthorityError> {
    let key = key()?;
    let certificate = read(leaf_of(name, serial, years).signed_by(&key, issuer)?.der())?;
    signer_of(certificate, Secret::from_bytes(key.serialize_der()))
}

fn signer_of(certificate: Certificate, pkcs8: Secret) -> Result<Signer, AuthorityError> {
    let key = PrivateKey::read(&pkcs8).map_err(|error| AuthorityError(error.to_string()))?;
    Ok(Signer { certificate, key, pkcs8 })
}

fn named(name: &str, serial: u64, (from, until): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "CN");
    params.distinguished_name.push(DnType::OrganizationName, "Simulated");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 12, 31);
    params
}

fn authority_of(name: &str, serial: u64) -> CertificateParams {
    let mut params = named(name, serial, YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_of(name: &str, serial: u64, years: (i32, i32)) -> CertificateParams {
    let mut params = named(name, serial, years);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}
