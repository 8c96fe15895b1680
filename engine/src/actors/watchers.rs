//! Who waits for a transaction to change: told by the store's commits, so that no actor has to remember them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::TransactionId;
use crate::store::{CommitListener, Put, Seq, Table, keys};

/// Transactions that somebody waits for.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<BTreeMap<TransactionId, Watched>>);

struct Watched {
    changed: Arc<Notify>,
    waiting: usize,
}

/// Waits for changes of one transaction.
pub(crate) struct Watcher<'a> {
    all: &'a Watchers,
    id: TransactionId,
    /// Notified, without memory, at every commit of the transaction.
    pub changed: Arc<Notify>,
}

impl Watchers {
    /// Begins to wait; changes from now on are told.
    pub fn watch(&self, id: TransactionId) -> Watcher<'_> {
        let mut all = self.all();
        let watched = all.entry(id).or_insert_with(|| Watched { changed: Arc::new(Notify::new()), waiting: 0 });
        watched.waiting += 1;
        Watcher { all: self, id, changed: Arc::clone(&watched.changed) }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<TransactionId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if let Some(watched) = all.get_mut(&self.id) {
            watched.waiting -= 1;
            if watched.waiting == 0 {
                all.remove(&self.id);
            }
        }
    }
}

impl CommitListener for Watchers {
    fn committed(&self, _: Seq, puts: &[Put]) {
        let all = self.all();
        if all.is_empty() {
            return;
        }
        for put in puts.iter().filter(|put| put.key.table == Table::Transaction) {
            if let Some(watched) = keys::last_id(&put.key.key).and_then(|id| all.get(&id)) {
                watched.changed.notify_waiters();
            }
        }
    }
}
