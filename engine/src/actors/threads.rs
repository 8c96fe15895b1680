//! The threads of one engine: a runtime for calls and commands, and the arbiters of the actors.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::engine::{Inner, ShutdownReport};

/// The threads of one engine. They end when it is dropped.
pub(crate) struct Threads {
    runtime: Mutex<Option<Runtime>>,
}

impl Threads {
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime: Mutex::new(Some(runtime)) }
    }

    /// Drains within `limit`, then stops everything.
    pub async fn shutdown(&self, inner: &Arc<Inner>, limit: Duration) -> ShutdownReport {
        inner.commands.draining.store(true, Ordering::Release);
        let waiting = Arc::clone(inner);
        let Some(handle) =
            self.runtime.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|it| it.handle().clone())
        else {
            return ShutdownReport { drained: true };
        };
        let drained = handle.spawn(async move { tokio::time::timeout(limit, waiting.commands.ended()).await.is_ok() });
        let drained = drained.await.unwrap_or(false);
        self.stop();
        inner.store.close();
        ShutdownReport { drained }
    }

    fn stop(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}
