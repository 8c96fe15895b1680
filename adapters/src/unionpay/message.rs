//! The messages of the dialect: named values, one signature over all of them, and the certificate that made it.

use std::collections::BTreeMap;

use maxpay_engine::model::{Currency, Money, Timestamp};

use crate::parts::canonical;
use crate::parts::digest::sha256;
use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::parts::x509::{COMMON_NAME, Certificate, check_chain};

use super::account::Trust;

/// Values of one message at most.
const FIELDS_MAX: usize = 256;
const SIGNATURE: &str = "signature";
const CERTIFICATE: &str = "signPubKeyCert";
/// CNY, the only currency of merchants in mainland China (ISO 4217's number).
pub(super) const CNY: &str = "156";
/// `signMethod` of RSA with a certificate.
pub(super) const RSA: &str = "01";

/// Named values, in the order they are signed in. Empty ones are as if they were not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message(BTreeMap<String, String>);

/// Why a message does not prove itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproved {
    #[error("it carries no {0}")]
    Missing(&'static str),
    #[error("it is signed by method {0}: 01 (RSA with a certificate) is wanted")]
    Method(String),
    #[error("its signPubKeyCert: {0}")]
    Certificate(String),
    #[error("its certificate is valid, and not UnionPay's: its name is another one's")]
    Name,
    #[error("its signature does not hold")]
    Signature,
}

/// Characters of a method that is not ours that are told.
const METHOD_SHOWN: usize = 8;

impl Message {
    /// Reads an answer. Answers are *not* url-encoded: pairs are parted at every `&` that stands outside of `{}` and
    /// `[]`, names end at the first `=`, and a `+` is a `+` (UnionPay's SDK, `SDKUtil.parseQString`). `None`: it is no
    /// answer.
    pub fn read_answer(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim_end_matches(['\r', '\n']);
        let mut message = Self::default();
        let (mut from, mut open) = (0, None);
        for (at, letter) in text.char_indices().chain([(text.len(), '&')]) {
            match (open, letter) {
                (None, '{') => open = Some('}'),
                (None, '[') => open = Some(']'),
                (Some(end), letter) if letter == end => open = None,
                (None, '&') => {
                    let (name, value) = text[from..at].split_once('=')?;
                    message.take(name, value)?;
                    from = at + 1;
                }
                (_, _) => {}
            }
        }
        open.is_none().then_some(message)
    }

    /// Reads a notice, or a request: those are form bodies. `None`: it is none.
    pub fn read_form(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut message = Self::default();
        for (name, value) in canonical::read_query(text) {
            message.take(&name, &value)?;
        }
        (!message.0.is_empty()).then_some(message)
    }

    /// A message of these values.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// One name twice is no message: nobody can know which of the two was meant.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        if name.is_empty() || self.0.len() == FIELDS_MAX {
            return None;
        }
        let empty = value.is_empty();
        (empty || self.0.insert(name.to_owned(), value.to_owned()).is_none()).then_some(())
    }

    /// The value of that name; empty when it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Sets a value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Whether all of these are there.
    pub fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.contains_key(*name))
    }

    /// What is signed: two digests, of which the inner one is *text* (5.1.0; signing the values themselves is the bug of
    /// every first try).
    pub fn signing_text(&self) -> String {
        let signed = self.0.iter().filter(|(name, _)| *name != SIGNATURE);
        let joined: Vec<_> = signed.map(|(name, value)| format!("{name}={value}")).collect();
        hex::encode(sha256(joined.join("&").as_bytes()))
    }

    /// Signs it.
    pub fn signed(mut self, key: &PrivateKey) -> Self {
        let signature = key.sign_sha256_base64(self.signing_text().as_bytes());
        self.set(SIGNATURE, signature);
        self
    }

    /// Its values, in order.
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// As the body of a request.
    pub fn form(&self) -> String {
        canonical::query(&self.pairs())
    }

    /// Whether it is UnionPay's: its certificate is valid at `at`, leads to a trusted root, *names UnionPay*, and signed
    /// it. Without the name any merchant of the same authority could sign: their certificates pass the chain.
    pub fn verify(&self, trust: &Trust, at: Timestamp) -> Result<(), Unproved> {
        if !self.has(&[SIGNATURE]) {
            return Err(Unproved::Missing(SIGNATURE));
        }
        if self.field("signMethod") != RSA {
            return Err(Unproved::Method(self.field("signMethod").chars().take(METHOD_SHOWN).collect()));
        }
        if !self.has(&[CERTIFICATE]) {
            return Err(Unproved::Missing(CERTIFICATE));
        }
        let certificate = Certificate::read_one(self.field(CERTIFICATE).as_bytes())
            .map_err(|why| Unproved::Certificate(why.to_string()))?;
        check_chain(&certificate, &trust.middles, &trust.roots, at)
            .map_err(|why| Unproved::Certificate(why.to_string()))?;
        let name = certificate.subject_part(COMMON_NAME).unwrap_or_default();
        if !name.split('@').nth(2).is_some_and(|holder| trust.holders.contains(&holder)) {
            return Err(Unproved::Name);
        }
        let key = PublicKey::read(certificate.public_key()).map_err(|_| Unproved::Signature)?;
        if key.verifies_sha256_base64(self.signing_text().as_bytes(), self.field(SIGNATURE)) {
            Ok(())
        } else {
            Err(Unproved::Signature)
        }
    }

    /// `txnAmt`, in fen and CNY. `None`: it names none, or another currency.
    pub fn amount(&self) -> Option<Money> {
        let digits = self.field("txnAmt");
        let plain = !digits.is_empty() && digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let here = matches!(self.field("currencyCode"), "" | CNY);
        if !plain || !here {
            return None;
        }
        Money::new(digits.parse().ok()?, Currency::CNY).ok()
    }
}
