//! Which records are set aside: nothing works on them until an operator retries them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::engine::Inner;
use crate::store::{CommitListener, Put, RowKey, Scan, Seq, Store, Table, keys, records};

/// Records set aside that are known by heart; more than these nobody looks through.
const KNOWN_MAX: usize = 10_000;

/// The rows of records that are set aside.
#[derive(Default)]
pub(crate) struct SetAsideRows(Mutex<BTreeSet<RowKey>>);

impl SetAsideRows {
    /// Those of a store. It has to listen to the store's commits from then on.
    ///
    /// # Errors
    /// The store cannot answer.
    pub fn read(store: &dyn Store) -> Result<Self, Error> {
        let rows = store.scan(&Scan::prefix(Table::SetAside, &[], KNOWN_MAX))?;
        if rows.more {
            tracing::error!("more than {KNOWN_MAX} records are set aside; the newest of them are worked on again");
        }
        let known = rows.rows.iter().filter_map(|(key, _)| keys::parse_set_aside(key)).collect();
        Ok(Self(Mutex::new(known)))
    }

    /// Whether a record is set aside.
    pub fn contains(&self, row: &RowKey) -> bool {
        self.rows().contains(row)
    }

    /// Sets a record aside: at once in memory, and durably as soon as the store takes it.
    pub fn put(&self, inner: &Arc<Inner>, row: RowKey, why: &str) {
        if !self.rows().insert(row.clone()) {
            return;
        }
        let batch = records::set_aside(&row, why, inner.ids.next(), inner.clock.now().wall);
        let committed = inner.store.commit(batch);
        inner.commands.spawn(async move {
            if let Err(why) = committed.await {
                tracing::error!(?row, %why, "that a record is set aside could not be noted; it is retried at the next start");
            }
        });
    }

    fn rows(&self) -> MutexGuard<'_, BTreeSet<RowKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitListener for SetAsideRows {
    fn committed(&self, _: Seq, puts: &[Put]) {
        for put in puts.iter().filter(|put| put.key.table == Table::SetAside) {
            let Some(row) = keys::parse_set_aside(&put.key.key) else { continue };
            let mut rows = self.rows();
            match put.value {
                Some(_) => rows.insert(row),
                None => rows.remove(&row),
            };
        }
    }
}
