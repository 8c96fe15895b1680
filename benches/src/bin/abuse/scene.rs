//! A server in a process of its own, its honest clients, and one window of time beside one attack.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use maxpay_benches::child::Child;
use maxpay_benches::process::{cpu_time, memory};
use maxpay_benches::wire::{Wire, request};
use maxpay_engine::clock::{Clock, System};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::Failure;
use crate::attack::{self, Kind, Scale};

/// What differs from a server that is started without a word.
pub const SETTINGS: &str = "\
listen = \"127.0.0.1:0\"
sandbox = true
log_level = \"error\"
# One credential asks for everything here.
rate_per_second = 1000000
rate_burst = 1000000
";

/// How long a start, and the end of an attack's connections, may take.
const LIMIT: Duration = Duration::from_mins(1);
/// Clients who read.
const READERS: usize = 8;
/// Between two reads of one of them.
const READ_EVERY: Duration = Duration::from_millis(10);
/// Between two payments.
const PAY_EVERY: Duration = Duration::from_millis(20);
/// So long an attack lasts before anybody measures beside it.
const SETTLING: Duration = Duration::from_millis(500);
/// Files that a server has open which nobody is connected to, at most.
const OWN_FILES: usize = 200;

/// A running server.
pub struct Scene {
    child: Child,
    address: SocketAddr,
    api_key: String,
    clock: System,
    crowd: Handle,
    scale: Scale,
}

/// What honest clients noticed in a window.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Waits of readers.
    pub reads_us: Vec<u64>,
    /// Waits of who pays.
    pub payments_us: Vec<u64>,
    /// Requests without the right answer.
    pub failed: u64,
    /// Processor time of the server.
    pub server_cpu: Duration,
    /// Processor time of this process: clients and attackers.
    pub other_cpu: Duration,
    /// Bytes that the server held at its end.
    pub resident: u64,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
    api_key: String,
}

impl Scene {
    /// Starts a server in an empty folder. Attackers will run on the `crowd`'s threads.
    pub async fn new(folder: &Path, crowd: Handle, scale: Scale) -> Result<Self, Failure> {
        let (config, ready, log) = (folder.join("maxpay.toml"), folder.join("ready.json"), folder.join("log"));
        fs::write(&config, SETTINGS)?;
        let text = |path: &Path| path.display().to_string();
        let arguments = ["serve", "--config", &text(&config), "--data", &text(&folder.join("data"))];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.extend(["--ready-file".to_owned(), text(&ready)]);
        let mut child = Child::start("server", &arguments, Some(File::create(&log)?))?;
        let waiting = async {
            loop {
                if let Ok(told) = fs::read(&ready) {
                    return Ok(told);
                }
                if child.has_ended() {
                    return Err(format!("the server ended:\n{}", fs::read_to_string(&log)?).into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let told: Result<Vec<u8>, Failure> = tokio::time::timeout(LIMIT, waiting).await?;
        let ready: Ready = serde_json::from_slice(&told?)?;
        let address = ready.url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        Ok(Self { child, address, api_key: ready.api_key, clock: System::new(), crowd, scale })
    }

    /// Lets honest clients ask for so long beside an attack, and waits until nothing of it is left.
    pub async fn window(&self, kind: Kind, time: Duration) -> Result<Window, Failure> {
        let attack = attack::begin(kind, self.scale, self.address, &self.crowd).await?;
        tokio::time::sleep(SETTLING).await;
        let before = (cpu_time(self.child.id())?, cpu_time(std::process::id())?);
        let mut clients = JoinSet::new();
        let read = request("GET", "/v1/transactions?limit=1", &self.api_key, "");
        for _ in 0..READERS {
            clients.spawn(ask_often(self.address, self.clock.clone(), time, READ_EVERY, vec![read.clone()]));
        }
        let pay = |number: usize| {
            let began = self.clock.now().monotonic.as_nanos();
            let amount = json!({ "amount_minor": 100, "currency": "CNY" });
            let body = json!({ "bill_num": format!("b-{began}-{number}"), "channel": "wx_native", "amount": amount, "subject": "tea" });
            request("POST", "/v1/transactions", &self.api_key, &body.to_string())
        };
        let many = usize::try_from(time.as_millis() / PAY_EVERY.as_millis())? + 1;
        let payments: Vec<Vec<u8>> = (0..many).map(pay).collect();
        let paying = tokio::spawn(ask_often(self.address, self.clock.clone(), time, PAY_EVERY, payments));
        let mut window = Window::default();
        for (waits_us, failed) in clients.join_all().await {
            window.reads_us.extend(waits_us);
            window.failed += failed;
        }
        let (payments_us, failed) = paying.await?;
        window.payments_us = payments_us;
        window.failed += failed;
        window.server_cpu = cpu_time(self.child.id())?.saturating_sub(before.0);
        window.other_cpu = cpu_time(std::process::id())?.saturating_sub(before.1);
        window.resident = memory(self.child.id())?.resident;
        drop(attack);
        self.left_alone().await?;
        Ok(window)
    }

    /// Waits until the server keeps none of the connections that their clients left.
    async fn left_alone(&self) -> Result<(), Failure> {
        let path = format!("/proc/{}/fd", self.child.id());
        let gone = async {
            while fs::read_dir(&path)?.count() > OWN_FILES {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok::<(), Failure>(())
        };
        tokio::time::timeout(LIMIT, gone).await?
    }
}

/// Asks by the clock, one request after the other, on one connection that is made anew when it ends. Waits count from the
/// moment at which a request was due: whoever is late is late because of the one before.
async fn ask_often(
    to: SocketAddr,
    clock: System,
    time: Duration,
    every: Duration,
    requests: Vec<Vec<u8>>,
) -> (Vec<u64>, u64) {
    let (mut waits_us, mut failed, mut wire) = (Vec::new(), 0, None);
    let began = clock.now().monotonic;
    for (number, bytes) in (0_u32..).zip(requests.iter().cycle()) {
        let due = every * number;
        if due >= time {
            break;
        }
        tokio::time::sleep(due.saturating_sub(clock.now().monotonic.saturating_sub(began))).await;
        let answer = tokio::time::timeout(LIMIT, ask(to, &mut wire, bytes)).await;
        let waited = clock.now().monotonic.saturating_sub(began + due);
        if matches!(answer, Ok(Ok(200..=202))) {
            waits_us.push(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        } else {
            failed += 1;
            wire = None;
        }
    }
    (waits_us, failed)
}

async fn ask(to: SocketAddr, wire: &mut Option<Wire>, bytes: &[u8]) -> std::io::Result<u16> {
    let open = match wire.take() {
        Some(open) => open,
        None => Wire::connect(to).await?,
    };
    wire.insert(open).ask(bytes).await.map(|answer| answer.status())
}
