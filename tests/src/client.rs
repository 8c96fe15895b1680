//! A client of the native API, as a merchant's server would be.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

/// Speaks `/v1` with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// Status and JSON body of an answer.
pub type Answered = (u16, Value);

impl Client {
    /// A client of the server at `address` with a bearer key.
    ///
    /// # Panics
    /// When the HTTP client cannot be made.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
        Self { http: http.expect("a client can be made"), base: format!("http://{address}"), key: key.to_owned() }
    }

    /// The same key at another address: the server was started again.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), ..self.clone() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answered, String> {
        self.ask_with(method, path, body, None).await
    }

    /// As [`Client::ask`], with an idempotency key.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Answered, String> {
        let method = method.parse().map_err(|_| "no method".to_owned())?;
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let reply = request.send().await.map_err(|error| error.to_string())?;
        let status = reply.status().as_u16();
        let bytes = reply.bytes().await.map_err(|error| error.to_string())?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok((status, body))
    }

    /// Asks, and demands that status.
    ///
    /// # Panics
    /// When another answer came, or none: the test fails with it.
    pub async fn expect(&self, status: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
        match self.ask(method, path, body).await {
            Ok((given, answer)) if given == status => answer,
            other => panic!("{method} {path}: {status} expected, came {other:?}"),
        }
    }

    /// Asks for `path` until the answer has that status, at most `limit`.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn until_status(&self, path: &str, status: u16, limit: Duration) {
        let reached = async {
            while !matches!(self.ask("GET", path, None).await, Ok((given, _)) if given == status) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(limit, reached).await;
        assert!(reached.is_ok(), "{path} did not come to {status} within {limit:?}");
    }

    /// Reads `path` until `holds` does, at most `limit`.
    ///
    /// # Panics
    /// When it does not within `limit`: the test fails with the last answer.
    pub async fn until(&self, path: &str, limit: Duration, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let reached = async {
            loop {
                let answer = self.ask("GET", path, None).await;
                if let Ok((200, body)) = &answer
                    && holds(body)
                {
                    return body.clone();
                }
                last = Some(answer);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(limit, reached).await;
        reached.unwrap_or_else(|_| panic!("{path} did not come to what was expected within {limit:?}: {last:?}"))
    }
}

/// A payment to start over the native API.
#[must_use]
pub fn payment(bill_num: &str, channel: &str, amount_minor: u64) -> Value {
    serde_json::json!({
        "bill_num": bill_num,
        "channel": channel,
        "amount": { "amount_minor": amount_minor, "currency": "CNY" },
        "subject": "A toy",
    })
}
