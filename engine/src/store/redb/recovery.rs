//! From two files to a running store: do they belong together, is the journal whole, and what does it hold that the
//! tables do not. What contradicts itself is refused, never skipped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::Database;

use super::RedbOptions;
use super::blob::{self, StoreId};
use super::fence::{Fates, ask, replace_suspect};
use super::files::{Fate, Files, JOURNAL, NEW, TABLES, Watched};
use super::journal_file::Journal;
use super::tables::{About, Snapshot, declare};
use super::witness::{WITNESS, Witness};
use crate::store::fanout::Fanout;
use crate::store::{Put, RowKey, SCAN_ROWS_MAX, Scan, Seq, StoreError, Table};

/// The epoch of files that are being made.
const MAKING: u64 = 1;

/// A group that the journal holds.
pub struct Group {
    /// Its number.
    pub seq: Seq,
    /// Its changes, in order.
    pub puts: Vec<Put>,
}

/// A store that is whole and ready to run.
pub struct Recovered {
    /// The journal.
    pub journal: Journal,
    /// The tables.
    pub tables: Arc<Database>,
    /// They as they are.
    pub snapshot: Snapshot,
    /// The newest group in the tables.
    pub applied: Seq,
    /// The newest group.
    pub last: Seq,
    /// The groups between the two.
    pub groups: Vec<Group>,
    /// The subscriptions as of `last`.
    pub fanout: Fanout,
    /// Notes how far the journal comes.
    pub witness: Witness,
}

/// Opens both files, or makes them. Tables that are `open` already are used as they are.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Unavailable`].
pub fn recover(
    files: &Arc<dyn Files>,
    fates: &Fates,
    options: &RedbOptions,
    open: Option<Arc<Database>>,
) -> Result<Recovered, StoreError> {
    replace_suspect(files, JOURNAL, &fates.journal)?;
    let tables = if let Some(tables) = open {
        tables
    } else {
        replace_suspect(files, TABLES, &fates.tables)?;
        make_missing(files, fates, options)?;
        let check = options.check_tables || fates.tables.failed.load(Ordering::Acquire);
        let tables = ask(|| open_tables(files, TABLES, &fates.tables, options, check));
        Arc::new(tables.map_err(|why| why.opening(TABLES))?)
    };
    let about = ask(|| About::read(&tables)).map_err(|why| why.opening(TABLES))?;
    let about = about.ok_or_else(|| StoreError::Damaged(format!("{TABLES} does not say which store it belongs to")))?;
    let journal = ask(|| Journal::open(files, &fates.journal)).map_err(|why| why.opening(JOURNAL))?;
    let journal = journal.ok_or_else(|| damaged(format!("{JOURNAL} does not say which store it belongs to")))?;
    belong_together(&about, &journal.about)?;
    let (last, groups) = tail(&journal, about.applied)?;
    let witness = heard_out(Witness::open(files, about.id), last)?;
    let (journal, about) = raise_epoch(journal, &tables, about)?;
    let snapshot = ask(|| Snapshot::take(&tables)).map_err(|why| why.opening(TABLES))?;
    let mut fanout = subscriptions(&snapshot)?;
    groups.iter().flat_map(|group| &group.puts).for_each(|put| fanout.observe(put));
    for fate in [&fates.journal, &fates.tables] {
        fate.failed.store(false, Ordering::Release);
    }
    Ok(Recovered { journal, tables, snapshot, applied: about.applied, last, groups, fanout, witness })
}

fn damaged(text: String) -> StoreError {
    StoreError::Damaged(text)
}

/// Makes the files of a new store: first the tables, then the journal, each whole before it gets its name.
fn make_missing(files: &Arc<dyn Files>, fates: &Fates, options: &RedbOptions) -> Result<(), StoreError> {
    let unavailable = |why: std::io::Error| StoreError::Unavailable(why.to_string());
    let journal = files.exists(JOURNAL).map_err(unavailable)?;
    let tables = files.exists(TABLES).map_err(unavailable)?;
    if tables && journal {
        return Ok(());
    }
    if journal {
        return Err(damaged(format!("{JOURNAL} is there and {TABLES} is not")));
    }
    if !tables {
        let mut id = StoreId::default();
        options.entropy.fill(&mut id);
        let about = About { id, epoch: MAKING, applied: Seq(0) };
        ask(|| make_tables(files, &fates.tables, options, &about)).map_err(|why| why.opening(TABLES))?;
    }
    let about = ask(|| {
        let tables = open_tables(files, TABLES, &fates.tables, options, false)?;
        let about = About::read(&tables)?;
        tables.close()?;
        Ok(about)
    });
    match about.map_err(|why| why.opening(TABLES))? {
        Some(about) if about.epoch == MAKING && about.applied == Seq(0) => {
            ask(|| Journal::make(files, &fates.journal, &about, &[])).map_err(|why| why.opening(JOURNAL))
        }
        Some(_) | None => Err(damaged(format!("{TABLES} is there and {JOURNAL} is not"))),
    }
}

fn make_tables(
    files: &Arc<dyn Files>,
    fate: &Arc<Fate>,
    options: &RedbOptions,
    about: &About,
) -> Result<(), redb::Error> {
    let new = [TABLES, NEW].concat();
    files.remove(&new)?;
    let database = open_tables(files, &new, fate, options, false)?;
    declare(&database, about)?;
    database.close()?;
    Ok(files.rename(&new, TABLES)?)
}

fn open_tables(
    files: &Arc<dyn Files>,
    on_disk: &str,
    fate: &Arc<Fate>,
    options: &RedbOptions,
    check: bool,
) -> Result<Database, redb::Error> {
    let file = Watched::open(files, TABLES, on_disk, fate)?;
    let mut builder = redb::Builder::new();
    let builder = builder.set_cache_size(options.tables_cache_bytes).set_check_integrity_on_open(check);
    Ok(builder.create_with_backend(file)?)
}

/// The journal's epoch is the tables' one, or one ahead when an opening was cut short between the two.
fn belong_together(tables: &About, journal: &About) -> Result<(), StoreError> {
    if tables.id != journal.id {
        let (tables, journal) = (hex::encode(tables.id), hex::encode(journal.id));
        return Err(damaged(format!("{TABLES} is of store {tables} and {JOURNAL} of store {journal}")));
    }
    let ahead = journal.epoch.checked_sub(tables.epoch);
    if ahead.is_none_or(|ahead| ahead > 1) {
        let (tables, journal) = (tables.epoch, journal.epoch);
        return Err(damaged(format!(
            "{TABLES} is of opening {tables} and {JOURNAL} of opening {journal}: one of them is an older copy"
        )));
    }
    Ok(())
}

/// The newest group, and the groups above `applied`.
fn tail(journal: &Journal, applied: Seq) -> Result<(Seq, Vec<Group>), StoreError> {
    let blobs = ask(|| journal.groups()).map_err(|why| why.opening(JOURNAL))?;
    let mut last = None;
    let mut groups = Vec::new();
    for (number, blob) in blobs {
        let expected = last.map_or(number, |last: u64| last + 1);
        if number != expected {
            return Err(damaged(format!("{JOURNAL} lacks group {expected}: {number} comes instead")));
        }
        if last.is_none() && number > applied.0 + 1 {
            let applied = applied.0;
            return Err(damaged(format!("{JOURNAL} begins at group {number}, but {TABLES} end at {applied}")));
        }
        last = Some(number);
        let seq = Seq(number);
        let puts = blob::decode(&blob, &journal.about.id, seq);
        let puts = puts.map_err(|why| damaged(format!("group {number} of {JOURNAL}: {why}")))?;
        if seq > applied {
            groups.push(Group { seq, puts });
        }
    }
    match last {
        Some(last) if last < applied.0 => {
            let applied = applied.0;
            Err(damaged(format!("{JOURNAL} ends at group {last}, but {TABLES} at {applied}")))
        }
        last => Ok((Seq(last.unwrap_or(applied.0)), groups)),
    }
}

/// The journal holds at least what its witness saw.
fn heard_out(witness: Witness, last: Seq) -> Result<Witness, StoreError> {
    match witness.seen() {
        Some(Seq(seen)) if seen > last.0 => {
            let last = last.0;
            Err(damaged(format!(
                "{JOURNAL} ends at group {last}, but {WITNESS} saw {seen} committed; remove the latter only after \
                 restoring a backup"
            )))
        }
        Some(_) | None => Ok(witness),
    }
}

fn raise_epoch(mut journal: Journal, tables: &Database, about: About) -> Result<(Journal, About), StoreError> {
    if journal.about.epoch == about.epoch {
        ask(|| journal.raise_epoch(about.epoch + 1)).map_err(|why| why.opening(JOURNAL))?;
    }
    let about = About { epoch: journal.about.epoch, ..about };
    ask(|| declare(tables, &about)).map_err(|why| why.opening(TABLES))?;
    Ok((journal, about))
}

fn subscriptions(snapshot: &Snapshot) -> Result<Fanout, StoreError> {
    let scan = Scan::prefix(Table::Subscription, &[], SCAN_ROWS_MAX);
    let mut fanout = Fanout::default();
    ask(|| {
        for row in snapshot.rows(&scan)? {
            let (key, value) = row?;
            fanout.observe(&Put { key: RowKey { table: scan.table, key }, value: Some(value) });
        }
        Ok(())
    })
    .map_err(|why| why.opening(TABLES))?;
    Ok(fanout)
}
