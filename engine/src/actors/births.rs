//! What this process itself has seen of time: when it made which transaction, and whether a provider's clock agrees
//! with ours.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Timestamp, TransactionId};

/// So many births are remembered; without one, the check on a provider's time stands in.
const KEPT: usize = 200_000;
/// How far our clock and a provider's may be apart to agree.
const AGREEMENT: Duration = Duration::from_secs(30);

/// Births of transactions by the monotonic clock, and the agreement of clocks.
#[derive(Default)]
pub(crate) struct Births {
    born: Mutex<Remembered>,
    confirmed: AtomicBool,
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

    /// A provider told its time while ours was `now`.
    pub fn compare(&self, provider: Timestamp, now: Timestamp) {
        if provider.since(now).max(now.since(provider)) <= AGREEMENT {
            self.confirmed.store(true, Ordering::Release);
        }
    }

    /// Whether our clock has agreed with some provider's since this process started.
    pub fn clock_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }
}
