//! A store whose reads need a disk: they leave the caller's thread, fail when told to, and may be held up between
//! reading and answering.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::store::memory::MemoryStore;
use crate::store::*;

pub struct SlowStore {
    pub inner: MemoryStore,
    pub failing: AtomicBool,
    /// What lists of transactions wait for, once it is set.
    pub lists_wait_for: OnceLock<Arc<OnceLock<()>>>,
    hold: Mutex<Option<Hold>>,
}

/// The other end of a read that is held up.
pub struct Held {
    /// Says that the row was read.
    pub was_read: Receiver<()>,
    /// Lets it be answered.
    pub go_on: SyncSender<()>,
}

struct Hold {
    table: Table,
    was_read: SyncSender<()>,
    go_on: Receiver<()>,
}

impl SlowStore {
    pub fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            failing: AtomicBool::new(false),
            lists_wait_for: OnceLock::new(),
            hold: Mutex::new(None),
        }
    }

    /// Holds up the next read of a row of `table`.
    pub fn hold_up(&self, table: Table) -> Held {
        let ((was_read, told), (go, go_on)) = (sync_channel(1), sync_channel(1));
        *self.held() = Some(Hold { table, was_read, go_on });
        Held { was_read: told, go_on: go }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("the disk refuses".to_owned()));
        }
        Ok(())
    }
}

impl Store for SlowStore {
    fn read(&self, key: &RowKey) -> Result<Read, StoreError> {
        self.check()?;
        let read = self.inner.read(key);
        let hold = {
            let mut held = self.held();
            let this = held.as_ref().is_some_and(|hold| hold.table == key.table);
            if this { held.take() } else { None }
        };
        if let Some(hold) = hold {
            hold.was_read.send(()).expect("the test waits for it");
            hold.go_on.recv().expect("the test lets it go on");
        }
        read
    }

    fn peek(&self, _: &RowKey) -> Option<Read> {
        None
    }

    fn scan(&self, scan: &Scan) -> Result<Rows, StoreError> {
        self.check()?;
        if let (Table::TransactionByApp, Some(let_go)) = (scan.table, self.lists_wait_for.get()) {
            let_go.wait();
        }
        self.inner.scan(scan)
    }

    fn commit(&self, batch: Batch) -> CommitFuture {
        self.inner.commit(batch)
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.inner.listen(listener);
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.inner.reopen()
    }

    fn close(&self) {
        self.inner.close();
    }
}
