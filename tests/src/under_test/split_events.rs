//! A planted fault: the events of a batch, and the deliveries that the store makes of them, are committed behind it.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::store::{Batch, CommitFuture, CommitListener, Health, Read, RowKey, Rows, Scan, Store, StoreError};

/// How much later the events are committed.
const BEHIND: Duration = Duration::from_millis(50);

/// A store that commits events apart.
pub struct SplitEvents(Arc<dyn Store>);

impl SplitEvents {
    /// Around `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl Store for SplitEvents {
    fn commit(&self, mut batch: Batch) -> CommitFuture {
        let events = std::mem::take(&mut batch.events);
        let committed = self.0.commit(batch);
        if events.is_empty() {
            return committed;
        }
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let committed = committed.await?;
            // Nobody waits for it, which is the fault.
            std::thread::spawn(move || {
                std::thread::sleep(BEHIND);
                drop(store.commit(Batch { events, ..Batch::default() }));
            });
            Ok(committed)
        })
    }

    fn read(&self, key: &RowKey) -> Result<Read, StoreError> {
        self.0.read(key)
    }

    fn peek(&self, key: &RowKey) -> Option<Read> {
        self.0.peek(key)
    }

    fn scan(&self, scan: &Scan) -> Result<Rows, StoreError> {
        self.0.scan(scan)
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.0.listen(listener);
    }

    fn health(&self) -> Health {
        self.0.health()
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.0.reopen()
    }

    fn close(&self) {
        self.0.close();
    }
}
