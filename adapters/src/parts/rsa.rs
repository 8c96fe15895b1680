//! RSA keys as merchants paste them, and PKCS#1 v1.5 signatures by them.
//!
//! Keys stay parsed in a bounded memory, so that a signature costs the signature: about 0.3 ms for 2048 bits. No error
//! and no `Debug` shows anything of a private key.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;

use super::parsed::Parsed;
use super::pem::{self, Block, PemError};

/// Keys of each kind that stay parsed.
const KEPT_MAX: usize = 256;

static PRIVATE_KEYS: Parsed<PrivateKey> = Parsed::new(KEPT_MAX);
static PUBLIC_KEYS: Parsed<PublicKey> = Parsed::new(KEPT_MAX);

/// Why a text is no key that can be used. Written to follow the name of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is neither PEM nor base64.
    #[error("{0}")]
    Text(#[from] PemError),
    /// It holds more than one block.
    #[error("holds more than one PEM block: paste the key alone")]
    Several,
    /// It is a private key under a password.
    #[error("is encrypted with a password: store the key without one (openssl pkcs8 -topk8 -nocrypt)")]
    Encrypted,
    /// A private key was wanted.
    #[error("is a public key: the private key is wanted, in PKCS#8 or PKCS#1 form")]
    PublicForPrivate,
    /// A public key was wanted.
    #[error("is a private key: the public key is wanted, and the private one should be replaced if it was shown")]
    PrivateForPublic,
    /// A key was wanted.
    #[error("is a certificate: a key is wanted")]
    Certificate,
    /// It is no RSA key that can be read.
    #[error("is not an RSA key of 2048 to 8192 bits, in {0} form")]
    NotRsa(&'static str),
}

/// A private key, parsed. It signs with SHA-256.
pub struct PrivateKey {
    pair: RsaKeyPair,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey([secret])")
    }
}

impl PrivateKey {
    /// Reads a key of 2048 to 8192 bits: PEM or bare base64 of PKCS#8 or PKCS#1, or either as bare DER. A key that was
    /// read before is remembered.
    pub fn read(secret: &Secret) -> Result<Arc<Self>, KeyError> {
        PRIVATE_KEYS.of(secret.expose(), Self::parse)
    }

    fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        // Both forms begin with a SEQUENCE of more than 255 bytes.
        if bytes.starts_with(&[0x30, 0x82]) {
            return Self::from_der(bytes);
        }
        let block = the_block(bytes)?;
        match block.label.as_str() {
            "" | "PRIVATE KEY" | "RSA PRIVATE KEY" => Self::from_der(block.der.expose()),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicForPrivate),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            "CERTIFICATE" => Err(KeyError::Certificate),
            _ => Err(NOT_PRIVATE),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Ok(Self { pair });
        }
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).is_ok();
        Err(if public { KeyError::PublicForPrivate } else { NOT_PRIVATE })
    }

    /// Signs `message` with SHA-256 and PKCS#1 v1.5 padding. The same message gives the same bytes.
    #[must_use]
    pub fn sign_sha256(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key of 2048 bits or more signs any message");
        signature
    }

    /// The same in base64 with padding.
    #[must_use]
    pub fn sign_sha256_base64(&self, message: &[u8]) -> String {
        STANDARD.encode(self.sign_sha256(message))
    }

    /// The public key that belongs to it, as DER of PKCS#1.
    #[must_use]
    pub fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The same as DER of a SubjectPublicKeyInfo, the form that consoles show in base64.
    #[must_use]
    pub fn public_info_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("the public half of a key has a form");
        der.as_ref().to_vec()
    }

    /// Whether `public` verifies what this key signs.
    #[must_use]
    pub fn belongs_to(&self, public: &PublicKey) -> bool {
        let message = b"do these two keys belong together?";
        public.verifies_sha256(message, &self.sign_sha256(message))
    }
}

/// A public key, parsed.
#[derive(Debug)]
pub struct PublicKey {
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a key of 2048 to 8192 bits: PEM or bare base64 of a SubjectPublicKeyInfo or of PKCS#1, or either as bare
    /// DER. A key that was read before is remembered.
    pub fn read(bytes: &[u8]) -> Result<Arc<Self>, KeyError> {
        PUBLIC_KEYS.of(bytes, Self::parse)
    }

    fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.starts_with(&[0x30, 0x82]) {
            return Self::from_der(bytes);
        }
        let block = the_block(bytes)?;
        match block.label.as_str() {
            "" | "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::from_der(block.der.expose()),
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => Err(KeyError::PrivateForPublic),
            "CERTIFICATE" => Err(KeyError::Certificate),
            _ => Err(NOT_PUBLIC),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der) {
            // Size is checked when it verifies; here too, so that a key that never could is refused when it is saved.
            let big_enough = der.len() >= 256;
            return if big_enough { Ok(Self { key }) } else { Err(NOT_PUBLIC) };
        }
        let private = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).is_ok();
        Err(if private { KeyError::PrivateForPublic } else { NOT_PUBLIC })
    }

    /// Whether `signature` is this key's over `message`, with SHA-256 and PKCS#1 v1.5 padding.
    #[must_use]
    pub fn verifies_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// The same for a signature in base64 with padding; anything that is not base64 is no signature.
    #[must_use]
    pub fn verifies_sha256_base64(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| self.verifies_sha256(message, &signature))
    }
}

/// Whether `signature` is over `message` by SHA-1, under a public key (DER) of 1024 to 8192 bits. Only for certificates
/// of old chains that nobody signs any more.
#[must_use]
pub fn verifies_legacy_sha1(public_der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, public_der);
    key.verify(message, signature).is_ok()
}

const NOT_PRIVATE: KeyError = KeyError::NotRsa("PKCS#8 or PKCS#1");
const NOT_PUBLIC: KeyError = KeyError::NotRsa("SubjectPublicKeyInfo or PKCS#1");

fn the_block(text: &[u8]) -> Result<Block, KeyError> {
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let mut blocks = pem::blocks(text)?;
    match blocks.pop() {
        Some(block) if blocks.is_empty() => Ok(block),
        Some(_) | None => Err(KeyError::Several),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;

    use super::*;

    /// Made by `openssl genrsa 2048` for this test; [`SHA1_SIGNATURE`] by `openssl dgst -sha1 -sign`.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuNK9Ao7iwpbEgaa5esr6
dI0y0jFybJbTnDXou4HiSs6YbdlpzKJBH02cTConfOGJDiF4EsbT3Wd9X0so9X1G
Pn3RnoPdVcRVRrMOvT8VW3EksL6+WK/fMo+xZV3y8dE36yJ5hx+dicl+WVtbk2J9
L8BbckLbP/O2yL7DF1mRg1tGQW+1x9VV2FvyoCNjw/rxCnO7b8Z/DLYg8Q+ilk1X
3cBXXF0ZHrJDFdDHf8SbvNos/O4yJcENfjH5RSJ/FUprhhbmSUe08v+AGb9O23MB
jCeEUHv+G5rPjNfF2UXbtEf53pOnEdHCz4Fezp8g3CPt0deG9MPGw8gKYhDslQiq
hwIDAQAB
-----END PUBLIC KEY-----";
    const SHA1_SIGNATURE: &str = "TVg9oFMy9XRuTCnUgwyOorm0NfzhRnsAF25J+aqisX1iTdzxnRCfqSqe0SbFZVtpSv7QRLBZ3YDTxZi9CBqA\
        8IfZgcERw+iexlvFp1qh70JTqQOUn6HCR8hkZSiql9RIIVmgQR1j0i3BmAYo9IgqT+3PN83V8Ffg0Ttvt77DQ5qzT2sszjZm8uVKaSd4wXSO\
        gaodLQwOH/pmRiVF+iKgyDmdNElNkUoIj656PT0rWe4bClxVpGEQ9nOBy0JaCOa+kfafpOSccH1sEg/xQIFi3x2UL7dbtzf8UMkMMOlI5kIL\
        PTOJWG/+y8uW5txOpU7c7zrPGOj9gYyPRoAS+vbNwQ==";

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn generated() -> (Vec<u8>, Vec<u8>) {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).expect("its form").as_ref().to_vec();
        (pkcs8, pair.public_key().as_ref().to_vec())
    }

    #[test]
    fn every_form_of_a_key_signs_alike() {
        // PKCS#8 and PKCS#1, as PEM, bare base64 or DER, are one key; so are the forms of its public half.
        let (pkcs8, public) = generated();
        // PKCS#8 of 2048 bits holds the PKCS#1 form behind 26 bytes.
        let pkcs1 = pkcs8[26..].to_vec();
        let forms = [
            pem("PRIVATE KEY", &pkcs8).into_bytes(),
            pem("RSA PRIVATE KEY", &pkcs1).into_bytes(),
            STANDARD.encode(&pkcs8).into_bytes(),
            STANDARD.encode(&pkcs1).into_bytes(),
            pkcs8.clone(),
            pkcs1,
        ];
        let publics =
            [public.clone(), STANDARD.encode(&public).into_bytes(), pem("RSA PUBLIC KEY", &public).into_bytes()];
        let mut signatures = Vec::new();
        for form in forms {
            let key = PrivateKey::read(&Secret::from_bytes(form)).expect("a key");
            assert_eq!(key.public_der(), public);
            // What wraps the PKCS#1 form says which algorithm it is for: 24 bytes.
            let info = key.public_info_der();
            assert_eq!(info[24..], public);
            for public in publics.iter().chain([&info, &STANDARD.encode(&info).into_bytes()]) {
                assert!(key.belongs_to(&PublicKey::read(public).expect("its public half")));
            }
            signatures.push(key.sign_sha256(b"message"));
        }
        assert!(signatures.windows(2).all(|two| two[0] == two[1]));
        let stranger = PublicKey::read(PUBLIC.as_bytes()).expect("another key");
        let key = PrivateKey::read(&Secret::from_bytes(pkcs8)).expect("a key");
        assert!(!key.belongs_to(&stranger));
    }

    #[test]
    fn a_signature_holds_for_its_message_alone() {
        // Another message, another bit, another encoding: no signature.
        let (pkcs8, public) = generated();
        let key = PrivateKey::read(&Secret::from_bytes(pkcs8)).expect("a key");
        let public = PublicKey::read(&public).expect("its public half");
        let signature = key.sign_sha256_base64(b"message");
        assert!(public.verifies_sha256_base64(b"message", &signature));
        assert!(!public.verifies_sha256_base64(b"messagf", &signature));
        assert!(!public.verifies_sha256_base64(b"message", ""));
        assert!(!public.verifies_sha256_base64(b"message", "no base64!"));
        assert!(!public.verifies_sha256_base64(b"message", &signature[4..]));
        let mut other = key.sign_sha256(b"message");
        other[100] ^= 1;
        assert!(!public.verifies_sha256(b"message", &other));
    }

    #[test]
    fn sha1_is_for_old_chains() {
        // What OpenSSL signed with SHA-1 holds there and nowhere else.
        let block = the_block(PUBLIC.as_bytes()).expect("a block");
        let signature = STANDARD.decode(SHA1_SIGNATURE).expect("base64");
        let message = b"what do ya want for nothing?";
        assert!(verifies_legacy_sha1(block.der.expose(), message, &signature));
        assert!(!verifies_legacy_sha1(block.der.expose(), b"something", &signature));
        assert!(!PublicKey::read(PUBLIC.as_bytes()).expect("a key").verifies_sha256(message, &signature));
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        // Each mistake has a message of its own, and none shows what was pasted.
        let (pkcs8, public) = generated();
        let private = pem("PRIVATE KEY", &pkcs8);
        let table = [
            (String::new(), KeyError::Text(PemError::Empty)),
            ("hunter2!".to_owned(), KeyError::Text(PemError::NotBase64)),
            ("aHVudGVyMg==".to_owned(), NOT_PRIVATE),
            (pem("RSA PUBLIC KEY", &public), KeyError::PublicForPrivate),
            (STANDARD.encode(&public), KeyError::PublicForPrivate),
            (pem("CERTIFICATE", b"x"), KeyError::Certificate),
            (pem("EC PRIVATE KEY", b"x"), NOT_PRIVATE),
            (pem("ENCRYPTED PRIVATE KEY", b"x"), KeyError::Encrypted),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(), KeyError::Encrypted),
            (format!("{private}{private}"), KeyError::Several),
            (pem("PRIVATE KEY", &pkcs8[..600]), NOT_PRIVATE),
            (SMALL.to_owned(), NOT_PRIVATE),
        ];
        for (text, wanted) in table {
            let error = PrivateKey::read(&Secret::from_text(&text)).expect_err("no key");
            assert_eq!(error, wanted);
            assert!(text.len() < 8 || !error.to_string().contains(&text[..8]), "{error}");
        }
        let table = [
            (private, KeyError::PrivateForPublic),
            (STANDARD.encode(&pkcs8), KeyError::PrivateForPublic),
            (pem("CERTIFICATE", b"x"), KeyError::Certificate),
            ("aHVudGVyMg==".to_owned(), NOT_PUBLIC),
        ];
        for (text, wanted) in table {
            assert_eq!(PublicKey::read(text.as_bytes()).expect_err("no key"), wanted);
        }
    }

    #[test]
    fn a_private_key_prints_nothing() {
        // Its Debug is the same for every key.
        let (pkcs8, _) = generated();
        let key = PrivateKey::read(&Secret::from_bytes(pkcs8)).expect("a key");
        assert_eq!(format!("{key:?}"), "PrivateKey([secret])");
    }

    /// A PKCS#8 key of 1024 bits, made for this test.
    const SMALL: &str = "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAMYCjCWAOJsC+OlHetLACwkSOUWdDYCLww+Yq1VU1+h0\
        IylhauEunajxlgiyPZJPl7l7J7z6Y6PxeeXALZMU7AgcSOZYamW/IMv2hXrxijAGh6tSeJQWOTaH7rsBO3ykYMlCiUFsU+SadfPGDI54O3MN\
        uDYO1Fu4ixwU+ygYWAIVAgMBAAECgYEAnGTYsqnyi6SuWvqFLT5XuQN2zt/8ESLSn1fzQ4OuwMAyIXX7R/5cslqWKSo27YAGE48NVPrjhlKs\
        9+VxWbF1tpDx3ylPQKrtxq1PiGR4Y8k/KXlusgRpnrxMlu0B94ixQxWKJ8hCCulpzPLD2LTLcR76m9qo8b5RGTo7a8L7zMECQQD3q2WrsnMa\
        I5R7bU7GLyVx1jq92a8TOpW45557BAx9L0LbrwPMazcaiNUDrUV8AUXgvqCME4y0+i03e5Vt2m0RAkEAzKuMM7eOpzFTYO5alsK8HY7zThw0\
        VDfjRfQUXva2Ta0jClQmCrmnahKvbj0GRAWlAD+EEPSbZ7XyxUgInfDUxQJASyp3lt531G0L+VG5YKiaYqwz876HRfy3yABztr4J1ExtrCK3\
        smivtpvkmlMSDYqNXKI+M4UTZTGwW3Bkb4ylIQJBAIMuLLV1H/yvU8ab3vokJFg5qF5XG38jNws+DtRzApO0tfHHz34uUkxdX42jlWGB0Kjh\
        DO+lJ/oIF2s06Tj6BBUCQF6J9+/m3nJl/N4YKZp/Yx08vxu7GpMfB8qZtEw942kvksmI3b/xEf07W9CiNFnG7n3hKLcdu6GmlVkuJ7Bra5A=";
}
