//! Puts the process together: store, clients, adapters, sandbox, engine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use maxpay_adapters::sandbox::simulator::SandboxClient;
use maxpay_engine::api::SignRules;
use maxpay_engine::channel::http::HttpClient;
use maxpay_engine::clock::System;
use maxpay_engine::machine::schedule::Schedule;
use maxpay_engine::secrets::Sealer;
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::store::{Store, StoreError};
use maxpay_engine::webhook::GuardPolicy;
use maxpay_engine::webhook::guard::Network;
use maxpay_engine::{Engine, EngineBuilder};
use maxpay_transports::client::{ClientError, ProviderClient, TargetClient, TrustedRoots};

use crate::sandbox::{Sandbox, SandboxError};
use crate::sealing::{self, SealingError};
use crate::settings::{Millis, Settings};
use crate::test_parts::TestParts;

/// Folder of the store, in the data folder.
const STORE: &str = "store";
/// The private networks that `webhook_allow_private` lets targets be in: RFC 1918, RFC 6598, RFC 4193, and this
/// machine.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"];

/// Everything that runs behind the doors.
pub struct Composed {
    /// The engine.
    pub engine: Engine,
    /// The simulated provider, where the sandbox runs.
    pub sandbox: Option<Sandbox>,
    /// Whether the store was made just now.
    pub first_start: bool,
    /// The sealing key's file, when it was made just now.
    pub made_key: Option<PathBuf>,
}

/// Why the process cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be made")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No sealing key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outbound clients cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The engine does not start.
    #[error("the engine does not start: {0}")]
    Engine(#[from] maxpay_engine::Error),
}

/// Opens the store and starts the engine. `address` is where the doors will be.
pub fn compose(settings: &Settings, address: SocketAddr, parts: &TestParts) -> Result<Composed, ComposeError> {
    let system = Arc::new(System::new());
    let folder = |source| ComposeError::Folder { path: settings.data_dir.clone(), source };
    std::fs::create_dir_all(&settings.data_dir).map_err(folder)?;
    let store_folder = settings.data_dir.join(STORE);
    let first_start = !store_folder.exists();
    let found = sealing::find(settings, !first_start, system.as_ref())?;
    let mut options = RedbOptions::new(system.clone(), system.clone());
    options.crash_points.clone_from(&parts.crash_points);
    options.files = parts.files.as_ref().map(|files| files(&store_folder));
    let store: Arc<dyn Store> = RedbStore::open(&store_folder, options)?;
    let roots = TrustedRoots::default();
    let provider = if settings.provider_allow_private() {
        ProviderClient::new(&roots)?
    } else {
        ProviderClient::within(&roots, GuardPolicy::default())?
    };
    let provider: Arc<dyn HttpClient> = Arc::new(provider);
    let sandbox = settings
        .sandbox()
        .then(|| Sandbox::open(&settings.data_dir, system.clone(), system.clone(), Sealer::new(&found.key)))
        .transpose()?;
    let http: Arc<dyn HttpClient> = match &sandbox {
        Some(sandbox) => Arc::new(SandboxClient::new(Arc::clone(sandbox.simulator()), Some(provider))),
        None => provider,
    };
    let mut builder = Engine::builder()
        .store(parts.store(store))
        .sealing_key(Sealer::new(&found.key))
        .clock(system.clone())
        .entropy(system)
        .http_client(http)
        .webhook_client(Arc::new(TargetClient::new(&roots)?))
        .public_url(public_url(settings, address));
    builder = set(builder, settings)?;
    for adapter in maxpay_adapters::builtin() {
        // Without its simulator the sandbox's accounts would only fail, one call after the other.
        if sandbox.is_some() || !adapter.manifest().test_mode_only {
            builder = builder.adapter(parts.adapter(adapter));
        }
    }
    let engine = builder.start()?;
    if let Some(sandbox) = &sandbox {
        sandbox.notify_to(&engine);
    }
    Ok(Composed { engine, sandbox, first_start, made_key: found.made })
}

/// What the settings say of the engine's own ways.
fn set(builder: EngineBuilder, settings: &Settings) -> Result<EngineBuilder, ComposeError> {
    let builder = builder
        .webhook_schedule(schedule(settings)?)
        .webhook_deadline(settings.webhook_deadline_ms.duration())
        .guard(guard(settings))
        .sign_rules(SignRules {
            max_age: settings.sign_max_age_client_ms.map(Millis::duration),
            max_age_master: Some(settings.sign_max_age_master_ms.duration()),
        })
        .query_rate(settings.account_queries_per_second)
        .drain_limit(settings.drain_ms.duration());
    Ok(match settings.arbiters {
        Some(arbiters) => builder.arbiters(arbiters.number()),
        None => builder,
    })
}

fn schedule(settings: &Settings) -> Result<Schedule, ComposeError> {
    Schedule::new(settings.webhook_schedule_ms.gaps())
        .map_err(|why| ComposeError::Engine(maxpay_engine::Error::field("webhook_schedule_ms", why.to_string())))
}

fn guard(settings: &Settings) -> GuardPolicy {
    let networks = if settings.webhook_allow_private { &PRIVATE[..] } else { &[] };
    let read = |text: &&str| text.parse::<Network>().expect("the table holds networks");
    GuardPolicy {
        allow_loopback_in_test: settings.webhook_allow_loopback_test(),
        allow_networks: networks.iter().map(read).collect(),
    }
}

fn public_url(settings: &Settings, address: SocketAddr) -> String {
    match &settings.public_url {
        Some(url) => url.url().as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    }
}
