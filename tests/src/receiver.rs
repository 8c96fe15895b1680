//! A merchant's webhook receiver that keeps a log of every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Received {
    /// The header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("webhook bodies are JSON")
    }
}

/// Decides the status of the answer from the number of the request (from 0) and the request.
pub type Answer = dyn Fn(usize, &Received) -> u16 + Send + Sync;

/// A receiver on a free loopback port. It ends when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Received>>>,
    arrived: Arc<tokio::sync::Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Starts one that answers 200 to everything.
    pub async fn well() -> Self {
        Self::answering(|_, _| 200).await
    }

    /// Starts one whose answers are decided by `answer`.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn answering(answer: impl Fn(usize, &Received) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(tokio::sync::Notify::new());
        let answer: Arc<Answer> = Arc::new(answer);
        let task = tokio::spawn({
            let (log, arrived) = (Arc::clone(&log), Arc::clone(&arrived));
            async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let (log, arrived, answer) = (Arc::clone(&log), Arc::clone(&arrived), Arc::clone(&answer));
                    connections.spawn(async move {
                        // A client that hangs up in the middle is no event for a log.
                        let _ = serve(stream, &log, &arrived, &*answer).await;
                    });
                }
            }
        });
        Self { address, log, arrived, task }
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What came so far.
    ///
    /// # Panics
    /// Never in practice: nobody panics while the log is held.
    #[must_use]
    pub fn log(&self) -> Vec<Received> {
        self.log.lock().expect("nobody panics while it is held").clone()
    }

    /// Waits until `count` requests came, and gives them.
    ///
    /// # Panics
    /// After `limit`: the test fails with what came until then.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        let reached = async {
            loop {
                let arrived = self.arrived.notified();
                if self.log().len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        let reached = tokio::time::timeout(limit, reached).await;
        assert!(reached.is_ok(), "{count} webhooks expected within {limit:?}, came: {:?}", self.log());
        self.log()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Received>>,
    arrived: &tokio::sync::Notify,
    answer: &Answer,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut bytes).await? else { return Ok(()) };
        let status = {
            let mut log = log.lock().expect("nobody panics while it is held");
            log.push(request.clone());
            answer(log.len() - 1, &request)
        };
        arrived.notify_waiters();
        let text = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok");
        stream.write_all(text.as_bytes()).await?;
    }
}

pub(crate) async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
    let rest = bytes.split_off(head_end + length);
    let body = bytes.split_off(head_end);
    *bytes = rest;
    Ok(Some(Received { line, headers, body }))
}
