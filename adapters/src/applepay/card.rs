//! What is inside a token: the device's card data, for as long as a charge is prepared and no longer.
//!
//! Nothing here prints, nothing is kept, and all of it is zeroed when it is dropped.

use maxpay_engine::model::Timestamp;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A text that must not be seen: no `Debug`, zeroed on drop.
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// The text, to hand it on at once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The decrypted content of a token ("Payment token format reference", *Payment data keys*). It has no `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The device's account number: a number of the card network for this device and no other.
    pub application_primary_account_number: Hidden,
    /// Until when it may be used: YYMMDD.
    pub application_expiration_date: Hidden,
    /// ISO 4217, three digits.
    currency_code: NumericCode,
    /// In minor units.
    transaction_amount: u64,
    /// How the payment proves itself.
    pub payment_data_type: ProofKind,
    /// The proof.
    pub payment_data: Proof,
}

/// How a payment proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ProofKind {
    /// A cryptogram, as 3-D Secure has one.
    #[serde(rename = "3DSecure")]
    ThreeDSecure,
    /// EMV data: cards of China's networks.
    #[serde(rename = "EMV")]
    Emv,
}

/// The proof of a payment. Which parts there are depends on the kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// To be used once.
    pub online_payment_cryptogram: Option<Hidden>,
    /// Electronic commerce indicator; it must be handed on where it is there.
    pub eci_indicator: Option<Hidden>,
    /// EMV payment structure, base64.
    pub emv_data: Option<Hidden>,
    /// The PIN as the bank's key encrypts it, hexadecimal.
    #[serde(rename = "encryptedPINData")]
    pub encrypted_pin_data: Option<Hidden>,
}

/// A currency by its number. Written as digits, and by some as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericCode {
    Text(String),
    Number(u16),
}

impl Card {
    /// Reads it. `None`: it is not what Apple documents.
    pub(super) fn read(plain: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(plain).ok().filter(Self::is_whole)
    }

    fn is_whole(&self) -> bool {
        let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let proof = match self.payment_data_type {
            ProofKind::ThreeDSecure => self.payment_data.online_payment_cryptogram.is_some(),
            ProofKind::Emv => self.payment_data.emv_data.is_some(),
        };
        proof
            && digits(self.application_primary_account_number.expose(), 12..=19)
            && digits(self.application_expiration_date.expose(), 6..=6)
    }

    /// The currency's number, three digits.
    pub(super) fn currency_number(&self) -> String {
        match &self.currency_code {
            NumericCode::Text(text) => text.clone(),
            NumericCode::Number(number) => format!("{number:03}"),
        }
    }

    /// What the payer agreed to, in minor units.
    pub(super) fn amount_minor(&self) -> u64 {
        self.transaction_amount
    }

    /// Whether its last day is over everywhere.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        // 12 hours: where that day ends last.
        let today = now.before(std::time::Duration::from_hours(12)).to_string();
        let today: String = today.chars().filter(char::is_ascii_digit).skip(2).take(6).collect();
        self.application_expiration_date.expose() < today.as_str()
    }
}
