//! What can be set of the HTTP doors, and what the host puts behind them.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::mount::Mount;
use super::sandbox::Payers;

/// What can be set of the HTTP doors.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Largest request body in bytes; beyond it 413, under `/2.0` code 5.
    pub body_max_bytes: usize,
    /// Largest request head in bytes: names and values together; beyond it 431, under `/2.0` code 5. At most 128 KiB,
    /// where the parser itself ends.
    pub header_max_bytes: usize,
    /// How long a request's head may take to arrive.
    pub head_deadline: Duration,
    /// How long a request's body may take to arrive; beyond it 408, under `/2.0` code 14.
    pub body_deadline: Duration,
    /// After it a request is answered, whatever it waits for. At most 20 s count under `/2.0`.
    pub request_deadline: Duration,
    /// Requests a second of one credential, or of one client address where there is none; beyond it 429, under `/2.0`
    /// code 14.
    pub rate_per_second: NonZeroU32,
    /// How many of them may come at once.
    pub rate_burst: NonZeroU32,
    /// Which peers may say who the client is and whether it came over TLS: of theirs the last of `X-Forwarded-For` and
    /// of `X-Forwarded-Proto` are read. Without the second their word is that it did.
    pub trusted_proxy: ProxyTrust,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Open connections of one worker; further ones wait to be accepted.
    pub connections_max: usize,
    /// Threads that serve requests.
    pub workers: usize,
    /// How long a stop waits for requests under way; whole seconds count.
    pub stop_limit: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7480)),
            body_max_bytes: 256 * 1024,
            header_max_bytes: 16 * 1024,
            head_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(10),
            request_deadline: Duration::from_secs(20),
            rate_per_second: const { NonZeroU32::new(500).expect("not zero") },
            rate_burst: const { NonZeroU32::new(1_000).expect("not zero") },
            trusted_proxy: ProxyTrust::nobody(),
            keep_alive: Duration::from_secs(75),
            connections_max: 10_000,
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            stop_limit: Duration::from_secs(25),
        }
    }
}

/// Which peers are proxies whose word on the client is believed.
#[derive(Clone)]
pub struct ProxyTrust(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl ProxyTrust {
    /// None: the peer is the client.
    #[must_use]
    pub fn nobody() -> Self {
        Self::when(|_| false)
    }

    /// Those for which this holds.
    #[must_use]
    pub fn when(trusts: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(trusts))
    }

    /// Whether what `peer` says of its client is believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        (self.0)(peer)
    }
}

impl std::fmt::Debug for ProxyTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyTrust")
    }
}

/// What the host puts behind doors of its own.
#[derive(Clone, Default)]
pub struct Extras {
    /// Plays payers of the sandbox. `None`: there is no such door.
    pub payers: Option<Arc<dyn Payers>>,
    /// Whole faces under a path prefix, a provider simulator's for instance.
    pub mounts: Vec<Mount>,
}

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extras").field("payers", &self.payers.is_some()).field("mounts", &self.mounts).finish()
    }
}
