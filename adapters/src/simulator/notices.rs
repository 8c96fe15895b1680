//! How a simulator's notices leave: through a sink that whoever runs it hands in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use maxpay_engine::channel::http::{HttpClient, HttpRequest, Method, SendLimits};
use maxpay_engine::model::Timestamp;

/// A notice on its way to an account's notify address. Its `Debug` shows the address only.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The address given in the create.
    pub url: String,
    /// Names and values, content type included.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notice(to {}, {} bytes)", self.url, self.body.len())
    }
}

/// What was answered to a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeReply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
}

/// Carries a notice to its address, or hands it over in process. An error is for people: the notice is repeated.
pub type NotificationSink = Arc<dyn Fn(Notice) -> BoxFuture<'static, Result<NoticeReply, String>> + Send + Sync>;

/// A sink that posts notices.
#[must_use]
pub fn over_http(client: Arc<dyn HttpClient>) -> NotificationSink {
    Arc::new(move |notice| {
        let client = Arc::clone(&client);
        Box::pin(async move {
            let url = notice.url.parse().map_err(|_| "the notify address is no address".to_owned())?;
            let request = HttpRequest {
                method: Method::POST,
                headers: notice.headers,
                body: notice.body,
                ..HttpRequest::get(url)
            };
            let limits = SendLimits { deadline: Duration::from_secs(5), body_max: 4096 };
            let reply = client.send(request, limits).await.map_err(|failure| failure.to_string())?;
            Ok(NoticeReply { status: reply.status, body: reply.body })
        })
    })
}

/// The key of a row that falls due: rows sort by their moment, and those of one moment by their sequence.
#[must_use]
pub fn due_key(at: Timestamp, sequence: u64) -> String {
    format!("due/{:015}/{sequence:015}", at.millis())
}

/// When the row of that key falls due.
#[must_use]
pub fn due_at(key: &str) -> Option<Timestamp> {
    key.strip_prefix("due/")?.split('/').next()?.parse().ok().map(Timestamp::from_millis)
}

/// Seconds to wait after the first, second … unacknowledged try: WeChat Pay's schedule, about a day long.
const RETRY_SECONDS: [u64; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];

/// How long to wait after `tries` unacknowledged tries. `None`: the provider gives up.
#[must_use]
pub fn retry_after(tries: usize) -> Option<Duration> {
    RETRY_SECONDS.get(tries.checked_sub(1)?).copied().map(Duration::from_secs)
}
