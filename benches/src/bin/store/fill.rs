//! A store with many ended payments on file: made in bulk, so that ten millions take minutes, in the rows that as many
//! payments one by one would have left behind.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::store::{Batch, CommitError, CommitFuture, Store};

use crate::payments::{Payments, TRANSITIONS};
use crate::run::{Failure, open_store};

/// Payments in one batch: nine rows and an event each, below the bound of 2,048 rows and of 64 events.
const AT_ONCE: u64 = 64;
/// Batches on their way.
const BATCHES: usize = 64;

/// Puts `count` ended payments into the store in `folder` and waits until the tables hold them. `progress` is told how
/// many are on file.
///
/// # Errors
/// Those of the disk, and any commit that is refused.
pub fn fill(clock: &System, folder: &Path, count: u64, progress: impl Fn(u64)) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = open_store(folder, clock)?;
    let mut payments = Payments::new(IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone())));
    let mut waiting: VecDeque<CommitFuture> = VecDeque::new();
    let mut made = 0;
    while made < count {
        let together = AT_ONCE.min(count - made);
        waiting.push_back(store.commit(ended(&mut payments, clock, together)));
        made += together;
        if waiting.len() >= BATCHES {
            let first: Option<Result<_, CommitError>> = waiting.pop_front().map(|commit| runtime.block_on(commit));
            first.transpose()?;
        }
        if made.is_multiple_of(AT_ONCE * 4_096) {
            progress(made);
        }
    }
    for commit in waiting {
        runtime.block_on(commit)?;
    }
    store.checkpoint()?;
    store.close();
    Ok(())
}

/// All transitions of so many payments as one batch: what the last one leaves, and a row for each transition.
fn ended(payments: &mut Payments, clock: &System, count: u64) -> Batch {
    let mut all = Batch::default();
    for _ in 0..count {
        for _ in 0..TRANSITIONS {
            let Batch { watches: _, puts, events } = payments.next_batch(clock.now().wall);
            all.puts.extend(puts);
            all.events.extend(events);
        }
    }
    // Of several changes of one row the last one counts; only that one is written here.
    let mut newest = std::collections::BTreeMap::new();
    for put in all.puts.drain(..) {
        newest.insert(put.key.clone(), put);
    }
    all.puts.extend(newest.into_values().filter(|put| put.value.is_some()));
    all
}

#[cfg(test)]
mod tests {
    use maxpay_engine::store::{Scan, Table};

    use super::*;

    #[test]
    fn payments_in_bulk_leave_what_payments_one_by_one_do() {
        // As many rows in each table, and none of the due ones, which go when a payment ends.
        let clock = System::new();
        let (bulk, single) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fill(&clock, bulk.path(), 3, |_| {}).expect("filled");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let store = open_store(single.path(), &clock).expect("a store");
        let mut payments = Payments::new(IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone())));
        for _ in 0..3 * TRANSITIONS {
            let committed = runtime.block_on(store.commit(payments.next_batch(clock.now().wall))).expect("committed");
            payments.committed(committed.seq);
        }
        let filled = open_store(bulk.path(), &clock).expect("a store");
        for table in Table::ALL {
            let rows = |store: &dyn Store| store.scan(&Scan::prefix(table, &[], 100)).expect("readable").rows.len();
            // An event's table holds as many; their places differ with the groups.
            assert_eq!(rows(filled.as_ref()), rows(store.as_ref()), "{table:?}");
        }
    }
}
