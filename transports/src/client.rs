//! The outbound HTTP clients that the engine is handed: one for providers, one for webhook targets.
//!
//! Both verify TLS always, follow no redirect, use no proxy of the environment, speak HTTP/1.1, repeat nothing, and
//! keep one deadline over everything. They differ in their connections: calls to providers move money, so each has a
//! connection of its own, because a pool may send a request again when it meets a dead connection. Webhooks may arrive
//! twice, so their connections are kept, and they go to vetted addresses only.
//!
//! Each looks names up in its own lookups: a merchant's names that hang take nothing from calls to providers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{BoxFuture, Either, select};
use maxpay_engine::channel::http::{ClientIdentity, HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::model::AppId;
use maxpay_engine::webhook::guard::{AddressClass, literal};
use maxpay_engine::webhook::{GuardPolicy, WebhookClient};
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};

use crate::lookups::Lookups;
use crate::reach::Reach;

/// Connecting, TLS included, takes no longer; then it is known that nothing was sent.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Idle connections are closed before most servers close them.
const IDLE_MAX: Duration = Duration::from_secs(4);
const IDLE_PER_TARGET_MAX: usize = 32;
/// Clients with a certificate that are kept; beyond it the one unused for longest goes.
const IDENTITIES_MAX: usize = 64;
const REASON_MAX: usize = 200;

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made: {0}")]
pub struct ClientError(String);

/// By which certificates peers are judged: the platform's, and those that the operator adds. Nothing takes one away,
/// and nothing makes a peer pass without one.
#[derive(Clone, Default)]
pub struct TrustedRoots {
    added: Vec<reqwest::Certificate>,
}

impl TrustedRoots {
    /// Trusts the roots of a PEM bundle too: a private certification authority's.
    pub fn and(mut self, pem_bundle: &[u8]) -> Result<Self, ClientError> {
        let unreadable = || ClientError("no certificates in PEM".into());
        let added = reqwest::Certificate::from_pem_bundle(pem_bundle).map_err(|_| unreadable())?;
        if added.is_empty() {
            return Err(unreadable());
        }
        self.added.extend(added);
        Ok(self)
    }

    /// On a machine without any roots, `https` peers do not pass; `http` ones on this machine still can be reached.
    fn build(&self, make: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
        let with_platform = make().tls_certs_merge(self.added.clone());
        with_platform.build().or_else(|error| {
            tracing::warn!(reason = reason(error), "no trusted roots of the platform: https peers cannot be verified");
            make().tls_certs_only(self.added.clone()).build().map_err(|error| ClientError(reason(error)))
        })
    }
}

impl fmt::Debug for TrustedRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedRoots(the platform's and {} more)", self.added.len())
    }
}

/// Carries calls to providers. Every call has a connection of its own.
#[derive(Clone)]
pub struct ProviderClient {
    roots: TrustedRoots,
    names: SharingResolver,
    plain: reqwest::Client,
    identities: Arc<Mutex<Identities>>,
}

/// Clients by the digest of their identity, with the number of their last use.
#[derive(Default)]
struct Identities {
    uses: u64,
    clients: BTreeMap<[u8; 32], (u64, reqwest::Client)>,
}

impl ProviderClient {
    /// A client that judges its peers by these roots, and connects to whatever address a call names.
    pub fn new(roots: &TrustedRoots) -> Result<Self, ClientError> {
        Self::with(roots, Lookups::of_platform(), Reach::everything())
    }

    /// The same, for accounts whose merchants are not the server's operator: it connects only to addresses that `policy`
    /// lets webhooks of live mode go to, judged after the name was looked up.
    pub fn within(roots: &TrustedRoots, policy: GuardPolicy) -> Result<Self, ClientError> {
        Self::with(roots, Lookups::of_platform(), Reach::within(policy))
    }

    fn with(roots: &TrustedRoots, lookups: Lookups, reach: Reach) -> Result<Self, ClientError> {
        let names = SharingResolver(lookups, reach);
        let plain = roots.build(|| unpooled().dns_resolver(names.clone()))?;
        Ok(Self { roots: roots.clone(), names, plain, identities: Arc::default() })
    }

    fn client_for(&self, identity: Option<&ClientIdentity>) -> Result<reqwest::Client, SendFailure> {
        let Some(identity) = identity else { return Ok(self.plain.clone()) };
        let digest = identity.digest();
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.uses += 1;
        let uses = identities.uses;
        if let Some((used, client)) = identities.clients.get_mut(&digest) {
            *used = uses;
            return Ok(client.clone());
        }
        let unusable = || SendFailure::NotSent("the client certificate cannot be used".into());
        let parsed = reqwest::Identity::from_pem(identity.pem().expose()).map_err(|_| unusable())?;
        let client = self
            .roots
            .build(|| unpooled().dns_resolver(self.names.clone()).identity(parsed.clone()))
            .map_err(|_| unusable())?;
        if identities.clients.len() >= IDENTITIES_MAX {
            let oldest = identities.clients.iter().min_by_key(|(_, (used, _))| *used).map(|(digest, _)| *digest);
            oldest.and_then(|digest| identities.clients.remove(&digest));
        }
        identities.clients.insert(digest, (uses, client.clone()));
        Ok(client)
    }
}

impl HttpClient for ProviderClient {
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let this = self.clone();
        Box::pin(async move {
            // An address in the URL asks no resolver.
            if let Some(address) = literal(&request.url) {
                this.names.1.covers(&[address]).map_err(|why| SendFailure::NotSent(why.into()))?;
            }
            let client = this.client_for(request.identity.as_ref())?;
            let app = request.on_behalf_of;
            ON_BEHALF_OF.scope(app, exchange(client, request, limits, Overlong::Refuse)).await
        })
    }
}

impl fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderClient")
    }
}

tokio::task_local! {
    /// For which app the request of this task leaves.
    static ON_BEHALF_OF: Option<AppId>;
    /// Where the request of this task may connect to.
    static PINNED: Vec<SocketAddr>;
}

/// Looks names up within the share of the request's app, and gives addresses that may be connected to.
#[derive(Clone)]
struct SharingResolver(Lookups, Reach);

impl Resolve for SharingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let app = ON_BEHALF_OF.try_with(|app| *app).unwrap_or_default();
        // The client puts the port of the request in place of 0.
        let (found, reach) = (self.0.find(app, name.as_str(), 0), self.1.clone());
        Box::pin(async move {
            let found = found.await?;
            reach.covers(&found.iter().map(SocketAddr::ip).collect::<Vec<_>>())?;
            let addresses: reqwest::dns::Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// Answers with the addresses that were vetted for the request, and with nothing outside of one.
struct PinnedResolver;

impl Resolve for PinnedResolver {
    fn resolve(&self, _name: Name) -> Resolving {
        let pinned = PINNED.try_with(Clone::clone);
        Box::pin(async move {
            let pinned = pinned.map_err(|_| "no address was vetted")?;
            let addresses: reqwest::dns::Addrs = Box::new(pinned.into_iter());
            Ok(addresses)
        })
    }
}

/// Carries requests to webhook targets, to the addresses that were vetted for each.
///
/// Connections are kept by class of address: one that leads to a loopback address never serves a request that was
/// vetted for public ones, whatever the name resolved to in between. Connections into private networks, or to names
/// whose addresses are of several classes, are not kept at all.
#[derive(Clone)]
pub struct TargetClient {
    public: reqwest::Client,
    loopback: reqwest::Client,
    exact: reqwest::Client,
    lookups: Lookups,
}

impl TargetClient {
    /// A client that judges its peers by these roots, and asks the platform's resolver for the addresses of names.
    pub fn new(roots: &TrustedRoots) -> Result<Self, ClientError> {
        Self::with(roots, Lookups::of_platform())
    }

    /// The same, asking `look_up`, which may block: it is called on threads that do nothing else.
    pub fn looking_up(
        roots: &TrustedRoots,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Result<Self, ClientError> {
        Self::with(roots, Lookups::by(look_up))
    }

    fn with(roots: &TrustedRoots, lookups: Lookups) -> Result<Self, ClientError> {
        let pooled = || {
            hardened()
                .pool_max_idle_per_host(IDLE_PER_TARGET_MAX)
                .pool_idle_timeout(IDLE_MAX)
                .dns_resolver(PinnedResolver)
        };
        Ok(Self {
            public: roots.build(pooled)?,
            loopback: roots.build(pooled)?,
            exact: roots.build(|| unpooled().dns_resolver(PinnedResolver))?,
            lookups,
        })
    }

    fn client_for(&self, pinned: &[SocketAddr]) -> &reqwest::Client {
        let all = |class| pinned.iter().all(|address| AddressClass::of(address.ip()) == class);
        if all(AddressClass::Public) {
            &self.public
        } else if all(AddressClass::Loopback) {
            &self.loopback
        } else {
            &self.exact
        }
    }
}

impl WebhookClient for TargetClient {
    fn resolve(&self, app: AppId, host: &str, port: u16) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        let found = self.lookups.find(Some(app), host, port);
        Box::pin(async move { found.await.map_err(str::to_owned) })
    }

    fn send(
        &self,
        request: HttpRequest,
        pinned: Vec<SocketAddr>,
        limits: SendLimits,
    ) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let client = self.client_for(&pinned).clone();
        Box::pin(async move {
            let vetted = |address: IpAddr| pinned.iter().any(|pinned| pinned.ip() == address);
            // An address in the URL asks no resolver.
            if pinned.is_empty() || literal(&request.url).is_some_and(|address| !vetted(address)) {
                return Err(SendFailure::NotSent("the address was not vetted".into()));
            }
            PINNED.scope(pinned, exchange(client, request, limits, Overlong::Cut)).await
        })
    }
}

impl fmt::Debug for TargetClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TargetClient")
    }
}

/// What to do with a body that is longer than the limit, breaks off, or does not end before the deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlong {
    /// It is no answer.
    Refuse,
    /// What was read of it is the answer.
    Cut,
}

fn hardened() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
}

/// Without a pool there is no dead connection to meet, and nothing that hyper-util could send again.
fn unpooled() -> reqwest::ClientBuilder {
    hardened().pool_max_idle_per_host(0)
}

/// Sends one request and reads its answer, all under one timer.
async fn exchange(
    client: reqwest::Client,
    request: HttpRequest,
    limits: SendLimits,
    overlong: Overlong,
) -> Result<HttpReply, SendFailure> {
    let request = translate(request)?;
    let mut timer = std::pin::pin!(tokio::time::sleep(limits.deadline));
    let head = std::pin::pin!(client.execute(request));
    let mut response = match select(timer.as_mut(), head).await {
        Either::Left(_) => return Err(SendFailure::Unknown("no answer within the deadline".into())),
        Either::Right((Ok(response), _)) => response,
        Either::Right((Err(error), _)) if error.is_connect() || error.is_builder() => {
            return Err(SendFailure::NotSent(reason(error)));
        }
        Either::Right((Err(error), _)) => return Err(SendFailure::Unknown(reason(error))),
    };
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();

    let mut body = BytesMut::new();
    let ended = loop {
        let chunk = std::pin::pin!(response.chunk());
        match select(timer.as_mut(), chunk).await {
            Either::Left(_) => break Err(SendFailure::Unknown("the answer did not end within the deadline".into())),
            Either::Right((Ok(None), _)) => break Ok(()),
            Either::Right((Ok(Some(chunk)), _)) => {
                let room = limits.body_max - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    break Err(SendFailure::TooLarge { status, body_max: limits.body_max });
                }
            }
            Either::Right((Err(error), _)) => break Err(SendFailure::Unknown(reason(error))),
        }
    };
    match ended {
        Err(failure) if overlong == Overlong::Refuse => Err(failure),
        Ok(()) | Err(_) => Ok(HttpReply { status, headers, body: body.freeze() }),
    }
}

fn translate(request: HttpRequest) -> Result<reqwest::Request, SendFailure> {
    let malformed = |what: &str| SendFailure::NotSent(format!("the request cannot be written: {what}"));
    if !matches!(request.url.scheme(), "http" | "https") {
        return Err(malformed("its address is neither http nor https"));
    }
    let mut translated = reqwest::Request::new(request.method.clone(), request.url);
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed("a header's name"))?;
        if matches!(name.as_str(), "host" | "content-length" | "transfer-encoding" | "connection") {
            return Err(malformed("a header that belongs to the connection"));
        }
        let mut value = HeaderValue::from_str(&value).map_err(|_| malformed("a header's value"))?;
        value.set_sensitive(true);
        translated.headers_mut().append(name, value);
    }
    if !request.body.is_empty() || request.method != reqwest::Method::GET {
        *translated.body_mut() = Some(request.body.into());
    }
    Ok(translated)
}

/// The innermost cause, for people: no address, nothing of the request.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().chars().take(REASON_MAX).collect()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "client_reach_tests.rs"]
mod reach_tests;

#[cfg(test)]
#[path = "client_tls_tests.rs"]
mod tls_tests;
