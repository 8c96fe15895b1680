//! The power goes at every write, sync, rename of a workload with checkpoints, cuts and a journal that is replaced; then
//! again in the middle of the recovery.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Write as _;
use std::sync::Arc;

use super::basics::options;
use super::disk::{Deed, Disk, Loss};
use super::workload::{Dump, Reached, dump, states, work};
use crate::store::redb::{RedbOptions, RedbStore};
use crate::store::{Store, StoreError};

/// Batches of the workload.
const BATCHES: u8 = 11;
/// Batches committed after the crash.
const AFTER: u8 = 2;

fn options_on(disk: &Disk, journal_bytes_max: u64) -> RedbOptions {
    let mut options = options();
    options.files = Some(Arc::new(disk.clone()));
    options.journal_bytes_max = journal_bytes_max;
    options
}

/// Opens, works and closes, until the power goes. How far it came.
fn run(disk: &Disk, journal_bytes_max: u64) -> Reached {
    let folder = tempfile::tempdir().expect("a folder for the lock");
    let Ok(store) = RedbStore::open(folder.path(), options_on(disk, journal_bytes_max)) else {
        assert!(disk.is_off(), "an empty disk opens");
        return Reached { acknowledged: 0, unknown: false };
    };
    let reached = work(&store, 0, BATCHES);
    store.close();
    reached
}

/// Opens what the crash left. `Err`: the power went again.
fn reopen(disk: &Disk, context: &str) -> Result<(Arc<RedbStore>, tempfile::TempDir), StoreError> {
    let folder = tempfile::tempdir().expect("a folder for the lock");
    match RedbStore::open(folder.path(), options_on(disk, u64::MAX)) {
        Ok(store) => Ok((store, folder)),
        Err(why) if disk.is_off() => Err(why),
        Err(why) => panic!("{context}: does not open: {why}"),
    }
}

/// What must hold after a crash: the state is the one after the acknowledged batches, or after the one more that was
/// under way; and the store goes on from there.
fn check(disk: &Disk, reached: Reached, states: &[Dump], context: &str) {
    let (store, _folder) = reopen(disk, context).expect("the power stays");
    let found = dump(&*store).unwrap_or_else(|why| panic!("{context}: {why}"));
    let position = states.iter().position(|state| *state == found);
    let position = position.unwrap_or_else(|| panic!("{context}: a state between batches"));
    let acknowledged = usize::from(reached.acknowledged);
    assert!(position >= acknowledged, "{context}: {acknowledged} were acknowledged, {position} are there");
    assert!(position <= acknowledged + usize::from(reached.unknown), "{context}: {position} are there");
    let next = u8::try_from(position).expect("few");
    let end = (next + AFTER).min(BATCHES);
    let went_on = work(&store, next, end);
    assert_eq!(went_on, Reached { acknowledged: end, unknown: false }, "{context}: goes on");
    assert!(dump(&*store).expect("readable") == states[usize::from(end)], "{context}: went on wrongly");
    drop(store);
    let (store, _folder) = reopen(disk, context).expect("the power stays");
    assert!(dump(&*store).expect("readable") == states[usize::from(end)], "{context}: opened wrongly");
}

fn losses(number: usize) -> [Loss; 4] {
    let seed = u64::try_from(number).expect("small").wrapping_mul(0x5851_f42d_4c95_7f2d);
    [Loss::All, Loss::Nothing, Loss::Some(seed), Loss::Some(!seed)]
}

type Table = BTreeMap<(String, Deed), usize>;

fn show(title: &str, table: &Table) {
    let mut text = format!("{title}\n");
    for ((file, deed), count) in table {
        writeln!(text, "{file:<18} {:<10} {count:>6}", format!("{deed:?}")).expect("a string takes it");
    }
    writeln!(text, "{:<29} {:>6}", "in all", table.values().sum::<usize>()).expect("a string takes it");
    std::io::stderr().write_all(text.as_bytes()).expect("a terminal takes it");
}

fn crash_everywhere(journal_bytes_max: u64, title: &str) {
    let states = states(BATCHES);
    let mut table = Table::new();
    for number in 0.. {
        let disk = Disk::default();
        disk.crash_at(number);
        let reached = run(&disk, journal_bytes_max);
        if !disk.is_off() {
            break;
        }
        let at = disk.done().pop().expect("the deed it went at");
        for loss in losses(number) {
            let context = format!("power lost at deed {number} ({at:?}), {loss:?}, {reached:?}");
            check(&disk.after_power_loss(loss), reached, &states, &context);
        }
        *table.entry(at).or_default() += 1;
    }
    assert!(table.len() > 5, "the workload reaches both files");
    show(title, &table);
}

#[test]
fn a_crash_at_any_deed_loses_nothing_acknowledged() {
    // Whenever the power goes, and whatever becomes of unsynced writes, the store reopens before or after each batch,
    // never between, never without an acknowledged one.
    crash_everywhere(u64::MAX, "crash points of the workload, each with 4 kinds of loss");
}

#[test]
fn a_crash_while_the_journal_is_replaced_loses_nothing() {
    // The same, where the journal is replaced after every cut.
    crash_everywhere(0, "crash points with journal replacement, each with 4 kinds of loss");
}

#[test]
fn a_crash_in_the_recovery_loses_nothing() {
    // The same, where the power goes a second time at any deed of the recovery from the first crash.
    let states = states(BATCHES);
    let mut table = Table::new();
    for first in (1..).step_by(37) {
        let disk = Disk::default();
        disk.crash_at(first);
        let reached = run(&disk, u64::MAX);
        if !disk.is_off() {
            break;
        }
        let crashed = disk.after_power_loss(losses(first)[first % 4]);
        for second in 0.. {
            let again = crashed.after_power_loss(Loss::Nothing);
            again.crash_at(second);
            let context = format!("power lost at deed {first}, then at {second} of the recovery, {reached:?}");
            if let Ok((store, _folder)) = reopen(&again, &context) {
                drop(store);
                if !again.is_off() {
                    break;
                }
            }
            let at = again.done().pop().expect("the deed it went at");
            check(&again.after_power_loss(losses(second)[second % 4]), reached, &states, &context);
            *table.entry(at).or_default() += 1;
        }
    }
    show("crash points of the recovery", &table);
}
