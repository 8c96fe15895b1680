//! Processes of the bench's own program: the loader, the measure of live actors, and the server, which is started, asked
//! how it is, and killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use maxpay_benches::process::{Memory, memory};
use maxpay_engine::clock::{Clock, System};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{Failure, load, shops};

/// A start, or a load, that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is looked whether a server is ready.
const LOOK: Duration = Duration::from_millis(2);
/// Memory has settled when it changes by less than this, for so many looks in a row, one a second.
const SETTLED: (u64, u32) = (256 * 1024, 3);
/// Looks at memory at most.
const SETTLE_LOOKS: u32 = 60;

/// This program, told to be something else.
fn this_program(role: &str) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs a loader until everything is durable, then kills it with the store open.
pub async fn load_and_kill(data: &Path, provider: &str, accounts: usize, parked: u64, due: u64) -> Result<(), Failure> {
    let mut command = this_program("load")?;
    command.arg("--data").arg(data).arg("--provider").arg(provider);
    for (name, count) in [("--accounts", u64::try_from(accounts)?), ("--parked", parked), ("--due", due)] {
        command.arg(name).arg(count.to_string());
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let said = first_line(&mut child).await?;
    child.kill().await?;
    if said == load::LOADED { Ok(()) } else { Err("the loader ended before it had loaded".into()) }
}

/// What the measure of live actors says.
pub async fn live(data: &Path, count: u64) -> Result<Value, Failure> {
    let mut command = this_program("live")?;
    command.arg("--data").arg(data).arg("--count").arg(count.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let said = first_line(&mut child).await?;
    child.kill().await?;
    Ok(serde_json::from_str(&said).map_err(|_| "the measure of live actors ended early")?)
}

async fn first_line(child: &mut Child) -> Result<String, Failure> {
    let out = child.stdout.take().ok_or("it has no output")?;
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, BufReader::new(out).read_line(&mut line)).await??;
    Ok(line.trim().to_owned())
}

/// A running server. Killed when it is dropped.
pub struct Server {
    child: Child,
    pid: u32,
    http: reqwest::Client,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process until `/readyz` said *ready*.
    pub ready_after: Duration,
}

impl Server {
    /// Starts it on a data folder and waits until it is ready.
    pub async fn start(data: &Path) -> Result<Self, Failure> {
        let (settings, ready, log) = (data.join("maxpay.toml"), data.join("ready.json"), data.join("server.log"));
        // The provider is on this machine.
        std::fs::write(&settings, "log_level = \"warn\"\nprovider_allow_private = true\n")?;
        // It may be there from the last start.
        drop(std::fs::remove_file(&ready));
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = this_program("serve")?;
        command.args(["--listen", "127.0.0.1:0", "--sandbox", "--data"]).arg(data).arg("--config").arg(&settings);
        command.arg("--ready-file").arg(&ready).env("MAXPAY_SEALING_KEY", shops::SEALING_KEY);
        command.stdout(log.try_clone()?).stderr(log);
        let (clock, http) = (System::new(), client()?);
        let began = clock.now().monotonic;
        let mut child = command.spawn()?;
        let pid = child.id().ok_or("it has ended already")?;
        let address = tokio::time::timeout(PATIENCE, address_of(&mut child, ready)).await??;
        let url = format!("http://{address}/readyz");
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            tokio::time::sleep(LOOK).await;
        }
        let ready_after = clock.now().monotonic.saturating_sub(began);
        Ok(Self { child, pid, http, address, ready_after })
    }

    /// Its memory now.
    pub fn memory(&self) -> Result<Memory, Failure> {
        Ok(memory(self.pid)?)
    }

    /// Its resident memory once that has settled and no transaction is live.
    pub async fn settled(&self) -> Result<u64, Failure> {
        let (tolerance, wanted) = SETTLED;
        let (mut last, mut steady) = (self.memory()?.resident, 0);
        for _ in 0..SETTLE_LOOKS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.memory()?.resident;
            let still = now.abs_diff(last) < tolerance && self.metric("maxpay_live_transactions").await? == 0;
            (last, steady) = (now, if still { steady + 1 } else { 0 });
            if steady >= wanted {
                return Ok(now);
            }
        }
        Err("the server's memory does not settle".into())
    }

    /// One of the numbers at `/metrics`, without labels.
    pub async fn metric(&self, name: &str) -> Result<u64, Failure> {
        let text = self.http.get(format!("http://{}/metrics", self.address)).send().await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Ok(value.ok_or_else(|| format!("there is no metric {name}"))?)
    }

    /// Kills it with SIGKILL and waits for its end.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
}

/// A client that asks nobody but this machine.
pub fn client() -> Result<reqwest::Client, Failure> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?)
}

async fn address_of(child: &mut Child, ready: PathBuf) -> Result<SocketAddr, Failure> {
    loop {
        if let Ok(text) = std::fs::read(&ready) {
            let ready: Value = serde_json::from_slice(&text)?;
            let url = ready["url"].as_str().unwrap_or_default();
            return Ok(url.trim_start_matches("http://").trim_end_matches('/').parse()?);
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("the server ended with {status}; its log is in the data folder").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}
