//! The payer's device: tokens in Apple's form, whole or with one thing wrong.

use std::time::Duration;

use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::generic_array::typenum::U16;
use aes_gcm::aes::{Aes128, Aes256};
use aes_gcm::{AeadCore, AeadInPlace, AesGcm, KeyInit};
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::signed_data::{SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode};
use maxpay_engine::clock::Entropy;
use maxpay_engine::model::{Money, Timestamp};
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::parts::digest::sha256;
use crate::parts::x509::Certificate;

use super::super::ber::element;
use super::super::currencies;
use super::super::opening::derive;
use super::super::signature::{
    CONTENT_TYPE, DATA, ECDSA_SHA256, MESSAGE_DIGEST, RSA, SHA256, SIGNED_DATA, SIGNING_TIME, Version,
};
use super::authority::{AuthorityRow, Chain, Signer};
use super::certificates::time;

/// Account numbers of made-up devices, by what the acquirer does with them.
pub const CARDS: [(PayerCard, &str); 4] = [
    (PayerCard::Approve, "4761120010000492"),
    (PayerCard::Decline, "4761120010000005"),
    (PayerCard::Undecided, "4761120010000013"),
    (PayerCard::AnswerLost, "4761120010000021"),
];
/// The cryptogram of every made-up payment begins with it.
pub const CRYPTOGRAM_HEAD: &str = "AkNyeXB0b2dyYW0";

/// What the acquirer does with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCard {
    /// It pays.
    Approve,
    /// It declines.
    Decline,
    /// It is decided later, by the payer's page or command.
    Undecided,
    /// It pays, and the answer never arrives.
    AnswerLost,
}

/// Which form a token has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenVersion {
    /// `EC_v1`.
    Ec,
    /// `RSA_v1`, as in China.
    Rsa,
}

/// One thing that is wrong with a token; everything else is as it should be, and is signed anew around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It names a processing certificate of nobody.
    PublicKeyHash,
    /// The leaf lacks its marker.
    LeafMarker,
    /// The intermediate lacks its marker.
    IntermediateMarker,
    /// The chain is another authority's.
    OtherRoot,
    /// The data was changed after signing.
    DataChanged,
    /// The transaction id was changed after signing.
    TransactionIdChanged,
    /// The signature is over other attributes.
    Signature,
    /// It was signed six minutes ago.
    Old,
    /// It was signed six minutes from now.
    Ahead,
    /// The sealed content was changed before signing: the tag does not hold.
    Tag,
    /// What was sealed is no card.
    Content,
    /// It is for another currency.
    Currency,
    /// It is for one minor unit more.
    Amount,
    /// The card was over yesterday.
    CardExpired,
    /// It belongs to another transaction.
    ApplicationData,
}

/// What a payer pays with, and how the token is made.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// For how much.
    pub amount: Money,
    /// Which form.
    pub version: TokenVersion,
    /// What the card does.
    pub card: PayerCard,
    /// What the page put into the application data, as it is before it is hashed.
    pub application_data: Option<String>,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

impl TokenWish {
    /// A whole EC_v1 token for that amount, that pays.
    #[must_use]
    pub fn of(amount: Money) -> Self {
        let (version, card) = (TokenVersion::Ec, PayerCard::Approve);
        Self { amount, version, card, application_data: None, flaw: None }
    }
}

/// Makes tokens for one merchant.
pub(super) struct Device<'a> {
    pub authority: &'a AuthorityRow,
    /// The processing certificate of the wanted version, DER.
    pub processing: &'a [u8],
    pub entropy: &'a dyn Entropy,
    pub now: Timestamp,
}

impl Device<'_> {
    /// The token as a page gets it, JSON text. `None`: the authority or the certificate cannot be read.
    pub fn token(&self, wish: &TokenWish) -> Option<String> {
        let is = |flaw| wish.flaw == Some(flaw);
        let certificate = Certificate::read_one(self.processing).ok()?;
        let (name, field, version) = match wish.version {
            TokenVersion::Ec => ("EC_v1", "ephemeralPublicKey", Version::Ecdsa),
            TokenVersion::Rsa => ("RSA_v1", "wrappedKey", Version::Rsa),
        };
        let mut transaction_id = [0; 32];
        self.entropy.fill(&mut transaction_id);
        let (sent, mut data) = self.seal(&certificate, version, self.content(wish).as_bytes())?;
        if is(Flaw::Tag) {
            data[3] ^= 1;
        }
        let application_data = match &wish.application_data {
            _ if is(Flaw::ApplicationData) => Some(sha256(b"another transaction")),
            data => data.as_ref().map(|data| sha256(data.as_bytes())),
        };
        let chain = match wish.flaw {
            Some(Flaw::LeafMarker) => Chain::UnmarkedLeaf,
            Some(Flaw::IntermediateMarker) => Chain::UnmarkedIntermediate,
            Some(Flaw::OtherRoot) => Chain::OtherRoot,
            Some(_) | None => Chain::Right,
        };
        let signer = self.authority.signer(version, chain)?;
        let bound = application_data.as_ref().map_or(&[][..], |data| data.as_slice());
        let content = [sent.as_slice(), data.as_slice(), transaction_id.as_slice(), bound];
        let signature = self.signature(&signer, version, &content.concat(), wish.flaw)?;
        if is(Flaw::DataChanged) {
            data[0] ^= 1;
        }
        if is(Flaw::TransactionIdChanged) {
            transaction_id[0] ^= 1;
        }
        let hash = if is(Flaw::PublicKeyHash) { sha256(b"nobody's key") } else { sha256(certificate.public_key()) };
        let mut header = serde_json::json!({
            "publicKeyHash": STANDARD.encode(hash),
            "transactionId": hex::encode(transaction_id),
            field: STANDARD.encode(&sent),
        });
        if let Some(data) = application_data {
            header["applicationData"] = hex::encode(data).into();
        }
        let token = serde_json::json!({
            "paymentData": {
                "version": name,
                "data": STANDARD.encode(&data),
                "signature": STANDARD.encode(signature),
                "header": header,
            },
            "paymentMethod": { "displayName": "Visa 0492", "network": "Visa", "type": "debit" },
            "transactionIdentifier": hex::encode_upper(transaction_id),
        });
        Some(token.to_string())
    }

    fn content(&self, wish: &TokenWish) -> String {
        if wish.flaw == Some(Flaw::Content) {
            return "{}".to_owned();
        }
        let number = CARDS.iter().find(|(card, _)| *card == wish.card).map_or("", |(_, number)| number);
        let wanted = currencies::number(wish.amount.currency()).unwrap_or("000");
        let currency = if wish.flaw == Some(Flaw::Currency) { "999" } else { wanted };
        let more = u64::from(wish.flaw == Some(Flaw::Amount));
        let over = if wish.flaw == Some(Flaw::CardExpired) { "200101" } else { "491231" };
        let mut salt = [0; 12];
        self.entropy.fill(&mut salt);
        serde_json::json!({
            "applicationPrimaryAccountNumber": number,
            "applicationExpirationDate": over,
            "currencyCode": currency,
            "transactionAmount": wish.amount.minor() + more,
            "deviceManufacturerIdentifier": "040010030273",
            "paymentDataType": "3DSecure",
            "paymentData": {
                "onlinePaymentCryptogram": format!("{CRYPTOGRAM_HEAD}{}", STANDARD.encode(salt)),
                "eciIndicator": "7",
            },
        })
        .to_string()
    }

    /// The ephemeral or wrapped key, and the sealed content.
    fn seal(&self, certificate: &Certificate, version: Version, plain: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        match version {
            Version::Ecdsa => {
                let ephemeral = agreement::PrivateKey::generate(&ECDH_P256).ok()?;
                let public = ephemeral.compute_public_key().ok()?;
                let sent = AsDer::<PublicKeyX509Der<'_>>::as_der(&public).ok()?.as_ref().to_vec();
                let hash = super::super::opening::merchant_id_hash(certificate)?;
                let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, certificate.public_key());
                let key = agreement::agree(&ephemeral, peer, (), |shared| Ok(derive(shared, &hash))).ok()?;
                Some((sent, seal_gcm::<Aes256>(key.as_slice(), plain)?))
            }
            Version::Rsa => {
                let mut key = [0; 16];
                self.entropy.fill(&mut key);
                let to = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(certificate.public_key()).ok()?);
                let to = to.ok()?;
                let mut sent = vec![0; to.ciphertext_size()];
                to.encrypt(&OAEP_SHA256_MGF1SHA256, &key, &mut sent, None).ok()?;
                Some((sent, seal_gcm::<Aes128>(&key, plain)?))
            }
        }
    }

    /// A detached CMS signature, in BER with indefinite lengths on the five outer layers.
    fn signature(&self, signer: &Signer, version: Version, content: &[u8], flaw: Option<Flaw>) -> Option<Vec<u8>> {
        let six_minutes = Duration::from_mins(6);
        let at = match flaw {
            Some(Flaw::Old) => self.now.before(six_minutes),
            Some(Flaw::Ahead) => self.now.after(six_minutes),
            Some(_) | None => self.now,
        };
        let attributes = vec![
            attribute(CONTENT_TYPE, &DATA)?,
            attribute(SIGNING_TIME, &time(at))?,
            attribute(MESSAGE_DIGEST, &OctetString::new(sha256(content).to_vec()).ok()?)?,
        ];
        let attributes = SetOfVec::try_from(attributes).ok()?;
        let mut value = signer.sign(&attributes.to_der().ok()?);
        if flaw == Some(Flaw::Signature) {
            value = signer.sign(b"something else");
        }
        let leaf = x509_cert::Certificate::from_der(&signer.leaf).ok()?;
        let info = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: leaf.tbs_certificate.issuer,
                serial_number: leaf.tbs_certificate.serial_number,
            }),
            digest_alg: algorithm(SHA256),
            signed_attrs: Some(attributes),
            signature_algorithm: algorithm(if version == Version::Ecdsa { ECDSA_SHA256 } else { RSA }),
            signature: OctetString::new(value).ok()?,
            unsigned_attrs: None,
        };
        let digests = element(0x31, &algorithm(SHA256).to_der().ok()?);
        let signers = element(0x31, &info.to_der().ok()?);
        let certificates = [signer.leaf.as_slice(), &signer.intermediate].concat();
        let data = [
            element(0x02, &[1]),
            digests,
            indefinite(0x30, &DATA.to_der().ok()?),
            indefinite(0xa0, &certificates),
            signers,
        ];
        let data = indefinite(0x30, &data.concat());
        Some(indefinite(0x30, &[SIGNED_DATA.to_der().ok()?, indefinite(0xa0, &data)].concat()))
    }
}

fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
}

fn attribute(oid: ObjectIdentifier, value: &impl Encode) -> Option<Attribute> {
    let value = Any::from_der(&value.to_der().ok()?).ok()?;
    Some(Attribute { oid, values: SetOfVec::try_from(vec![value]).ok()? })
}

fn seal_gcm<C>(key: &[u8], plain: &[u8]) -> Option<Vec<u8>>
where
    AesGcm<C, U16>: KeyInit + AeadInPlace + AeadCore<NonceSize = U16, TagSize = U16>,
{
    let cipher = AesGcm::<C, U16>::new_from_slice(key).ok()?;
    let mut sealed = plain.to_vec();
    let tag = cipher.encrypt_in_place_detached(GenericArray::from_slice(&[0; 16]), &[], &mut sealed).ok()?;
    sealed.extend_from_slice(&tag);
    Some(sealed)
}
