//! Puts an engine together and starts it.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::actors::births::Births;
use crate::actors::commands::Commands;
use crate::actors::dispatcher::Dispatcher;
use crate::actors::doorkeeper::Doorkeeper;
use crate::actors::hints::Hints;
use crate::actors::inbox_items::InboxItems;
use crate::actors::materials::Materials;
use crate::actors::metrics::Metrics;
use crate::actors::reader::{Reader, THREADS_MAX};
use crate::actors::set_aside::SetAsideRows;
use crate::actors::sweeping::MissingFunctions;
use crate::actors::sweeps::Sweeps;
use crate::actors::system::{ActorSystem, Arbiters};
use crate::actors::threads::Threads;
use crate::actors::timekeeper::Timekeeper;
use crate::actors::watchers::Watchers;
use crate::adapters::Adapters;
use crate::alarms::Alarms;
use crate::api::SignRules;
use crate::channel::Adapter;
use crate::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use crate::clock::{Clock, Entropy, IdSource, System};
use crate::directory::Directory;
use crate::engine::{Engine, Inner};
use crate::front::KeysInProgress;
use crate::machine::schedule::Schedule;
use crate::model::AppId;
use crate::secrets::{Sealer, SealingKey};
use crate::settings::Settings;
use crate::store::memory::MemoryStore;
use crate::store::{CommitListener, Put, Seq, Store, keys, notes};
use crate::webhook::{FunctionCall, FunctionRegistry, GuardPolicy, Sender, WebhookClient};
use crate::{Error, store};

/// Bytes of a webhook's answer that are read.
const WEBHOOK_BODY_MAX: usize = 64 * 1024;
/// Questions a second of one account when nobody says.
const QUERY_RATE: NonZeroU32 = NonZeroU32::new(200).expect("not zero");
/// Calls of one function at once.
const FUNCTION_CALLS_MAX: usize = 32;

/// Puts an engine together. What is not said has a default; a store, and a sealing key for a store that outlives the
/// process, must be said.
pub struct EngineBuilder {
    store: Option<Arc<dyn Store>>,
    /// Whether what is stored ends with the process.
    ephemeral: bool,
    adapters: Vec<Arc<dyn Adapter>>,
    http: Arc<dyn HttpClient>,
    webhooks: Arc<dyn WebhookClient>,
    functions: FunctionRegistry,
    /// Why a function could not be registered.
    wrong_function: Option<String>,
    sealer: Option<Sealer>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        let system = System::new();
        Self {
            store: None,
            ephemeral: false,
            adapters: Vec::new(),
            http: Arc::new(NoClient),
            webhooks: Arc::new(NoClient),
            functions: FunctionRegistry::default(),
            wrong_function: None,
            sealer: None,
            clock: Arc::new(system.clone()),
            entropy: Arc::new(system),
            settings: Settings {
                public_url: "http://127.0.0.1".to_owned(),
                sign_rules: SignRules { max_age: None, max_age_master: Some(Duration::from_mins(15)) },
                guard: GuardPolicy::default(),
                schedule: Schedule::default(),
                webhook_deadline: Duration::from_secs(15),
                query_rate: QUERY_RATE,
                drain_limit: Duration::from_secs(30),
                arbiters: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            },
        }
    }

    /// The durable memory.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self.ephemeral = false;
        self
    }

    /// A store without a disk: everything is lost with the process.
    #[must_use]
    pub fn memory(mut self) -> Self {
        self.store = Some(Arc::new(MemoryStore::new()));
        self.ephemeral = true;
        self
    }

    /// One more channel's dialect.
    #[must_use]
    pub fn adapter(mut self, adapter: Arc<dyn Adapter>) -> Self {
        self.adapters.push(adapter);
        self
    }

    /// Carries calls to providers. Without one, every call ends as *not sent*.
    #[must_use]
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http = client;
        self
    }

    /// Carries webhooks to merchants. Without one, every try ends as *not sent*.
    #[must_use]
    pub fn webhook_client(mut self, client: Arc<dyn WebhookClient>) -> Self {
        self.webhooks = client;
        self
    }

    /// Under which key secrets are sealed. Must be the one the store was written with.
    #[must_use]
    pub fn sealing_key(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's; for tests and simulations only.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Under which address providers reach this service, for notify addresses.
    #[must_use]
    pub fn public_url(mut self, url: String) -> Self {
        url.trim_end_matches('/').clone_into(&mut self.settings.public_url);
        self
    }

    /// How long one webhook try may take, whole; 15 s when nobody says.
    #[must_use]
    pub fn webhook_deadline(mut self, deadline: Duration) -> Self {
        self.settings.webhook_deadline = deadline;
        self
    }

    /// Where webhooks may go besides the public internet; nowhere when nobody says.
    #[must_use]
    pub fn guard(mut self, policy: GuardPolicy) -> Self {
        self.settings.guard = policy;
        self
    }

    /// When webhooks are tried again; the original service's schedule when nobody says.
    #[must_use]
    pub fn webhook_schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = schedule;
        self
    }

    /// A handler that takes events in place of a URL, for subscriptions whose target is the function of that name. At
    /// most 32 calls of it run at once; each has the deadline of a webhook try. `Ok(())` counts as status 200.
    #[must_use]
    pub fn function<F, R>(mut self, name: &str, handler: F) -> Self
    where
        F: Fn(FunctionCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        if let Err(why) = self.functions.register(name, FUNCTION_CALLS_MAX, handler) {
            self.wrong_function = Some(why.to_string());
        }
        self
    }

    /// How many questions a second an account is asked at most, closes included; 200 when nobody says. What creates or
    /// charges is not counted, and does not wait for it.
    #[must_use]
    pub fn query_rate(mut self, per_second: NonZeroU32) -> Self {
        self.settings.query_rate = per_second;
        self
    }

    /// How old request signs may be.
    #[must_use]
    pub fn sign_rules(mut self, rules: SignRules) -> Self {
        self.settings.sign_rules = rules;
        self
    }

    /// Number of threads for actors; one a core when nobody says. At least 1, at most 64.
    #[must_use]
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.settings.arbiters = arbiters.clamp(1, 64);
        self
    }

    /// How long a shutdown waits for what is under way when the host does not say.
    #[must_use]
    pub fn drain_limit(mut self, limit: Duration) -> Self {
        self.settings.drain_limit = limit;
        self
    }

    /// Starts the engine's threads, and everything that was under way when the store was last closed. Blocks for the
    /// store's first reads.
    ///
    /// # Errors
    /// [`Error::Invalid`] when something is missing or does not fit, [`Error::StoreUnavailable`],
    /// [`Error::Internal`] when threads cannot be started.
    pub fn start(self) -> Result<Engine, Error> {
        if let Some(why) = self.wrong_function {
            return Err(Error::field("function", why));
        }
        let store = self.store.ok_or_else(|| Error::field("store", "an engine needs a store"))?;
        let sealer = Arc::new(match (self.sealer, self.ephemeral) {
            (Some(sealer), _) => sealer,
            (None, true) => Sealer::new(&SealingKey::generate(self.entropy.as_ref())),
            (None, false) => return Err(Error::field("sealing_key", "a store that lasts needs a sealing key")),
        });
        let mut adapters = Adapters::default();
        for adapter in self.adapters {
            adapters.add(adapter)?;
        }
        let arbiters = Arbiters::start(self.settings.arbiters)?;
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        // From here on whatever goes wrong ends them, also where dropping a runtime would panic.
        let threads = Threads::new(runtime, arbiters);
        let reader = Reader::new(handle.clone(), Arc::clone(&store));
        let ids = IdSource::new(Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let directory = Arc::new(Directory::new(reader.clone(), Arc::clone(&sealer)));
        listen(store.as_ref(), directory.kept());
        let alarms = listening(store.as_ref(), Alarms::new(ids.clone(), Arc::clone(&self.clock)));
        let inbox = listening(store.as_ref(), InboxItems::read(store.as_ref())?);
        let set_aside = listening(store.as_ref(), SetAsideRows::read(store.as_ref())?);
        let watchers = listening(store.as_ref(), Watchers::default());
        let timekeeper = listening(store.as_ref(), Timekeeper::new());
        let limits = SendLimits { deadline: self.settings.webhook_deadline, body_max: WEBHOOK_BODY_MAX };
        let (functions, guard) = (self.functions, self.settings.guard.clone());
        let sender = Sender::new(self.webhooks, functions, Arc::clone(&self.clock), guard, limits);
        let inner = Arc::new(Inner {
            reader,
            commands: Commands::new(handle.clone()),
            ids,
            store,
            sealer,
            directory,
            alarms,
            inbox,
            clock: self.clock,
            entropy: self.entropy,
            adapters,
            http: self.http,
            sender,
            settings: self.settings,
            system: OnceLock::new(),
            set_aside,
            watchers,
            timekeeper,
            dispatcher: Dispatcher::default(),
            doorkeeper: Doorkeeper::default(),
            materials: Materials::default(),
            births: Births::default(),
            hints: Hints::default(),
            metrics: Metrics::default(),
            missing_functions: MissingFunctions::default(),
            sweeps: Sweeps::default(),
            keys_in_progress: KeysInProgress::default(),
        });
        check_sealing_key(&inner)?;
        inner.begin(ActorSystem::start(threads.arbiters(), &inner)?);
        Ok(Engine::new(inner, Arc::new(threads)))
    }
}

/// Where commands and calls run.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("maxpay")
        .max_blocking_threads(THREADS_MAX)
        .enable_all()
        .build()
        .map_err(|why| Error::Internal(format!("the runtime cannot be started: {why}")))
}

/// A listener that the store does not keep alive.
struct Loose<T>(Weak<T>);

impl<T: CommitListener> CommitListener for Loose<T> {
    fn committed(&self, seq: Seq, puts: &[Put]) {
        if let Some(listener) = self.0.upgrade() {
            listener.committed(seq, puts);
        }
    }
}

fn listen<T: CommitListener + 'static>(store: &dyn Store, listener: &Arc<T>) {
    store.listen(Arc::new(Loose(Arc::downgrade(listener))));
}

fn listening<T: CommitListener + 'static>(store: &dyn Store, listener: T) -> Arc<T> {
    let listener = Arc::new(listener);
    listen(store, &listener);
    listener
}

/// Finds out a wrong sealing key before anything is sealed or opened under it.
fn check_sealing_key(inner: &Arc<Inner>) -> Result<(), Error> {
    let key = keys::meta("sealing-check");
    let (known, seen) = store::records::read_record::<notes::MetaValue>(inner.store.as_ref(), &key)?;
    if let Some(notes::MetaValue(bytes)) = known {
        let wrong = |why: crate::secrets::SealError| Error::field("sealing_key", why.to_string());
        return inner.sealer.verify_check_value(&crate::model::Sealed(bytes)).map_err(wrong);
    }
    let value = inner.sealer.check_value(inner.entropy.as_ref());
    let mut batch = store::Batch::default();
    batch.watch(key.clone(), seen).put_record(key, &notes::MetaValue(value.0));
    // The writer has a thread of its own, so a plain wait on this one comes to an end.
    inner.commands.wait(inner.store.commit(batch))??;
    Ok(())
}

/// A client that never sends.
struct NoClient;

impl HttpClient for NoClient {
    fn send(&self, _: HttpRequest, _: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        Box::pin(async { Err(SendFailure::NotSent("this engine was given no HTTP client".to_owned())) })
    }
}

impl WebhookClient for NoClient {
    fn resolve(&self, _: AppId, _: &str, _: u16) -> BoxFuture<'static, Result<Vec<std::net::SocketAddr>, String>> {
        Box::pin(async { Err("this engine was given no webhook client".to_owned()) })
    }

    fn send(
        &self,
        _: HttpRequest,
        _: Vec<std::net::SocketAddr>,
        _: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        Box::pin(async { Err(SendFailure::NotSent("this engine was given no webhook client".to_owned())) })
    }
}
