//! A store with many ended payments on file: made in bulk, so that ten millions take minutes, in the rows that as many
//! payments one by one would have left behind.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use maxpay_benches::median;
use maxpay_benches::report::{Ratio, Report, Wanted, grouped};
use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::store::{Batch, CommitError, CommitFuture, Store};

use crate::payments::{Payments, TRANSITIONS};
use crate::run::{Failure, Side, open_store, run, run_store};
use crate::summary::Summary;
use crate::{Settings, progress};

/// Payments in one batch: nine rows and an event each, below the bound of 2,048 rows and of 64 events.
const AT_ONCE: u64 = 64;
/// Batches on their way.
const BATCHES: usize = 64;

/// Measures a filled store against fresh ones, in turns, under the largest load.
///
/// # Errors
/// Those of the disk, and any commit that is refused.
pub fn measure(clock: &System, parent: &Path, settings: &Settings, report: &mut Report) -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(parent)?;
    let count = settings.filled;
    let begun = clock.now().monotonic;
    fill(clock, folder.path(), count, |made| progress(&format!("filling: {made} of {count} payments")))?;
    let took = clock.now().monotonic.saturating_sub(begun);
    let bytes = std::fs::metadata(folder.path().join("tables.redb"))?.len();
    let load = settings.load(settings.largest());
    let (mut filled, mut fresh) = (Vec::new(), Vec::new());
    for number in 0..settings.runs {
        for first in [number % 2 == 0, number % 2 == 1] {
            let outcome =
                if first { run_store(clock, load, folder.path())? } else { run(clock, Side::Store, load, parent)? };
            let summary = Summary::of(outcome, load.window);
            let name = if first { "filled" } else { "fresh" };
            progress(&format!("{name}, run {number} of {}: {} transitions/s", settings.runs, summary.per_second));
            (if first { &mut filled } else { &mut fresh }).push(summary);
        }
    }
    let rate = |runs: &[Summary]| median(&runs.iter().map(|run| run.per_second).collect::<Vec<_>>());
    let settled = |runs: &[Summary]| median(&runs.iter().map(|run| run.settled_per_second).collect::<Vec<_>>());
    let what = format!("store with {} payments on file over a fresh one", grouped(count));
    report.ratio(Ratio::of(&what, "transitions/s", rate(&filled), rate(&fresh), Wanted::AtLeast(0.6)));
    let what = format!("{what}, settled");
    report.ratio(Ratio::of(&what, "transitions/s", settled(&filled), settled(&fresh), Wanted::Told));
    report.setting("filled", format!("{} payments in {took:.0?}, {} bytes a payment", grouped(count), bytes / count));
    report.figure("filled_bytes", bytes.into());
    Ok(())
}

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
