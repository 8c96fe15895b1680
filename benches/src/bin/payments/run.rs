//! One run: a server in an empty folder, a provider, a receiver, payers for a while; and what each process spent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use maxpay_benches::child::Child;
use maxpay_benches::process::{cpu_time, cpu_time_by_thread, memory};
use maxpay_benches::receivers::{Manner, Receivers};
use maxpay_engine::clock::{Clock, System};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::load::{Doors, Times, Waiting, payer};
use crate::server::Server;
use crate::{Failure, Provider};

/// How long anything that must come may take.
const LIMIT: Duration = Duration::from_mins(1);

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Payments at once.
    pub concurrency: u32,
    /// Time at the start that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub window: Duration,
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// The times of every payment whose webhook came in the window.
    pub times: Vec<Times>,
    /// How long the window was.
    pub window: Duration,
    /// Processor time of the server in the window.
    pub server_cpu: Duration,
    /// Of its living threads, by name.
    pub server_threads: BTreeMap<String, Duration>,
    /// Processor time of the provider; `None`: it is inside the server.
    pub provider_cpu: Option<Duration>,
    /// Processor time of this process: payers and receiver.
    pub load_cpu: Duration,
    /// Bytes that the server held at the end of the window.
    pub server_resident: u64,
}

/// What was spent so far.
struct Spent {
    server: Duration,
    threads: BTreeMap<String, Duration>,
    provider: Option<Duration>,
    load: Duration,
}

impl Spent {
    fn now(server: &Server, provider: Option<&Child>) -> Result<Self, Failure> {
        Ok(Self {
            server: cpu_time(server.child.id())?,
            threads: cpu_time_by_thread(server.child.id())?,
            provider: provider.map(|provider| cpu_time(provider.id())).transpose()?,
            load: cpu_time(std::process::id())?,
        })
    }
}

/// Makes one run under `parent`, and leaves nothing of it.
pub fn run(
    runtime: &Runtime,
    clock: &System,
    load: Load,
    provider: Provider,
    parent: &Path,
) -> Result<Outcome, Failure> {
    let folder = tempfile::Builder::new().prefix("payments-").tempdir_in(parent)?;
    let server = Server::start(folder.path(), clock)?;
    let provider = match provider {
        Provider::Apart => Some(Child::start("provider", &[], None)?),
        Provider::Inside => None,
    };
    let told = provider.as_ref().map(|provider| provider.hear(LIMIT)).transpose()?;
    let address = told.map(|told| told["address"].as_str().unwrap_or_default().parse()).transpose()?;
    runtime.block_on(async {
        let waiting = Arc::new(Waiting::default());
        let receivers = Receivers::start(&[Manner::Well], waiting.hears(clock)).await?;
        server.prepare(address, receivers.addresses[0]).await?;
        let doors = Doors { server: server.address, api_key: server.api_key.clone(), provider: address };
        let (counts, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut payers = JoinSet::new();
        for number in 0..usize::try_from(load.concurrency)? {
            let (doors, waiting, clock) = (doors.clone(), Arc::clone(&waiting), clock.clone());
            payers.spawn(payer(number, doors, waiting, clock, Arc::clone(&counts), Arc::clone(&stop)));
        }
        early(&mut payers, load.warm_up).await?;
        let (began, before) = (clock.now().monotonic, Spent::now(&server, provider.as_ref())?);
        counts.store(true, Ordering::Relaxed);
        early(&mut payers, load.window).await?;
        counts.store(false, Ordering::Relaxed);
        let (window, after) = (clock.now().monotonic.saturating_sub(began), Spent::now(&server, provider.as_ref())?);
        let server_resident = memory(server.child.id())?.resident;
        stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        while let Some(ended) = tokio::time::timeout(LIMIT, payers.join_next()).await? {
            times.extend(ended??);
        }
        let threads = after.threads.into_iter().map(|(name, time)| {
            let before = before.threads.get(&name).copied().unwrap_or_default();
            (name, time.saturating_sub(before))
        });
        Ok(Outcome {
            times,
            window,
            server_cpu: after.server.saturating_sub(before.server),
            server_threads: threads.collect(),
            provider_cpu: after.provider.zip(before.provider).map(|(after, before)| after.saturating_sub(before)),
            load_cpu: after.load.saturating_sub(before.load),
            server_resident,
        })
    })
}

/// Waits so long; an error as soon as a payer ends, which none does by itself.
async fn early(payers: &mut JoinSet<Result<Vec<Times>, Failure>>, wait: Duration) -> Result<(), Failure> {
    match tokio::time::timeout(wait, payers.join_next()).await {
        Err(_) => Ok(()),
        Ok(Some(ended)) => ended?.and_then(|_| Err("a payer ended before its time".into())),
        Ok(None) => Err("there are no payers".into()),
    }
}
