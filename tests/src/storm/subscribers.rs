//! Two webhook receivers on loopback: one well, one that fails up to five times in a row for each event, by a 500, a
//! closed connection, or an answer after the deadline. What they took is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::chance::Chance;
use super::errands::{Counts, Errands};
use crate::receiver::{Received, read_request};

/// The server's deadline for one try.
pub const DEADLINE_MS: u64 = 1_000;

/// (transaction, event type) → webhook-id → how often it was taken.
pub type Taken = BTreeMap<(String, String), BTreeMap<String, u64>>;

/// One receiver.
pub struct Subscriber {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    seed: u64,
    fails: bool,
    counts: Arc<Counts>,
    taken: Mutex<Taken>,
    /// Failures so far, by webhook-id.
    failed: Mutex<BTreeMap<String, u64>>,
}

/// How a try fails.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Status,
    Closed,
    Slow,
}

impl Subscriber {
    /// Starts one.
    pub async fn start(seed: u64, fails: bool, counts: Arc<Counts>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State { seed, fails, counts, taken: Mutex::default(), failed: Mutex::default() });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let connections = Errands::default();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                connections.run(async move {
                    // A server that is killed in the middle is what this is about.
                    let _ = state.serve(stream).await;
                });
            }
        });
        Self { address, state, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What it took.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.state.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut bytes).await? {
            self.counts.add("webhooks received");
            let answer = match self.failure(&request) {
                Some(Failure::Closed) => {
                    self.counts.add("webhooks failed: closed");
                    return Ok(());
                }
                Some(Failure::Slow) => {
                    self.counts.add("webhooks failed: slow");
                    tokio::time::sleep(Duration::from_millis(DEADLINE_MS + 300)).await;
                    return Ok(());
                }
                Some(Failure::Status) => {
                    self.counts.add("webhooks failed: 500");
                    "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
                }
                None => {
                    self.take(&request);
                    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                }
            };
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }

    fn failure(&self, request: &Received) -> Option<Failure> {
        if !self.fails {
            return None;
        }
        let id = request.header("webhook-id").unwrap_or_default();
        // Ids are not chosen by the seed, so which event meets which failures is not either; that it meets some is.
        let mut chance = Chance::of(self.seed, id, 0);
        let wanted = chance.below(6);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = failed.entry(id.to_owned()).or_default();
        if *so_far >= wanted {
            return None;
        }
        *so_far += 1;
        Some(chance.weighted(&[(5, Failure::Status), (4, Failure::Closed), (1, Failure::Slow)]))
    }

    fn take(&self, request: &Received) {
        let body = request.json();
        let event = request.header("maxpay-event").unwrap_or_default().to_owned();
        let id = if event == "payment.succeeded" { &body["id"] } else { &body["data"]["transaction_id"] };
        let key = (id.as_str().unwrap_or_default().to_owned(), event);
        let webhook_id = request.header("webhook-id").unwrap_or_default().to_owned();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let times = taken.entry(key).or_default().entry(webhook_id).or_default();
        *times += 1;
        self.counts.add(if *times == 1 { "webhooks taken" } else { "webhooks taken again (duplicates)" });
    }
}
