//! How long to wait before a delivery is tried again.

use std::time::Duration;

/// The original service's gaps: a first try and ten retries, 55 h 46 m in all.
pub const ORIGINAL: [Duration; 10] = [
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
    Duration::from_hours(16),
    Duration::from_hours(24),
];

/// The gaps between tries, each counted from the end of the try before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// A list of gaps is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a schedule is at most {} gaps of 1 ms to 30 days each", Schedule::GAPS_MAX)]
pub struct ScheduleError;

impl Schedule {
    /// No schedule has more gaps.
    pub const GAPS_MAX: usize = 30;
    const GAP_MIN: Duration = Duration::from_millis(1);
    const GAP_MAX: Duration = Duration::from_hours(30 * 24);

    /// A schedule of its own: at most [`Schedule::GAPS_MAX`] gaps of 1 ms to 30 days. None at all: one try only.
    pub fn new(gaps: Vec<Duration>) -> Result<Self, ScheduleError> {
        let fits = |gap: &Duration| (Self::GAP_MIN..=Self::GAP_MAX).contains(gap);
        if gaps.len() <= Self::GAPS_MAX && gaps.iter().all(fits) { Ok(Self(gaps)) } else { Err(ScheduleError) }
    }

    /// The gap after that many tries ended. `None`: that was the last one.
    ///
    /// ```
    /// use maxpay_engine::machine::schedule::Schedule;
    /// use std::time::Duration;
    /// assert_eq!(Schedule::default().gap_after(1), Some(Duration::from_secs(60)));
    /// assert_eq!(Schedule::default().gap_after(11), None);
    /// ```
    #[must_use]
    pub fn gap_after(&self, tries_done: u32) -> Option<Duration> {
        let index = usize::try_from(tries_done.checked_sub(1)?).ok()?;
        self.0.get(index).copied()
    }

    /// Tries in all.
    #[must_use]
    pub fn tries_max(&self) -> usize {
        self.0.len() + 1
    }
}

impl Default for Schedule {
    /// The original one.
    fn default() -> Self {
        Self(ORIGINAL.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_schedule_is_the_documented_one() {
        // Ten gaps, 55 h 46 m in all, eleven tries.
        assert_eq!(ORIGINAL.iter().sum::<Duration>(), Duration::from_mins(55 * 60 + 46));
        assert_eq!(Schedule::default().tries_max(), 11);
        assert_eq!(Schedule::default().gap_after(0), None);
        assert_eq!(Schedule::default().gap_after(10), Some(Duration::from_hours(24)));
    }

    #[test]
    fn a_schedule_is_bounded() {
        // Too many gaps, and gaps too short or too long, are refused.
        let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
        let table = [
            (vec![], true),
            (vec![second; 30], true),
            (vec![second; 31], false),
            (vec![day * 30], true),
            (vec![day * 30 + second], false),
            (vec![Duration::from_millis(1)], true),
            (vec![Duration::from_micros(999)], false),
        ];
        for (gaps, accepted) in table {
            assert_eq!(Schedule::new(gaps.clone()).is_ok(), accepted, "{gaps:?}");
        }
    }
}
