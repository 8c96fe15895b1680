//! The threads of one engine: a runtime for calls and commands, and the arbiters of the actors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::engine::{Inner, ShutdownReport};

use super::system::Arbiters;

/// The threads of one engine. They end when it is dropped, or when a shutdown that was begun has come to its end.
pub(crate) struct Threads(Arc<Shared>);

struct Shared {
    /// Taken by whoever ends it, and never dropped otherwise: dropping a runtime may block.
    runtime: Mutex<Option<Runtime>>,
    arbiters: Arbiters,
    /// Whether a shutdown was begun.
    ending: AtomicBool,
    /// What the shutdown came to, for everybody who asked for one.
    ended: watch::Sender<Option<ShutdownReport>>,
}

impl Threads {
    pub fn new(runtime: Runtime, arbiters: Arbiters) -> Self {
        Self(Arc::new(Shared {
            runtime: Mutex::new(Some(runtime)),
            arbiters,
            ending: AtomicBool::new(false),
            ended: watch::Sender::new(None),
        }))
    }

    /// The arbiters.
    pub fn arbiters(&self) -> &Arbiters {
        &self.0.arbiters
    }

    /// Drains within `limit`, then stops everything. It goes on when its caller goes away; one that is asked for while
    /// another is under way comes to what that comes to.
    pub async fn shutdown(&self, inner: &Arc<Inner>, limit: Duration) -> ShutdownReport {
        inner.commands.drain();
        let mut ended = self.0.ended.subscribe();
        if !self.0.ending.swap(true, Ordering::AcqRel) {
            let (shared, inner) = (Arc::clone(&self.0), Arc::clone(inner));
            let runtime = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(runtime) = runtime.as_ref() {
                runtime.spawn(end(shared, inner, limit));
            }
        }
        // The sender is there as long as `self` is.
        let report = ended.wait_for(Option::is_some).await.ok().and_then(|report| *report);
        report.unwrap_or(ShutdownReport { drained: false })
    }
}

/// A shutdown, on the runtime that it ends last of all.
async fn end(shared: Arc<Shared>, inner: Arc<Inner>, limit: Duration) {
    let drained = tokio::time::timeout(limit, inner.commands.ended()).await.is_ok();
    let (stopping, store) = (Arc::clone(&shared), Arc::clone(&inner.store));
    // Both wait for threads, so they do it where it may block.
    let closed = tokio::task::spawn_blocking(move || {
        stopping.arbiters.stop();
        store.close();
    });
    if closed.await.is_err() {
        tracing::error!("the store could not be closed");
    }
    shared.ended.send_replace(Some(ShutdownReport { drained }));
    shared.stop_runtime();
}

impl Shared {
    fn stop_runtime(&self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A shutdown that was begun is let come to its end.
        if !self.0.ending.swap(true, Ordering::AcqRel) {
            self.0.arbiters.stop();
            self.0.stop_runtime();
        }
    }
}
