//! The journal's file: groups under their numbers, and what the store says of itself.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, WriteTransaction};

use super::files::{Fate, Files, JOURNAL, NEW, Watched};
use super::tables::About;
use crate::store::Seq;

/// Group blobs by their number.
pub const GROUPS: TableDefinition<u64, &[u8]> = TableDefinition::new("groups");

/// redb keeps so many bytes of the journal in memory; it is written and seldom read.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// The open journal.
pub struct Journal {
    /// Its database. `None` only while the file is exchanged, and after that failed.
    open: Option<Opened>,
    /// What it says of itself.
    pub about: About,
}

struct Opened {
    database: Database,
    file: Watched,
}

impl Journal {
    /// Opens the journal; every page in use is checked, because a damaged one would hide groups.
    pub fn open(files: &Arc<dyn Files>, fate: &Arc<Fate>) -> Result<Option<Self>, redb::Error> {
        let open = open_file(files, JOURNAL, fate, true)?;
        let about = About::read(&open.database)?;
        Ok(about.map(|about| Self { open: Some(open), about }))
    }

    /// Makes a new journal with these groups, whole before it gets its name.
    pub fn make(
        files: &Arc<dyn Files>,
        fate: &Arc<Fate>,
        about: &About,
        groups: &[(u64, Vec<u8>)],
    ) -> Result<(), redb::Error> {
        let new = [JOURNAL, NEW].concat();
        files.remove(&new)?;
        let Opened { database, .. } = open_file(files, &new, fate, false)?;
        let transaction = database.begin_write()?;
        about.write(&transaction)?;
        {
            let mut table = transaction.open_table(GROUPS)?;
            for (seq, blob) in groups {
                table.insert(seq, blob.as_slice())?;
            }
        }
        transaction.commit()?;
        database.close()?;
        Ok(files.rename(&new, JOURNAL)?)
    }

    /// Exchanges the file for a new one that holds what this one holds.
    pub fn replace(&mut self, files: &Arc<dyn Files>, fate: &Arc<Fate>) -> Result<(), redb::Error> {
        let groups = self.groups()?;
        if let Some(old) = self.open.take() {
            // What closing it writes goes into a file that is about to be replaced.
            old.database.close()?;
        }
        Self::make(files, fate, &self.about, &groups)?;
        self.open = Some(open_file(files, JOURNAL, fate, false)?);
        Ok(())
    }

    /// Every group, in order.
    pub fn groups(&self) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let table = self.database()?.begin_read()?.open_table(GROUPS)?;
        table
            .iter()?
            .map(|row| row.map(|(seq, blob)| (seq.value(), blob.value().to_vec())).map_err(Into::into))
            .collect()
    }

    /// Notes another epoch, durably.
    pub fn raise_epoch(&mut self, epoch: u64) -> Result<(), redb::Error> {
        self.about.epoch = epoch;
        let transaction = self.begin()?;
        self.about.write(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Starts a write transaction. Its commit is plain: one sync, and a repair in full at the next opening, which the
    /// small file affords.
    pub fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        Ok(self.database()?.begin_write()?)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> Result<u64, redb::Error> {
        match &self.open {
            Some(open) => Ok(open.file.len()?),
            None => Err(redb::Error::DatabaseClosed),
        }
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.open.as_ref().map(|open| &open.database).ok_or(redb::Error::DatabaseClosed)
    }
}

/// Removes the groups up to `seq`.
pub fn cut_up_to(transaction: &WriteTransaction, seq: Seq) -> Result<(), redb::Error> {
    Ok(transaction.open_table(GROUPS)?.retain_in(..=seq.0, |_, _| false)?)
}

fn open_file(files: &Arc<dyn Files>, on_disk: &str, fate: &Arc<Fate>, check: bool) -> Result<Opened, redb::Error> {
    let file = Watched::open(files, JOURNAL, on_disk, fate)?;
    let mut builder = redb::Builder::new();
    let builder = builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check);
    Ok(Opened { database: builder.create_with_backend(file.clone())?, file })
}
