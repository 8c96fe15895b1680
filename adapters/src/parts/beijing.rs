//! Beijing local time, as providers of mainland China write moments: without offset, always UTC+8.
//!
//! Reading is strict: one spelling, a day that exists. Writing cuts milliseconds off, so that what is written is never
//! later than the moment.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use maxpay_engine::model::Timestamp;

const OFFSET: Offset = Offset::constant(8);

/// `2026-11-22 16:15:30`
#[must_use]
pub fn spaced(moment: Timestamp) -> String {
    let local = local(moment);
    let (year, month, day) = (local.year(), local.month(), local.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", local.hour(), local.minute(), local.second())
}

/// `20261122161530`
#[must_use]
pub fn packed(moment: Timestamp) -> String {
    spaced(moment).bytes().filter(u8::is_ascii_digit).map(char::from).collect()
}

/// Reads `2026-11-22 16:15:30`. `None`: it is not written like that, or is no moment from 1970 on.
#[must_use]
pub fn read_spaced(text: &str) -> Option<Timestamp> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    read(text, SHAPE)
}

/// Reads `20261122161530`. `None`: it is not written like that, or is no moment from 1970 on.
#[must_use]
pub fn read_packed(text: &str) -> Option<Timestamp> {
    const SHAPE: &[u8] = b"dddddddddddddd";
    read(text, SHAPE)
}

fn local(moment: Timestamp) -> DateTime {
    let millis = i64::try_from(moment.millis()).expect("bounded by the year 9999");
    let moment = jiff::Timestamp::from_millisecond(millis).expect("bounded by the year 9999");
    OFFSET.to_datetime(moment)
}

/// `d` in the shape stands for a digit, everything else for itself.
fn read(text: &str, shape: &[u8]) -> Option<Timestamp> {
    let fits = text.len() == shape.len()
        && text
            .bytes()
            .zip(shape)
            .all(|(have, want)| if *want == b'd' { have.is_ascii_digit() } else { have == *want });
    if !fits {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |range: std::ops::Range<usize>| digits[range].parse::<i8>().ok();
    let moment = DateTime::new(
        digits[..4].parse().ok()?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?,
        0,
    )
    .ok()?;
    let moment = OFFSET.to_timestamp(moment).ok()?;
    Timestamp::exactly(u64::try_from(moment.as_millisecond()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read_back() {
        // Eight hours ahead of UTC, over midnight, leap days and the end of the year; both spellings read back.
        let table = [
            ("1970-01-01T00:00:00Z", "1970-01-01 08:00:00"),
            ("2026-11-22T08:15:30Z", "2026-11-22 16:15:30"),
            ("2026-11-22T15:59:59Z", "2026-11-22 23:59:59"),
            ("2026-11-22T16:00:00Z", "2026-11-23 00:00:00"),
            ("2028-02-28T16:00:00Z", "2028-02-29 00:00:00"),
            ("2026-12-31T16:00:00Z", "2027-01-01 00:00:00"),
            ("9999-12-30T22:00:00Z", "9999-12-31 06:00:00"),
        ];
        for (utc, text) in table {
            let moment: Timestamp = utc.parse().expect("a moment");
            assert_eq!(spaced(moment), text);
            assert_eq!(read_spaced(text), Some(moment));
            let digits = packed(moment);
            assert_eq!(digits, text.replace(['-', ' ', ':'], ""));
            assert_eq!(read_packed(&digits), Some(moment));
        }
        let moment = Timestamp::from_millis(999);
        assert_eq!(spaced(moment), "1970-01-01 08:00:00", "never later than the moment");
    }

    #[test]
    fn anything_else_is_no_moment() {
        // One spelling only, and only days and hours that exist.
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T16:15:30",
            "2026-11-22 16:15:30 ",
            "2026-11-22 16:15:30.000",
            "2026-11-22 16:15:30+08:00",
            "2026-1-22 16:15:30",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-00-01 00:00:00",
            "2026-11-22 24:00:00",
            "2026-11-22 16:60:00",
            "2026-11-22 16:15:60",
            "1969-12-31 23:59:59",
            "1970-01-01 00:00:00",
            "９026-11-22 16:15",
            "+026-11-22 16:15:30",
        ] {
            assert_eq!(read_spaced(text), None, "{text}");
        }
        for text in ["", "2026112216153", "202611221615300", "20261122161530 ", "2026112216153a", "20260229000000"] {
            assert_eq!(read_packed(text), None, "{text}");
        }
    }
}
