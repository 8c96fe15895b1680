//! Commands of callers: each runs to its end on the engine's own runtime, whoever still waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::Error;

/// So many commands may be under way.
const COMMANDS_MAX: usize = 16_384;

/// Commands under way.
pub(crate) struct Commands {
    runtime: Handle,
    permits: Arc<Semaphore>,
    /// Whether new ones are refused.
    pub draining: AtomicBool,
}

impl Commands {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, permits: Arc::new(Semaphore::new(COMMANDS_MAX)), draining: AtomicBool::new(false) }
    }

    /// Runs `command` on the engine's runtime and waits for it; dropping the wait leaves it running.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`], [`Error::Busy`], [`Error::Internal`] when it panics, and its own.
    pub async fn run<T, F>(&self, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Busy)?;
        let running = self.runtime.spawn(async move {
            let answer = command.await;
            drop(permit);
            answer
        });
        match running.await {
            Ok(answer) => answer,
            Err(failed) if failed.is_panic() => Err(Error::Internal("a command ended by a panic".to_owned())),
            Err(_) => Err(Error::OutcomeUnknown),
        }
    }

    /// Runs `work` on the engine's runtime and blocks this thread until it has ended. For the start only.
    ///
    /// # Errors
    /// [`Error::Internal`] when it panics.
    pub fn wait<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move { sender.send(work.await) });
        answer.recv().map_err(|_| Error::Internal("work ended by a panic".to_owned()))
    }

    /// Completes when no command is under way any more; none may be taken meanwhile.
    pub async fn ended(&self) {
        let all = u32::try_from(COMMANDS_MAX).expect("a small constant");
        // It fails only when the semaphore is closed, which nobody does.
        let _all = self.permits.acquire_many(all).await;
    }
}
