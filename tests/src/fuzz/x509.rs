//! Certificates, keys and PEM texts, as operators and providers hand them in.

use std::sync::LazyLock;

use maxpay_adapters::parts::pem;
use maxpay_adapters::parts::rsa::{PrivateKey, PublicKey};
use maxpay_adapters::parts::x509::{COMMON_NAME, Certificate, check_chain};
use maxpay_adapters::simulator::authority::Authority;
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;

use super::account::{NOW, edited, key, says};

static CHAIN: LazyLock<[Certificate; 3]> = LazyLock::new(|| {
    let root = Authority::root(key().1, says("CN=Root,C=CN", 1, true));
    let middle = root.below(key().1, says("CN=Middle,C=CN", 2, true));
    let leaf = middle.issue(says("CN=Leaf@支付,O=A\\, B,C=CN", 3, false), &key().1);
    [leaf, middle.certificate().clone(), root.certificate().clone()]
});

/// First byte `c`: certificates, PEM or DER. `C`: a genuine one of a chain, by a digit, with changes. `k`: a key or PEM
/// text.
pub fn check(bytes: &[u8]) {
    match bytes {
        [b'c', text @ ..] => strangers(text),
        [b'C', which, edits @ ..] => changed(usize::from(which % 3), edits),
        [b'k', text @ ..] => keys(text),
        _ => {}
    }
}

/// What reads can be told and written again, and leads to no root of ours.
fn strangers(text: &[u8]) {
    let Ok(found) = Certificate::read_all(text) else { return };
    assert!(!found.is_empty() && found.iter().map(|one| one.der().len()).sum::<usize>() <= text.len());
    let [_, middle, root] = &*CHAIN;
    for one in &found {
        told(one);
        assert!(check_chain(one, std::slice::from_ref(middle), std::slice::from_ref(root), now()).is_err());
        assert!(check_chain(one, &found, std::slice::from_ref(root), now()).is_err());
    }
}

/// A changed certificate is refused, or what its issuer signed of it is what it was.
fn changed(which: usize, edits: &[u8]) {
    let [leaf, middle, root] = &*CHAIN;
    let mut chain = [leaf.clone(), middle.clone(), root.clone()];
    let Ok(one) = Certificate::read_one(&edited(chain[which].der(), edits)) else { return };
    told(&one);
    let signed = |one: &Certificate| (one.subject(), one.serial_hex(), one.public_key().to_vec(), one.not_after());
    let same = signed(&one) == signed(&chain[which]);
    if which < 2 {
        chain[which] = one;
        let [leaf, middle, root] = &chain;
        let held = check_chain(leaf, std::slice::from_ref(middle), std::slice::from_ref(root), now());
        assert!(same || held.is_err(), "a changed certificate leads to the root");
        assert!(held.is_ok() || edits.len() >= 4, "the genuine chain is refused: {held:?}");
    }
}

fn keys(text: &[u8]) {
    if let Ok(blocks) = pem::blocks(text) {
        assert!((1..=pem::BLOCKS_MAX).contains(&blocks.len()));
        assert!(blocks.iter().map(|block| block.der.len() + block.label.len()).sum::<usize>() <= text.len());
    }
    // Whatever it is, it signs nothing that it does not verify.
    let (private, public) = (PrivateKey::read(&Secret::from_bytes(text.to_vec())), PublicKey::read(text));
    if let Ok(private) = private {
        let public = PublicKey::read(private.public_der()).expect("the public half of a key");
        assert!(private.belongs_to(&public) && public.verifies_sha256(b"text", &private.sign_sha256(b"text")));
    }
    if let Ok(public) = public {
        assert!(!public.verifies_sha256_base64(b"text", "AAAA"));
    }
}

fn told(one: &Certificate) {
    assert_eq!(Certificate::read_one(one.pem().as_bytes()).as_ref(), Ok(one), "it reads back from its own PEM");
    let texts = [one.subject(), one.issuer(), one.serial_decimal(), one.signature_algorithm(), format!("{one:?}")];
    // Names escape what they must: nothing is longer than a few characters a byte.
    assert!(texts.iter().all(|text| text.len() <= 8 * one.der().len() + 256));
    let _ = (one.subject_part(COMMON_NAME), one.is_authority(), one.extension("2.5.29.19"), one.public_key_bits());
    assert!(one.serial_decimal().bytes().all(|byte| byte.is_ascii_digit()));
    let _ = (one.not_before(), one.not_after());
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}
