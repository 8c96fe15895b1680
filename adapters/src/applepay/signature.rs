//! Whether Apple signed it: the detached CMS signature of a token, up to the pinned root.
//!
//! The order is Apple's ("Payment token format reference", *Verify the signature*): the two certificates by their marker
//! extensions, the chain, then the signature. The moment of signing is told, not judged: the caller has the clock.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use maxpay_engine::model::Timestamp;
use subtle::ConstantTimeEq;
use x509_cert::time::Time;

use crate::parts::digest::sha256;
use crate::parts::x509::{Certificate, check_chain};

use super::ber::{self, BerError};

/// Marks the leaf: it signs payment tokens.
pub(super) const LEAF_MARKER: &str = "1.2.840.113635.100.6.29";
/// Marks the intermediate: Apple Application Integration CA.
pub(super) const INTERMEDIATE_MARKER: &str = "1.2.840.113635.100.6.2.14";

pub(super) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(super) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(super) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(super) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(super) const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
pub(super) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// The version of a token, which decides with what the leaf signs and how the content is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `EC_v1`: ECDSA on P-256 with SHA-256.
    Ecdsa,
    /// `RSA_v1`: RSA with SHA-256.
    Rsa,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("the signature is not BER: {0}")]
    Ber(#[from] BerError),
    #[error("the signature is not a CMS SignedData with one signer and no content of its own")]
    Shape,
    #[error("the signature does not bring exactly one certificate marked as Apple Pay's leaf ({LEAF_MARKER})")]
    Leaf,
    #[error("the signature does not bring exactly one certificate marked as intermediate ({INTERMEDIATE_MARKER})")]
    Intermediate,
    #[error("the signature's certificates do not lead to Apple's root: {0}")]
    Chain(String),
    #[error("the signature's signer is not the leaf")]
    Signer,
    #[error("the signature lacks one of its signed attributes, or has one twice: {0}")]
    Attribute(&'static str),
    #[error("the signature is over something else than this token")]
    Digest,
    #[error("the signature's algorithm does not go with the token's version")]
    Algorithm,
    #[error("the signature is wrong")]
    Wrong,
}

/// Checks that `signature` is Apple's over `content`, and tells when it was signed.
pub(super) fn check(
    signature: &[u8],
    content: &[u8],
    version: Version,
    root: &Certificate,
) -> Result<Timestamp, SignatureError> {
    let data = read(signature)?;
    let (leaf, intermediate) = certificates(&data)?;
    let signer = data.signer_infos.0.get(0).ok_or(SignatureError::Shape)?;
    let signed_at = signing_time(signer)?;
    let (intermediates, roots) = (std::slice::from_ref(&intermediate), std::slice::from_ref(root));
    let chain = check_chain(&leaf, intermediates, roots, signed_at);
    let chain = chain.map_err(|why| SignatureError::Chain(why.to_string().chars().take(200).collect()))?;
    // Leaf, intermediate, root: a leaf straight under the root is not Apple's way.
    if chain.len() != 3 {
        return Err(SignatureError::Chain("the intermediate is not between leaf and root".to_owned()));
    }
    check_signer(signer, &leaf)?;
    let content_type: ObjectIdentifier = attribute(signer, CONTENT_TYPE, "contentType")?;
    if content_type != DATA {
        return Err(SignatureError::Attribute("contentType"));
    }
    let digest: OctetString = attribute(signer, MESSAGE_DIGEST, "messageDigest")?;
    if !bool::from(digest.as_bytes().ct_eq(&sha256(content))) {
        return Err(SignatureError::Digest);
    }
    check_value(signer, &leaf, version)?;
    Ok(signed_at)
}

fn read(signature: &[u8]) -> Result<SignedData, SignatureError> {
    let der = ber::to_der(signature)?;
    let info = ContentInfo::from_der(&der).map_err(|_| SignatureError::Shape)?;
    if info.content_type != SIGNED_DATA {
        return Err(SignatureError::Shape);
    }
    let data: SignedData = info.content.decode_as().map_err(|_| SignatureError::Shape)?;
    let detached = data.encap_content_info.econtent.is_none() && data.encap_content_info.econtent_type == DATA;
    if detached && data.signer_infos.0.len() == 1 { Ok(data) } else { Err(SignatureError::Shape) }
}

/// The leaf and the intermediate, by their markers.
fn certificates(data: &SignedData) -> Result<(Certificate, Certificate), SignatureError> {
    let mut found = Vec::new();
    for choice in data.certificates.iter().flat_map(|set| set.0.iter()) {
        let CertificateChoices::Certificate(certificate) = choice else { return Err(SignatureError::Shape) };
        let der = certificate.to_der().map_err(|_| SignatureError::Shape)?;
        found.push(Certificate::read_one(&der).map_err(|_| SignatureError::Shape)?);
    }
    let marked = |marker: &str| {
        let mut with = found.iter().filter(|certificate| certificate.extension(marker).is_some());
        with.next().filter(|_| with.next().is_none()).cloned()
    };
    let leaf = marked(LEAF_MARKER).ok_or(SignatureError::Leaf)?;
    let intermediate = marked(INTERMEDIATE_MARKER).ok_or(SignatureError::Intermediate)?;
    Ok((leaf, intermediate))
}

fn check_signer(signer: &SignerInfo, leaf: &Certificate) -> Result<(), SignatureError> {
    let SignerIdentifier::IssuerAndSerialNumber(named) = &signer.sid else { return Err(SignatureError::Signer) };
    let serial = named.serial_number.as_bytes();
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    let is_leaf = named.issuer.to_string() == leaf.issuer() && &serial[zeros..] == leaf.serial();
    if is_leaf { Ok(()) } else { Err(SignatureError::Signer) }
}

/// The single value of the single signed attribute of that kind.
fn attribute<T: for<'d> Decode<'d>>(
    signer: &SignerInfo,
    oid: ObjectIdentifier,
    name: &'static str,
) -> Result<T, SignatureError> {
    let missing = || SignatureError::Attribute(name);
    let mut all = signer.signed_attrs.iter().flat_map(|set| set.iter()).filter(|attribute| attribute.oid == oid);
    let attribute = all.next().filter(|_| all.next().is_none()).ok_or_else(missing)?;
    let value = attribute.values.get(0).filter(|_| attribute.values.len() == 1).ok_or_else(missing)?;
    let der = value.to_der().map_err(|_| missing())?;
    T::from_der(&der).map_err(|_| missing())
}

fn signing_time(signer: &SignerInfo) -> Result<Timestamp, SignatureError> {
    let time: Time = attribute(signer, SIGNING_TIME, "signingTime")?;
    let millis = u64::try_from(time.to_unix_duration().as_millis());
    millis.map(Timestamp::from_millis).map_err(|_| SignatureError::Attribute("signingTime"))
}

/// The signature itself, over the signed attributes as a SET OF (RFC 5652 section 5.4).
fn check_value(signer: &SignerInfo, leaf: &Certificate, version: Version) -> Result<(), SignatureError> {
    let algorithm = signer.signature_algorithm.oid;
    let fits = match version {
        Version::Ecdsa => algorithm == ECDSA_SHA256,
        Version::Rsa => algorithm == RSA || algorithm == RSA_SHA256,
    };
    if !fits || signer.digest_alg.oid != SHA256 {
        return Err(SignatureError::Algorithm);
    }
    let attributes = signer.signed_attrs.as_ref().map(Encode::to_der);
    let message = attributes.and_then(Result::ok).ok_or(SignatureError::Shape)?;
    let (key, value) = (leaf.public_key(), signer.signature.as_bytes());
    let holds = match version {
        Version::Ecdsa => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&message, value),
        Version::Rsa => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(&message, value),
    };
    holds.map_err(|_| SignatureError::Wrong)
}
