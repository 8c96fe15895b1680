//! Whole faces that the host mounts under a path prefix. What they are is not known here.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::answer::Answer;
use super::body::BodyRefusal;
use super::inbound::Inbound;

/// A request to a mounted face.
#[derive(Clone)]
pub struct MountRequest {
    /// In upper case.
    pub method: String,
    /// The path as it came, prefix included, and the query behind `?` where there is one.
    pub path: String,
    /// Names in lower case and values, in no certain order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether it came over TLS, through a trusted proxy or from this machine: only then keys may be taken from it.
    pub private: bool,
}

/// A mounted face's answer.
#[derive(Clone)]
pub struct MountReply {
    /// HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

type Handler = dyn Fn(MountRequest) -> BoxFuture<'static, Option<MountReply>> + Send + Sync;

/// A face under a path prefix.
#[derive(Clone)]
pub struct Mount {
    prefix: String,
    handler: Arc<Handler>,
}

impl Mount {
    /// Everything under `prefix` (`/simulators/x`) goes to `handler`. Where it answers nothing the connection ends
    /// without a byte.
    #[must_use]
    pub fn new(
        prefix: impl Into<String>,
        handler: impl Fn(MountRequest) -> BoxFuture<'static, Option<MountReply>> + Send + Sync + 'static,
    ) -> Self {
        let prefix = prefix.into();
        Self { prefix: prefix.trim_end_matches('/').to_owned(), handler: Arc::new(handler) }
    }

    /// Whether a path lies under it.
    pub(super) fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mount({})", self.prefix)
    }
}

/// Hands a request over and the answer back.
pub(super) async fn answer(mount: &Mount, inbound: &Inbound, body: Result<Bytes, BodyRefusal>) -> Answer {
    let body = match body {
        Ok(body) => body,
        Err(refusal) => return Answer::problem(&refusal.problem()),
    };
    let raw = inbound.raw_path();
    let path = if inbound.query().is_empty() { raw.to_owned() } else { format!("{raw}?{}", inbound.query()) };
    let request = MountRequest {
        method: inbound.method().to_owned(),
        path,
        headers: inbound.headers(),
        body,
        private: inbound.private,
    };
    let Some(reply) = (mount.handler)(request).await else { return Answer::cut() };
    let mut answer = Answer::new(reply.status, "", reply.body);
    answer.headers.extend(reply.headers);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        // A mount holds its prefix and what lies under it, and no longer name that begins alike.
        let mount = Mount::new("/sim/x/", |_| Box::pin(std::future::ready(None)));
        for (path, holds) in [("/sim/x", true), ("/sim/x/pay", true), ("/sim/xy", false), ("/sim", false)] {
            assert_eq!(mount.holds(path), holds, "{path}");
        }
    }
}
