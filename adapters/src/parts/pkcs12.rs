//! PKCS#12 archives (`.pfx`, `.p12`): a private key with its certificates under a password (RFC 7292).
//!
//! Merchants have what a browser exported years ago: key under 3DES, certificates under 40-bit RC2, all under SHA-1.
//! Those are read, and what OpenSSL 3 writes (PBES2). Nothing of an archive or its password is in any error.

mod cipher;

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use maxpay_engine::secrets::Secret;

use super::x509::Certificate;

use cipher::Opening;

/// Longest archive that is read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Rounds of deriving keys at most, all parts together: an archive that asks for more is not opened.
pub const ROUNDS_MAX: u32 = 2_000_000;
/// Elements of any list in an archive at most.
const ELEMENTS_MAX: usize = 64;

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const KEY_BAG: &str = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY_BAG: &str = "1.2.840.113549.1.12.10.1.2";
const CERTIFICATE_BAG: &str = "1.2.840.113549.1.12.10.1.3";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";

/// Why an archive gives no key. Written to follow the name of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are something else, cut or damaged.
    #[error("is not a PKCS#12 archive (.pfx or .p12), or not a whole one: {0}")]
    Shape(&'static str),
    /// It is longer than what is read, or asks for too much work.
    #[error("is too large: at most {BYTES_MAX} bytes, {ELEMENTS_MAX} elements and {ROUNDS_MAX} rounds are read")]
    TooMuch,
    /// The password is another one.
    #[error("does not open with this password")]
    Password,
    /// It is protected by something that is not read here.
    #[error("is protected by algorithm {0}, which is not supported: export it anew with 3DES or AES-256")]
    Algorithm(String),
    /// There is no private key inside.
    #[error("holds no private key: export it together with its key")]
    NoKey,
    /// There are several private keys inside.
    #[error("holds several private keys: export one alone")]
    SeveralKeys,
    /// The key is of a kind that is not used here.
    #[error("holds a key that is neither RSA of 2048 to 8192 bits nor on P-256 or P-384")]
    KeyKind,
    /// None of the certificates inside belongs to the key.
    #[error("holds no certificate that belongs to its private key")]
    NoCertificate,
}

/// What an archive holds. Its `Debug` shows certificates only.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The private key, as DER of PKCS#8.
    pub key: Secret,
    /// The certificate that belongs to the key.
    pub certificate: Certificate,
    /// The others, in the order they stand in: usually the key's chain, but anything at all.
    pub others: Vec<Certificate>,
}

impl Archive {
    /// Opens an archive: its check value must hold under the password, and one key must be inside, with a certificate
    /// that belongs to it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(bytes: &[u8], password: &Secret) -> Result<Self, ArchiveError> {
        if bytes.len() > BYTES_MAX {
            return Err(ArchiveError::TooMuch);
        }
        let mut opening = Opening::new(password.expose_text().ok_or(ArchiveError::Password)?);
        let outer = one(bytes, Tag::Sequence, "the outermost element")?;
        let parts = elements(outer.value())?;
        let [_version, content, check @ ..] = parts.as_slice() else {
            return Err(ArchiveError::Shape("it has no content"));
        };
        let (kind, content) = content_of(*content)?;
        if kind != DATA {
            return Err(ArchiveError::Algorithm(kind));
        }
        let safe = octets(content)?;
        let checked = match check.first() {
            Some(check) => {
                check_value(*check, safe, &mut opening)?;
                true
            }
            None => false,
        };
        let mut found = Found::default();
        for part in elements(one(safe, Tag::Sequence, "the list of safes")?.value())? {
            // The password opened the check value, so what does not decrypt is damaged.
            found.read_safe(part, &mut opening).map_err(|error| {
                if checked && error == ArchiveError::Password {
                    ArchiveError::Shape("a part of it does not decrypt")
                } else {
                    error
                }
            })?;
        }
        found.archive()
    }
}

#[derive(Default)]
struct Found {
    keys: Vec<Secret>,
    certificates: Vec<Certificate>,
}

impl Found {
    fn read_safe(&mut self, part: AnyRef<'_>, opening: &mut Opening<'_>) -> Result<(), ArchiveError> {
        let (kind, content) = content_of(part)?;
        match kind.as_str() {
            DATA => self.read_bags(octets(content)?, opening),
            ENCRYPTED_DATA => {
                let [_version, inner, ..] = elements(sequence(content)?)?[..] else {
                    return Err(ArchiveError::Shape("an encrypted part is cut"));
                };
                let [_kind, algorithm, cipher_text] = elements(sequence(inner)?)?[..] else {
                    return Err(ArchiveError::Shape("an encrypted part has no content"));
                };
                let plain = cipher::decrypt(algorithm, cipher_text.value(), opening)?;
                self.read_bags(plain.expose(), opening)
            }
            _ => Err(ArchiveError::Algorithm(kind)),
        }
    }

    fn read_bags(&mut self, bytes: &[u8], opening: &mut Opening<'_>) -> Result<(), ArchiveError> {
        // Plain bytes that are no list were decrypted under another password, by chance with a right ending.
        let list = one(bytes, Tag::Sequence, "a list of bags").map_err(|_| ArchiveError::Password)?;
        for bag in elements(list.value())? {
            let parts = elements(sequence(bag)?)?;
            let [kind, value, ..] = parts.as_slice() else { return Err(ArchiveError::Shape("a bag is empty")) };
            let kind = identifier(*kind)?;
            let value = explicit(*value)?;
            match kind.as_str() {
                KEY_BAG => self.keys.push(Secret::from_bytes(whole(value)?)),
                SHROUDED_KEY_BAG => {
                    let [algorithm, cipher_text] = elements(sequence(value)?)?[..] else {
                        return Err(ArchiveError::Shape("a key bag is cut"));
                    };
                    self.keys.push(cipher::decrypt(algorithm, octets(cipher_text)?, opening)?);
                }
                CERTIFICATE_BAG => {
                    let [kind, value] = elements(sequence(value)?)?[..] else {
                        return Err(ArchiveError::Shape("a certificate bag is cut"));
                    };
                    if identifier(kind)? == X509_CERTIFICATE {
                        let certificate = Certificate::read_one(octets(explicit(value)?)?);
                        self.certificates.push(certificate.map_err(|_| ArchiveError::Shape("a certificate"))?);
                    }
                }
                // Revocation lists and whatever else somebody keeps there.
                _ => {}
            }
        }
        Ok(())
    }

    fn archive(mut self) -> Result<Archive, ArchiveError> {
        let key = self.keys.pop().ok_or(ArchiveError::NoKey)?;
        if self.keys.iter().any(|other| *other != key) {
            return Err(ArchiveError::SeveralKeys);
        }
        let public = public_bits(&key).ok_or(ArchiveError::KeyKind)?;
        let belongs = |certificate: &Certificate| certificate.public_key_bits() == public;
        let at = self.certificates.iter().position(belongs).ok_or(ArchiveError::NoCertificate)?;
        let certificate = self.certificates.remove(at);
        Ok(Archive { key, certificate, others: self.certificates })
    }
}

/// The public half of a PKCS#8 key, as it stands in a certificate's bit string.
fn public_bits(key: &Secret) -> Option<Vec<u8>> {
    if let Ok(pair) = RsaKeyPair::from_pkcs8(key.expose()) {
        return Some(pair.public_key().as_ref().to_vec());
    }
    [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING]
        .into_iter()
        .find_map(|curve| EcdsaKeyPair::from_pkcs8(curve, key.expose()).ok())
        .map(|pair| pair.public_key().as_ref().to_vec())
}

/// The check value over all of the content: an HMAC under a key from the password (RFC 7292 section 4, `MacData`).
fn check_value(check: AnyRef<'_>, safe: &[u8], opening: &mut Opening<'_>) -> Result<(), ArchiveError> {
    let parts = elements(sequence(check)?)?;
    let [digest, salt, rest @ ..] = parts.as_slice() else {
        return Err(ArchiveError::Shape("its check value is cut"));
    };
    let [algorithm, expected] = elements(sequence(*digest)?)?[..] else {
        return Err(ArchiveError::Shape("its check value is cut"));
    };
    let (name, _) = cipher::algorithm_of(algorithm)?;
    let algorithm = match name.as_str() {
        "1.3.14.3.2.26" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "2.16.840.1.101.3.4.2.1" => hmac::HMAC_SHA256,
        "2.16.840.1.101.3.4.2.2" => hmac::HMAC_SHA384,
        "2.16.840.1.101.3.4.2.3" => hmac::HMAC_SHA512,
        _ => return Err(ArchiveError::Algorithm(name)),
    };
    let rounds = match rest.first() {
        Some(rounds) => opening.rounds(*rounds)?,
        None => 1,
    };
    let digest = algorithm.digest_algorithm();
    let key =
        cipher::derive(digest, cipher::Use::Check, opening.password, octets(*salt)?, rounds, digest.output_len())?;
    let key = hmac::Key::new(algorithm, key.expose());
    hmac::verify(&key, safe, octets(expected)?).map_err(|_| ArchiveError::Password)
}

/// The key of an archive's check value, for whoever writes one. `salt` is not empty.
#[must_use]
pub fn check_key(digest: &'static aws_lc_rs::digest::Algorithm, password: &str, salt: &[u8], rounds: u32) -> Secret {
    cipher::derive(digest, cipher::Use::Check, password, salt, rounds, digest.output_len())
        .expect("a salt that is not empty derives a key")
}

/// The elements that follow each other in `bytes`.
fn elements(bytes: &[u8]) -> Result<Vec<AnyRef<'_>>, ArchiveError> {
    const CUT: ArchiveError = ArchiveError::Shape("an element is cut or not in DER");
    let mut reader = SliceReader::new(bytes).map_err(|_| CUT)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        if found.len() == ELEMENTS_MAX {
            return Err(ArchiveError::TooMuch);
        }
        found.push(AnyRef::decode(&mut reader).map_err(|_| CUT)?);
    }
    Ok(found)
}

/// The only element in `bytes`.
fn one<'a>(bytes: &'a [u8], tag: Tag, what: &'static str) -> Result<AnyRef<'a>, ArchiveError> {
    let any = AnyRef::from_der(bytes).map_err(|_| ArchiveError::Shape(what))?;
    if any.tag() == tag { Ok(any) } else { Err(ArchiveError::Shape(what)) }
}

fn sequence(any: AnyRef<'_>) -> Result<&[u8], ArchiveError> {
    if any.tag() == Tag::Sequence { Ok(any.value()) } else { Err(ArchiveError::Shape("a sequence is missing")) }
}

fn octets(any: AnyRef<'_>) -> Result<&[u8], ArchiveError> {
    let octets =
        any.decode_as::<OctetStringRef<'_>>().map_err(|_| ArchiveError::Shape("an octet string is missing"))?;
    Ok(octets.as_bytes())
}

fn identifier(any: AnyRef<'_>) -> Result<String, ArchiveError> {
    let oid = any.decode_as::<ObjectIdentifier>();
    oid.map(|oid| oid.to_string()).map_err(|_| ArchiveError::Shape("an object identifier is missing"))
}

/// What stands in `[0]`.
fn explicit(any: AnyRef<'_>) -> Result<AnyRef<'_>, ArchiveError> {
    let wanted = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
    if any.tag() != wanted {
        return Err(ArchiveError::Shape("a content is missing"));
    }
    AnyRef::from_der(any.value()).map_err(|_| ArchiveError::Shape("a content is cut"))
}

/// Kind and content of a `ContentInfo`.
fn content_of(info: AnyRef<'_>) -> Result<(String, AnyRef<'_>), ArchiveError> {
    let [kind, content] = elements(sequence(info)?)?[..] else {
        return Err(ArchiveError::Shape("a content has no kind"));
    };
    Ok((identifier(kind)?, explicit(content)?))
}

/// An element with its head.
fn whole(any: AnyRef<'_>) -> Result<Vec<u8>, ArchiveError> {
    der::Encode::to_der(&any).map_err(|_| ArchiveError::Shape("a key"))
}
