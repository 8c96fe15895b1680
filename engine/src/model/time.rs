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
    /// The largest moment taken, 9999-12-30T22:00:00Z: the last one that RFC 3339 can write with every offset.
    pub const MAX: Self = Self(253_402_207_200_000);

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

    /// Reads RFC 3339 as [`str::parse`] does, for a bound: a moment before 1970 or after [`Timestamp::MAX`] is
    /// cut to the nearest one there is.
    ///
    /// # Errors
    /// [`TimestampError`]: it is no RFC 3339.
    pub fn nearest(text: &str) -> Result<Self, TimestampError> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(u64::try_from(moment.as_millisecond()).map_or(Self(0), Self::from_millis));
        }
        // Only the last hours of the year 9999 are written right and are no moment.
        let parts = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| TimestampError)?;
        let whole = parts.time().is_some() && parts.to_numeric_offset().is_some() && parts.date().year() == 9999;
        if whole { Ok(Self::MAX) } else { Err(TimestampError) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_cut_to_what_there_is() {
        // Any RFC 3339 is a bound, and the nearest moment can be written again; what is none is refused.
        for (text, nearest) in [
            ("0000-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("0752-01-15T16:03:16Z", "1970-01-01T00:00:00.000Z"),
            ("1970-01-01T00:00:00+01:00", "1970-01-01T00:00:00.000Z"),
            ("2026-11-22T09:15:30.250999+01:00", "2026-11-22T08:15:30.250Z"),
            ("9999-12-30T22:00:00.999Z", "9999-12-30T22:00:00.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.000Z"),
            ("9999-12-31T23:59:59-12:00", "9999-12-30T22:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::nearest(text).map(|at| at.to_string()), Ok(nearest.to_owned()), "{text}");
        }
        for text in ["", "yesterday", "9999-12-31", "9999-12-31T23:59:59", "9999-13-31T23:59:59Z"] {
            assert_eq!(Timestamp::nearest(text), Err(TimestampError), "{text}");
        }
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000Z");
    }
}
