//! HMAC-SHA256 and SHA-256, as bytes and as the texts that signatures are sent in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use maxpay_engine::secrets::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// HMAC-SHA256 of `message` under `key`.
#[must_use]
pub fn hmac_sha256(key: &Secret, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// SHA-256 of `message`.
#[must_use]
pub fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// Base64 with padding.
#[must_use]
pub fn base64_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Whether two signatures are the same text, in time that depends on their lengths alone.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// So many decimal digits that stand for `bytes`: the same bytes give the same digits. At most 32.
#[must_use]
pub fn digits(bytes: &[u8], count: usize) -> String {
    sha256(bytes).iter().take(count).map(|byte| char::from(b'0' + byte % 10)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_the_one_of_rfc_4231() {
        // Test case 2 of the RFC.
        let mac = hmac_sha256(&Secret::from_text("Jefe"), b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn digits_are_digits_and_repeat() {
        // The wanted number of decimal digits, the same for the same bytes.
        let text = digits(b"a", 21);
        assert!(text.len() == 21 && text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        assert_eq!(text, digits(b"a", 21));
        assert_ne!(text, digits(b"b", 21));
    }
}
