//! Commands of callers: each runs to its end on the engine's own runtime, whoever still waits for it.
//!
//! A command that waits for a provider or a target keeps its place meanwhile. So that one of those that hangs takes no
//! place from what needs none of it, waiting ends where places become scarce, and some are kept for what must get in.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::Error;
use crate::engine::Inner;

use super::calls;

/// So many commands may be under way.
const COMMANDS_MAX: usize = 16_384;
/// With fewer places free than that, nobody keeps one to wait for somebody outside.
pub(super) const SCARCE: usize = COMMANDS_MAX / 4;
/// So many more places are kept for commands that go first.
const KEPT_MAX: usize = 1_024;
/// How long is waited before work that ended by a panic is begun again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Which places a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Those of everybody.
    Ordinary,
    /// Those that are kept, too, when there are no others: for what providers tell, and for operators.
    First,
}

/// Commands under way.
pub(crate) struct Commands {
    runtime: Handle,
    places: Arc<Semaphore>,
    kept: Arc<Semaphore>,
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
            places: Arc::new(Semaphore::new(COMMANDS_MAX)),
            kept: Arc::new(Semaphore::new(KEPT_MAX)),
            draining: AtomicBool::new(false),
            background: Arc::default(),
        }
    }

    /// Runs `command` on the engine's runtime and waits for it; dropping the wait leaves it running.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`], [`Error::Busy`], [`Error::Internal`] when it panics, and its own.
    pub async fn run<T, F>(&self, urgency: Urgency, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if self.is_draining() {
            return Err(Error::ShuttingDown);
        }
        let place = self.place(urgency)?;
        let running = self.runtime.spawn(async move {
            let answer = command.await;
            drop(place);
            answer
        });
        match running.await {
            Ok(answer) => answer,
            Err(failed) if failed.is_panic() => Err(Error::Internal("a command ended by a panic".to_owned())),
            Err(_) => Err(Error::OutcomeUnknown),
        }
    }

    fn place(&self, urgency: Urgency) -> Result<OwnedSemaphorePermit, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = match urgency {
            Urgency::Ordinary => place,
            Urgency::First => place.or_else(|_| Arc::clone(&self.kept).try_acquire_owned()),
        };
        place.map_err(|_| Error::Busy)
    }

    /// Whether a command may keep its place while it waits for somebody outside.
    pub fn have_room(&self) -> bool {
        self.places.available_permits() >= SCARCE
    }

    /// Takes ordinary places as commands do, until so many are left.
    #[cfg(test)]
    pub fn take_all_but(&self, left: usize) -> OwnedSemaphorePermit {
        let count = self.places.available_permits().saturating_sub(left);
        let count = u32::try_from(count).expect("a small constant");
        Arc::clone(&self.places).try_acquire_many_owned(count).expect("they are there")
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

    /// Starts work that goes on until the engine is gone. When a panic ends it, an alarm says so, and it is begun again:
    /// soon, and later each time it ends again before long.
    pub fn spawn_forever<F>(&self, what: &'static str, inner: Weak<Inner>, work: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.spawn(async move {
            let monotonic = || inner.upgrade().map(|inner| inner.clock.now().monotonic);
            let mut wait = FIRST_WAIT;
            while let Some(begun_at) = monotonic()
                && AssertUnwindSafe(work()).catch_unwind().await.is_err()
            {
                let Some(owner) = inner.upgrade() else { return };
                calls::defect(&owner, what);
                if owner.clock.now().monotonic.saturating_sub(begun_at) >= LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
                drop(owner);
                // In real time: it is no matter of the engine's clock.
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// How many commands and pieces of work beside them are under way.
    pub fn under_way(&self) -> usize {
        let ordinary = COMMANDS_MAX.saturating_sub(self.places.available_permits());
        let first = KEPT_MAX.saturating_sub(self.kept.available_permits());
        ordinary.saturating_add(first).saturating_add(self.background.under_way.load(Ordering::Acquire))
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
        let all = |places: usize| u32::try_from(places).expect("a small constant");
        // They fail only when a semaphore is closed, which nobody does.
        let _all = self.places.acquire_many(all(COMMANDS_MAX)).await;
        let _kept = self.kept.acquire_many(all(KEPT_MAX)).await;
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
