//! Certificates of the simulated network: a root, a middle, UnionPay's own signing certificate, those of merchants, and
//! the wrong ones that an adapter must refuse.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize, SerialNumber, date_time_ymd,
};

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
    middle: CertifiedIssuer<'static, KeyPair>,
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
        let middle = CertifiedIssuer::signed_by(authority_of("CFCA SIMULATED OCA1", 2), key()?, &root)?;
        let strange = CertifiedIssuer::self_signed(authority_of("CFCA SIMULATED OCA1", 2), key()?)?;
        let certificates = [root.der(), middle.der()].map(|der| read(der).map(|read| read.pem()));
        let [root_pem, middle_pem] = certificates;
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
    issuer: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    serial: u64,
    years: (i32, i32),
) -> Result<Signer, AuthorityError> {
    let key = key()?;
    let certificate = read(leaf_of(name, serial, years).signed_by(&key, issuer)?.der())?;
    let key = PrivateKey::read(&Secret::from_bytes(key.serialize_der()))
        .map_err(|error| AuthorityError(error.to_string()))?;
    Ok(Signer { certificate, key })
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
