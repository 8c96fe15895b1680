//! What this process itself has seen of time: when it made which transaction, and whether a provider's clock agrees
//! with ours.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Now;
use crate::model::{Timestamp, TransactionId};

/// So many births are remembered; without one, the check on a provider's time stands in.
const KEPT: usize = 200_000;
/// How far our clock and a provider's may be apart to agree.
const AGREEMENT: Duration = Duration::from_secs(30);

/// Births of transactions by the monotonic clock, and the agreement of clocks.
#[derive(Default)]
pub(crate) struct Births {
    born: Mutex<Remembered>,
    /// When our clock last agreed with a provider's, if that was its last word.
    confirmed: Mutex<Option<Now>>,
}

#[derive(Default)]
struct Remembered {
    at: BTreeMap<TransactionId, Duration>,
    order: VecDeque<TransactionId>,
}

impl Births {
    /// A transaction is made now.
    pub fn born(&self, id: TransactionId, now: Duration) {
        let mut born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        if born.at.insert(id, now).is_none() {
            born.order.push_back(id);
        }
        if born.order.len() > KEPT
            && let Some(oldest) = born.order.pop_front()
        {
            born.at.remove(&oldest);
        }
    }

    /// Monotonic time since a transaction was made; `None` when this process does not know.
    pub fn alive(&self, id: TransactionId, now: Duration) -> Option<Duration> {
        let born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        born.at.get(&id).map(|at| now.saturating_sub(*at))
    }

    /// A provider told its time while ours was `now`: its last word counts.
    pub fn compare(&self, provider: Timestamp, now: Now) {
        *self.confirmed() = agree(provider, now.wall).then_some(now);
    }

    /// A notification tells when it was made, which may be long ago: an older time says nothing.
    pub fn overhear(&self, provider: Timestamp, now: Now) {
        if agree(provider, now.wall) || provider > now.wall {
            self.compare(provider, now);
        }
    }

    /// Whether our clock has agreed with a provider's since this process started, and has not jumped since.
    pub fn clock_confirmed(&self, now: Now) -> bool {
        let mut confirmed = self.confirmed();
        let stands = confirmed.is_some_and(|then| {
            let should = then.wall.after(now.monotonic.saturating_sub(then.monotonic));
            agree(should, now.wall)
        });
        if !stands {
            *confirmed = None;
        }
        stands
    }

    fn confirmed(&self) -> MutexGuard<'_, Option<Now>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn agree(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= AGREEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, monotonic: u64) -> Now {
        Now { wall: Timestamp::from_millis(wall * 1_000), monotonic: Duration::from_secs(monotonic) }
    }

    #[test]
    fn agreement_ends_with_the_next_disagreement_or_a_jump() {
        // The last word of a provider counts; a wall clock that parts from the monotonic one is not confirmed any more.
        let births = Births::default();
        let told = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        assert!(!births.clock_confirmed(at(1_000, 0)));
        births.compare(told(1_010), at(1_000, 0));
        assert!(births.clock_confirmed(at(5_000, 4_000)));
        assert!(!births.clock_confirmed(at(9_000, 4_001)), "it jumped ahead");
        assert!(!births.clock_confirmed(at(5_002, 4_002)), "a jump is not forgotten when it is undone");
        births.compare(told(5_003), at(5_003, 4_003));
        assert!(births.clock_confirmed(at(5_004, 4_004)));
        births.overhear(told(100), at(5_005, 4_005));
        assert!(births.clock_confirmed(at(5_006, 4_006)), "an old notification says nothing");
        births.compare(told(100), at(5_007, 4_007));
        assert!(!births.clock_confirmed(at(5_008, 4_008)), "a provider disagrees");
        births.compare(told(5_009), at(5_009, 4_009));
        births.overhear(told(6_000), at(5_010, 4_010));
        assert!(!births.clock_confirmed(at(5_011, 4_011)), "what is later than now disagrees");
    }
}
