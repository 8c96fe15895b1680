//! Moments, as milliseconds since 1970 (UTC). Waits are `std::time::Duration`.

use std::fmt;
use std::time::Duration;

use bincode::Encode;

use super::decoding::decode_through;

/// A moment of wall time with millisecond precision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct Timestamp(u64);

decode_through!(Timestamp, u64, |millis| Timestamp::exactly(millis).ok_or(TimestampError));

impl Timestamp {
    /// The largest moment taken: the end of the year 9999, the last one RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// A moment from milliseconds since 1970; later ones than [`Timestamp::MAX`] are cut to it.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(Self::MAX.0))
    }

    /// The moment of exactly so many milliseconds since 1970; `None` beyond [`Timestamp::MAX`].
    #[must_use]
    pub fn exactly(millis: u64) -> Option<Self> {
        (millis <= Self::MAX.0).then_some(Self(millis))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `wait` later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// The moment `wait` earlier, at least 1970.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, in UTC, with milliseconds: `2026-11-22T08:15:30.250Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).expect("bounded by the year 9999");
        let moment = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.3}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339 with any offset; fractions below a millisecond are cut.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        u64::try_from(moment.as_millisecond()).map(Self::from_millis).map_err(|_| TimestampError)
    }
}

/// A text is not a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is RFC 3339 and not before 1970, for example 2026-11-22T08:15:30Z")]
pub struct TimestampError;

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
