//! A store on a real folder.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::clock::{SeededEntropy, System};
use crate::store::exam::{Candidate, exam, row, wait};
use crate::store::redb::{CrashPoint, RedbOptions, RedbStore};
use crate::store::{Batch, Health, Put, Store, StoreError};

/// Options of a small store whose applier rests unless asked.
pub fn options() -> RedbOptions {
    let mut options = RedbOptions::new(Arc::new(System::new()), Arc::new(SeededEntropy::new(1)));
    options.checkpoint_every = Duration::from_hours(1);
    options.tables_cache_bytes = 1024 * 1024;
    options
}

/// Lets the writer pass, or holds it where it has taken a batch.
#[derive(Default)]
struct Gate {
    /// Held, and whether the writer stands before it.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().expect("whole");
        while state.0 {
            state.1 = true;
            self.changed.notify_all();
            state = self.changed.wait(state).expect("whole");
        }
        state.1 = false;
    }

    fn hold(&self) {
        self.state.lock().expect("whole").0 = true;
    }

    fn release(&self) {
        self.state.lock().expect("whole").0 = false;
        self.changed.notify_all();
    }

    fn wait_until_held(&self) {
        let mut state = self.state.lock().expect("whole");
        while !state.1 {
            state = self.changed.wait(state).expect("whole");
        }
    }
}

fn sit(every: Duration, rows: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Arc::new(Gate::default());
    let mut options = options();
    options.checkpoint_every = every;
    options.checkpoint_rows = rows;
    options.queue_batches_max = 16;
    let at_gate = Arc::clone(&gate);
    options.crash_points = Some(Arc::new(move |point| {
        if point == CrashPoint::BatchTaken {
            at_gate.pass();
        }
    }));
    let store = RedbStore::open(folder.path(), options).expect("opens");
    let (opener, holder) = (Arc::clone(&store), Arc::clone(&gate));
    let hold = move || {
        holder.hold();
        drop(opener.commit(Batch { puts: vec![Put { key: row(255), value: None }], ..Batch::default() }));
        holder.wait_until_held();
    };
    let candidate = Candidate { store, hold: Box::new(hold), release: Box::new(move || gate.release()) };
    exam(&candidate);
}

#[test]
fn the_redb_store_passes() {
    // The body on disk does what every body must, whether rows are still in the overlay or already in the tables.
    sit(Duration::from_hours(1), 50_000);
    sit(Duration::from_millis(1), 1);
}

#[test]
fn a_folder_has_one_owner() {
    // A second opening of the folder is refused with a clear error, until the first one is closed.
    let folder = tempfile::tempdir().expect("a folder");
    let first = RedbStore::open(folder.path(), options()).expect("opens");
    let second = RedbStore::open(folder.path(), options());
    assert!(matches!(second, Err(StoreError::InUse(_))));
    first.close();
    assert!(matches!(first.health(), Health::Fenced { .. }));
    RedbStore::open(folder.path(), options()).expect("free again");
}

#[test]
fn what_is_closed_opens_as_it_was() {
    // Rows outlive the process: those in the tables and those in the journal alone.
    let folder = tempfile::tempdir().expect("a folder");
    let put =
        |number: u8| Batch { puts: vec![Put { key: row(number), value: Some([number].into()) }], ..Batch::default() };
    for round in 0..4 {
        let store = RedbStore::open(folder.path(), options()).expect("opens");
        for number in 0..round {
            assert!(store.read(&row(number)).expect("readable").value.is_some(), "row {number} in round {round}");
        }
        wait(store.commit(put(round))).expect("committed");
        if round % 2 == 0 {
            store.checkpoint().expect("applied");
        }
        store.close();
        store.close();
        assert!(wait(store.commit(put(99))).is_err());
    }
}
