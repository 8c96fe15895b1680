//! The envelope around a token's card data, and the keys that open it.
//!
//! Apple seals with AES-GCM and an IV of sixteen zero bytes, which the usual libraries do not offer; `aes-gcm` is here
//! for that alone.

use std::sync::Arc;

use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::generic_array::typenum::U16;
use aes_gcm::aes::{Aes128, Aes256};
use aes_gcm::{AeadInPlace, AesGcm, KeyInit};
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::parts::digest::sha256;
use crate::parts::parsed::Parsed;
use crate::parts::pem;
use crate::parts::x509::Certificate;

use super::ber;
use super::signature::Version;

/// Holds the hash of the merchant identifier in a processing certificate: an OCTET-like text of 64 hexadecimal digits
/// behind two bytes (`0C 40`).
pub(super) const MERCHANT_ID_HASH: &str = "1.2.840.113635.100.6.32";
const IV: [u8; 16] = [0; 16];
const TAG: usize = 16;

/// A processing certificate with its private key. It prints nothing.
pub(super) struct Opener {
    key: PrivateKey,
    /// SHA-256 of the certificate's public key: what a token names.
    public_key_hash: String,
    merchant_id_hash: [u8; 32],
    pub(super) certificate: Certificate,
}

enum PrivateKey {
    P256(agreement::PrivateKey),
    Rsa(OaepPrivateDecryptingKey),
}

/// A private key with its public half as SubjectPublicKeyInfo.
pub(super) struct Pair {
    private: PrivateKey,
    pub(super) public: Vec<u8>,
}

/// What lies in a processing setting is not what it should be. It shows nothing of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenerError {
    #[error("cannot be read: {0}")]
    Text(String),
    #[error(
        "holds no private key: paste the Payment Processing certificate and its private key, both as PEM, one after \
         the other"
    )]
    NoKey,
    #[error("holds no certificate: paste the Payment Processing certificate beside its private key, both as PEM")]
    NoCertificate,
    #[error("holds a private key that is encrypted with a password: store it without one")]
    Encrypted,
    #[error("holds a private key that is neither P-256 (EC_v1) nor RSA of 2048 bits or more (RSA_v1)")]
    Key,
    #[error("the certificate of {0} and the private keys beside it do not belong together")]
    NoMatch(String),
    #[error(
        "the certificate of {0} is not an Apple Pay Payment Processing certificate: it lacks the merchant identifier's \
         hash (extension {MERCHANT_ID_HASH})"
    )]
    NotProcessing(String),
}

/// Keys that stay parsed, by the setting they were read from.
static OPENERS: Parsed<Vec<Opener>> = Parsed::new(256);

/// Reads one or more processing certificates with their private keys, PEM, in any order. What was read before is
/// remembered.
pub(super) fn read_openers(text: &Secret) -> Result<Arc<Vec<Opener>>, OpenerError> {
    OPENERS.of(text.expose(), |_| parse(text))
}

fn parse(text: &Secret) -> Result<Vec<Opener>, OpenerError> {
    let blocks = pem::blocks(text.expose()).map_err(|why| OpenerError::Text(why.to_string()))?;
    if blocks.iter().any(|block| block.label == "ENCRYPTED PRIVATE KEY") {
        return Err(OpenerError::Encrypted);
    }
    let keys: Vec<&Secret> =
        blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY")).map(|block| &block.der).collect();
    if keys.is_empty() {
        return Err(OpenerError::NoKey);
    }
    let mut pairs = Vec::new();
    for key in keys {
        pairs.push(Pair::read(key.expose()).ok_or(OpenerError::Key)?);
    }
    let mut openers = Vec::new();
    for block in blocks.iter().filter(|block| block.label == "CERTIFICATE") {
        let certificate =
            Certificate::read_one(block.der.expose()).map_err(|why| OpenerError::Text(why.to_string()))?;
        let subject = || certificate.subject();
        let at = pairs.iter().position(|pair| pair.public == certificate.public_key());
        let key = pairs.swap_remove(at.ok_or_else(|| OpenerError::NoMatch(subject()))?).private;
        let merchant_id_hash = merchant_id_hash(&certificate).ok_or_else(|| OpenerError::NotProcessing(subject()))?;
        let public_key_hash = STANDARD.encode(sha256(certificate.public_key()));
        openers.push(Opener { key, public_key_hash, merchant_id_hash, certificate });
    }
    if openers.is_empty() { Err(OpenerError::NoCertificate) } else { Ok(openers) }
}

pub(super) fn merchant_id_hash(certificate: &Certificate) -> Option<[u8; 32]> {
    let digits = certificate.extension(MERCHANT_ID_HASH)?.strip_prefix(&[0x0c, 0x40])?;
    hex::decode(digits).ok()?.try_into().ok()
}

impl Opener {
    /// Whether a token that names this hash is sealed for this key.
    pub(super) fn is_meant(&self, public_key_hash: &str) -> bool {
        self.public_key_hash == public_key_hash
    }

    /// Whether the certificate is this merchant identifier's.
    pub(super) fn is_of(&self, merchant_id: &str) -> bool {
        self.merchant_id_hash == sha256(merchant_id.as_bytes())
    }

    /// Which tokens it opens.
    pub(super) fn opens(&self) -> Version {
        match self.key {
            PrivateKey::P256(_) => Version::Ecdsa,
            PrivateKey::Rsa(_) => Version::Rsa,
        }
    }

    /// Opens `data`, whose key is agreed with `sent` (an ephemeral public key) or wrapped in it. `None`: it was not
    /// sealed for this key, or was changed.
    pub(super) fn open(&self, sent: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match &self.key {
            PrivateKey::P256(key) => {
                let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, sent);
                let symmetric =
                    agreement::agree(key, peer, (), |shared| Ok(derive(shared, &self.merchant_id_hash))).ok()?;
                open_gcm::<Aes256>(symmetric.as_slice(), data)
            }
            PrivateKey::Rsa(key) => {
                let mut unwrapped = Zeroizing::new(vec![0; key.min_output_size()]);
                let symmetric = key.decrypt(&OAEP_SHA256_MGF1SHA256, sent, &mut unwrapped, None).ok()?;
                open_gcm::<Aes128>(symmetric, data)
            }
        }
    }
}

impl Pair {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        if let Ok(key) = agreement::PrivateKey::from_private_key_der(&ECDH_P256, der) {
            let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.compute_public_key().ok()?).ok()?.as_ref().to_vec();
            return Some(Self { private: PrivateKey::P256(key), public });
        }
        let rsa = PrivateDecryptingKey::from_pkcs8(der);
        let rsa = rsa.or_else(|_| PrivateDecryptingKey::from_pkcs8(&pkcs8_of_rsa(der))).ok()?;
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&rsa.public_key()).ok()?.as_ref().to_vec();
        Some(Self { private: PrivateKey::Rsa(OaepPrivateDecryptingKey::new(rsa).ok()?), public })
    }
}

/// The PKCS#8 form of a key in PKCS#1 form.
fn pkcs8_of_rsa(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION_AND_ALGORITHM: [u8; 18] =
        [0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = Zeroizing::new(ber::element(0x04, pkcs1));
    let content = Zeroizing::new([VERSION_AND_ALGORITHM.as_slice(), &key].concat());
    Zeroizing::new(ber::element(0x30, &content))
}

/// The single-step KDF of NIST SP 800-56A with SHA-256, as the "Payment token format reference" parameterizes it
/// (*Restore the symmetric key*): algorithm id with its length in front, party U `Apple`, party V the merchant.
pub(super) fn derive(shared: &[u8], merchant_id_hash: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update([0, 0, 0, 1]);
    hash.update(shared);
    hash.update(b"\x0did-aes256-GCM");
    hash.update(b"Apple");
    hash.update(merchant_id_hash);
    Zeroizing::new(hash.finalize().into())
}

fn open_gcm<C>(key: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    AesGcm<C, U16>: KeyInit + AeadInPlace + aes_gcm::AeadCore<NonceSize = U16, TagSize = U16>,
{
    let (sealed, tag) = data.split_at_checked(data.len().checked_sub(TAG)?)?;
    let cipher = AesGcm::<C, U16>::new_from_slice(key).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let tag = GenericArray::from_slice(tag);
    cipher.decrypt_in_place_detached(GenericArray::from_slice(&IV), &[], &mut plain, tag).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_derived_as_apple_says() {
        // The published intermediate values of spreedly/gala test/payment_token_test.rb (MIT): merchant id hash, shared
        // secret, symmetric key.
        let shared = STANDARD.decode("yCUzDuNYTnUnANZEdxC7+DvPmqNslB2YWYn68SBsJHU=").expect("base64");
        let hash = hex::decode("358DA5890B9555C0A9EFB84B5CD6FF04BFDCD5AABF5DC14B9872D8DF51EAF439").expect("hex");
        let key = derive(&shared, &hash.try_into().expect("32 bytes"));
        assert_eq!(STANDARD.encode(key.as_slice()), "3GTXJ4RuP/IhS23hsdOw2J2ecAZmC0RasbPIFdC3nQM=");
    }
}
