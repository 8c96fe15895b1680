//! The signature over the whole body, after Standard Webhooks (<https://www.standardwebhooks.com>), version `v1`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::model::Timestamp;
use crate::secrets::Secret;

const PREFIX: &str = "whsec_";
/// Bytes of a key: the standard's bounds.
const KEY_LEN: std::ops::RangeInclusive<usize> = 24..=64;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text is no signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and base64 of 24 to 64 bytes")]
pub struct SigningSecretError;

/// A new signing secret: `whsec_` and base64 of 32 random bytes.
#[must_use]
pub fn new_secret(entropy: &dyn Entropy) -> Secret {
    let mut key = Zeroizing::new([0_u8; 32]);
    entropy.fill(key.as_mut_slice());
    let mut text = PREFIX.as_bytes().to_vec();
    text.resize(PREFIX.len() + 44, 0);
    BASE64.encode_slice(key.as_slice(), &mut text[PREFIX.len()..]).expect("44 characters for 32 bytes");
    Secret::from_bytes(text)
}

/// Whether [`sign`] can use it.
pub fn check_secret(secret: &Secret) -> Result<(), SigningSecretError> {
    key_of(secret).map(drop)
}

/// The value of `webhook-signature`: `v1,` and base64 of the HMAC-SHA256 of id, seconds and body with dots between.
pub fn sign(secret: &Secret, id: &str, at: Timestamp, body: &[u8]) -> Result<String, SigningSecretError> {
    let key = key_of(secret)?;
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{}.", at.seconds()).as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

fn key_of(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, SigningSecretError> {
    let encoded = secret.expose().strip_prefix(PREFIX.as_bytes()).ok_or(SigningSecretError)?;
    if encoded.len() > 88 {
        return Err(SigningSecretError);
    }
    let key = Zeroizing::new(BASE64.decode(encoded).map_err(|_| SigningSecretError)?);
    if KEY_LEN.contains(&key.len()) { Ok(key) } else { Err(SigningSecretError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn the_published_vector_holds() {
        // Standard Webhooks, github.com/standard-webhooks/standard-webhooks, libraries/python/tests/test_webhooks.py,
        // `test_sign_function`.
        let signature = sign(
            &Secret::from_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_millis(1_614_265_330_000),
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn secrets_are_checked() {
        // The prefix, base64 with or without padding, and 24 to 64 bytes.
        let encoded = |len: usize| format!("whsec_{}", BASE64.encode(vec![7; len]));
        let table = [
            (encoded(23), false),
            (encoded(24), true),
            (encoded(32), true),
            (encoded(32).trim_end_matches('=').to_owned(), true),
            (encoded(64), true),
            (encoded(65), false),
            (String::new(), false),
            ("whsec_".into(), false),
            (BASE64.encode([7; 32]), false),
            (format!("whsec_{}", "!".repeat(32)), false),
            (format!("whsec_{}", "-_-_".repeat(8)), false),
        ];
        for (text, accepted) in table {
            assert_eq!(check_secret(&Secret::from_text(&text)).is_ok(), accepted, "{text}");
        }
        assert_eq!(check_secret(&new_secret(&SeededEntropy::new(1))), Ok(()));
    }
}
