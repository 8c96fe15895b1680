//! X.509 certificates: read, looked into, and checked up to a root that the caller trusts.
//!
//! Chains are checked here and not by a TLS library, because the roots are the caller's, the time is a value, and the
//! payment networks' older chains are signed with SHA-1. No revocation list is asked: an adapter does no I/O.

mod chain;

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use maxpay_engine::model::Timestamp;
use x509_cert::Certificate as Parsed;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

pub use chain::{ChainError, INTERMEDIATES_MAX, check_chain};

/// At most so many certificates are read from one text.
pub const CERTIFICATES_MAX: usize = 16;
/// Longest text or bytes that are read.
pub const BYTES_MAX: usize = 128 * 1024;
/// The object identifier of a common name.
pub const COMMON_NAME: &str = "2.5.4.3";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why bytes are no certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is nothing to read.
    #[error("there is no certificate: PEM (-----BEGIN CERTIFICATE-----) or DER is expected")]
    Missing,
    /// One was wanted, and there are more.
    #[error("there are {0} certificates where one is expected")]
    Several(usize),
    /// More than is read.
    #[error("more than {CERTIFICATES_MAX} certificates or {BYTES_MAX} bytes")]
    TooMuch,
    /// A PEM block has no end, or its content is not base64.
    #[error("certificate {0} is not well-formed PEM")]
    Pem(usize),
    /// The bytes are not a certificate.
    #[error("certificate {at} is not an X.509 certificate in DER: {why}")]
    Der {
        /// Which one, from 1.
        at: usize,
        /// What the decoder says.
        why: String,
    },
}

/// A certificate. Certificates are public: it prints its subject and its serial number.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    spki: Vec<u8>,
    parsed: Parsed,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {})", self.subject(), self.serial_hex())
    }
}

impl Certificate {
    /// Reads every certificate of a PEM text (other text around the blocks is passed over), or the one of DER bytes.
    ///
    /// # Errors
    /// None, too many, or one that cannot be read.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if bytes.len() > BYTES_MAX {
            return Err(CertificateError::TooMuch);
        }
        if bytes.first() == Some(&0x30) {
            return Ok(vec![Self::from_der(bytes).map_err(|why| CertificateError::Der { at: 1, why })?]);
        }
        let mut rest = std::str::from_utf8(bytes).map_err(|_| CertificateError::Missing)?;
        let mut found = Vec::new();
        while let Some((_, block)) = rest.split_once(BEGIN) {
            let at = found.len() + 1;
            if at > CERTIFICATES_MAX {
                return Err(CertificateError::TooMuch);
            }
            let (body, after) = block.split_once(END).ok_or(CertificateError::Pem(at))?;
            let body: String = body.split_ascii_whitespace().collect();
            let der = STANDARD.decode(body).map_err(|_| CertificateError::Pem(at))?;
            found.push(Self::from_der(&der).map_err(|why| CertificateError::Der { at, why })?);
            rest = after;
        }
        if found.is_empty() { Err(CertificateError::Missing) } else { Ok(found) }
    }

    /// Reads exactly one certificate, PEM or DER.
    ///
    /// # Errors
    /// As [`Self::read_all`], and when there are several.
    pub fn read_one(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut found = Self::read_all(bytes)?;
        match found.pop() {
            Some(one) if found.is_empty() => Ok(one),
            Some(_) => Err(CertificateError::Several(found.len() + 1)),
            None => Err(CertificateError::Missing),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let parsed = Parsed::from_der(der).map_err(|error| error.to_string())?;
        let spki = parsed.tbs_certificate.subject_public_key_info.to_der().map_err(|error| error.to_string())?;
        Ok(Self { der: der.to_vec(), spki, parsed })
    }

    /// The whole certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The whole certificate as PEM, with a line end after the last line.
    #[must_use]
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let mut text = format!("{BEGIN}\n");
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// The subject as RFC 4514 writes it, the most specific part first: `CN=…,O=…,C=CN`.
    #[must_use]
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    /// The issuer as RFC 4514 writes it, the most specific part first.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.parsed.tbs_certificate.issuer.to_string()
    }

    /// The first part of the subject with that object identifier (dotted), for example [`COMMON_NAME`]. `None`: there
    /// is none, or it is no text.
    #[must_use]
    pub fn subject_part(&self, oid: &str) -> Option<String> {
        let mut parts = self.parsed.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let value = &parts.find(|part| part.oid.to_string() == oid)?.value;
        let (tag, bytes) = (value.tag(), value.value());
        if tag == Tag::BmpString {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            return String::from_utf16(&units).ok();
        }
        let text = std::str::from_utf8(bytes).ok()?;
        // What stands in a teletex part depends on whom one asks: ASCII is all that is sure.
        let sure = [Tag::Utf8String, Tag::PrintableString, Tag::Ia5String].contains(&tag)
            || (tag == Tag::TeletexString && text.is_ascii());
        sure.then(|| text.to_owned())
    }

    /// The serial number's bytes, without zeros in front.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        let bytes = self.parsed.tbs_certificate.serial_number.as_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        &bytes[zeros..]
    }

    /// The serial number as upper-case hexadecimal digits, two a byte, without zero bytes in front.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex::encode_upper(self.serial())
    }

    /// The serial number as decimal digits.
    #[must_use]
    pub fn serial_decimal(&self) -> String {
        decimal(self.serial())
    }

    /// From when it is valid, inclusive.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        moment(self.parsed.tbs_certificate.validity.not_before)
    }

    /// Until when it is valid, to the second, inclusive.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        moment(self.parsed.tbs_certificate.validity.not_after)
    }

    /// The public key as a DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.spki
    }

    /// The public key's own bytes, without its algorithm: DER of PKCS#1 for RSA, a point for a curve.
    #[must_use]
    pub fn public_key_bits(&self) -> &[u8] {
        self.parsed.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes()
    }

    /// The dotted identifier of the algorithm that its issuer signed it with.
    #[must_use]
    pub fn signature_algorithm(&self) -> String {
        self.parsed.signature_algorithm.oid.to_string()
    }

    /// The content of the extension with that object identifier (dotted). `None`: it has none, or has it twice.
    #[must_use]
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        let all = self.parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
        let mut found = all.iter().filter(|extension| extension.extn_id.to_string() == oid);
        let one = found.next()?;
        found.next().is_none().then(|| one.extn_value.as_bytes())
    }

    /// Whether it may sign certificates: it says so, and its key usage, where it has one, allows it.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        let usage = match self.parsed.tbs_certificate.get::<KeyUsage>() {
            Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
            Err(_) => false,
        };
        usage && self.constraints().is_some_and(|constraints| constraints.ca)
    }

    fn constraints(&self) -> Option<BasicConstraints> {
        self.parsed.tbs_certificate.get::<BasicConstraints>().ok().flatten().map(|(_, constraints)| constraints)
    }

    /// The bytes its issuer signed, as they stand in it.
    fn signed(&self) -> &[u8] {
        let read = || -> der::Result<&[u8]> {
            let mut reader = SliceReader::new(&self.der)?;
            der::Header::decode(&mut reader)?;
            reader.tlv_bytes()
        };
        read().expect("these bytes decoded as a certificate, whose first element this is")
    }
}

fn moment(time: x509_cert::time::Time) -> Timestamp {
    let millis = time.to_unix_duration().as_millis();
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Base 256 to base 10.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u16::from(*byte);
        for digit in &mut digits {
            let sum = u16::from(*digit) * 256 + carry;
            *digit = u8::try_from(sum % 10).expect("below ten");
            carry = sum / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).expect("below ten"));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}
