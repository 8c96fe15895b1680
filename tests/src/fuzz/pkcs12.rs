//! PKCS#12 archives, as merchants hand them in.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::parts::pkcs12::Archive;
use maxpay_adapters::parts::rsa::{PrivateKey, PublicKey};
use maxpay_adapters::unionpay::simulator::Authority;
use maxpay_engine::secrets::Secret;

use super::account::edited;

const PASSWORD: &str = "000000";

static GENUINE: LazyLock<(Vec<u8>, Archive)> = LazyLock::new(|| {
    let authority = Authority::generate().expect("the machine has randomness");
    let password = Secret::from_text(PASSWORD);
    let made = authority.issue_merchant("777290058110048", 69_903_319_369, &password).expect("the same");
    let bytes = STANDARD.decode(made.pfx.expose()).expect("base64");
    let archive = Archive::open(&bytes, &password).expect("it was just made");
    (bytes, archive)
});

/// First byte `a`: an archive under the password 000000. `A`: a genuine one with changes.
pub fn check(bytes: &[u8]) {
    let password = Secret::from_text(PASSWORD);
    match bytes {
        [b'a', archive @ ..] => {
            if let Some(archive) = open(archive, &password) {
                belongs(&archive);
            }
        }
        [b'A', edits @ ..] => {
            let (bytes, genuine) = &*GENUINE;
            match open(&edited(bytes, edits), &password) {
                Some(archive) => {
                    belongs(&archive);
                    // Few changes do not make a key, whatever becomes of the check value.
                    assert!(archive.key == genuine.key, "another key came out of a changed archive");
                }
                None => assert!(edits.len() >= 4, "the genuine archive does not open"),
            }
        }
        _ => {}
    }
}

fn open(bytes: &[u8], password: &Secret) -> Option<Archive> {
    match Archive::open(bytes, password) {
        Ok(archive) => Some(archive),
        Err(why) => {
            assert!(!why.to_string().contains(PASSWORD), "{why}");
            None
        }
    }
}

/// The certificate that is given is the key's.
fn belongs(archive: &Archive) {
    if let (Ok(private), Ok(public)) =
        (PrivateKey::read(&archive.key), PublicKey::read(archive.certificate.public_key()))
    {
        assert!(private.belongs_to(&public), "{archive:?}");
    }
}
