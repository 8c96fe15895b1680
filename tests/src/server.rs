//! The server as a child process: started, killed, started again on the same folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a start may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The keys of the demo app, as the ready file tells them at the first start.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct DemoKeys {
    /// 24 hexadecimal digits.
    pub app_id: String,
    /// Client key of test mode.
    pub client_key: String,
    /// API key of test mode.
    pub api_key: String,
    /// Master key of test mode.
    pub master_key: String,
    /// Session token of test mode.
    pub session_token: String,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its data folder.
    pub data: PathBuf,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
}

/// A running server. Killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// The demo app's keys, at the first start on a folder.
    pub demo: Option<DemoKeys>,
    /// The operator's key, at the first start on a folder.
    pub operator_key: Option<String>,
}

#[derive(serde::Deserialize)]
struct Ready {
    url: String,
    operator_key: Option<String>,
    #[serde(flatten)]
    demo: Option<DemoKeys>,
}

impl Start {
    /// A server of `program` with its data in `data`.
    #[must_use]
    pub fn new(program: &str, data: &Path) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { program: program.into(), listen, data: data.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready within a minute: the test fails with its log.
    pub async fn run(&self) -> Server {
        self.try_run().await.unwrap_or_else(|ended| panic!("{ended}"))
    }

    /// As [`Start::run`], for a server that may end while it starts.
    ///
    /// # Errors
    /// How it ended, with its log.
    ///
    /// # Panics
    /// When it is not ready within a minute.
    pub async fn try_run(&self) -> Result<Server, String> {
        let ready = self.data.with_extension("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = self.data.with_extension("log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut child = Command::new(&self.program)
            .args(["serve", "--listen", &self.listen.to_string(), "--sandbox", "--data"])
            .arg(&self.data)
            .arg("--ready-file")
            .arg(&ready)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log_file.try_clone().expect("a second handle"))
            .stderr(log_file)
            .spawn()
            .expect("the program under test starts");
        let told = async {
            loop {
                if let Ok(text) = std::fs::read(&ready) {
                    return Ok(text);
                }
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(status);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let log_text = || std::fs::read_to_string(&log).unwrap_or_default();
        let told = tokio::time::timeout(START_LIMIT, told).await;
        let told = told.unwrap_or_else(|_| panic!("the server was not ready within {START_LIMIT:?}:\n{}", log_text()));
        let text = told.map_err(|status| format!("the server ended with {status}:\n{}", log_text()))?;
        let ready: Ready = serde_json::from_slice(&text).expect("the ready file is JSON");
        let address = ready.url.trim_start_matches("http://").trim_end_matches('/').parse();
        let address = address.expect("the ready file tells an address");
        Ok(Server { child, address, demo: ready.demo, operator_key: ready.operator_key })
    }
}

impl Server {
    /// Kills it with SIGKILL and waits for its end.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Waits until it ends by itself (a crash point), at most `limit`. Says whether it did.
    pub async fn ended_within(&mut self, limit: Duration) -> bool {
        let ended = async {
            while !matches!(self.child.try_wait(), Ok(Some(_))) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(limit, ended).await.is_ok()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
