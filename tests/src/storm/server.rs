//! The server of a storm: a child process on one folder and one port, started, ended by force, started again.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maxpay_engine::clock::{Clock, System};

use super::chance::Chance;
use super::plan::Kill;
use super::subscribers::DEADLINE_MS;
use crate::server::{Server, Start};
use crate::under_test::{CRASH_AT, PLANT, Plant, SHORT_WAITS};

/// Ports below those that systems give to outgoing connections, so that nobody takes ours while the server is down.
const PORTS: std::ops::Range<u16> = 11_000..31_000;
/// So many storms of one process have ports of their own.
const STORMS_MAX: u64 = 16;
/// How long a point of a commit is waited for, before the server is killed instead.
const POINT_LIMIT: Duration = Duration::from_secs(3);

/// How the server is started.
pub struct House {
    program: PathBuf,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    config: PathBuf,
    /// Where it listens, each time.
    pub address: SocketAddr,
    clock: System,
    /// When it was up, by the wall clock in milliseconds; the last one has not ended.
    up: Mutex<Vec<(u64, u64)>>,
}

impl House {
    /// A server in `folder`, run by `program` with this environment.
    pub fn new(program: &Path, environment: &[(String, String)], folder: &Path, plant: Option<Plant>) -> Self {
        let config = folder.join("storm.toml");
        let gaps = ["200"; 10].join(", ");
        let text = format!(
            "webhook_schedule_ms = [{gaps}]\nwebhook_deadline_ms = {DEADLINE_MS}\nwebhook_allow_loopback_test = true\n\
             provider_allow_private = true\n\
             rate_per_second = 100000\nrate_burst = 100000\nlog_level = \"warn\"\n"
        );
        std::fs::write(&config, text).expect("the folder is writable");
        let mut environment = environment.to_vec();
        environment.push((SHORT_WAITS.to_owned(), "1".to_owned()));
        environment.extend(plant.map(|plant| (PLANT.to_owned(), plant.name().to_owned())));
        let (clock, address) = (System::new(), free_port());
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Self { program, environment, folder, config, address, clock, up: Mutex::default() }
    }

    /// The time now, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.clock.now().wall.millis()
    }

    /// Starts it; it may end while it starts where a point says so.
    pub async fn start(&self, kill: Option<&Kill>) -> Result<Server, String> {
        let mut start = Start::new(self.program.to_str().expect("a path of text"), &self.folder.join("data"));
        start.listen = self.address;
        start.arguments = vec!["--config".to_owned(), self.config.display().to_string()];
        start.environment.clone_from(&self.environment);
        if let Some(Kill::At(point, nth)) = kill {
            start.environment.push((CRASH_AT.to_owned(), format!("{point}:{nth}")));
        }
        let server = start.try_run().await?;
        self.up.lock().expect("held shortly").push((self.now_ms(), u64::MAX));
        Ok(server)
    }

    /// Ends it as planned. Gives whether a point ended it.
    pub async fn end(&self, mut server: Server, kill: &Kill) -> bool {
        let by_point = match kill {
            Kill::After(wait) => {
                tokio::time::sleep(*wait).await;
                false
            }
            Kill::At(..) => server.ended_within(POINT_LIMIT).await,
        };
        server.kill();
        if let Some(last) = self.up.lock().expect("held shortly").last_mut() {
            last.1 = self.now_ms();
        }
        by_point
    }

    /// For how many milliseconds it was up since then.
    pub fn up_since_ms(&self, then: u64) -> u64 {
        let now = self.now_ms();
        let up = self.up.lock().expect("held shortly");
        let overlap = |(from, to): &(u64, u64)| (*to).min(now).saturating_sub((*from).max(then));
        up.iter().rev().take(2_000).map(overlap).sum()
    }
}

fn free_port() -> SocketAddr {
    // Two storms at once must not meet, be it in one process or in two; nobody listens while a server is down.
    static STORMS: AtomicU64 = AtomicU64::new(0);
    let apart = u64::from(PORTS.end - PORTS.start) / STORMS_MAX;
    let storm = STORMS.fetch_add(1, Ordering::SeqCst) % STORMS_MAX;
    let mut chance = Chance::of(u64::from(std::process::id()), "port", storm);
    loop {
        let place = storm * apart + chance.below(apart);
        let port = PORTS.start + u16::try_from(place).expect("within the range");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
