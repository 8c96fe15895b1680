//! Sealing and opening, under keys derived from the sealing key.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{SealingKey, Secret};
use crate::clock::Entropy;
use crate::model::Sealed;

/// Bytes of the nonce in front of every sealed value.
const NONCE_LEN: usize = 24;
const CHECK: SealContext<'static> = SealContext { purpose: "check", record: b"" };
const CHECK_TEXT: &str = "the sealing key is the right one";

/// What a sealed value is and where it stands. It opens in this place only: a value moved to another record or field
/// does not open there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// Which field it is; at most 255 bytes. It is part of what is on disk and never changes.
    pub purpose: &'static str,
    /// The id of the record it stands in.
    pub record: &'a [u8],
}

impl SealContext<'_> {
    /// Purpose with its length in front, so that no two places read the same.
    fn associated_data(&self) -> Vec<u8> {
        let len = u8::try_from(self.purpose.len()).expect("purposes are short constants");
        [&[len], self.purpose.as_bytes(), self.record].concat()
    }
}

/// A sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes were damaged, belong to another record, or were sealed under another key.
    #[error("a sealed value does not open: it was damaged, moved, or sealed under another key")]
    DoesNotOpen,
    /// The check value does not open.
    #[error("the sealing key is not the one this data was written with")]
    WrongKey,
}

/// Seals and opens secrets, and digests keys for looking them up.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    lookup_key: Zeroizing<[u8; 32]>,
}

impl Sealer {
    /// A sealer under that key. The key itself encrypts nothing: each use has a key derived from it.
    #[must_use]
    pub fn new(key: &SealingKey) -> Self {
        let seal_key = derive(key, b"maxpay seal 1");
        let cipher = XChaCha20Poly1305::new(seal_key.as_slice().into());
        Self { cipher, lookup_key: derive(key, b"maxpay lookup 1") }
    }

    /// Seals `plaintext` for that place.
    #[must_use]
    pub fn seal(&self, context: SealContext<'_>, plaintext: &Secret, entropy: &dyn Entropy) -> Sealed {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: plaintext.expose(), aad: &context.associated_data() };
        let ciphertext =
            self.cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("a secret is shorter than 256 GiB");
        Sealed([&nonce[..], &ciphertext].concat())
    }

    /// Opens what was sealed for that place.
    pub fn open(&self, context: SealContext<'_>, sealed: &Sealed) -> Result<Secret, SealError> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_LEN).ok_or(SealError::DoesNotOpen)?;
        let payload = Payload { msg: ciphertext, aad: &context.associated_data() };
        let plaintext = self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError::DoesNotOpen)?;
        Ok(Secret::from_bytes(plaintext))
    }

    /// A value to store with the data, so that another key is found out at start.
    #[must_use]
    pub fn check_value(&self, entropy: &dyn Entropy) -> Sealed {
        self.seal(CHECK, &Secret::from_text(CHECK_TEXT), entropy)
    }

    /// Whether the data of that check value was written under this key: [`SealError::WrongKey`] if not.
    pub fn verify_check_value(&self, value: &Sealed) -> Result<(), SealError> {
        match self.open(CHECK, value) {
            Ok(text) if text == Secret::from_text(CHECK_TEXT) => Ok(()),
            Ok(_) | Err(_) => Err(SealError::WrongKey),
        }
    }

    /// Under which digest a bearer key is stored and looked up. Without the sealing key nobody can test a guess.
    #[must_use]
    pub fn lookup_digest(&self, key_text: &[u8]) -> [u8; 32] {
        hmac_sha256(self.lookup_key.as_slice(), key_text)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

fn derive(key: &SealingKey, label: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hmac_sha256(key.expose(), label))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    const PLACE: SealContext<'static> = SealContext { purpose: "key", record: b"record-one-1" };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&SealingKey::from_text(&hex::encode([byte; 32])).expect("32 bytes"))
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        // The same key and the same place open it; another record, field or key do not.
        let secret = Secret::from_text("sk_live_secret");
        let sealed = sealer(1).seal(PLACE, &secret, &SeededEntropy::new(7));
        assert_eq!(sealer(1).open(PLACE, &sealed), Ok(secret));
        let elsewhere = [
            (1, SealContext { purpose: "key", record: b"record-two-2" }),
            (1, SealContext { purpose: "header", record: b"record-one-1" }),
            (1, SealContext { purpose: "keyr", record: b"ecord-one-1" }),
            (2, PLACE),
        ];
        for (key, place) in elsewhere {
            assert_eq!(sealer(key).open(place, &sealed), Err(SealError::DoesNotOpen), "{key} {place:?}");
        }
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        // One flipped bit anywhere, or any cut, and it does not open.
        let sealed = sealer(1).seal(PLACE, &Secret::from_text("value"), &SeededEntropy::new(7));
        for bit in 0..sealed.0.len() * 8 {
            let mut damaged = sealed.clone();
            damaged.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer(1).open(PLACE, &damaged), Err(SealError::DoesNotOpen), "bit {bit}");
        }
        for len in 0..sealed.0.len() {
            let cut = Sealed(sealed.0[..len].to_vec());
            assert_eq!(sealer(1).open(PLACE, &cut), Err(SealError::DoesNotOpen), "length {len}");
        }
    }

    #[test]
    fn nothing_readable_stands_in_sealed_bytes() {
        // The plaintext is not in the bytes, nonces differ, and Debug shows no bytes.
        let entropy = SeededEntropy::new(7);
        let secret = Secret::from_text("a-rather-long-secret");
        let (one, two) = (sealer(1).seal(PLACE, &secret, &entropy), sealer(1).seal(PLACE, &secret, &entropy));
        assert_ne!(one, two);
        assert!(!one.0.windows(8).any(|window| window == b"a-rather"));
        assert_eq!(format!("{:?} {one:?}", sealer(1)), "Sealer Sealed(60 bytes)");
    }

    #[test]
    fn a_wrong_key_is_found_by_the_check_value() {
        // The check value names the right key, refuses every other, and refuses garbage.
        let value = sealer(1).check_value(&SeededEntropy::new(7));
        assert_eq!(sealer(1).verify_check_value(&value), Ok(()));
        assert_eq!(sealer(2).verify_check_value(&value), Err(SealError::WrongKey));
        assert_eq!(sealer(1).verify_check_value(&Sealed(vec![0; 10])), Err(SealError::WrongKey));
    }

    #[test]
    fn lookup_digests_depend_on_the_key_and_the_text() {
        // The same text under the same key is found again; under another key it is not.
        assert_eq!(sealer(1).lookup_digest(b"sk_test_1"), sealer(1).lookup_digest(b"sk_test_1"));
        assert_ne!(sealer(1).lookup_digest(b"sk_test_1"), sealer(1).lookup_digest(b"sk_test_2"));
        assert_ne!(sealer(1).lookup_digest(b"sk_test_1"), sealer(2).lookup_digest(b"sk_test_1"));
    }

    #[test]
    fn derived_keys_are_stable() {
        // Data on disk depends on the derivation: HMAC-SHA256 of the label under the sealing key, RFC 4231 case 2
        // showing that it is HMAC-SHA256.
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let key = SealingKey::from_text(&hex::encode([1; 32])).expect("32 bytes");
        assert_eq!(*derive(&key, b"maxpay seal 1"), hmac_sha256(&[1; 32], b"maxpay seal 1"));
    }
}
