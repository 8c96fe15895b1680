//! A simulator's durable memory: JSON rows by key, changed all at once or not at all.
//!
//! It is a file of its own, committed independently of the engine's store. What rows mean is told by each simulator.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{Database, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");

/// The ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file does not do what it should.
    #[error("the simulator's ledger: {0}")]
    File(#[from] Box<redb::Error>),
    /// A row is not what this release writes.
    #[error("the simulator's ledger: row {key} cannot be read")]
    Row {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A simulator's rows.
pub struct Ledger {
    body: Body,
}

enum Body {
    Memory(Mutex<BTreeMap<String, Vec<u8>>>),
    File(Box<Database>),
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_durable() { "Ledger(file)" } else { "Ledger(memory)" })
    }
}

impl Ledger {
    /// A ledger that is gone with the process.
    #[must_use]
    pub fn memory() -> Self {
        Self { body: Body::Memory(Mutex::default()) }
    }

    /// Opens the file, or makes it. A second opener is refused.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let database = Database::create(path).map_err(file)?;
        let begin = database.begin_write().map_err(file)?;
        begin.open_table(ROWS).map_err(file)?;
        begin.commit().map_err(file)?;
        Ok(Self { body: Body::File(Box::new(database)) })
    }

    /// Whether a commit waits for a disk.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self.body, Body::File(_))
    }

    /// The row of that key.
    pub fn row<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, LedgerError> {
        let bytes = match &self.body {
            Body::Memory(rows) => rows.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned(),
            Body::File(database) => {
                let table = database.begin_read().map_err(file)?.open_table(ROWS).map_err(file)?;
                table.get(key).map_err(file)?.map(|value| value.value().to_vec())
            }
        };
        bytes.map(|bytes| read_row(key, &bytes)).transpose()
    }

    /// The first rows whose key begins with `prefix`, in the order of their keys, at most `limit`.
    pub fn rows<T: DeserializeOwned>(&self, prefix: &str, limit: usize) -> Result<Vec<(String, T)>, LedgerError> {
        let mut found = Vec::new();
        match &self.body {
            Body::Memory(rows) => {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                let range = rows.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
                for (key, bytes) in range.take(limit) {
                    found.push((key.clone(), read_row(key, bytes)?));
                }
            }
            Body::File(database) => {
                let table = database.begin_read().map_err(file)?.open_table(ROWS).map_err(file)?;
                for entry in table.range(prefix..).map_err(file)?.take(limit) {
                    let (key, value) = entry.map_err(file)?;
                    if !key.value().starts_with(prefix) {
                        break;
                    }
                    found.push((key.value().to_owned(), read_row(key.value(), value.value())?));
                }
            }
        }
        Ok(found)
    }

    /// The last rows whose key begins with `prefix`, the last of them first, at most `limit`.
    pub fn last_rows<T: DeserializeOwned>(&self, prefix: &str, limit: usize) -> Result<Vec<(String, T)>, LedgerError> {
        // No key goes on with the last of all characters.
        let end = format!("{prefix}{}", char::MAX);
        let mut found = Vec::new();
        match &self.body {
            Body::Memory(rows) => {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                for (key, bytes) in rows.range(prefix.to_owned()..end).rev().take(limit) {
                    found.push((key.clone(), read_row(key, bytes)?));
                }
            }
            Body::File(database) => {
                let table = database.begin_read().map_err(file)?.open_table(ROWS).map_err(file)?;
                for entry in table.range(prefix..end.as_str()).map_err(file)?.rev().take(limit) {
                    let (key, value) = entry.map_err(file)?;
                    found.push((key.value().to_owned(), read_row(key.value(), value.value())?));
                }
            }
        }
        Ok(found)
    }

    /// The row of that key. Where there is none it is made, and kept.
    ///
    /// # Errors
    /// The ledger does not answer, or what `make` says.
    pub fn row_or<T, E>(&self, key: &str, make: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<LedgerError>,
    {
        if let Some(row) = self.row(key)? {
            return Ok(row);
        }
        let new = make()?;
        let mut changes = Changes::default();
        changes.put(key.to_owned(), &new);
        self.commit(changes)?;
        Ok(new)
    }

    /// Makes all changes durable together.
    pub fn commit(&self, changes: Changes) -> Result<(), LedgerError> {
        if changes.0.is_empty() {
            return Ok(());
        }
        match &self.body {
            Body::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                for (key, value) in changes.0 {
                    match value {
                        Some(bytes) => rows.insert(key, bytes),
                        None => rows.remove(&key),
                    };
                }
            }
            Body::File(database) => {
                let write = database.begin_write().map_err(file)?;
                {
                    let mut table = write.open_table(ROWS).map_err(file)?;
                    for (key, value) in &changes.0 {
                        match value {
                            Some(bytes) => table.insert(key.as_str(), bytes.as_slice()).map_err(file)?,
                            None => table.remove(key.as_str()).map_err(file)?,
                        };
                    }
                }
                write.commit().map_err(file)?;
            }
        }
        Ok(())
    }
}

fn file(error: impl Into<redb::Error>) -> LedgerError {
    LedgerError::File(Box::new(error.into()))
}

fn read_row<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes).map_err(|source| LedgerError::Row { key: key.to_owned(), source })
}

/// Changes that become durable together; the last one of a key counts.
#[derive(Default)]
pub struct Changes(BTreeMap<String, Option<Vec<u8>>>);

impl Changes {
    /// Writes a row, whatever was there.
    pub fn put(&mut self, key: String, row: &impl Serialize) {
        let bytes = serde_json::to_vec(row).expect("rows are structs of texts and numbers");
        self.0.insert(key, Some(bytes));
    }

    /// Removes a row; one that is not there stays so.
    pub fn remove(&mut self, key: String) {
        self.0.insert(key, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exercise(ledger: &Ledger) {
        let mut changes = Changes::default();
        changes.put("a/1".to_owned(), &1);
        changes.put("a/2".to_owned(), &2);
        changes.put("b/1".to_owned(), &3);
        ledger.commit(changes).expect("a commit");
        let mut changes = Changes::default();
        changes.remove("a/1".to_owned());
        changes.put("a/3".to_owned(), &4);
        ledger.commit(changes).expect("a commit");
    }

    fn check(ledger: &Ledger) {
        assert_eq!(ledger.row::<u64>("a/1").expect("read"), None);
        assert_eq!(ledger.row::<u64>("b/1").expect("read"), Some(3));
        let rows = ledger.rows::<u64>("a/", 10).expect("read");
        assert_eq!(rows, [("a/2".to_owned(), 2), ("a/3".to_owned(), 4)]);
        assert_eq!(ledger.rows::<u64>("a/", 1).expect("read").len(), 1);
        let last = ledger.last_rows::<u64>("a/", 10).expect("read");
        assert_eq!(last, [("a/3".to_owned(), 4), ("a/2".to_owned(), 2)]);
        assert_eq!(ledger.last_rows::<u64>("a/", 1).expect("read"), last[..1]);
        let kept = ledger.row_or("c", || Ok::<u64, LedgerError>(5)).expect("made");
        assert_eq!((kept, ledger.row_or("c", || Ok::<u64, LedgerError>(6)).expect("kept")), (5, 5));
        assert!(matches!(ledger.row::<String>("b/1"), Err(LedgerError::Row { .. })));
    }

    #[test]
    fn both_bodies_keep_the_same_rows() {
        // Memory and file answer alike, and the file still does after it was opened again.
        let memory = Ledger::memory();
        exercise(&memory);
        check(&memory);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("provider.redb");
        let ledger = Ledger::open(&path).expect("a new ledger");
        exercise(&ledger);
        check(&ledger);
        assert!(matches!(Ledger::open(&path), Err(LedgerError::File(_))), "one opener at a time");
        drop(ledger);
        check(&Ledger::open(&path).expect("the ledger again"));
    }
}
