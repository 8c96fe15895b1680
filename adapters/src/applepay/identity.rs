//! Certificates with their private keys as merchants have them, PEM or PKCS#12, and the one that pages' sessions are
//! asked with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::http::ClientIdentity;
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use zeroize::Zeroizing;

use crate::parts::parsed::Parsed;
use crate::parts::pem;
use crate::parts::pkcs12::Archive;
use crate::parts::x509::Certificate;

use super::opening::Pair;

/// The user id in a subject (RFC 4519): Apple writes the merchant identifier there.
const USER_ID: &str = "0.9.2342.19200300.100.1.1";

/// Archives that stay open: opening one takes thousands of rounds of hashing.
static ARCHIVES: Parsed<Secret> = Parsed::new(64);

/// The setting as PEM: what is PEM as it is, and a PKCS#12 archive (base64 of a `.p12`) opened with the password beside
/// it. The reason shows nothing of either.
pub(super) fn as_pem(text: &Secret, password: Option<&Secret>) -> Result<Secret, String> {
    let body = text.expose_text().ok_or("is not text: PEM, or the base64 of a .p12 file")?;
    if body.contains("-----BEGIN ") {
        return Ok(text.clone());
    }
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let archive = STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new);
    let archive = archive.filter(|archive| !archive.is_empty());
    let archive = archive.ok_or("is neither PEM (with its BEGIN and END lines) nor the base64 of a .p12 file")?;
    let empty = Secret::from_text("");
    let password = password.unwrap_or(&empty);
    // The length stands between the two, so that no other pair is remembered as this one.
    let length = archive.len().to_be_bytes();
    let source = Zeroizing::new([length.as_slice(), &archive, password.expose()].concat());
    let opened = ARCHIVES.of(&source, |_| -> Result<Secret, String> {
        let archive = Archive::open(&archive, password).map_err(|why| why.to_string())?;
        let mut pem = Zeroizing::new(archive.certificate.pem());
        for other in &archive.others {
            pem.push_str(&other.pem());
        }
        let key = key_pem("PRIVATE KEY", archive.key.expose());
        Ok(Secret::from_bytes([pem.as_bytes(), key.as_bytes()].concat()))
    })?;
    Ok(Secret::clone(&opened))
}

/// A merchant identity: certificate, chain and key in the order that TLS wants them, and until when it is valid.
pub(super) fn read_identity(pem: &Secret, merchant_id: &str) -> Result<(ClientIdentity, Certificate), String> {
    let blocks = pem::blocks(pem.expose()).map_err(|why| why.to_string())?;
    if blocks.iter().any(|block| block.label == "ENCRYPTED PRIVATE KEY") {
        return Err("holds a private key that is encrypted with a password: store it without one".to_owned());
    }
    let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err("must hold one private key beside its certificate".to_owned());
    };
    let pair =
        Pair::read(key.der.expose()).ok_or("holds a private key that is neither P-256 nor RSA of 2048 bits or more")?;
    let certificates = Certificate::read_all(pem.expose()).map_err(|why| why.to_string())?;
    let (mut own, chain): (Vec<_>, Vec<_>) =
        certificates.into_iter().partition(|certificate| certificate.public_key() == pair.public);
    let (Some(certificate), true) = (own.pop(), own.is_empty()) else {
        return Err("the certificate and the private key do not belong together".to_owned());
    };
    if certificate.subject_part(USER_ID).is_some_and(|user| user != merchant_id) {
        return Err("the certificate is another merchant_id's".to_owned());
    }
    let mut ordered = Zeroizing::new(certificate.pem());
    for other in &chain {
        ordered.push_str(&other.pem());
    }
    let key = key_pem(&key.label, key.der.expose());
    let identity = Secret::from_bytes([ordered.as_bytes(), key.as_bytes()].concat());
    Ok((ClientIdentity::from_pem(identity), certificate))
}

/// Why a certificate cannot be used now; `None`: it can.
pub(super) fn not_valid(certificate: &Certificate, now: Timestamp) -> Option<String> {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    let is_valid = from <= now && now.seconds() <= until.seconds();
    (!is_valid).then(|| format!("the certificate of {} is valid from {from} to {until} only", certificate.subject()))
}

fn key_pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Sized so that the text is never moved while it grows.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 32 + 2 * label.len() + 64));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}
