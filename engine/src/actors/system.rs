//! The actor system of one engine: its arbiter threads, a router of transactions and one of subscriptions on each, and
//! the way in for messages, bounded per shard.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::engine::Inner;
use crate::model::RawId;

use super::kind::{Kind, Subscriptions, Transactions};
use super::router::{Envelope, Router, Tick};

/// Logical shards: an id belongs to one of them for ever.
const SHARDS: usize = 64;
/// Messages under way in one shard.
pub(crate) const SHARD_MAX: usize = 4_096;
/// How often routers look for actors that have nothing to do.
const TICK: Duration = Duration::from_secs(1);

/// The threads that actors run on.
pub(crate) struct Arbiters {
    handles: Vec<ArbiterHandle>,
    system: actix::System,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The routers of one engine.
pub(crate) struct ActorSystem {
    transactions: Lanes<Transactions>,
    subscriptions: Lanes<Subscriptions>,
}

/// The way to the routers of one kind.
pub(crate) struct Lanes<K: Kind> {
    routers: Vec<Addr<Router<K>>>,
    /// The bound of each shard. It is a counter of ours, because mailboxes do not keep theirs.
    permits: Vec<Arc<Semaphore>>,
}

impl Arbiters {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when one cannot be started.
    pub fn start(count: usize) -> Result<Self, Error> {
        let (ready, started) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("maxpay-actors".to_owned())
            .spawn(move || run_arbiters(count, &ready))
            .map_err(|why| Error::Internal(format!("the actors' thread cannot be started: {why}")))?;
        let (system, handles) =
            started.recv().map_err(|_| Error::Internal("the arbiter threads cannot be started".to_owned()))?;
        Ok(Self { handles, system, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the threads; what their actors hold is dropped. Waits for them, except on a thread that runs actors itself.
    pub fn stop(&self) {
        for arbiter in &self.handles {
            arbiter.stop();
        }
        self.system.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && actix::System::try_current().is_none()
            && thread.join().is_err()
        {
            tracing::error!("the actors' thread ended by a panic");
        }
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ActorSystem {
    /// Starts the routers on arbiters that run.
    ///
    /// # Errors
    /// [`Error::Internal`] when an arbiter has died.
    pub fn start(arbiters: &Arbiters, inner: &Arc<Inner>) -> Result<Self, Error> {
        let handles = &arbiters.handles;
        Ok(Self { transactions: Lanes::start(handles, inner)?, subscriptions: Lanes::start(handles, inner)? })
    }

    /// The way to transactions.
    pub fn transactions(&self) -> &Lanes<Transactions> {
        &self.transactions
    }

    /// The way to subscriptions.
    pub fn subscriptions(&self) -> &Lanes<Subscriptions> {
        &self.subscriptions
    }

    /// Ticks the routers until the engine is gone.
    pub async fn tick(inner: Weak<Inner>) {
        loop {
            let Some(owner) = inner.upgrade() else { return };
            let sleep = owner.clock.sleep(TICK);
            drop(owner);
            sleep.await;
            let Some(owner) = inner.upgrade() else { return };
            let Some(system) = owner.system() else { return };
            // A router whose mailbox is full has better things to do than to let actors go.
            system.transactions.routers.iter().for_each(|router| drop(router.try_send(Tick)));
            system.subscriptions.routers.iter().for_each(|router| drop(router.try_send(Tick)));
        }
    }
}

impl<K: Kind> Lanes<K> {
    fn start(arbiters: &[ArbiterHandle], inner: &Arc<Inner>) -> Result<Self, Error> {
        let mut routers = Vec::new();
        for arbiter in arbiters {
            let (ready, started) = sync_channel(1);
            let inner = Arc::downgrade(inner);
            let router = Router::<K>::start_in_arbiter(arbiter, move |context| {
                // Room for every permit there is and what routers tell themselves about each: it is never full.
                context.set_mailbox_capacity(SHARDS * SHARD_MAX * 4);
                // Who started it waits on the other side.
                let _ = ready.send(());
                Router::new(inner)
            });
            started.recv().map_err(|_| Error::Internal("an arbiter has died".to_owned()))?;
            routers.push(router);
        }
        let permits = (0..SHARDS).map(|_| Arc::new(Semaphore::new(SHARD_MAX))).collect();
        Ok(Self { routers, permits })
    }

    /// Hands a message to the actor of `id`. Whoever waits for the answer holds the other end of a channel in it.
    pub fn send(&self, id: K::Id, body: K::Body) {
        let raw: RawId = K::raw(id);
        let shard = usize::from(raw.shard());
        let permit: OwnedSemaphorePermit = match Arc::clone(&self.permits[shard]).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => return K::refuse(body, Error::Busy),
        };
        let router = &self.routers[shard % self.routers.len()];
        if let Err(refused) = router.try_send(Envelope::<K> { id, body, permit }) {
            K::refuse(refused.into_inner().body, Error::ShuttingDown);
        }
    }

    /// Takes every place of the shard of `id`; `None` while one is taken.
    #[cfg(test)]
    pub fn take_all(&self, id: K::Id) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.permits[usize::from(K::raw(id).shard())]);
        let all = u32::try_from(SHARD_MAX).expect("a small constant");
        permits.try_acquire_many_owned(all).ok()
    }
}

type Started = (actix::System, Vec<ArbiterHandle>);

fn run_arbiters(count: usize, ready: &std::sync::mpsc::SyncSender<Started>) {
    let runner = actix::System::new();
    let system = actix::System::current();
    let arbiters: Vec<Arbiter> = (0..count).map(|_| Arbiter::new()).collect();
    let handles = arbiters.iter().map(Arbiter::handle).collect();
    // A starter that went away wants nothing to run.
    if ready.send((system, handles)).is_err() {
        return;
    }
    if let Err(why) = runner.run() {
        tracing::error!(%why, "the actor system ended with an error");
    }
    for arbiter in arbiters {
        arbiter.stop();
        if arbiter.join().is_err() {
            tracing::error!("an arbiter ended by a panic");
        }
    }
}
