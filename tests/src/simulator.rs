//! A provider's simulator as a child process, started, stopped, started again on the same folder; and its payer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::raw;

/// How long a first start, which makes keys, may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running simulator. Killed when it is dropped.
pub struct ProviderProcess {
    child: Child,
    start: ProviderStart,
    /// Where it listens.
    pub address: SocketAddr,
    /// What its ready file says.
    pub ready: Value,
}

/// How to start one.
#[derive(Debug, Clone)]
struct ProviderStart {
    program: PathBuf,
    provider: String,
    data: PathBuf,
    arguments: Vec<String>,
    listen: SocketAddr,
}

impl ProviderProcess {
    /// Starts the simulator of `provider` on a free port, with its data in `folder`.
    ///
    /// # Panics
    /// When it ends, or is not ready within a minute: the test fails with its log.
    pub async fn start(program: &str, provider: &str, folder: &Path, arguments: &[&str]) -> Self {
        let start = ProviderStart {
            program: program.into(),
            provider: provider.to_owned(),
            data: folder.join(provider),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        start.run().await
    }

    /// Stops it by SIGTERM, and starts it again on its data and its address.
    ///
    /// # Panics
    /// When it does not end cleanly, or does not start.
    pub async fn restarted(mut self) -> Self {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let ended = async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let status = tokio::time::timeout(STOP_LIMIT, ended).await.expect("it ends");
        assert!(status.success(), "it ended with {status}");
        let start = ProviderStart { listen: self.address, ..self.start.clone() };
        start.run().await
    }

    /// The accounts that it offers, each the body of a `POST /v1/accounts`.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn accounts(&self) -> &[Value] {
        self.ready["accounts"].as_array().expect("accounts")
    }

    /// Uses new keys from now on, and tells them anew.
    ///
    /// # Panics
    /// When the ready file is not written again.
    pub async fn rotate(&mut self) {
        self.payer(200, "rotate", &json!({})).await;
        let text = std::fs::read(self.start.ready_file()).expect("the ready file is there");
        self.ready = serde_json::from_slice(&text).expect("the ready file is JSON");
    }

    /// Asks its payer's face for something.
    ///
    /// # Panics
    /// When there is no answer, or not this status.
    pub async fn payer(&self, status: u16, command: &str, arguments: &Value) -> Value {
        let headers = [("Content-Type", "application/json")];
        let path = format!("/payer/{command}");
        let reply = raw::post(self.address, &path, &headers, &arguments.to_string()).await.expect("an answer");
        assert_eq!(reply.status, status, "{command} {arguments}: {}", reply.json());
        reply.json()
    }

    /// The payer brings what the merchant gave it. Gives the number of the order.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub async fn bring(&self, text: &str) -> String {
        let brought = self.payer(200, "bring", &json!({ "text": text })).await;
        brought["number"].as_str().expect("a number").to_owned()
    }

    /// Does something to an order.
    ///
    /// # Panics
    /// When the provider does not let it happen.
    pub async fn play(&self, command: &str, number: &str) -> Value {
        self.payer(200, command, &json!({ "number": number })).await
    }
}

impl ProviderStart {
    fn ready_file(&self) -> PathBuf {
        self.data.with_extension("ready.json")
    }

    async fn run(self) -> ProviderProcess {
        let ready = self.ready_file();
        let _ = std::fs::remove_file(&ready);
        let log = self.data.with_extension("log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut child = Command::new(&self.program)
            .args(["simulate", &self.provider, "--listen", &self.listen.to_string(), "--data"])
            .arg(&self.data)
            .arg("--ready-file")
            .arg(&ready)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
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
        let told = told.unwrap_or_else(|_| panic!("it was not ready within {START_LIMIT:?}:\n{}", log_text()));
        let text = told.unwrap_or_else(|status| panic!("it ended with {status}:\n{}", log_text()));
        let ready: Value = serde_json::from_slice(&text).expect("the ready file is JSON");
        let url = ready["url"].as_str().expect("an address");
        let address = url.trim_start_matches("http://").parse().expect("the ready file tells an address");
        ProviderProcess { child, start: self, address, ready }
    }
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
