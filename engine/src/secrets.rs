//! Secrets: values that cannot print, and the sealing key under which they stand in records.
//!
//! A [`Secret`] is open, in memory. A [`crate::model::Sealed`] is closed, in a record or a backup. A [`Sealer`] turns
//! one into the other. What a secret is good for is told elsewhere.

mod place;
mod sealer;
mod sealing_key;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::clock::Entropy;

pub use place::Place;
pub use sealer::{SealContext, SealError, Sealer};
pub use sealing_key::{SealingKey, SealingKeyError};

/// A key, a password, a certificate with its private key: bytes that must not be seen.
///
/// It has no `Display` and cannot be serialized; its `Debug` says `[secret]`. Its memory is zeroed when it is
/// dropped. Two secrets are compared in constant time; only their lengths may show.
///
/// ```
/// use maxpay_engine::secrets::Secret;
/// let secret = Secret::from_text("sk_live_1");
/// assert_eq!(format!("{secret:?}"), "[secret]");
/// assert_eq!(secret.expose(), b"sk_live_1");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes over.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies a text. The caller's copy stays the caller's.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::from_bytes(text.as_bytes().to_vec())
    }

    /// Makes a new key: `prefix` and 48 hexadecimal digits (192 bits) of randomness.
    #[must_use]
    pub fn mint(prefix: &str, entropy: &dyn Entropy) -> Self {
        let mut random = Zeroizing::new([0_u8; 24]);
        entropy.fill(random.as_mut_slice());
        let mut bytes = vec![0; prefix.len() + 48];
        bytes[..prefix.len()].copy_from_slice(prefix.as_bytes());
        hex::encode_to_slice(random.as_slice(), &mut bytes[prefix.len()..]).expect("48 digits for 24 bytes");
        Self::from_bytes(bytes)
    }

    /// The bytes, to use them at once: they must not be kept or shown.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, to use it at once. `None`: they are not UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text of a key that was issued a moment ago, for the one who is to keep it. `None`: it is not UTF-8.
    ///
    /// The only callers are the answer to the operator who asked for the key, and the ready file.
    #[must_use]
    pub fn reveal_once(self) -> Option<String> {
        self.expose_text().map(str::to_owned)
    }

    /// Its last four characters, to tell keys apart: empty for one of fewer than 16 bytes, or that is not text.
    #[must_use]
    pub fn hint(&self) -> String {
        let Some(text) = self.expose_text().filter(|text| text.len() >= 16) else { return String::new() };
        let start = text.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        text[start..].to_owned()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn nothing_of_a_secret_prints() {
        // No way of formatting a secret, or a thing that holds one, shows any of its bytes.
        let secret = Secret::from_text("hunter2-hunter2-hunter2");
        let held = Some(vec![(1, secret)]);
        for text in [format!("{held:?}"), format!("{held:#?}")] {
            assert!(!text.contains("hunter") && !text.contains("104"), "{text}");
        }
    }

    #[test]
    fn secrets_compare_by_content() {
        // Equal bytes are equal secrets; any other length or byte is not.
        let secret = Secret::from_text("abc");
        for (other, equal) in [("abc", true), ("abd", false), ("ab", false), ("", false), ("abcd", false)] {
            assert_eq!(secret == Secret::from_text(other), equal, "{other}");
        }
    }

    #[test]
    fn a_minted_key_is_prefix_and_digits() {
        // A key is the wanted prefix and 48 digits, and the next one is another.
        let entropy = SeededEntropy::new(1);
        let (first, second) = (Secret::mint("sk_test_", &entropy), Secret::mint("sk_test_", &entropy));
        assert!(first != second);
        let text = first.reveal_once().expect("text");
        assert!(text.len() == 56 && text.starts_with("sk_test_"), "{text}");
        assert!(text[8..].bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn a_hint_is_the_end_of_a_long_secret_only() {
        // Four characters, and nothing of a secret so short that four would tell much.
        for (text, hint) in
            [("0123456789abcdef", "cdef"), ("0123456789abcde", ""), ("0123456789ab密钥密钥", "密钥密钥")]
        {
            assert_eq!(Secret::from_text(text).hint(), hint, "{text}");
        }
        assert_eq!(Secret::from_bytes(vec![0xff; 32]).hint(), "");
    }
}
