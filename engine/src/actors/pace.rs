//! How often an account is asked: so many questions a second, and after a rest a second's worth of them at once.

use std::num::NonZeroU32;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The pace of one account. It holds one moment and knows no clock.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    /// When a second's worth may be asked at once again.
    rested_at: Duration,
}

impl Pace {
    /// Takes leave for one question.
    ///
    /// # Errors
    /// How long to wait before there is leave again.
    pub fn take(&mut self, now: Duration, per_second: NonZeroU32) -> Result<(), Duration> {
        let gap = SECOND / per_second.get();
        let rested_at = self.rested_at.max(now);
        let too_soon = rested_at.saturating_sub(now).saturating_sub(SECOND.saturating_sub(gap));
        if !too_soon.is_zero() {
            return Err(too_soon);
        }
        self.rested_at = rested_at.saturating_add(gap);
        Ok(())
    }

    /// Whether it is as one that never asked.
    pub fn is_rested(&self, now: Duration) -> bool {
        self.rested_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_questions() {
        // After a rest a second's worth at once, then one each time its gap has passed; a longer rest saves up no more.
        let rate = NonZeroU32::new(4).expect("not zero");
        let at = Duration::from_millis;
        let mut pace = Pace::default();
        let mut asked = |now: u64, wanted: usize| {
            let asked = (0..100).take_while(|_| pace.take(at(now), rate).is_ok()).count();
            assert_eq!(asked, wanted, "at {now} ms");
        };
        asked(0, 4);
        asked(249, 0);
        asked(250, 1);
        asked(750, 2);
        asked(60_000, 4);
        assert_eq!(pace.take(at(60_100), rate), Err(at(150)));
        assert!(!pace.is_rested(at(60_999)) && pace.is_rested(at(61_000)));
    }
}
