//! Identifiers: twelve bytes, written as 24 hexadecimal digits.
//!
//! They look like the original service's object ids and sort by creation: 4 bytes of seconds, 10 bits of
//! milliseconds, a 14-bit counter, 40 random bits. Which kind of thing an id names is in its type.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use super::Timestamp;

/// An identifier could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 hexadecimal digits")]
pub struct IdError;

/// The twelve bytes that every typed id wraps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RawId(pub [u8; 12]);

impl RawId {
    /// Number of bytes of an id.
    pub const LEN: usize = 12;

    /// The smallest id that can have been made at this moment: ids sort by creation.
    #[must_use]
    pub fn earliest(at: Timestamp) -> Self {
        Self::head(at, 0, 0)
    }

    /// The largest id that can have been made at this moment.
    #[must_use]
    pub fn latest(at: Timestamp) -> Self {
        Self::head(at, 0x3fff, u8::MAX)
    }

    fn head(at: Timestamp, counter: u64, rest: u8) -> Self {
        // The seconds of an id end in 2106: a later moment is after every id, as a bound must be.
        const SECONDS_MAX: u64 = 0xffff_ffff;
        let millis = if at.seconds() > SECONDS_MAX { 1023 } else { at.millis() % 1000 };
        let head = (at.seconds().min(SECONDS_MAX) << 24) | (millis << 14) | counter;
        let mut bytes = [rest; Self::LEN];
        bytes[..7].copy_from_slice(&head.to_be_bytes()[1..]);
        Self(bytes)
    }

    /// The logical shard of 64 this id belongs to. It is a hash, so no shard count is baked into an id.
    #[must_use]
    pub fn shard(self) -> u8 {
        // FNV-1a: stable over releases and machines, which `std`'s hasher does not promise.
        let hash = self
            .0
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let folded = hash ^ (hash >> 32);
        u8::try_from(folded & 63).expect("six bits fit a byte")
    }
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RawId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
        Ok(Self(bytes))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub RawId);

        impl $name {
            /// The bytes, as they stand in keys.
            #[must_use]
            pub fn bytes(&self) -> &[u8; 12] {
                &self.0.0
            }
        }

        impl From<RawId> for $name {
            fn from(raw: RawId) -> Self {
                Self(raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// Names an [`App`](super::App).
    AppId
    /// Names one issued key of an app or of an operator.
    KeyId
    /// Names an [`Account`](super::Account).
    AccountId
    /// Names a [`Transaction`](super::Transaction).
    TransactionId
    /// Names an [`Event`](super::Event); stays the same over all its deliveries.
    EventId
    /// Names a [`Subscription`](super::Subscription).
    SubscriptionId
    /// Names a [`Delivery`](super::Delivery).
    DeliveryId
    /// Names a notification that waits in the inbox.
    InboxId
    /// Names an [`Alarm`](super::Alarm).
    AlarmId
    /// Names a refund (reserved: the records leave room for it).
    RefundId
}

/// The number one attempt goes by at the channel: the transaction's id, and for later attempts two more
/// hexadecimal digits. Fits WeChat's 32, UnionPay's 40 and Alipay's 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AttemptNumber {
    /// The transaction the attempt belongs to.
    pub transaction: TransactionId,
    /// 0 for the first attempt, at most 255.
    pub index: u8,
}

impl AttemptNumber {
    /// Reads a number as a channel sends it back. `None`: it is not one of ours.
    ///
    /// ```
    /// use maxpay_engine::model::AttemptNumber;
    /// let number = AttemptNumber::parse("66f0a1b2c3d4e5f60718293a01").expect("ours");
    /// assert_eq!(number.index, 1);
    /// assert_eq!(number.to_string(), "66f0a1b2c3d4e5f60718293a01");
    /// assert!(AttemptNumber::parse("someone-elses-order").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_at_checked(24)?;
        let transaction = id.parse().ok()?;
        let index = match rest.len() {
            0 => 0,
            2 => u8::from_str_radix(rest, 16).ok().filter(|index| *index > 0)?,
            _ => return None,
        };
        let number = Self { transaction, index };
        // One spelling only: upper case digits are somebody else's.
        (number.to_string() == text).then_some(number)
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.transaction),
            index => write!(f, "{}{index:02x}", self.transaction),
        }
    }
}

impl fmt::Debug for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_in_the_far_future_is_after_every_id() {
        // Ids end in 2106; a bound beyond it must not come round to the past.
        let day = |millis| Timestamp::from_millis(millis);
        let bounds = [0, 1_795_377_908_118, 4_294_967_295_999, 4_294_967_296_000, 9_999_999_999_999, u64::MAX].map(day);
        assert!(bounds.map(RawId::latest).is_sorted() && bounds.map(RawId::earliest).is_sorted());
        assert!(RawId::latest(day(9_999_999_999_999)) > RawId::latest(day(1_795_377_908_118)));
    }
}
