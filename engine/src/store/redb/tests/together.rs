//! Several at once: readers beside the writer and the applier, writers of one row, and a writer that has to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::basics::options;
use super::gate::Gate;
use crate::model::{RawId, Timestamp};
use crate::store::exam::{row, wait};
use crate::store::keys::{self, DueKind};
use crate::store::memory::MemoryStore;
use crate::store::redb::{CrashPoint, RedbOptions, RedbStore};
use crate::store::{Batch, CommitError, Put, Scan, Store, Table};

fn eager() -> RedbOptions {
    RedbOptions { checkpoint_every: Duration::from_millis(1), checkpoint_rows: 3, ..options() }
}

#[test]
fn a_scan_shows_one_moment() {
    // While a due row moves with every commit and checkpoints run, every scan shows it exactly once, and never an older
    // place than before.
    let folder = tempfile::tempdir().expect("a folder");
    let store = RedbStore::open(folder.path(), eager()).expect("opens");
    let id = RawId([1; 12]);
    let at = |step: u64| Some(Timestamp::from_millis(step));
    let mut first = Batch::default();
    first.move_due(DueKind::Transaction, id, None, at(0));
    wait(store.commit(first)).expect("committed");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut newest = 0;
            while !done.load(Ordering::Acquire) {
                for newest_first in [false, true] {
                    let scan = Scan { newest_first, ..Scan::prefix(Table::Due, &[], 10) };
                    let rows = store.scan(&scan).expect("readable").rows;
                    let [(key, _)] = rows.as_slice() else { panic!("{} due rows after {newest}", rows.len()) };
                    let step = keys::parse_due(key).expect("ours").at.millis();
                    assert!(step >= newest, "went back from {newest} to {step}");
                    newest = step;
                }
            }
        });
        for step in 0..400 {
            let mut batch = Batch::default();
            batch.move_due(DueKind::Transaction, id, at(step), at(step + 1));
            wait(store.commit(batch)).expect("committed");
        }
        done.store(true, Ordering::Release);
        reader.join().expect("every scan was right");
    });
}

/// Adds one to the number in a row, over and over, with the row as read as the precondition.
fn count_up(store: &dyn Store, times: usize) {
    for _ in 0..times {
        loop {
            let read = store.read(&row(1)).expect("readable");
            let number = read.value.map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().expect("eight")));
            let value = (number + 1).to_be_bytes().as_slice().into();
            let mut batch = Batch { puts: vec![Put { key: row(1), value: Some(value) }], ..Batch::default() };
            batch.watch(row(1), read.seen);
            match wait(store.commit(batch)) {
                Ok(_) => break,
                Err(CommitError::Conflict(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn no_update_is_lost() {
    // Of several who change one row as they read it, each change counts exactly once.
    let folder = tempfile::tempdir().expect("a folder");
    let stores: [Arc<dyn Store>; 2] =
        [RedbStore::open(folder.path(), eager()).expect("opens"), Arc::new(MemoryStore::new())];
    for store in stores {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| count_up(&*store, 50));
            }
        });
        let number = store.read(&row(1)).expect("readable").value.expect("there");
        assert_eq!(*number, 200_u64.to_be_bytes());
    }
}

#[test]
fn the_writer_waits_for_a_slow_applier() {
    // When the tables do not keep up, the journal runs ahead by its bound only, callers hear busy, and what was taken is
    // committed once they do.
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let mut options = RedbOptions { unapplied_rows_max: 8, queue_batches_max: 4, ..eager() };
    options.crash_points = Some(Arc::new(move |point| {
        if point == CrashPoint::BeforeCheckpointCommit {
            at_gate.pass();
        }
    }));
    let store = RedbStore::open(folder.path(), options).expect("opens");
    gate.hold();
    let put = |number: u8| Batch { puts: vec![Put { key: row(number), value: Some([].into()) }], ..Batch::default() };
    wait(store.commit(put(0))).expect("committed");
    gate.wait_until_held();
    let mut taken = Vec::new();
    for number in 1..=7 {
        wait(store.commit(put(number))).expect("below the bound");
    }
    let refused = (8..=255).find_map(|number| {
        let mut commit = store.commit(put(number));
        let answer = (&mut commit).now_or_never();
        if answer.is_none() {
            taken.push(commit);
        }
        answer
    });
    assert_eq!(refused.expect("the queue is finite").expect_err("full"), CommitError::Busy);
    assert!(taken.len() <= 5, "the writer holds one, the queue four: {}", taken.len());
    assert_eq!(store.unapplied().0, 8);
    gate.release();
    for commit in taken {
        wait(commit).expect("committed in the end");
    }
    store.checkpoint().expect("applied");
    assert_eq!(store.unapplied(), (0, 0));
}

#[test]
fn the_journal_stays_small() {
    // The journal is cut behind the tables, and a file that has grown is replaced by a small one that holds the rest.
    let folder = tempfile::tempdir().expect("a folder");
    let options = RedbOptions { journal_bytes_max: 8 * 1024 * 1024, ..options() };
    let store = RedbStore::open(folder.path(), options.clone()).expect("opens");
    let length = || std::fs::metadata(folder.path().join("journal.redb")).expect("there").len();
    let put = |number: u8| {
        let value = vec![number; 900_000].into();
        Batch { puts: vec![Put { key: row(number), value: Some(value) }], ..Batch::default() }
    };
    for number in 0..20 {
        wait(store.commit(put(number))).expect("committed");
    }
    let grown = length();
    assert!(grown > options.journal_bytes_max, "{grown}");
    store.checkpoint().expect("applied");
    for number in 20..22 {
        wait(store.commit(put(number))).expect("committed");
    }
    assert!(length() < grown / 2, "{} after {grown}", length());
    store.close();
    let store = RedbStore::open(folder.path(), options).expect("opens");
    for number in 0..22 {
        assert_eq!(store.read(&row(number)).expect("readable").value.map(|value| value.len()), Some(900_000));
    }
}
