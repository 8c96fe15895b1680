//! Keys from a password, and decrypting under them: the schemes of RFC 7292 appendices B and C, and PBES2 of RFC 8018.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, pbkdf2};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, InnerIvInit, KeyInit, KeyIvInit};
use der::asn1::AnyRef;
use maxpay_engine::secrets::Secret;

use super::{ArchiveError, ROUNDS_MAX, elements, identifier, octets, sequence};

const PBES2: &str = "1.2.840.113549.1.5.13";
const PBKDF2: &str = "1.2.840.113549.1.5.12";

/// What a key is derived for: the same password and salt give another for each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    Cipher,
    Vector,
    Check,
}

/// An archive that is being opened: its password, and how much work it may still ask for.
pub(super) struct Opening<'p> {
    pub password: &'p str,
    rounds_left: u32,
}

impl<'p> Opening<'p> {
    pub fn new(password: &'p str) -> Self {
        Self { password, rounds_left: ROUNDS_MAX }
    }

    /// A number of rounds. All that an archive asks for count together: each of its parts may ask.
    pub fn rounds(&mut self, any: AnyRef<'_>) -> Result<u32, ArchiveError> {
        let rounds = any.decode_as::<u32>().map_err(|_| ArchiveError::Shape("a number of rounds"))?;
        self.rounds_left = self.rounds_left.checked_sub(rounds.max(1)).ok_or(ArchiveError::TooMuch)?;
        if rounds == 0 { Err(ArchiveError::Shape("no rounds")) } else { Ok(rounds) }
    }
}

/// Decrypts `cipher_text` as `algorithm` says. A wrong password shows as a wrong padding.
pub(super) fn decrypt(
    algorithm: AnyRef<'_>,
    cipher_text: &[u8],
    opening: &mut Opening<'_>,
) -> Result<Secret, ArchiveError> {
    let (name, parameters) = algorithm_of(algorithm)?;
    let parameters = parameters.ok_or(ArchiveError::Shape("an algorithm has no parameters"))?;
    if name == PBES2 {
        return decrypt_pbes2(parameters, cipher_text, opening);
    }
    let key_len = match name.as_str() {
        "1.2.840.113549.1.12.1.3" => 24,
        "1.2.840.113549.1.12.1.4" | "1.2.840.113549.1.12.1.5" => 16,
        "1.2.840.113549.1.12.1.6" => 5,
        _ => return Err(ArchiveError::Algorithm(name)),
    };
    let [salt, rounds] = elements(sequence(parameters)?)?[..] else {
        return Err(ArchiveError::Shape("an algorithm's parameters are cut"));
    };
    let (salt, rounds, password) = (octets(salt)?, opening.rounds(rounds)?, opening.password);
    let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    let key = derive(sha1, Use::Cipher, password, salt, rounds, key_len)?;
    let vector = derive(sha1, Use::Vector, password, salt, rounds, 8)?;
    let (key, vector) = (key.expose(), vector.expose());
    let plain = match name.as_str() {
        "1.2.840.113549.1.12.1.3" => {
            Decryptor::<des::TdesEde3>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text))
        }
        "1.2.840.113549.1.12.1.4" => {
            Decryptor::<des::TdesEde2>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text))
        }
        // The effective length of an RC2 key is its length in both schemes.
        _ => rc2::Rc2::new_from_slice(key)
            .ok()
            .and_then(|rc2| Decryptor::inner_iv_slice_init(rc2, vector).ok())
            .map(|it| unpadded(it, cipher_text)),
    };
    plain.flatten().ok_or(ArchiveError::Password)
}

fn decrypt_pbes2(
    parameters: AnyRef<'_>,
    cipher_text: &[u8],
    opening: &mut Opening<'_>,
) -> Result<Secret, ArchiveError> {
    let [derivation, encryption] = elements(sequence(parameters)?)?[..] else {
        return Err(ArchiveError::Shape("an algorithm's parameters are cut"));
    };
    let (name, vector) = algorithm_of(encryption)?;
    let key_len = match name.as_str() {
        "2.16.840.1.101.3.4.1.2" => 16,
        "2.16.840.1.101.3.4.1.22" | "1.2.840.113549.3.7" => 24,
        "2.16.840.1.101.3.4.1.42" => 32,
        _ => return Err(ArchiveError::Algorithm(name)),
    };
    let vector = octets(vector.ok_or(ArchiveError::Shape("an algorithm has no parameters"))?)?;
    let key = derive_pbkdf2(derivation, opening, key_len)?;
    let key = key.expose();
    let plain = match name.as_str() {
        "2.16.840.1.101.3.4.1.2" => {
            Decryptor::<aes::Aes128>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text))
        }
        "2.16.840.1.101.3.4.1.22" => {
            Decryptor::<aes::Aes192>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text))
        }
        "2.16.840.1.101.3.4.1.42" => {
            Decryptor::<aes::Aes256>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text))
        }
        _ => Decryptor::<des::TdesEde3>::new_from_slices(key, vector).ok().map(|it| unpadded(it, cipher_text)),
    };
    plain.flatten().ok_or(ArchiveError::Password)
}

fn unpadded(cipher: impl BlockDecryptMut, cipher_text: &[u8]) -> Option<Secret> {
    cipher.decrypt_padded_vec_mut::<Pkcs7>(cipher_text).ok().map(Secret::from_bytes)
}

fn derive_pbkdf2(derivation: AnyRef<'_>, opening: &mut Opening<'_>, key_len: usize) -> Result<Secret, ArchiveError> {
    let (name, parameters) = algorithm_of(derivation)?;
    if name != PBKDF2 {
        return Err(ArchiveError::Algorithm(name));
    }
    let parameters = elements(sequence(parameters.ok_or(ArchiveError::Shape("PBKDF2 has no parameters"))?)?)?;
    let [salt, rounds, rest @ ..] = parameters.as_slice() else {
        return Err(ArchiveError::Shape("PBKDF2's parameters are cut"));
    };
    // A key length may stand in front of it; the cipher says how long the key is.
    let random = match rest.iter().find(|part| sequence(**part).is_ok()) {
        Some(algorithm) => algorithm_of(*algorithm)?.0,
        None => "1.2.840.113549.2.7".to_owned(),
    };
    let algorithm = match random.as_str() {
        "1.2.840.113549.2.7" => pbkdf2::PBKDF2_HMAC_SHA1,
        "1.2.840.113549.2.9" => pbkdf2::PBKDF2_HMAC_SHA256,
        "1.2.840.113549.2.10" => pbkdf2::PBKDF2_HMAC_SHA384,
        "1.2.840.113549.2.11" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(ArchiveError::Algorithm(random)),
    };
    let rounds = NonZeroU32::new(opening.rounds(*rounds)?).ok_or(ArchiveError::Shape("no rounds"))?;
    let mut key = vec![0; key_len];
    pbkdf2::derive(algorithm, rounds, octets(*salt)?, opening.password.as_bytes(), &mut key);
    Ok(Secret::from_bytes(key))
}

/// Name and parameters of an `AlgorithmIdentifier`.
pub(super) fn algorithm_of(any: AnyRef<'_>) -> Result<(String, Option<AnyRef<'_>>), ArchiveError> {
    let parts = elements(sequence(any)?)?;
    let name = parts.first().ok_or(ArchiveError::Shape("an algorithm has no name"))?;
    Ok((identifier(*name)?, parts.get(1).copied()))
}

/// RFC 7292 appendix B.2, with its letters.
pub(super) fn derive(
    digest: &'static digest::Algorithm,
    purpose: Use,
    password: &str,
    salt: &[u8],
    rounds: u32,
    key_len: usize,
) -> Result<Secret, ArchiveError> {
    if salt.is_empty() {
        return Err(ArchiveError::Shape("a salt is empty"));
    }
    let v = digest.block_len();
    let id = match purpose {
        Use::Cipher => 1,
        Use::Vector => 2,
        Use::Check => 3,
    };
    let d = vec![id; v];
    let password = Secret::from_bytes(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect());
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(v) * v;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let mut i = filled(salt);
    i.extend_from_slice(Secret::from_bytes(filled(password.expose())).expose());
    let mut derived = Vec::with_capacity(key_len);
    while derived.len() < key_len {
        let mut first = digest::Context::new(digest);
        first.update(&d);
        first.update(&i);
        let mut a = first.finish();
        for _ in 1..rounds {
            a = digest::digest(digest, a.as_ref());
        }
        let wanted = (key_len - derived.len()).min(a.as_ref().len());
        derived.extend_from_slice(&a.as_ref()[..wanted]);
        // I_j = (I_j + B + 1) mod 2^v
        for block in i.chunks_exact_mut(v) {
            let mut carry = 1_u16;
            for (byte, b) in block.iter_mut().zip(a.as_ref().iter().copied().cycle().take(v).collect::<Vec<_>>()).rev()
            {
                let sum = u16::from(*byte) + u16::from(b) + carry;
                [_, *byte] = sum.to_be_bytes();
                carry = sum >> 8;
            }
        }
    }
    drop(Secret::from_bytes(i));
    Ok(Secret::from_bytes(derived))
}
