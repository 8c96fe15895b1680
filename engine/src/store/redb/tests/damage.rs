//! Files that contradict each other or themselves, and bits that flip.

use std::io::Write as _;
use std::sync::Arc;

use super::basics::options;
use super::disk::{Disk, Loss};
use super::workload::{Dump, dump, states, work};
use crate::clock::SeededEntropy;
use crate::store::codec;
use crate::store::redb::fence::Fates;
use crate::store::redb::journal_file::{GROUPS, Journal};
use crate::store::redb::{Files, RedbOptions, RedbStore};
use crate::store::{RowKey, Store, StoreError, Table};

const BATCHES: u8 = 10;

fn open(disk: &Disk, change: impl FnOnce(&mut RedbOptions)) -> Result<(Arc<RedbStore>, tempfile::TempDir), StoreError> {
    let folder = tempfile::tempdir().expect("a folder for the lock");
    let mut options = RedbOptions { files: Some(Arc::new(disk.clone())), ..options() };
    change(&mut options);
    Ok((RedbStore::open(folder.path(), options)?, folder))
}

/// A store whose process was killed in the middle of its work, and one that was closed.
fn worked() -> (Disk, Disk) {
    let disk = Disk::default();
    let (store, _folder) = open(&disk, |_| ()).expect("opens");
    assert_eq!(work(&store, 0, BATCHES).acknowledged, BATCHES);
    let killed = disk.after_process_end();
    store.close();
    (killed, disk.after_process_end())
}

/// What must hold: such files are refused, and the words say why.
fn refuses(disk: &Disk, words: &str) {
    match open(disk, |_| ()) {
        Ok(_) => panic!("opened, but {words}"),
        Err(StoreError::Damaged(why)) => assert!(why.contains(words), "{why}: should say {words}"),
        Err(other) => panic!("{other}: should be damaged: {words}"),
    }
}

fn with(disk: &Disk, change: impl FnOnce(&Journal) -> Result<(), redb::Error>) -> Disk {
    let copy = disk.after_power_loss(Loss::Nothing);
    let files: Arc<dyn Files> = Arc::new(copy.clone());
    let journal = Journal::open(&files, &Fates::default().journal).expect("opens").expect("says what it is");
    change(&journal).expect("works");
    drop(journal);
    copy
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    // Another store's file, an older copy of either file, a missing one, and one that is no database are refused.
    let (killed, closed) = worked();
    let stranger = Disk::default();
    drop(open(&stranger, |options| options.entropy = Arc::new(SeededEntropy::new(2))).expect("opens"));
    let mixed = killed.after_power_loss(Loss::All);
    mixed.edit("journal.redb", |bytes| *bytes = stranger.bytes("journal.redb"));
    refuses(&mixed, "of store");
    let later = closed.after_power_loss(Loss::All);
    for _ in 0..2 {
        drop(open(&later, |_| ()).expect("opens"));
    }
    for file in ["journal.redb", "tables.redb"] {
        let restored = later.after_power_loss(Loss::All);
        restored.edit(file, |bytes| *bytes = killed.bytes(file));
        refuses(&restored, "older copy");
        let lost = later.after_power_loss(Loss::All);
        lost.remove(file).expect("works");
        refuses(&lost, "is not");
        let noise = later.after_power_loss(Loss::All);
        noise.edit(file, |bytes| *bytes = b"not a database ".repeat(1_000));
        refuses(&noise, file);
    }
}

#[test]
fn a_journal_with_a_hole_is_refused() {
    // A group that is missing, at the front or in the middle, altered, or under a wrong number is refused.
    let (killed, _) = worked();
    let numbers = |disk: &Disk| {
        let mut numbers = Vec::new();
        with(disk, |journal| {
            numbers = journal.groups()?.into_iter().map(|(number, _)| number).collect();
            Ok(())
        });
        numbers
    };
    let numbers = numbers(&killed);
    let [first, second, third, ..] = numbers[..] else { panic!("a journal with several groups: {numbers:?}") };
    let without = |cut: Vec<u64>| {
        with(&killed, |journal| {
            let transaction = journal.begin()?;
            for number in cut {
                transaction.open_table(GROUPS)?.remove(number)?;
            }
            Ok(transaction.commit()?)
        })
    };
    refuses(&without(vec![second]), &format!("lacks group {second}"));
    let applied = u64::from(BATCHES) - 3;
    let front = without((first..=applied + 1).collect());
    refuses(&front, "begins at group");
    let altered = with(&killed, |journal| {
        let mut blob = journal.groups()?.swap_remove(2).1;
        let transaction = journal.begin()?;
        *blob.last_mut().expect("not empty") ^= 1;
        transaction.open_table(GROUPS)?.insert(third, blob.as_slice())?;
        Ok(transaction.commit()?)
    });
    refuses(&altered, "checksum");
    let moved = with(&killed, |journal| {
        let blob = journal.groups()?.swap_remove(1).1;
        let transaction = journal.begin()?;
        transaction.open_table(GROUPS)?.insert(third, blob.as_slice())?;
        Ok(transaction.commit()?)
    });
    refuses(&moved, &format!("it is group {second}"));
}

/// What became of a flipped bit.
#[derive(Debug, Default)]
struct Tally {
    harmless: usize,
    refused_at_opening: usize,
    refused_at_reading: usize,
    hidden_until_checked: usize,
    newest_group_lost: usize,
}

fn is_marker(table: Table, bytes: &[u8]) -> bool {
    bytes.is_empty()
        && !matches!(table, Table::Transaction | Table::Bill | Table::Subscription | Table::Delivery | Table::Event)
}

/// Whether every row is the one expected, or refused by its envelope; `None`: rows are missing or new ones are there.
fn rows_are_right(found: &Dump, expected: &Dump) -> Option<bool> {
    let mut all = true;
    for (table, key, value) in found {
        if expected.contains(&(*table, key.clone(), value.clone())) {
            continue;
        }
        let row = RowKey::new(*table, &[key]);
        if is_marker(*table, value) || codec::intact(&row, value).is_ok() {
            return None;
        }
        all = false;
    }
    let known =
        |(table, key, _): &(Table, Vec<u8>, Vec<u8>)| found.iter().any(|(other, row, _)| other == table && row == key);
    expected.iter().all(known).then_some(all)
}

fn flip(disk: &Disk, file: &str, bit: usize, states: &[Dump], tally: &mut Tally) {
    let context = format!("bit {bit} of {file}");
    let expected = &states[usize::from(BATCHES)];
    let checked = open(&disk.with_flipped_bit(file, bit), |options| options.check_tables = true);
    let checked = match checked {
        Err(StoreError::Damaged(_) | StoreError::Unavailable(_)) => None,
        Err(other) => panic!("{context}: {other}"),
        Ok((store, _folder)) => Some(dump(&*store).unwrap_or_else(|why| panic!("{context}: {why}"))),
    };
    if let Some(found) = checked {
        if found == *expected {
            tally.harmless += 1;
        } else {
            assert!(file == "journal.redb" && found == states[usize::from(BATCHES) - 1], "{context}: silently wrong");
            tally.newest_group_lost += 1;
        }
        return;
    }
    match open(&disk.with_flipped_bit(file, bit), |_| ()) {
        Err(_) => tally.refused_at_opening += 1,
        Ok((store, _folder)) => match dump(&*store).map(|found| rows_are_right(&found, expected)) {
            Err(_) | Ok(Some(false)) => tally.refused_at_reading += 1,
            Ok(Some(true)) => tally.harmless += 1,
            // Only the check of the whole file sees it.
            Ok(None) => tally.hidden_until_checked += 1,
        },
    }
}

#[test]
fn flipped_bits_never_pass_for_money() {
    // A flipped bit is harmless, refused when the store opens, refused when its row is read, or hides rows until the
    // tables are checked; no row with other contents is ever believed. After a power cut, one in the newest commit of the
    // journal looks like a commit that the cut interrupted.
    let states = states(BATCHES);
    let (killed, closed) = worked();
    let unplugged = killed.after_power_loss(Loss::All);
    for (name, disk) in [("killed", &killed), ("unplugged", &unplugged), ("closed", &closed)] {
        for file in ["journal.redb", "tables.redb"] {
            let bytes = disk.bytes(file);
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let mut tally = Tally::default();
            for (turn, at) in used.iter().step_by(used.len().div_ceil(300)).enumerate() {
                flip(disk, file, at * 8 + turn % 8, &states, &mut tally);
            }
            assert!(name == "unplugged" || tally.newest_group_lost == 0, "{name} {file}: {tally:?}");
            writeln!(std::io::stderr(), "{name} {file}: {tally:?}").expect("a terminal takes it");
        }
    }
}
