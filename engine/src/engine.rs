//! The engine as a host holds it, and what its rooms share behind it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::Error;
use crate::actors::births::Births;
use crate::actors::calls;
use crate::actors::commands::{Commands, Urgency};
use crate::actors::dispatcher::Dispatcher;
use crate::actors::doorkeeper::Doorkeeper;
use crate::actors::hints::Hints;
use crate::actors::inbox_items::InboxItems;
use crate::actors::materials::Materials;
use crate::actors::metrics::{Metrics, MetricsSnapshot};
use crate::actors::reader::Reader;
use crate::actors::set_aside::SetAsideRows;
use crate::actors::sweeping::{self, MissingFunctions};
use crate::actors::sweeps::Sweeps;
use crate::actors::system::ActorSystem;
use crate::actors::threads::Threads;
use crate::actors::timekeeper::Timekeeper;
use crate::actors::watchers::Watchers;
use crate::adapters::Adapters;
use crate::alarms::Alarms;
use crate::builder::EngineBuilder;
use crate::channel::CodeManifest;
use crate::channel::http::HttpClient;
use crate::clock::{Clock, Entropy, IdSource};
use crate::directory::Directory;
use crate::front::KeysInProgress;
use crate::model::{AlarmKind, ChannelCode, Timestamp};
use crate::secrets::Sealer;
use crate::settings::Settings;
use crate::store::{self, Store};
use crate::webhook::Sender;

/// When what is looked through at the start could not be, it is tried again after this.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// A running engine: a handle, cheap to clone, usable from any thread and any runtime.
///
/// Dropping an answer's future does not stop the command behind it. When the last handle is dropped, the engine's
/// threads end without draining; [`Engine::shutdown`] drains.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    threads: Arc<Threads>,
}

/// What the rooms of one engine share.
pub(crate) struct Inner {
    pub store: Arc<dyn Store>,
    pub sealer: Arc<Sealer>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub ids: IdSource,
    pub adapters: Adapters,
    pub http: Arc<dyn HttpClient>,
    /// One try of a webhook.
    pub sender: Sender,
    pub settings: Settings,
    /// Apps, accounts and bearer keys as they are used.
    pub directory: Arc<Directory>,
    pub alarms: Arc<Alarms>,
    /// What waits in the inbox.
    pub inbox: Arc<InboxItems>,
    /// Blocking work off the caller and off the arbiters: store reads, sealing, signing.
    pub reader: Reader,
    /// Commands of callers that are under way, and whether new ones are taken.
    pub commands: Commands,
    /// The actors; set once, when they run.
    pub system: OnceLock<ActorSystem>,
    pub set_aside: Arc<SetAsideRows>,
    pub watchers: Arc<Watchers>,
    pub timekeeper: Arc<Timekeeper>,
    pub dispatcher: Dispatcher,
    pub doorkeeper: Doorkeeper,
    pub materials: Materials,
    pub births: Births,
    pub hints: Hints,
    pub metrics: Metrics,
    pub missing_functions: MissingFunctions,
    pub sweeps: Sweeps,
    pub keys_in_progress: KeysInProgress,
}

impl Inner {
    /// The actors, once they run.
    pub fn system(&self) -> Option<&ActorSystem> {
        self.system.get()
    }

    /// Whether something may leave: what comes of it must find a store that keeps it.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`].
    pub fn may_send(&self) -> Result<(), Error> {
        match self.store.health() {
            store::Health::Open => Ok(()),
            store::Health::Fenced { why } => Err(Error::StoreUnavailable(why.to_string())),
        }
    }

    /// How long a command may wait for somebody outside, who would like to wait so long: not at all while places for
    /// commands are scarce.
    pub fn patience(&self, wait: Duration) -> Duration {
        if self.commands.have_room() { wait } else { Duration::ZERO }
    }

    /// Whether a command may begin that does nothing but wait for somebody outside.
    ///
    /// # Errors
    /// [`Error::Busy`] while places for commands are scarce.
    pub fn may_wait(&self) -> Result<(), Error> {
        if self.commands.have_room() {
            return Ok(());
        }
        self.metrics.busy.add(1);
        Err(Error::Busy)
    }

    /// Lets the engine go: actors may be told things, and what is due fires.
    pub fn begin(self: &Arc<Self>, system: ActorSystem) {
        // It is called once, by whoever made it.
        drop(self.system.set(system));
        let weak = Arc::downgrade(self);
        self.commands.spawn_forever("the routers' tick", weak.clone(), move || ActorSystem::tick(weak.clone()));
        let weak = Arc::downgrade(self);
        self.commands.spawn_forever("the timekeeper", weak.clone(), move || Timekeeper::run(weak.clone()));
        let inner = Arc::clone(self);
        self.commands.spawn(async move {
            while !inner.commands.is_draining()
                && let Err(why) = sweeping::follow_functions(&inner).await
            {
                tracing::warn!(%why, "deliveries that wait for functions could not be looked through yet");
                tokio::time::sleep(FOLLOW_AGAIN).await;
            }
        });
    }
}

/// Whether the engine works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the store takes commits.
    pub store: store::Health,
    /// Whether the engine is shutting down.
    pub draining: bool,
}

/// What a shutdown came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Whether everything that was under way came to its end within the limit. What did not goes on from its durable
    /// intent when the engine starts again.
    pub drained: bool,
}

impl Engine {
    /// Puts an engine together.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) fn new(inner: Arc<Inner>, threads: Arc<Threads>) -> Self {
        Self { inner, threads }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Runs a command on the engine's own runtime, so that a caller who goes away does not stop it half-way.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`], [`Error::Busy`] when too many commands are under way, and those of the command.
    pub(crate) fn detached<T, F>(&self, command: F) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.detached_as(Urgency::Ordinary, command)
    }

    /// As [`Engine::detached`], for what a provider tells and for operators: it gets in when commands of merchants have
    /// taken all their places.
    ///
    /// # Errors
    /// As [`Engine::detached`].
    pub(crate) fn detached_first<T, F>(&self, command: F) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.detached_as(Urgency::First, command)
    }

    fn detached_as<T, F>(
        &self,
        urgency: Urgency,
        command: F,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        // On the heap from here on, so that a host's futures stay small.
        let command: BoxFuture<'static, Result<T, Error>> = Box::pin(command);
        let inner = Arc::clone(&self.inner);
        async move { inner.commands.run(urgency, command).await }
    }

    /// The time by the engine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now().wall
    }

    /// The manifest of a channel code, of the first adapter that serves it.
    #[must_use]
    pub fn manifest_of(&self, code: &ChannelCode) -> Option<CodeManifest> {
        self.inner.adapters.manifest_of(code).cloned()
    }

    /// The manifests of all codes that some adapter serves, in order of code.
    #[must_use]
    pub fn codes(&self) -> Vec<CodeManifest> {
        self.inner.adapters.codes()
    }

    /// The codes of a group of the original API.
    #[must_use]
    pub fn group(&self, group: &str) -> Vec<ChannelCode> {
        self.codes().into_iter().filter(|manifest| manifest.group == group).map(|manifest| manifest.code).collect()
    }

    /// Whether the engine works.
    #[must_use]
    pub fn health(&self) -> Health {
        Health { store: self.inner.store.health(), draining: self.inner.commands.is_draining() }
    }

    /// What the engine has counted, and what it holds now.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        let inner = &self.inner;
        let (now, keeper) = (self.now(), &inner.timekeeper);
        let due_oldest = keeper.oldest(now).map_or(Duration::ZERO, |at| now.since(at));
        let alarms = inner.alarms.raised().into_iter().collect();
        let looking = usize::from(keeper.is_looking(inner.clock.now().monotonic));
        let under_way = inner.commands.under_way().saturating_add(looking);
        MetricsSnapshot { under_way, due_backlog: keeper.backlog(now), due_oldest, alarms, ..inner.metrics.snapshot() }
    }

    /// Tries to work again after the store was fenced, and takes up everything that is due. Does nothing when it was
    /// not fenced.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`]: why it cannot.
    pub async fn reopen(&self) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        self.detached_first(async move {
            let store::Health::Fenced { why } = inner.store.health() else { return Ok(()) };
            inner.reader.run(Store::reopen).await??;
            inner.timekeeper.begin_anew();
            calls::raise(&inner, AlarmKind::Store, "store", &format!("the store was fenced: {why}; it is open again"))
                .await;
            Ok(())
        })
        .await
    }

    /// Takes no more commands, lets what is under way come to its end, and stops all threads and the store.
    ///
    /// `limit` bounds the draining, in real time.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.threads.shutdown(&self.inner, limit).await
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}
