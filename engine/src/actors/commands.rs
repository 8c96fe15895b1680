//! Commands of callers: each runs to its end on the engine's own runtime, whoever still waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::Error;

/// So many commands may be under way.
const COMMANDS_MAX: usize = 16_384;

/// Commands under way.
pub(crate) struct Commands {
    runtime: Handle,
    permits: Arc<Semaphore>,
    draining: AtomicBool,
    background: Arc<Background>,
}

/// Work beside commands: calls, tries, what follows from them.
#[derive(Default)]
struct Background {
    under_way: AtomicUsize,
    ended: Notify,
}

/// Counts one piece of work for as long as it is there.
struct Counted(Arc<Background>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

impl Commands {
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            permits: Arc::new(Semaphore::new(COMMANDS_MAX)),
            draining: AtomicBool::new(false),
            background: Arc::default(),
        }
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
        if self.is_draining() {
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

    /// Starts work that nobody waits for, or somebody of the engine's own does. Draining waits for its end.
    pub fn spawn<T, F>(&self, work: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.background.under_way.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(&self.background));
        self.runtime.spawn(async move {
            let answer = work.await;
            drop(counted);
            answer
        })
    }

    /// Starts work that goes on until the engine is gone.
    pub fn spawn_forever(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// How many commands and pieces of work beside them are under way.
    pub fn under_way(&self) -> usize {
        let commands = COMMANDS_MAX.saturating_sub(self.permits.available_permits());
        commands.saturating_add(self.background.under_way.load(Ordering::Acquire))
    }

    /// Whether new commands are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Refuses new commands from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
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

    /// Completes when no command and no work beside them is under way any more; none may be taken meanwhile.
    pub async fn ended(&self) {
        let all = u32::try_from(COMMANDS_MAX).expect("a small constant");
        // It fails only when the semaphore is closed, which nobody does.
        let _all = self.permits.acquire_many(all).await;
        loop {
            let mut ended = std::pin::pin!(self.background.ended.notified());
            ended.as_mut().enable();
            if self.background.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}
