//! Blocking work off the caller and off the arbiters: store reads, sealing, signing.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::Error;
use crate::store::codec::Record;
use crate::store::records::{peek_record, read_record};
use crate::store::{RowKey, Seq, Store};

/// So many pieces of work may wait or run.
const WAITING_MAX: usize = 8_192;

/// A bounded pool for work that may block.
#[derive(Clone)]
pub(crate) struct Reader {
    runtime: Handle,
    store: Arc<dyn Store>,
    permits: Arc<Semaphore>,
}

impl Reader {
    pub fn new(runtime: Handle, store: Arc<dyn Store>) -> Self {
        Self { runtime, store, permits: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Busy`] when too much waits, [`Error::Internal`] when it panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Busy)?;
        let store = Arc::clone(&self.store);
        let running = self.runtime.spawn_blocking(move || {
            let answer = work(store.as_ref());
            drop(permit);
            answer
        });
        match running.await {
            Ok(answer) => Ok(answer),
            Err(failed) if failed.is_panic() => Err(Error::Internal("work ended by a panic".to_owned())),
            Err(_) => Err(Error::ShuttingDown),
        }
    }

    /// The record of a row and the commit as of which it is the newest; without a hop when the store has it in memory.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`]; [`Error::SetAside`] when it does not decode.
    pub async fn record<T: Record + Send + 'static>(&self, key: RowKey) -> Result<(Option<T>, Seq), Error> {
        if let Some(answer) = peek_record(self.store.as_ref(), &key) {
            return answer.map_err(Error::from);
        }
        self.run(move |store| read_record(store, &key)).await?.map_err(Error::from)
    }
}
