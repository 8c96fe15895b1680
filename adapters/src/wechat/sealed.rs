//! What WeChat Pay seals under the APIv3 key: AES-256-GCM, the tag behind the ciphertext (4012071382).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;

use super::wire::SealedText;

/// The only algorithm there is.
pub(super) const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// What was sealed. `None`: it does not open under this key, or is not written as it should be.
pub(super) fn open(sealed: &SealedText, key: &Secret) -> Option<Secret> {
    if sealed.algorithm != ALGORITHM {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(sealed.nonce.as_bytes()).ok()?;
    let mut text = STANDARD.decode(&sealed.ciphertext).ok()?;
    let aad = Aad::from(sealed.associated_data.as_deref().unwrap_or_default().as_bytes());
    let length = opening_key(key)?.open_in_place(nonce, aad, &mut text).ok()?.len();
    text.truncate(length);
    Some(Secret::from_bytes(text))
}

/// Seals a text, as the provider does. `None`: key or nonce are of another length.
#[cfg_attr(not(feature = "simulator"), expect(dead_code, reason = "only the provider seals"))]
pub(super) fn seal(text: &[u8], associated_data: &str, nonce: &str, key: &Secret) -> Option<SealedText> {
    let unique = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
    let mut bytes = text.to_vec();
    let aad = Aad::from(associated_data.as_bytes());
    opening_key(key)?.seal_in_place_append_tag(unique, aad, &mut bytes).ok()?;
    Some(SealedText {
        algorithm: ALGORITHM.to_owned(),
        ciphertext: STANDARD.encode(bytes),
        associated_data: Some(associated_data.to_owned()),
        nonce: nonce.to_owned(),
    })
}

/// Length of a nonce: ASCII, used as it stands.
#[cfg_attr(not(feature = "simulator"), expect(dead_code, reason = "only the provider seals"))]
pub(super) const NONCE_LENGTH: usize = NONCE_LEN;

fn opening_key(key: &Secret) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.expose()).ok().map(LessSafeKey::new)
}
