//! One try: the request that is sent, and what came of it.
//!
//! Live deliveries, resends and test sends all go through [`Sender::send`]; nothing else connects to a target.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, select};
use url::{Host, Url};

use crate::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use crate::clock::Clock;
use crate::model::{AppId, Event, Target, Timestamp, TryResult};
use crate::secrets::Secret;

use super::functions::{FunctionCall, FunctionRegistry};
use super::guard::{self, GuardPolicy};
use super::masking::Mask;
use super::transcript::{ReceivedResponse, SentRequest, Transcript};
use super::{headers, payload, signature};

/// Bytes of an answer that a record keeps.
pub const EXCERPT_MAX: usize = 2_048;
/// How much longer than its deadline a client may take to say so before it is given up.
const GRACE: Duration = Duration::from_secs(1);
const USER_AGENT: &str = concat!("MaxPay/", env!("CARGO_PKG_VERSION"));

/// Carries requests to webhook targets.
///
/// As [`crate::channel::http::HttpClient`], and it connects to no other address than the ones it is told: what was
/// vetted is what is connected to, whatever the name resolves to a moment later. A connection that is kept may serve a
/// later request only if its address would be vetted for that one too.
///
/// Once the head of an answer is whole, the answer counts: its body is read until its end, the limit, the deadline or a
/// break, and what was read is the body. So [`SendFailure::TooLarge`] does not occur.
pub trait WebhookClient: Send + Sync + 'static {
    /// Every address of a host name, with the port. A reason, without addresses of ours, when there is none.
    ///
    /// `app` is on whose behalf: name servers of one merchant that stay silent must delay that merchant's alone.
    fn resolve(&self, app: AppId, host: &str, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>>;

    /// Sends it to one of `pinned` and reads the answer.
    fn send(
        &self,
        request: HttpRequest,
        pinned: Vec<SocketAddr>,
        limits: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>>;
}

/// What to send in one try: opened secrets, used once.
pub struct Outgoing {
    /// Where to.
    pub target: Target,
    /// What is told. Its mode decides what the guard allows.
    pub event: Event,
    /// The subscription's own headers; their values are secrets.
    pub headers: Vec<(String, Secret)>,
    /// The subscription's `whsec_…`.
    pub signing_secret: Secret,
    /// The app's master key of the event's mode, for the sign inside the body. `None`: it has none.
    pub master_key: Option<Secret>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("event", &self.event.id).finish_non_exhaustive()
    }
}

/// What came of sending.
#[derive(Debug)]
pub enum Sent {
    /// The try ended.
    Ended(Transcript),
    /// Nobody registered the function: no try was made. The delivery is held and an alarm raised.
    FunctionMissing,
    /// The app has no master key to sign this event with: the same.
    KeyMissing,
}

/// Sends tries. Clones share everything.
#[derive(Clone)]
pub struct Sender {
    client: Arc<dyn WebhookClient>,
    functions: FunctionRegistry,
    clock: Arc<dyn Clock>,
    policy: GuardPolicy,
    limits: SendLimits,
}

impl Sender {
    /// A sender. `limits.deadline` bounds a whole try, name resolution included.
    #[must_use]
    pub fn new(
        client: Arc<dyn WebhookClient>,
        functions: FunctionRegistry,
        clock: Arc<dyn Clock>,
        policy: GuardPolicy,
        limits: SendLimits,
    ) -> Self {
        Self { client, functions, clock, policy, limits }
    }

    /// What may be reached.
    #[must_use]
    pub fn policy(&self) -> &GuardPolicy {
        &self.policy
    }

    /// The functions that are registered.
    #[must_use]
    pub fn functions(&self) -> &FunctionRegistry {
        &self.functions
    }

    /// Makes one try. It ends at the deadline at the latest, and never panics on what a target does.
    pub async fn send(&self, outgoing: Outgoing) -> Sent {
        if outgoing.master_key.is_none() && payload::is_signed(outgoing.event.kind) {
            return Sent::KeyMissing;
        }
        let started_at = self.clock.now().wall;
        let mut request = None;
        let ended = match &outgoing.target {
            Target::Url(target) => self.send_to_url(target, &outgoing, started_at, &mut request).await,
            Target::Function(name) if !self.functions.contains(name) => return Sent::FunctionMissing,
            Target::Function(name) => {
                self.call_function(name, &outgoing, started_at, &mut request).await.map(|result| (result, None))
            }
        };
        let (result, response) = ended.unwrap_or_else(|result| (result, None));
        // A wall clock that stepped back must not make a try end before it began.
        let ended_at = self.clock.now().wall.max(started_at);
        Sent::Ended(Transcript { request, response, started_at, ended_at, result })
    }

    async fn send_to_url(
        &self,
        target: &str,
        outgoing: &Outgoing,
        now: Timestamp,
        sent: &mut Option<SentRequest>,
    ) -> Result<(TryResult, Option<ReceivedResponse>), TryResult> {
        let began = self.clock.now().monotonic;
        let url = self.policy.check_target(target, outgoing.event.mode).map_err(refused)?;
        let request = build(&url, outgoing, now).map_err(|reason| TryResult::Refused { reason })?;
        let pinned = self
            .within(self.limits.deadline, self.resolve(outgoing.event.app_id, &url))
            .await
            .unwrap_or_else(|| Err(late()))?;
        let addresses: Vec<_> = pinned.iter().map(SocketAddr::ip).collect();
        self.policy.vet(&addresses, outgoing.event.mode).map_err(refused)?;

        *sent = Some(shown(target, &request, &outgoing.headers));
        let left = self.limits.deadline.saturating_sub(self.clock.now().monotonic.saturating_sub(began));
        let limits = SendLimits { deadline: left, ..self.limits };
        let reply = self.within(left + GRACE, self.client.send(request, pinned, limits)).await;
        match reply.unwrap_or_else(|| Err(SendFailure::Unknown("no answer within the deadline".into()))) {
            Ok(reply) => {
                let response = received(reply, &Mask::of(outgoing.headers.iter().map(|(_, value)| value)));
                let result = TryResult::Answered { status: response.status, excerpt: excerpt(&response.body) };
                Ok((result, Some(response)))
            }
            Err(SendFailure::TooLarge { status, .. }) => {
                Ok((TryResult::Answered { status, excerpt: String::new() }, None))
            }
            Err(SendFailure::NotSent(reason) | SendFailure::Unknown(reason)) => Err(TryResult::NoAnswer { reason }),
        }
    }

    async fn resolve(&self, app: AppId, url: &Url) -> Result<Vec<SocketAddr>, TryResult> {
        let port = url.port_or_known_default().expect("http and https have ports");
        match (guard::literal(url), url.host()) {
            (Some(address), _) => Ok(vec![SocketAddr::new(address, port)]),
            (None, Some(Host::Domain(name))) => {
                self.client.resolve(app, name, port).await.map_err(|reason| TryResult::NoAnswer { reason })
            }
            (None, _) => Err(refused(guard::GuardError::NotAnAddress)),
        }
    }

    async fn call_function(
        &self,
        name: &str,
        outgoing: &Outgoing,
        now: Timestamp,
        sent: &mut Option<SentRequest>,
    ) -> Result<TryResult, TryResult> {
        let body = payload::body(&outgoing.event, outgoing.master_key.as_ref(), now)
            .map_err(|error| TryResult::Refused { reason: error.to_string() })?;
        *sent = Some(SentRequest { target: name.to_owned(), headers: Vec::new(), body: body.clone() });
        let call = FunctionCall { name: name.to_owned(), event: outgoing.event.clone(), body };
        let failed = |reason: &str| TryResult::FunctionFailed { reason: reason.to_owned() };
        let Some(run) = self.functions.call(call) else { return Err(failed("the function is not registered")) };
        match self.within(self.limits.deadline, run).await {
            Some(Ok(())) => Ok(TryResult::FunctionOk),
            Some(Err(reason)) => Err(TryResult::FunctionFailed { reason }),
            None => Err(failed("the function did not end within the deadline")),
        }
    }

    /// What the future gives, or `None` after that time.
    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let work = std::pin::pin!(work);
        match select(work, self.clock.sleep(limit)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(((), _)) => None,
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("policy", &self.policy).field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn refused(error: guard::GuardError) -> TryResult {
    TryResult::Refused { reason: error.to_string() }
}

fn late() -> TryResult {
    TryResult::NoAnswer { reason: "the name did not resolve within the deadline".into() }
}

/// The whole request: our headers first, then the subscription's own.
fn build(url: &Url, outgoing: &Outgoing, now: Timestamp) -> Result<HttpRequest, String> {
    let event = &outgoing.event;
    let body = payload::body(event, outgoing.master_key.as_ref(), now).map_err(|error| error.to_string())?;
    let id = event.id.to_string();
    let signed = signature::sign(&outgoing.signing_secret, &id, now, &body).map_err(|error| error.to_string())?;
    let own = own_headers(&outgoing.headers)?;
    let mut request = HttpRequest::post(url.clone(), "application/json", body)
        .header("user-agent", USER_AGENT)
        .header("maxpay-event", event.kind.name())
        .header("webhook-id", id)
        .header("webhook-timestamp", now.seconds().to_string())
        .header("webhook-signature", signed);
    request.headers.extend(own);
    Ok(request)
}

fn own_headers(own: &[(String, Secret)]) -> Result<Vec<(String, String)>, String> {
    let open = |(name, value): &(String, Secret)| Some((name.clone(), value.expose_text()?.to_owned()));
    let opened: Option<Vec<_>> = own.iter().map(open).collect();
    let opened = opened.ok_or("a header's value is not text")?;
    headers::check(&opened).map_err(|error| error.to_string())?;
    Ok(opened)
}

fn shown(target: &str, request: &HttpRequest, own: &[(String, Secret)]) -> SentRequest {
    let is_own = |name: &str| own.iter().any(|(own_name, _)| own_name == name);
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), if is_own(name) { "[secret]".to_owned() } else { value.clone() }))
        .collect();
    SentRequest { target: target.to_owned(), headers, body: request.body.clone() }
}

/// The answer as it may be kept and shown: some targets answer what they were sent.
fn received(reply: HttpReply, mask: &Mask) -> ReceivedResponse {
    let HttpReply { status, headers, body } = reply;
    let headers = headers.into_iter().map(|(name, value)| (name, mask.text(&value))).collect();
    ReceivedResponse { status, headers, body: mask.bytes(&body).into() }
}

/// The beginning of a body as text, at most [`EXCERPT_MAX`] bytes; what is not UTF-8 is replaced.
fn excerpt(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_MAX)]);
    let mut end = text.len().min(EXCERPT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
