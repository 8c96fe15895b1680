//! Amounts of money: integers in minor units, always together with their currency.

use std::fmt;
use std::str::FromStr;

use bincode::Encode;

use super::decoding::decode_through;

/// The largest amount the engine takes, in minor units: it survives every JSON reader in between.
pub const AMOUNT_MINOR_MAX: u64 = 9_007_199_254_740_991;

/// What is wrong with an amount or a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The currency is not three upper-case letters.
    #[error("a currency is three upper-case letters (ISO 4217), for example CNY")]
    Currency,
    /// The amount is above [`AMOUNT_MINOR_MAX`], or a sum would be.
    #[error("an amount is at most 9007199254740991 minor units")]
    TooLarge,
    /// A difference would be below zero.
    #[error("an amount cannot be below zero")]
    BelowZero,
    /// Two amounts of different currencies were put together.
    #[error("amounts of different currencies cannot be put together")]
    Mixed,
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct Currency([u8; 3]);

decode_through!(Currency, [u8; 3], Currency::of_letters);

impl Currency {
    /// The yuan, the currency of the original API.
    pub const CNY: Self = Self(*b"CNY");

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII letters are let in")
    }

    /// Number of decimal places of the minor unit (ISO 4217): 2 for most, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn exponent(&self) -> u8 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }

    fn of_letters(letters: [u8; 3]) -> Result<Self, MoneyError> {
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(MoneyError::Currency) }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::of_letters(text.as_bytes().try_into().map_err(|_| MoneyError::Currency)?)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount and its currency.
///
/// ```
/// use maxpay_engine::model::{Currency, Money};
/// let price = Money::new(1999, Currency::CNY)?;
/// assert_eq!(price.to_string(), "19.99 CNY");
/// assert_eq!(Money::read(1999, "CNY")?, price);
/// assert!(Money::new(1, "JPY".parse()?)?.checked_add(price).is_err());
/// # Ok::<(), maxpay_engine::model::MoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode)]
pub struct Money {
    minor: u64,
    currency: Currency,
}

decode_through!(Money, (u64, Currency), |(minor, currency)| Money::new(minor, currency));

impl Money {
    /// An amount in minor units of `currency` (fen for CNY).
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] above [`AMOUNT_MINOR_MAX`].
    pub fn new(minor: u64, currency: Currency) -> Result<Self, MoneyError> {
        if minor > AMOUNT_MINOR_MAX { Err(MoneyError::TooLarge) } else { Ok(Self { minor, currency }) }
    }

    /// The same of a currency by its letters, as a provider writes it.
    ///
    /// # Errors
    /// [`MoneyError::Currency`] for what is no ISO code, [`MoneyError::TooLarge`] above [`AMOUNT_MINOR_MAX`].
    pub fn read(minor: u64, currency: &str) -> Result<Self, MoneyError> {
        Self::new(minor, currency.parse()?)
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The number of minor units.
    #[must_use]
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether the amount is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.minor == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::TooLarge`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::new(self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?, self.currency)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::BelowZero`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::new(self.minor.checked_sub(other.minor).ok_or(MoneyError::BelowZero)?, self.currency)
    }

    /// The amount in major units with the currency's decimal places and no currency: `19.99`.
    #[must_use]
    pub fn major(&self) -> String {
        let places = usize::from(self.currency.exponent());
        let digits = format!("{:0width$}", self.minor, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        if places == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::Mixed) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
