//! From a leaf up to a root that the caller trusts.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use maxpay_engine::model::Timestamp;

use super::Certificate;

/// Certificates in one chain at most, leaf and root included.
const CHAIN_MAX: usize = 6;
/// So many intermediates may be handed in at most: each may cost a signature check.
pub const INTERMEDIATES_MAX: usize = 16;

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
/// Basic constraints, key usage, extended key usage, certificate policies: what an authority may mark as critical and
/// still be understood here.
const UNDERSTOOD: [&str; 4] = ["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.32"];

/// Why a certificate does not lead to a trusted root. Names are subjects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Its time has not come, or is over.
    #[error("certificate {subject} is valid from {from} to {until}, not at {at}")]
    NotValid {
        /// Whose.
        subject: String,
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
        /// The time it was checked at.
        at: Timestamp,
    },
    /// Nobody in sight issued it.
    #[error("certificate {subject} was issued by {issuer}, which is neither given nor trusted")]
    NoIssuer {
        /// Whose.
        subject: String,
        /// By whom.
        issuer: String,
    },
    /// The one who should have issued it did not sign it.
    #[error("certificate {subject} is not signed by {issuer}: {why}")]
    NotSigned {
        /// Whose.
        subject: String,
        /// By whom.
        issuer: String,
        /// What is wrong with the signature.
        why: String,
    },
    /// The one who signed it may not.
    #[error("certificate {subject} may not sign certificates: {why}")]
    NotAuthority {
        /// The issuer.
        subject: String,
        /// Which of the rules forbids it.
        why: &'static str,
    },
    /// There are too many.
    #[error("more than {INTERMEDIATES_MAX} intermediate certificates, or a chain of more than {CHAIN_MAX}")]
    TooLong,
}

/// Checks that `leaf` leads over some of `intermediates`, in whatever order they are, to one of `roots`: every issuer
/// is named, valid at `at`, allowed to sign, and did sign. Returns the chain from leaf to root.
///
/// A root is trusted because the caller holds it; its time and its right to sign are checked all the same. A leaf that
/// is itself a root is no chain.
///
/// # Errors
/// The first thing that is wrong, looking from the leaf.
pub fn check_chain<'c>(
    leaf: &'c Certificate,
    intermediates: &'c [Certificate],
    roots: &'c [Certificate],
    at: Timestamp,
) -> Result<Vec<&'c Certificate>, ChainError> {
    if intermediates.len() > INTERMEDIATES_MAX {
        return Err(ChainError::TooLong);
    }
    check_validity(leaf, at)?;
    let mut chain = vec![leaf];
    let mut current = leaf;
    while chain.len() < CHAIN_MAX {
        // Authorities between this one and the leaf.
        let below = chain.len() - 1;
        let (issuer, trusted) = issuer_of(current, intermediates, roots)?;
        check_validity(issuer, at)?;
        check_authority(issuer, below)?;
        chain.push(issuer);
        if trusted {
            return Ok(chain);
        }
        current = issuer;
    }
    Err(ChainError::TooLong)
}

/// Who signed it, and whether that one is a root. Of several with the right name, the one whose signature holds.
fn issuer_of<'c>(
    current: &Certificate,
    intermediates: &'c [Certificate],
    roots: &'c [Certificate],
) -> Result<(&'c Certificate, bool), ChainError> {
    let named =
        |candidate: &&Certificate| candidate.parsed.tbs_certificate.subject == current.parsed.tbs_certificate.issuer;
    let candidates = roots.iter().filter(named).map(|root| (root, true));
    // What signed itself and is not trusted leads nowhere.
    let others = intermediates.iter().filter(named).filter(|other| *other != current).map(|other| (other, false));
    let mut refused = None;
    for (candidate, trusted) in candidates.chain(others) {
        match check_signature(current, candidate) {
            Ok(()) => return Ok((candidate, trusted)),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    let (subject, issuer) = (current.subject(), current.issuer());
    Err(match refused {
        Some(why) => ChainError::NotSigned { subject, issuer, why },
        None => ChainError::NoIssuer { subject, issuer },
    })
}

fn check_validity(certificate: &Certificate, at: Timestamp) -> Result<(), ChainError> {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    // Its last second belongs to it.
    if from <= at && at.seconds() <= until.seconds() {
        return Ok(());
    }
    Err(ChainError::NotValid { subject: certificate.subject(), from, until, at })
}

fn check_authority(issuer: &Certificate, below: usize) -> Result<(), ChainError> {
    let refuse = |why| Err(ChainError::NotAuthority { subject: issuer.subject(), why });
    if !issuer.is_authority() {
        return refuse("it does not say that it is an authority, or its key usage forbids it");
    }
    let path = issuer.constraints().and_then(|constraints| constraints.path_len_constraint);
    if path.is_some_and(|longest| usize::from(longest) < below) {
        return refuse("there are more authorities below it than it allows");
    }
    let extensions = issuer.parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let strange = |oid: &str| !UNDERSTOOD.contains(&oid);
    if extensions.iter().any(|extension| extension.critical && strange(&extension.extn_id.to_string())) {
        return refuse("it has a critical extension that is not understood");
    }
    Ok(())
}

fn check_signature(certificate: &Certificate, issuer: &Certificate) -> Result<(), String> {
    let parsed = &certificate.parsed;
    if parsed.signature_algorithm != parsed.tbs_certificate.signature {
        return Err("it names two different algorithms".to_owned());
    }
    let algorithm = algorithm(certificate, issuer)?;
    let signature = parsed.signature.as_bytes().ok_or("the signature is not whole bytes")?;
    UnparsedPublicKey::new(algorithm, issuer.public_key())
        .verify(certificate.signed(), signature)
        .map_err(|_| "the signature does not hold".to_owned())
}

fn algorithm(certificate: &Certificate, issuer: &Certificate) -> Result<&'static dyn VerificationAlgorithm, String> {
    let key = &issuer.parsed.tbs_certificate.subject_public_key_info.algorithm;
    let curve = key.parameters.as_ref().and_then(|any| any.decode_as::<der::oid::ObjectIdentifier>().ok());
    let curve = || curve.map(|oid| oid.to_string()).unwrap_or_default();
    let oid = certificate.signature_algorithm();
    let (sha256, sha384) = ("1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3");
    Ok(match oid.as_str() {
        "1.2.840.113549.1.1.5" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "1.2.840.113549.1.1.11" => &RSA_PKCS1_2048_8192_SHA256,
        "1.2.840.113549.1.1.12" => &RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" => &RSA_PKCS1_2048_8192_SHA512,
        _ if oid == sha256 && curve() == P256 => &ECDSA_P256_SHA256_ASN1,
        _ if oid == sha256 && curve() == P384 => &ECDSA_P384_SHA256_ASN1,
        _ if oid == sha384 && curve() == P256 => &ECDSA_P256_SHA384_ASN1,
        _ if oid == sha384 && curve() == P384 => &ECDSA_P384_SHA384_ASN1,
        _ => return Err(format!("algorithm {oid} with this key is not supported")),
    })
}
