//! A store on a real folder.

use std::sync::Arc;
use std::time::Duration;

use super::gate::Gate;
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
