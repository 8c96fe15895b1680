//! Hints prove nothing, so whoever sends them must not be able to have the channel asked without end: those about one
//! transaction are brought together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Timestamp, TransactionId};

/// Hints about one transaction are followed at most so often.
const GAP: Duration = Duration::from_secs(2);
/// Transactions that are remembered; beyond it those whose gap is over are forgotten.
const KEPT: usize = 10_000;

/// Until when the next hint about a transaction has to wait.
#[derive(Default)]
pub(crate) struct Hints(Mutex<BTreeMap<TransactionId, Timestamp>>);

impl Hints {
    /// When a hint that came now is to be followed: at once, or together with others when the gap is over.
    pub fn when(&self, id: TransactionId, now: Timestamp) -> Timestamp {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that stepped back must not have hints wait for longer than the gap.
        if let Some(at) = next.get(&id).filter(|at| **at > now && **at <= now.after(GAP)) {
            return *at;
        }
        if next.len() >= KEPT {
            next.retain(|_, at| *at > now);
        }
        if next.len() < KEPT {
            next.insert(id, now.after(GAP));
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RawId;

    #[test]
    fn hints_about_one_transaction_come_together() {
        // The first is followed at once, those within the gap together at its end, and so on.
        let (hints, id) = (Hints::default(), TransactionId(RawId([1; 12])));
        let at = Timestamp::from_millis;
        let table =
            [(10_000, 10_000), (10_001, 12_000), (11_999, 12_000), (12_000, 12_000), (12_001, 14_000), (5_000, 5_000)];
        for (now, when) in table {
            assert_eq!(hints.when(id, at(now)), at(when), "{now}");
        }
        assert_eq!(hints.when(TransactionId(RawId([2; 12])), at(10_001)), at(10_001));
    }
}
