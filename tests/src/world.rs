//! An engine in this process with the sandbox behind it, real doors in front of it, and an app with keys.

use std::net::SocketAddr;
use std::sync::Arc;

use maxpay_adapters::sandbox::simulator::{IN_PROCESS, SandboxClient, Simulator, SimulatorParts};
use maxpay_adapters::simulator::{Ledger, NoticeReply};
use maxpay_engine::Engine;
use maxpay_engine::api::{AccountSettings, CreateAccount, CreateApp, Credential, IssueKey, Issued, Principal, Scope};
use maxpay_engine::channel::{Adapter, RawNotification};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::{KeyKind, LatePolicy, Mode};
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_engine::store::Store;
use maxpay_engine::store::memory::MemoryStore;
use maxpay_engine::webhook::GuardPolicy;
use maxpay_transports::client::{TargetClient, TrustedRoots};
use maxpay_transports::http::{self, Extras, HttpSettings, Running};

/// The sealing key of every world. Not a secret.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// An app's keys of one mode, in the clear.
#[derive(Debug, Clone)]
pub struct Keys {
    /// `X-ML-AppId`.
    pub app_id: String,
    /// Client key.
    pub client: String,
    /// API key.
    pub api: String,
    /// Master key.
    pub master: String,
    /// Session token.
    pub session: String,
}

/// What a world is made of.
pub struct Parts {
    /// Where its records are.
    pub store: Arc<dyn Store>,
    /// Its channels; one is the sandbox's.
    pub adapters: Vec<Arc<dyn Adapter>>,
    /// Carries its webhooks.
    pub targets: TargetClient,
    /// Settings of its doors; they open on a free port, whatever these say.
    pub http: HttpSettings,
    /// What stands behind doors of its own.
    pub extras: Extras,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            adapters: maxpay_adapters::builtin(),
            targets: TargetClient::new(&TrustedRoots::default()).expect("a client"),
            http: HttpSettings::default(),
            extras: Extras::default(),
        }
    }
}

/// One world.
pub struct World {
    /// The engine.
    pub engine: Engine,
    /// The provider.
    pub simulator: Arc<Simulator>,
    /// The app's keys of test mode; it has a sandbox account there.
    pub keys: Keys,
    /// The same app's keys of live mode; it has no account there.
    pub live: Keys,
    /// An operator's key.
    pub operator: String,
    /// Where the doors are.
    pub address: SocketAddr,
    doors: Option<Running>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl World {
    /// A world whose data are in memory, on the machine's clock.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn new() -> Self {
        Self::of(Parts::default()).await
    }

    /// As [`World::new`], on a store of the caller's.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn on(store: Arc<dyn Store>) -> Self {
        Self::of(Parts { store, ..Parts::default() }).await
    }

    /// As [`World::new`], of other parts.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn of(parts: Parts) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(System::new());
        let sealer = || Sealer::new(&SealingKey::from_text(KEY).expect("a key"));
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: Ledger::memory(),
            clock: Arc::clone(&clock),
            entropy: Arc::new(System::new()),
            sealer: Arc::new(sealer()),
        });
        let simulator = simulator.expect("a simulator in memory opens");
        let mut builder = Engine::builder()
            .store(parts.store)
            .sealing_key(sealer())
            .clock(clock)
            .http_client(Arc::new(SandboxClient::new(Arc::clone(&simulator), None)))
            .webhook_client(Arc::new(parts.targets))
            .guard(GuardPolicy { allow_loopback_in_test: true, allow_networks: Vec::new() });
        for adapter in parts.adapters {
            builder = builder.adapter(adapter);
        }
        let engine = builder.start().expect("the engine starts");
        notify(&simulator, &engine);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(Arc::clone(&simulator).run(async move {
            let _ = stopped.await;
        }));
        let (keys, live) = make_app(&engine, &simulator).await;
        let operator = engine.issue_operator_key().await.expect("a key").secret;
        let operator = operator.reveal_once().expect("keys are text");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = HttpSettings { listen, ..parts.http };
        let doors = http::serve(settings, engine.clone(), parts.extras).expect("the doors open");
        let address = doors.addr();
        Self { engine, simulator, keys, live, operator, address, doors: Some(doors), stop: Some(stop) }
    }

    /// Who shows this bearer key.
    ///
    /// # Panics
    /// When nobody does.
    pub async fn principal(&self, key: &str) -> Principal {
        self.engine.authenticate(Credential::Bearer(Secret::from_text(key))).await.expect("the key is known")
    }

    /// Closes the doors and stops the engine.
    pub async fn end(mut self) {
        if let Some(doors) = self.doors.take() {
            doors.stop().await;
        }
        drop(self.stop.take());
        self.engine.shutdown(std::time::Duration::from_secs(10)).await;
    }
}

/// Hands the simulator's notifications to the engine.
pub fn notify(simulator: &Simulator, engine: &Engine) {
    let engine = engine.clone();
    simulator.set_sink(Arc::new(move |notice| {
        let engine = engine.clone();
        Box::pin(async move {
            let path = notice.url.split_once("/notify/").and_then(|(_, path)| path.split_once('/'));
            let (adapter, account) = path.ok_or("no notify address")?;
            let raw = RawNotification { headers: notice.headers, query: String::new(), body: notice.body };
            let reply = engine.notification(adapter, account, raw).await.acknowledgement;
            Ok(NoticeReply { status: reply.status, body: reply.body })
        })
    }));
}

/// Makes an app with a sandbox account in test mode and keys of both modes.
///
/// # Panics
/// When the engine refuses.
pub async fn make_app(engine: &Engine, simulator: &Simulator) -> (Keys, Keys) {
    let request = CreateApp { name: "Shop".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
    let created = engine.create_app(request, None).await.expect("an app can be made");
    let app_id = created.app.id;
    let merchant_id = format!("m-{app_id}");
    let secret = "a secret between engine and sandbox";
    simulator.enrol(&merchant_id, Secret::from_text(secret), None).expect("a merchant can be enrolled");
    let settings = serde_json::json!({ "merchant_id": merchant_id, "base_url": IN_PROCESS, "secret": secret });
    let serde_json::Value::Object(settings) = settings else { unreachable!("it is an object") };
    let account = CreateAccount {
        adapter: "sandbox".into(),
        codes: Vec::new(),
        label: "Sandbox".into(),
        priority: 0,
        weight: 1,
        settings: AccountSettings(settings),
    };
    let scope = Scope { app_id, mode: Mode::Test };
    engine.create_account(scope, account, None).await.expect("an account can be made");
    let mut issued = created.issued;
    for mode in [Mode::Test, Mode::Live] {
        let token = IssueKey { kind: KeyKind::SessionToken, mode, import: None, owner: None, expires_at: None };
        issued.push(engine.issue_key(app_id, token, None).await.expect("a token can be issued"));
    }
    let keys = |mode| Keys {
        app_id: app_id.to_string(),
        client: text(&issued, KeyKind::Client, mode),
        api: text(&issued, KeyKind::Api, mode),
        master: text(&issued, KeyKind::Master, mode),
        session: text(&issued, KeyKind::SessionToken, mode),
    };
    (keys(Mode::Test), keys(Mode::Live))
}

fn text(issued: &[Issued], kind: KeyKind, mode: Mode) -> String {
    let issued = issued.iter().find(|issued| issued.key.kind == kind && issued.key.mode == mode);
    let secret = issued.and_then(|issued| issued.secret.as_ref()).expect("it was issued");
    secret.expose_text().expect("keys are text").to_owned()
}
