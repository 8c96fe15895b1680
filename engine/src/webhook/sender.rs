//! One try: the request that is sent, and what came of it.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;

use crate::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};

/// Carries requests to webhook targets.
///
/// As [`crate::channel::http::HttpClient`], and it connects to no other address than the ones it is told: what was
/// vetted is what is connected to, whatever the name resolves to a moment later. A connection that is kept may serve a
/// later request only if its address would be vetted for that one too.
pub trait WebhookClient: Send + Sync + 'static {
    /// Every address of a host name, with the port. A reason, without addresses of ours, when there is none.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>>;

    /// Sends it to one of `pinned` and reads the whole answer.
    fn send(
        &self,
        request: HttpRequest,
        pinned: Vec<SocketAddr>,
        limits: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>>;
}
