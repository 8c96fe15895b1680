//! How often a provider's keys were changed, kept in its ledger: one that is started anew signs as before.

use crate::simulator::{Changes, Ledger};

pub(super) const KEY: &str = "exam/rotations";

/// How often.
pub(crate) fn rotations(ledger: &Ledger) -> u32 {
    ledger.row(KEY).ok().flatten().unwrap_or(0)
}

/// Once more; how often with it. `None`: the ledger does not answer.
pub(crate) fn rotated(ledger: &Ledger) -> Option<u32> {
    let count = rotations(ledger) + 1;
    let mut changes = Changes::default();
    changes.put(KEY.to_owned(), &count);
    ledger.commit(changes).ok()?;
    Some(count)
}
