//! Writes a merchant's key as a PKCS#12 archive: key and certificate as they are, under a check value from the password
//! (RFC 7292). It is what a simulated merchant is given; a real one is encrypted as well.

use aws_lc_rs::{digest, hmac};
use maxpay_engine::secrets::Secret;

use crate::parts::pkcs12::check_key;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SET: u8 = 0x31;
const EXPLICIT: u8 = 0xa0;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
/// `localKeyId`: by it other programs know which certificate is the key's.
const KEY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// One round: nobody guesses the password of a simulated key.
const SALT: &[u8] = b"simulated";

/// The archive. Its content is as secret as the key.
pub(super) fn write(pkcs8: &Secret, certificate: &[u8], password: &Secret) -> Secret {
    let name = element(SET, &[&element(OCTETS, &[&[1]])]);
    let name = element(SET, &[&element(SEQUENCE, &[&element(OID, &[KEY_NAME]), &name])]);
    let key = element(SEQUENCE, &[&element(OID, &[KEY_BAG]), &element(EXPLICIT, &[pkcs8.expose()]), &name]);
    let certificate = element(
        SEQUENCE,
        &[&element(OID, &[X509_CERTIFICATE]), &element(EXPLICIT, &[&element(OCTETS, &[certificate])])],
    );
    let certificate =
        element(SEQUENCE, &[&element(OID, &[CERTIFICATE_BAG]), &element(EXPLICIT, &[&certificate]), &name]);
    let bags = element(SEQUENCE, &[&key, &certificate]);
    let safe = element(SEQUENCE, &[&content(&bags)]);
    let text = password.expose_text().unwrap_or_default();
    let check = check_key(&digest::SHA256, text, SALT, 1);
    let check = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, check.expose()), &safe);
    let algorithm = element(SEQUENCE, &[&element(OID, &[SHA256])]);
    let digest = element(SEQUENCE, &[&algorithm, &element(OCTETS, &[check.as_ref()])]);
    let check = element(SEQUENCE, &[&digest, &element(OCTETS, &[SALT]), &element(INTEGER, &[&[1]])]);
    Secret::from_bytes(element(SEQUENCE, &[&element(INTEGER, &[&[3]]), &content(&safe), &check]))
}

/// Bytes as a `ContentInfo` of plain data.
fn content(bytes: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OID, &[DATA]), &element(EXPLICIT, &[&element(OCTETS, &[bytes])])])
}

/// One element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    if let (0..=127, Ok(short)) = (length, u8::try_from(length)) {
        out.push(short);
    } else {
        out.push(0x80 | u8::try_from(digits.len()).expect("a length has at most eight bytes"));
        out.extend_from_slice(digits);
    }
    out.extend(parts.iter().copied().flatten());
    out
}
