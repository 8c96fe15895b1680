//! Archives that others made: two published ones with the old algorithms, and OpenSSL's (`adapters/vectors/README.md`).

use super::super::rsa::PrivateKey;
use super::*;

const RC2_3DES: &[u8] = include_bytes!("../../../vectors/pkcs12/rc2-3des.pfx");
const THREE_DES: &[u8] = include_bytes!("../../../vectors/pkcs12/3des.pfx");
const PBES2_RSA: &[u8] = include_bytes!("../../../vectors/pkcs12/pbes2-rsa.p12");
const PBES2_EC: &[u8] = include_bytes!("../../../vectors/pkcs12/pbes2-ec.p12");
const NO_KEY: &[u8] = include_bytes!("../../../vectors/pkcs12/no-key.p12");
const NO_CERTIFICATE: &[u8] = include_bytes!("../../../vectors/pkcs12/no-certificate.p12");

fn open(bytes: &[u8], password: &str) -> Result<Archive, ArchiveError> {
    Archive::open(bytes, &Secret::from_text(password))
}

#[test]
fn archives_of_every_age_open() {
    // Key, its certificate and the other certificates come out, whatever protects them and whatever else is inside.
    let table = [
        (RC2_3DES, "000000", "68759663125", 2),
        (THREE_DES, "000000", "69903319369", 2),
        (PBES2_RSA, "pässword密", "69903319369", 2),
        (PBES2_EC, "hunter2", "22213655687052701263581028131028051728203520", 1),
    ];
    for (bytes, password, serial, others) in table {
        let archive = open(bytes, password).unwrap_or_else(|error| panic!("{serial}: {error}"));
        assert_eq!(archive.certificate.serial_decimal(), serial);
        assert_eq!(archive.others.len(), others, "{serial}");
    }
    let (old, new) = (open(THREE_DES, "000000").expect("old"), open(PBES2_RSA, "pässword密").expect("new"));
    let sign = |archive: &Archive| PrivateKey::read(&archive.key).expect("a key").sign_sha256(b"message");
    assert_eq!(sign(&old), sign(&new), "one key in two wrappings");
}

#[test]
fn another_password_opens_nothing() {
    // It is told as that, for every scheme, and shows nothing of either password.
    for bytes in [RC2_3DES, THREE_DES, PBES2_RSA, PBES2_EC, NO_KEY] {
        for password in ["", "000001", "hunter", "hunter2 ", "密"] {
            assert_eq!(open(bytes, password).err(), Some(ArchiveError::Password));
        }
    }
    assert_eq!(Archive::open(PBES2_EC, &Secret::from_bytes(vec![0xff])).err(), Some(ArchiveError::Password));
}

#[test]
fn what_gives_no_key_is_told_apart() {
    // No key, no certificate of the key, no archive at all, one that is too long: each with its own words.
    assert_eq!(open(NO_KEY, "hunter2").err(), Some(ArchiveError::NoKey));
    assert_eq!(open(NO_CERTIFICATE, "hunter2").err(), Some(ArchiveError::NoCertificate));
    assert_eq!(open(&vec![0; BYTES_MAX + 1], "").err(), Some(ArchiveError::TooMuch));
    for bytes in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----", &[0x30, 0x00], &[0x30, 0x80, 0, 0]] {
        assert!(matches!(open(bytes, "hunter2"), Err(ArchiveError::Shape(_))), "{bytes:?}");
    }
}

#[test]
fn damage_is_never_opened_and_never_a_panic() {
    // Cut anywhere, or with any byte changed, an archive does not open. Changes in names alone may be passed over.
    let whole = open(PBES2_EC, "hunter2").expect("whole");
    for at in (0..PBES2_EC.len()).step_by(7) {
        assert!(open(&PBES2_EC[..at], "hunter2").is_err(), "cut at {at}");
    }
    // Not in the middle, which only the check value covers, and that costs a derivation each time.
    for at in (0..80).chain(PBES2_EC.len() - 60..PBES2_EC.len()) {
        let mut changed = PBES2_EC.to_vec();
        changed[at] ^= 0x40;
        if let Ok(archive) = open(&changed, "hunter2") {
            assert_eq!(archive.key, whole.key, "byte {at}");
        }
    }
}

#[test]
fn rounds_count_together() {
    // An archive whose every part asks for what one may is refused at the second: work is bounded for the whole.
    let mut opening = cipher::Opening::new("hunter2");
    let number = |bytes: &'static [u8]| AnyRef::from_der(bytes).expect("an INTEGER");
    assert_eq!(opening.rounds(number(&[2, 3, 0x1e, 0x84, 0x7f])), Ok(ROUNDS_MAX - 1));
    assert_eq!(opening.rounds(number(&[2, 1, 2])), Err(ArchiveError::TooMuch));
    assert_eq!(opening.rounds(number(&[2, 1, 1])), Ok(1));
    assert_eq!(opening.rounds(number(&[2, 1, 1])), Err(ArchiveError::TooMuch));
    assert!(matches!(cipher::Opening::new("").rounds(number(&[2, 1, 0])), Err(ArchiveError::Shape(_))));
}

#[test]
fn nothing_of_a_key_prints() {
    // Debug shows the certificates only.
    let archive = open(PBES2_EC, "hunter2").expect("an archive");
    let text = format!("{archive:?}");
    assert!(text.contains("[secret]") && text.contains("Leaf ec") && !text.contains("hunter2"), "{text}");
}
