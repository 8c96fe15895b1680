//! A disk that refuses: one write or one sync fails, at any moment of a workload, on either file; a thread that dies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::basics::options;
use super::disk::{Deed, Disk, Loss};
use super::workload::{Dump, Reached, batch, dump, states, work};
use crate::store::exam::wait;
use crate::store::redb::{CrashPoint, RedbOptions, RedbStore};
use crate::store::{CommitError, CommitListener, Health, Put, Seq, Store, StoreError};

const BATCHES: u8 = 8;

fn options_on(disk: &Disk) -> RedbOptions {
    RedbOptions { files: Some(Arc::new(disk.clone())), ..options() }
}

#[derive(Default)]
struct Heard(Mutex<Vec<u64>>);

impl CommitListener for Heard {
    fn committed(&self, seq: Seq, _puts: &[Put]) {
        self.0.lock().expect("whole").push(seq.0);
    }
}

fn open(disk: &Disk) -> (Arc<RedbStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the lock");
    (RedbStore::open(folder.path(), options_on(disk)).expect("opens"), folder)
}

/// How many batches a store shows: what was acknowledged, or one more if its outcome was unknown.
fn position(store: &RedbStore, reached: Reached, states: &[Dump], context: &str) -> u8 {
    let found = dump(store).unwrap_or_else(|why| panic!("{context}: {why}"));
    let position = states.iter().position(|state| *state == found);
    let position = position.unwrap_or_else(|| panic!("{context}: a state between batches"));
    let acknowledged = usize::from(reached.acknowledged);
    let allowed = acknowledged..=acknowledged + usize::from(reached.unknown);
    assert!(allowed.contains(&position), "{context}: {position} are there, {reached:?}");
    u8::try_from(position).expect("few")
}

/// What must hold of a fenced store: no commits, reads as far as the disk goes, and nothing wrong among them.
fn check_fenced(store: &RedbStore, file: &str, reached: Reached, states: &[Dump], context: &str) {
    let refused = wait(store.commit(batch(reached.acknowledged))).expect_err(context);
    assert!(matches!(refused, CommitError::Fenced(_)), "{context}: {refused}");
    match dump(store) {
        Ok(found) => assert!(found == states[usize::from(reached.acknowledged)], "{context}: reads go wrong"),
        Err(StoreError::Unavailable(_)) => assert_eq!(file, "tables.redb", "{context}: reads stop"),
        Err(other) => panic!("{context}: {other}"),
    }
}

/// One fault after `after` deeds that work; `false`: the workload has fewer.
fn fail_once(file: &str, deed: Deed, after: usize, states: &[Dump]) -> bool {
    let context = format!("{deed:?} of {file} fails after {after}");
    let disk = Disk::default();
    let (store, _folder) = open(&disk);
    let heard = Arc::new(Heard::default());
    store.listen(heard.clone());
    disk.fail(file, deed, after);
    let mut reached = work(&store, 0, BATCHES);
    if disk.faults() == 0 {
        return false;
    }
    if matches!(store.health(), Health::Fenced { .. }) {
        check_fenced(&store, file, reached, states, &context);
        if deed == Deed::Sync {
            // What the kernel forgot must not be believed by the next process either.
            let disk = disk.after_process_end();
            let (next, _folder) = open(&disk);
            let acknowledged = position(&next, reached, states, &context);
            let shown = Reached { acknowledged, unknown: false };
            let (after_loss, _folder) = open(&disk.after_power_loss(Loss::All));
            position(&after_loss, shown, states, &format!("{context}, the process ends, then the power goes"));
        }
        store.reopen().unwrap_or_else(|why| panic!("{context}: {why}"));
        reached = Reached { acknowledged: position(&store, reached, states, &context), unknown: false };
        let (after_loss, _folder) = open(&disk.after_power_loss(Loss::All));
        position(&after_loss, reached, states, &format!("{context}, then the power goes"));
    }
    assert_eq!(store.health(), Health::Open, "{context}");
    let went_on = work(&store, reached.acknowledged, BATCHES);
    assert_eq!(went_on, Reached { acknowledged: BATCHES, unknown: false }, "{context}");
    store.close();
    let told: Vec<u64> = heard.0.lock().expect("whole").clone();
    assert_eq!(told, (1..=u64::from(BATCHES)).collect::<Vec<_>>(), "{context}: listeners hear of all, once, in order");
    let (store, _folder) = open(&disk.after_power_loss(Loss::All));
    assert!(dump(&*store).expect("readable") == states[usize::from(BATCHES)], "{context}: closed and opened");
    true
}

#[test]
fn a_refusing_disk_fences_and_loses_nothing() {
    // After any failed write or sync of either file: commits stop, callers hear that the outcome is unknown, reads go on
    // where the disk lets them; reopening shows everything acknowledged, and a power cut right after it, too.
    let states = states(BATCHES);
    for file in ["journal.redb", "tables.redb"] {
        for deed in [Deed::Sync, Deed::Write, Deed::SetLength] {
            let count = (0..1_000).take_while(|after| fail_once(file, deed, *after, &states)).count();
            assert!(count > 0 || deed == Deed::SetLength, "{deed:?} of {file} happens");
        }
    }
}

#[test]
fn a_reopening_that_fails_can_be_tried_again() {
    // When the disk refuses the reopening, too, the store stays fenced, reads go on where only the journal is refused, and
    // the next try works.
    let states = states(BATCHES);
    let refusals = [("journal.redb.new", Deed::Sync), ("journal.redb", Deed::Rename), ("tables.redb", Deed::Sync)];
    for (file, deed) in refusals {
        // The first ones may still belong to the closing, whose failures are healed by the opening.
        let refused = (0..8).filter(|after| reopening_is_refused(file, deed, *after, &states)).count();
        assert!(refused > 0, "{deed:?} of {file} is refused");
    }
}

fn reopening_is_refused(file: &str, deed: Deed, after: usize, states: &[Dump]) -> bool {
    let disk = Disk::default();
    let (store, _folder) = open(&disk);
    disk.fail("journal.redb", Deed::Sync, 4);
    let reached = work(&store, 0, BATCHES);
    assert!(reached.unknown, "the commit's outcome is unknown");
    disk.fail(file, deed, after);
    let refused = store.reopen().is_err();
    if refused {
        let context = format!("{deed:?} of {file} fails after {after}, at the reopening");
        assert!(matches!(store.health(), Health::Fenced { .. }), "{context}");
        check_fenced(&store, file, reached, states, &context);
        store.reopen().expect("the disk works again");
    }
    disk.fail(file, deed, usize::MAX);
    let next = position(&store, reached, states, file);
    assert_eq!(work(&store, next, BATCHES).acknowledged, BATCHES);
    refused
}

#[test]
fn a_thread_that_dies_fences() {
    // A panic at any named point of the commit path fences the store, is never an answer of success that is lost, and
    // reopening goes on from what is durable.
    let states = states(BATCHES);
    let points = [
        CrashPoint::BatchTaken,
        CrashPoint::BeforeJournalCommit,
        CrashPoint::AfterJournalCommit,
        CrashPoint::AfterOverlay,
        CrashPoint::BeforeReply,
        CrashPoint::BeforeCheckpointCommit,
        CrashPoint::AfterCheckpointCommit,
        CrashPoint::BeforeCut,
        CrashPoint::AfterCut,
    ];
    for point in points {
        let context = format!("{point:?}");
        let disk = Disk::default();
        let passes = AtomicUsize::new(0);
        let mut options = options_on(&disk);
        options.crash_points = Some(Arc::new(move |passed| {
            assert!(passed != point || passes.fetch_add(1, Ordering::Relaxed) != 0, "the test ends the thread here");
        }));
        let folder = tempfile::tempdir().expect("a folder for the lock");
        let store = RedbStore::open(folder.path(), options).expect("opens");
        let reached = work(&store, 0, BATCHES);
        assert!(reached.acknowledged < BATCHES, "{context} is passed");
        assert!(matches!(store.health(), Health::Fenced { .. }), "{context}");
        store.reopen().unwrap_or_else(|why| panic!("{context}: {why}"));
        let next = position(&store, reached, &states, &context);
        assert_eq!(work(&store, next, BATCHES).acknowledged, BATCHES, "{context}");
        store.close();
    }
}
