//! One run: so many actors' worth of payments against a fresh store, or a fresh reference, in a folder of its own.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::store::{Batch, CommitListener, Seq, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::groups::{Group, Groups};
use crate::log;
use crate::payments::Payments;

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
    /// The append-only file.
    Reference,
}

impl Side {
    /// Its name in the table and in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Reference => "reference",
        }
    }
}

/// How much, how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Workers; each waits for its commit before the next.
    pub in_flight: u32,
    /// Time at the start that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub window: Duration,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Transitions whose commit was answered in the window.
    pub transitions: u64,
    /// From asking to the answer of each of them, in microseconds.
    pub waits_us: Vec<u64>,
    /// Every group, those of the warm-up included.
    pub groups: Vec<Group>,
    /// What the tables still needed when the load ended; zero for the reference, which has none.
    pub catch_up: Duration,
}

/// Runs `load` against one side, in a folder under `parent` that is removed afterwards.
///
/// # Errors
/// Those of the disk, and any commit that is refused.
pub fn run(runtime: &Runtime, clock: &System, side: Side, load: Load, parent: &Path) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir_in(parent)?;
    let groups = Arc::new(Groups::default());
    let mut outcome = match side {
        Side::Store => {
            let store = open_store(folder.path(), clock)?;
            let listener: Arc<dyn CommitListener> = groups.clone();
            store.listen(listener);
            let mut outcome = work(runtime, clock, load, &Target::Store(Arc::clone(&store)))?;
            let ended = clock.now().monotonic;
            store.checkpoint()?;
            outcome.catch_up = clock.now().monotonic.saturating_sub(ended);
            store.close();
            outcome
        }
        Side::Reference => {
            let queue = usize::try_from(IN_FLIGHT_MAX)?;
            let (sender, writer) = log::start(&folder.path().join("log"), queue, Arc::clone(&groups))?;
            let worked = work(runtime, clock, load, &Target::Reference(sender));
            // What the writer says explains what the workers saw.
            writer.join().map_err(|_| "the reference's writer panicked")??;
            worked?
        }
    };
    outcome.groups = groups.take();
    Ok(outcome)
}

fn open_store(folder: &Path, clock: &System) -> Result<Arc<RedbStore>, Failure> {
    Ok(RedbStore::open(folder, RedbOptions::new(Arc::new(clock.clone()), Arc::new(clock.clone())))?)
}

/// Where commits go.
#[derive(Clone)]
enum Target {
    Store(Arc<RedbStore>),
    Reference(SyncSender<log::Request>),
}

impl Target {
    async fn commit(&self, batch: Batch) -> Result<Seq, Failure> {
        match self {
            Self::Store(store) => Ok(store.commit(batch).await?.seq),
            Self::Reference(sender) => {
                let (request, answered) = log::Request::new(batch);
                sender.try_send(request).map_err(|_| "the reference's writer takes no more")?;
                Ok(answered.await?)
            }
        }
    }
}

/// Has the workers run until their time is over; the target is let go before it returns.
fn work(runtime: &Runtime, clock: &System, load: Load, target: &Target) -> Result<Outcome, Failure> {
    let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
    let from = clock.now().monotonic + load.warm_up;
    let window = (from, from + load.window);
    let all = async {
        let mut workers = JoinSet::new();
        for _ in 0..load.in_flight {
            workers.spawn(worker(target.clone(), clock.clone(), Payments::new(ids.clone()), window));
        }
        let mut outcome = Outcome::default();
        while let Some(waits_us) = workers.join_next().await {
            outcome.waits_us.extend(waits_us??);
        }
        outcome.transitions = u64::try_from(outcome.waits_us.len())?;
        Ok(outcome)
    };
    let limit = load.warm_up + load.window + PATIENCE;
    runtime.block_on(async { tokio::time::timeout(limit, all).await })?
}

/// One actor's worth: the next transition is asked for when the last one is durable.
async fn worker(
    target: Target,
    clock: System,
    mut payments: Payments,
    (from, until): (Duration, Duration),
) -> Result<Vec<u64>, Failure> {
    let mut waits_us = Vec::new();
    loop {
        let batch = payments.next_batch(clock.now().wall);
        let asked = clock.now().monotonic;
        payments.committed(target.commit(batch).await?);
        let answered = clock.now().monotonic;
        if answered >= until {
            return Ok(waits_us);
        }
        if answered >= from {
            waits_us.push(u64::try_from(answered.saturating_sub(asked).as_micros())?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::TRANSITIONS;

    fn runtime() -> Runtime {
        tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime")
    }

    #[test]
    fn both_sides_write_the_same_rows() {
        // The same batches one by one become groups of the same transitions, rows and bytes, every fifth with an event,
        // and the reference's file has exactly the bytes of the store's blobs.
        let (runtime, clock, folder) = (runtime(), System::new(), tempfile::tempdir().expect("a folder"));
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
        let (runtime, clock, parent) = (runtime(), System::new(), tempfile::tempdir().expect("a folder"));
        let load = Load { in_flight: 16, warm_up: Duration::ZERO, window: Duration::from_millis(50) };
        for side in [Side::Store, Side::Reference] {
            let outcome = run(&runtime, &clock, side, load, parent.path()).expect("it runs");
            let committed: u64 = outcome.groups.iter().map(|group| group.transitions).sum();
            // The last commit of each worker is answered after the window.
            assert_eq!(outcome.transitions + 16, committed, "{}", side.name());
        }
        assert_eq!(std::fs::read_dir(parent.path()).expect("readable").count(), 0);
    }
}
