//! Which records are set aside: nothing works on them until an operator retries them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;
use crate::engine::Inner;
use crate::model::AlarmId;
use crate::store::{CommitListener, Put, RowKey, Scan, Seq, Store, Table, keys, notes, records};

/// Records set aside that are known by heart; more than these nobody looks through.
const KNOWN_MAX: usize = 10_000;
/// How long is waited before a refused note is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

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

    /// Sets a record aside: at once in memory, and durably as soon as the store takes it. Its row of the due table stays
    /// until that is durable ([`super::firing`]), so that a crash before it only has the record tried again.
    pub fn put(&self, inner: &Arc<Inner>, row: RowKey, why: &str) {
        if !self.rows().insert(row.clone()) {
            return;
        }
        let (owner, why, alarm) = (Arc::clone(inner), why.to_owned(), inner.ids.next());
        inner.commands.spawn(async move {
            let mut wait = FIRST_WAIT;
            // An operator who retried it has taken it out.
            while owner.set_aside.contains(&row) && !noted(&owner, &row, &why, alarm).await {
                if owner.commands.is_draining() {
                    return tracing::error!(
                        ?row,
                        "that a record is set aside is not noted; it is tried again at the next start"
                    );
                }
                // In real time: it is no matter of the engine's clock.
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
        });
    }

    fn rows(&self) -> MutexGuard<'_, BTreeSet<RowKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is durable that a record is set aside; if not yet, tries to make it so, with its alarm.
async fn noted(inner: &Arc<Inner>, row: &RowKey, why: &str, alarm: AlarmId) -> bool {
    let flag = keys::set_aside(row);
    let seen = match inner.reader.record::<notes::SetAside>(flag.clone()).await {
        Ok((Some(_), _)) => return true,
        Ok((None, seen)) => seen,
        Err(_) => return false,
    };
    let mut batch = records::set_aside(row, why, alarm, inner.clock.now().wall);
    // Noted and retried meanwhile: then it is not noted again.
    batch.watch(flag, seen);
    inner.store.commit(batch).await.is_ok()
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
