//! The threads of one engine: a runtime for calls and commands, and the arbiters of the actors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::engine::{Inner, ShutdownReport};

use super::system::Arbiters;

/// The threads of one engine. They end when it is dropped.
pub(crate) struct Threads {
    runtime: Mutex<Option<Runtime>>,
    arbiters: Arc<Arbiters>,
}

impl Threads {
    pub fn new(runtime: Runtime, arbiters: Arbiters) -> Self {
        Self { runtime: Mutex::new(Some(runtime)), arbiters: Arc::new(arbiters) }
    }

    /// The arbiters.
    pub fn arbiters(&self) -> &Arbiters {
        &self.arbiters
    }

    /// Drains within `limit`, then stops everything.
    pub async fn shutdown(&self, inner: &Arc<Inner>, limit: Duration) -> ShutdownReport {
        inner.commands.drain();
        let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return ShutdownReport { drained: true };
        };
        let waiting = Arc::clone(inner);
        let drained = runtime.spawn(async move { tokio::time::timeout(limit, waiting.commands.ended()).await.is_ok() });
        let drained = drained.await.unwrap_or(false);
        let (arbiters, store) = (Arc::clone(&self.arbiters), Arc::clone(&inner.store));
        // Both wait for threads, so they do it where it may block.
        let closed = runtime.spawn_blocking(move || {
            arbiters.stop();
            store.close();
        });
        if closed.await.is_err() {
            tracing::error!("the store could not be closed");
        }
        runtime.shutdown_background();
        ShutdownReport { drained }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.arbiters.stop();
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}
