//! One run: so many actors against the store or a reference, in a folder of its own unless the store is there already.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::store::{Batch, CommitListener, Store};

use crate::actors::{Target, work};
use crate::groups::{Group, Groups};
use crate::log;
use crate::payments::{Payments, TRANSITIONS};

/// Why a run came to nothing.
pub type Failure = Box<dyn Error + Sync + Send>;

/// A run that has not ended so long after its time is given up: the disk hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The most that may be in flight: as many batches as the store's queue takes.
pub const IN_FLIGHT_MAX: u32 = 8_192;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The store in two redb files.
    Store,
    /// The same actors over an append-only file.
    Reference,
    /// An append-only file, and nobody who makes what is written.
    Bare,
}

impl Side {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Store, Self::Reference, Self::Bare];

    /// Its name in the table and in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Reference => "reference",
            Self::Bare => "bare log",
        }
    }
}

/// How much, how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Actors; each waits for its commit before the next.
    pub in_flight: u32,
    /// Time at the start that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub window: Duration,
    /// From one transition of an actor to its next; `None`: as fast as they become durable.
    pub pace: Option<Duration>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Transitions whose commit was answered in the window.
    pub transitions: u64,
    /// From asking to the answer of each of them, in microseconds; of the bare log, from a write to the end of its sync.
    pub waits_us: Vec<u64>,
    /// Every group, those of the warm-up included; none of the bare log.
    pub groups: Vec<Group>,
    /// What the tables still needed when the load ended; zero for the references, which have none.
    pub catch_up: Duration,
}

/// Runs `load` against one side, in a folder under `parent` that is removed afterwards.
///
/// # Errors
/// Those of the disk, and any commit that is refused.
pub fn run(clock: &System, side: Side, load: Load, parent: &Path) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir_in(parent)?;
    match side {
        Side::Store => run_store(clock, load, folder.path()),
        Side::Reference => {
            let groups = Arc::new(Groups::default());
            let queue = usize::try_from(IN_FLIGHT_MAX)?;
            let (sender, writer) = log::start(&folder.path().join("log"), queue, Arc::clone(&groups))?;
            let worked = work(clock, load, &Target::Reference(sender), PATIENCE);
            // What the writer says explains what the actors saw.
            writer.join().map_err(|_| "the reference's writer panicked")??;
            outcome(worked?, &groups, Duration::ZERO)
        }
        Side::Bare => {
            let rounds = rounds(clock, load.in_flight);
            let log::Bare { transitions, syncs_us } =
                log::bare(&folder.path().join("log"), clock, rounds, load.window)?;
            Ok(Outcome { transitions, waits_us: syncs_us, ..Outcome::default() })
        }
    }
}

/// Runs `load` against the store in `folder`, which is made if it is not there.
///
/// # Errors
/// As [`run`].
pub fn run_store(clock: &System, load: Load, folder: &Path) -> Result<Outcome, Failure> {
    let groups = Arc::new(Groups::default());
    let store = open_store(folder, clock)?;
    let listener: Arc<dyn CommitListener> = groups.clone();
    store.listen(listener);
    let waits_us = work(clock, load, &Target::Store(Arc::clone(&store)), PATIENCE)?;
    let ended = clock.now().monotonic;
    store.checkpoint()?;
    let catch_up = clock.now().monotonic.saturating_sub(ended);
    store.close();
    outcome(waits_us, &groups, catch_up)
}

fn outcome(waits_us: Vec<u64>, groups: &Groups, catch_up: Duration) -> Result<Outcome, Failure> {
    Ok(Outcome { transitions: u64::try_from(waits_us.len())?, waits_us, groups: groups.take(), catch_up })
}

/// Opens a store with the options of a server.
///
/// # Errors
/// As opening a store.
pub fn open_store(folder: &Path, clock: &System) -> Result<Arc<RedbStore>, Failure> {
    Ok(RedbStore::open(folder, RedbOptions::new(Arc::new(clock.clone()), Arc::new(clock.clone())))?)
}

/// Every transition of so many payments, a round each.
fn rounds(clock: &System, in_flight: u32) -> Vec<Vec<Batch>> {
    let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
    let mut payments: Vec<Payments> = (0..in_flight).map(|_| Payments::new(ids.clone())).collect();
    let mut round = || payments.iter_mut().map(|payment| payment.next_batch(clock.now().wall)).collect();
    (0..TRANSITIONS).map(|_| round()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::TRANSITIONS;

    #[test]
    fn both_sides_write_the_same_rows() {
        // The same batches one by one become groups of the same transitions, rows and bytes, every fifth with an event,
        // and the reference's file has exactly the bytes of the store's blobs.
        let (clock, folder) = (System::new(), tempfile::tempdir().expect("a folder"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (of_store, of_log) = (Arc::new(Groups::default()), Arc::new(Groups::default()));
        let store = open_store(folder.path(), &clock).expect("a store");
        let listener: Arc<dyn CommitListener> = of_store.clone();
        store.listen(listener);
        let path = folder.path().join("log");
        let (sender, writer) = log::start(&path, 1, Arc::clone(&of_log)).expect("a log");
        let sides = [Target::Store(store), Target::Reference(sender)];
        let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
        let mut payments = Payments::new(ids);
        for _ in 0..TRANSITIONS * 2 {
            let batch = payments.next_batch(clock.now().wall);
            for side in &sides {
                payments.committed(runtime.block_on(side.commit(batch.clone())).expect("committed"));
            }
        }
        drop(sides);
        writer.join().expect("no panic").expect("written");
        let groups = of_store.take();
        assert_eq!(groups, of_log.take());
        let rows: Vec<u64> = groups.iter().map(|group| group.rows).collect();
        assert_eq!(rows, [5, 4, 4, 4, 4, 5, 4, 4, 4, 4], "one more for the lists of a new one, one for an event");
        assert!(groups.iter().all(|group| group.transitions == 1), "{groups:?}");
        // Around a group: format, checksum, number and count. Around a row: its table and two lengths.
        let bytes = |group: &Group| (1 + 4 + 8 + 4) + group.rows * (1 + 4 + 4) + group.bytes;
        let wanted: u64 = groups.iter().map(bytes).sum();
        assert_eq!(std::fs::metadata(path).expect("there").len(), wanted);
    }

    #[test]
    fn a_run_counts_what_was_durable_in_its_window() {
        // Under load no commit is refused, every wait counted belongs to a transition of some group, and nothing is left
        // of the folder.
        let (clock, parent) = (System::new(), tempfile::tempdir().expect("a folder"));
        let load = Load { in_flight: 16, warm_up: Duration::ZERO, window: Duration::from_millis(50), pace: None };
        for side in [Side::Store, Side::Reference] {
            let outcome = run(&clock, side, load, parent.path()).expect("it runs");
            let committed: u64 = outcome.groups.iter().map(|group| group.transitions).sum();
            // The last commit of each worker is answered after the window.
            assert_eq!(outcome.transitions + 16, committed, "{}", side.name());
        }
        assert_eq!(std::fs::read_dir(parent.path()).expect("readable").count(), 0);
    }
}
