//! Certificates as Alipay numbers them, and when a downloaded one is trusted.
//!
//! A certificate's number (`app_cert_sn`, `alipay_cert_sn`) is the MD5 of its issuer's name, most specific part first,
//! followed by its serial number in decimal: <https://opendocs.alipay.com/common/056zub>, "证书 SN".

use std::sync::Arc;

use maxpay_engine::model::Timestamp;
use md5::{Digest, Md5};

use crate::parts::parsed::Parsed;
use crate::parts::rsa::PublicKey;
use crate::parts::x509::{COMMON_NAME, Certificate, ChainError, check_chain};

/// Certificates that stay parsed.
const KEPT_MAX: usize = 256;
/// Every RSA signature algorithm of PKCS#1 begins like this.
const RSA_SIGNATURES: &str = "1.2.840.113549.1.1";

static LEAVES: Parsed<Leaf> = Parsed::new(KEPT_MAX);
static ROOTS: Parsed<Roots> = Parsed::new(KEPT_MAX);

/// A certificate with what came in one file with it, parsed.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Its number at Alipay: 32 lower-case hexadecimal digits.
    pub number: String,
    pub certificate: Certificate,
    /// Its issuers, where the file has them.
    pub above: Vec<Certificate>,
    pub key: Arc<PublicKey>,
}

impl Leaf {
    /// Reads PEM text: the certificate first, then its issuers. The reason is written to follow the name of a setting.
    pub fn read(text: &[u8]) -> Result<Arc<Self>, String> {
        LEAVES.of(text, |text| {
            let mut all = Certificate::read_all(text).map_err(|why| why.to_string())?.into_iter();
            let certificate = all.next().ok_or("holds no certificate")?;
            let key = PublicKey::read(certificate.public_key())
                .map_err(|_| "holds no RSA key of 2048 bits or more: RSA2 certificates are wanted".to_owned())?;
            Ok(Self { number: number(&certificate), above: all.collect(), certificate, key })
        })
    }

    /// Whether it leads to one of the roots at that time.
    pub fn check(&self, roots: &Roots, at: Timestamp) -> Result<(), ChainError> {
        check_chain(&self.certificate, &self.above, &roots.certificates, at).map(drop)
    }

    /// Whom a merchant's certificate is for, seller and application: its name is `2088…-<app id>`.
    pub fn holder(&self) -> Option<(String, String)> {
        let name = self.certificate.subject_part(COMMON_NAME)?;
        let (seller, app) = name.split_once('-')?;
        let digits = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(seller) && digits(app)).then(|| (seller.to_owned(), app.to_owned()))
    }

    /// Whether it can stand for Alipay where `known` does. A merchant's own certificate leads to the same root, so the
    /// root alone says nothing: issuer or subject must be those of the certificate that the merchant saved.
    pub fn may_follow(&self, known: &Self) -> bool {
        self.certificate.issuer() == known.certificate.issuer()
            || self.certificate.subject() == known.certificate.subject()
    }
}

/// The root bundle, parsed.
#[derive(Debug)]
pub(super) struct Roots {
    /// `alipay_root_cert_sn`: the numbers of the RSA ones, joined by `_`.
    pub number: String,
    pub certificates: Vec<Certificate>,
}

impl Roots {
    /// Reads the bundle as it is downloaded from the console.
    pub fn read(text: &[u8]) -> Result<Arc<Self>, String> {
        ROOTS.of(text, |text| {
            let certificates = Certificate::read_all(text).map_err(|why| why.to_string())?;
            let rsa = certificates.iter().filter(|one| one.signature_algorithm().starts_with(RSA_SIGNATURES));
            let number = rsa.map(number).collect::<Vec<_>>().join("_");
            if number.is_empty() {
                return Err(
                    "holds no RSA certificate: alipayRootCert.crt is wanted, as the console gives it".to_owned()
                );
            }
            Ok(Self { number, certificates })
        })
    }
}

/// Whether the text can be a certificate's number.
pub(super) fn is_number(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn number(certificate: &Certificate) -> String {
    hex::encode(Md5::digest(format!("{}{}", certificate.issuer(), certificate.serial_decimal()).as_bytes()))
}
