//! Chains that others made: OpenSSL's elliptic ones, and the CFCA test chain of a payment network, signed with SHA-1
//! (sources in `adapters/vectors/README.md`).

use super::*;

const EC_LEAF: &str = include_str!("../../../vectors/x509/ec-leaf.pem");
const EC_MIDDLE: &str = include_str!("../../../vectors/x509/ec-middle.pem");
const EC_ROOT: &str = include_str!("../../../vectors/x509/ec-root.pem");
const EC_BELOW_LEAF: &str = include_str!("../../../vectors/x509/ec-below-leaf.pem");
const RSA_LEAF: &str = include_str!("../../../vectors/x509/rsa-sha1-leaf.pem");
const RSA_MIDDLE: &str = include_str!("../../../vectors/x509/rsa-sha1-middle.pem");
const RSA_ROOT: &str = include_str!("../../../vectors/x509/rsa-sha1-root.pem");
/// While all of them are valid.
const RSA_TIME: &str = "2022-09-08T05:22:06Z";

fn one(pem: &str) -> Certificate {
    Certificate::read_one(pem.as_bytes()).expect("a vector")
}

fn at(text: &str) -> Timestamp {
    Timestamp::nearest(text).expect("a time")
}

/// Leaf and middle are valid for a year from when they were made.
fn ec_time() -> Timestamp {
    one(EC_LEAF).not_before()
}

#[test]
fn a_certificate_is_looked_into() {
    // Names, numbers, times and extensions are those that OpenSSL shows.
    let leaf = one(RSA_LEAF);
    assert_eq!(leaf.serial_decimal(), "69678957876");
    assert_eq!(leaf.serial_hex(), "1039308534");
    assert_eq!(leaf.not_before(), at("2020-07-31T01:19:16Z"));
    assert_eq!(leaf.not_after(), at("2025-07-31T01:19:16Z"));
    let name = leaf.subject_part(COMMON_NAME).expect("a name");
    assert!(name.starts_with("041@8310000000083040@") && name.ends_with("@00016495"), "{name}");
    assert_eq!(leaf.issuer(), "CN=CFCA TEST OCA1,O=China Financial Certification Authority,C=CN");
    assert_eq!(leaf.signature_algorithm(), "1.2.840.113549.1.1.5");
    assert!(!leaf.is_authority() && one(RSA_MIDDLE).is_authority() && one(RSA_ROOT).is_authority());
    let leaf = one(EC_LEAF);
    assert_eq!(leaf.serial_hex(), "FF00112233445566778899AABBCCDDEEFF00");
    assert_eq!(leaf.serial_decimal(), "22213655687052701263581028131028051728203520");
    assert_eq!(leaf.extension("1.2.3.4.5"), Some(&[4, 2, 0xab, 0xcd][..]));
    assert_eq!(leaf.extension("1.2.3.4"), None);
    assert_eq!(one(&leaf.pem()), leaf);
    assert_eq!(Certificate::read_one(leaf.der()).as_ref(), Ok(&leaf));
}

#[test]
fn bundles_are_read_whole() {
    // Several blocks, other text around them, and lines that end as on another system.
    let bundle = format!("# root\n{RSA_ROOT}\nmiddle:\n{}", RSA_MIDDLE.replace('\n', "\r\n"));
    let all = Certificate::read_all(bundle.as_bytes()).expect("a bundle");
    assert_eq!(all, [one(RSA_ROOT), one(RSA_MIDDLE)]);
    assert_eq!(Certificate::read_one(bundle.as_bytes()), Err(CertificateError::Several(2)));
}

#[test]
fn what_is_no_certificate_is_told_apart() {
    // Nothing, a cut block, other bytes, too many: each with its own words.
    let der = one(EC_ROOT).der().to_vec();
    let cut = Certificate::read_all(&der[..der.len() - 1]);
    assert!(matches!(cut, Err(CertificateError::Der { at: 1, .. })), "{cut:?}");
    let longer = [der.as_slice(), &[0]].concat();
    assert!(matches!(Certificate::read_all(&longer), Err(CertificateError::Der { .. })));
    let table = [
        (String::new(), CertificateError::Missing),
        ("hello".to_owned(), CertificateError::Missing),
        (EC_ROOT.replace(END, ""), CertificateError::Pem(1)),
        (format!("{EC_ROOT}{}", EC_ROOT.replace("MII", "M*I")), CertificateError::Pem(2)),
        (EC_ROOT.repeat(CERTIFICATES_MAX + 1), CertificateError::TooMuch),
        (" ".repeat(BYTES_MAX + 1), CertificateError::TooMuch),
    ];
    for (text, expected) in table {
        assert_eq!(Certificate::read_all(text.as_bytes()), Err(expected));
    }
}

#[test]
fn chains_lead_to_the_root() {
    // RSA with SHA-1 and ECDSA on both curves, whatever else is given and in whatever order.
    let intermediates = [one(EC_MIDDLE), one(EC_ROOT), one(RSA_ROOT), one(RSA_MIDDLE)];
    for (leaf, root, time) in [(one(RSA_LEAF), one(RSA_ROOT), at(RSA_TIME)), (one(EC_LEAF), one(EC_ROOT), ec_time())] {
        let roots = [root];
        let chain = check_chain(&leaf, &intermediates, &roots, time).expect("a chain");
        assert_eq!(chain.len(), 3);
        assert_eq!((chain[0], chain[2]), (&leaf, &roots[0]));
    }
}

#[test]
fn chains_end_with_their_time() {
    // Valid in the first and in the last second, and at no other.
    let (leaf, middle, root) = (one(RSA_LEAF), [one(RSA_MIDDLE)], [one(RSA_ROOT)]);
    let table = [
        ("2020-07-31T01:19:15.999Z", false),
        ("2020-07-31T01:19:16Z", true),
        ("2025-07-31T01:19:16.999Z", true),
        ("2025-07-31T01:19:17Z", false),
        ("2026-11-25T00:00:00Z", false),
    ];
    for (time, valid) in table {
        let checked = check_chain(&leaf, &middle, &root, at(time));
        assert_eq!(checked.is_ok(), valid, "{time}");
        if let Err(error) = checked {
            assert!(matches!(&error, ChainError::NotValid { .. }) && error.to_string().contains("2025-07-31"));
        }
    }
    // A middle that is over ends the chain as well.
    let over = check_chain(&middle[0], &[], &root, at("2031-05-12T00:00:00Z"));
    assert!(matches!(over, Err(ChainError::NotValid { .. })));
}

#[test]
fn nothing_else_leads_to_the_root() {
    // A missing link, a foreign root, a changed byte, an issuer that is no authority, a root on its own, too many.
    let (leaf, middle, root) = (one(EC_LEAF), one(EC_MIDDLE), one(EC_ROOT));
    let check = |leaf: &Certificate, intermediates: &[Certificate], roots: &[Certificate]| {
        check_chain(leaf, intermediates, roots, ec_time()).map(|chain| chain.len())
    };
    let roots = [root.clone()];
    assert_eq!(check(&leaf, std::slice::from_ref(&middle), &roots), Ok(3));
    assert!(matches!(check(&leaf, &[], &roots), Err(ChainError::NoIssuer { .. })));
    assert!(matches!(check(&leaf, std::slice::from_ref(&middle), &[one(RSA_ROOT)]), Err(ChainError::NoIssuer { .. })));
    // A self-signed one among the intermediates is no end.
    let untrusted = check(&leaf, &[middle.clone(), root.clone()], &[one(RSA_ROOT)]);
    assert!(matches!(untrusted, Err(ChainError::NoIssuer { .. })), "{untrusted:?}");
    let below = check(&one(EC_BELOW_LEAF), &[leaf.clone(), middle.clone()], &roots);
    assert!(matches!(below, Err(ChainError::NotAuthority { .. })), "{below:?}");
    let many = vec![middle.clone(); INTERMEDIATES_MAX + 1];
    assert_eq!(check(&leaf, &many, &roots), Err(ChainError::TooLong));
    let mut forged = leaf.der().to_vec();
    let at = forged.windows(7).position(|bytes| bytes == b"Leaf ec").expect("its name");
    forged[at] = b'B';
    let forged = Certificate::read_one(&forged).expect("still a certificate");
    let refused = check(&forged, std::slice::from_ref(&middle), &roots);
    assert!(matches!(refused, Err(ChainError::NotSigned { .. })), "{refused:?}");
}

#[test]
fn numbers_are_written_in_full() {
    // Base 256 to base 10 at the edges.
    let table = [(&[][..], "0"), (&[9], "9"), (&[10], "10"), (&[255], "255"), (&[1, 0], "256"), (&[255, 255], "65535")];
    for (bytes, text) in table {
        assert_eq!(decimal(bytes), text);
    }
}
