//! Outbound HTTP: what the engine asks to be sent, and what may come of it.
//!
//! Adapters build requests and read replies; the host hands in the client that carries them. Nothing here connects.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use url::Url;

pub use http::Method;

use crate::model::{AppId, Timestamp};
use crate::secrets::Secret;

/// A request to a provider or a webhook target. Its `Debug` shows where it goes, and neither query, headers nor body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to: `http` or `https`.
    pub url: Url,
    /// Names and values, in this order. `host` and `content-length` are the client's.
    pub headers: Vec<(String, String)>,
    /// The body, sent as it is.
    pub body: Bytes,
    /// With what to prove ourselves in the TLS handshake, where the provider asks for it.
    pub identity: Option<ClientIdentity>,
    /// The app for which it leaves. The engine says so when it sends; a client gives each its share of what is scarce.
    pub on_behalf_of: Option<AppId>,
}

impl HttpRequest {
    /// A GET.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), body: Bytes::new(), identity: None, on_behalf_of: None }
    }

    /// A POST of `body` with that content type.
    #[must_use]
    pub fn post(url: Url, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { method: Method::POST, url, headers, body: body.into(), identity: None, on_behalf_of: None }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &format_args!("{}", Bare(&self.url)))
            .field("headers", &Redacted(&self.headers))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("identity", &self.identity)
            .field("on_behalf_of", &self.on_behalf_of)
            .finish()
    }
}

/// Scheme, host, port and path of an address: queries and credentials may be secret.
struct Bare<'a>(&'a Url);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        if self.0.query().is_some() { f.write_str("?[redacted]") } else { Ok(()) }
    }
}

/// Headers by name; only the content type shows its value.
struct Redacted<'a>(&'a [(String, String)]);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| {
            let open = name.eq_ignore_ascii_case("content-type");
            (name, if open { value.as_str() } else { "[redacted]" })
        });
        f.debug_map().entries(shown).finish()
    }
}

/// A client certificate with its private key, for mutual TLS: PEM, the certificate first, its chain, and the key in
/// PKCS#8, PKCS#1 or SEC1 form. Archives (PKCS#12) are unpacked by the adapter that takes them.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pem: Secret,
}

impl ClientIdentity {
    /// An identity from PEM text.
    #[must_use]
    pub fn from_pem(pem: Secret) -> Self {
        Self { pem }
    }

    /// The PEM text.
    #[must_use]
    pub fn pem(&self) -> &Secret {
        &self.pem
    }

    /// Tells identities apart without showing them: SHA-256 of the PEM text.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.pem.expose()).into()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity([secret])")
    }
}

/// An answer, read whole. Its `Debug` shows neither headers nor body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case and values, in the order they came; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body as it came, at most [`SendLimits::body_max`] bytes.
    pub body: Bytes,
}

impl HttpReply {
    /// The first value of that header; names are compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The peer's clock, from the `date` header. `None`: it has none, or one that cannot be read.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(self.header("date")?).ok()?;
        u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
    }
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status)
            .field("headers", &Redacted(&self.headers))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// No whole answer. Reasons are for people; they hold no secrets and nothing of the request's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// No byte of the request left: the name did not resolve, the connection was not made, the request cannot be
    /// written. The only failure that is evidence of anything.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The request may have arrived and may have been executed.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// An answer came that is longer than we read. The request was sent; what came of it is unknown.
    #[error("outcome unknown: the answer is longer than {body_max} bytes")]
    TooLarge {
        /// Its status.
        status: u16,
        /// The limit it passed, in bytes.
        body_max: usize,
    },
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// For everything together: name resolution, connecting, TLS, sending, headers and body.
    pub deadline: Duration,
    /// Bytes of an answer's body that are read at most.
    pub body_max: usize,
}

/// Carries requests to providers.
///
/// One call sends at most one request: an implementation follows no redirect, repeats nothing, uses no proxy of the
/// environment, verifies TLS always, and reports [`SendFailure::NotSent`] only where no byte of the request can have
/// reached the peer. When the deadline passes in the middle, what came of it is unknown.
pub trait HttpClient: Send + Sync + 'static {
    /// Sends it and reads the whole answer. Dropping the future abandons the request, which may have arrived.
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_print_no_content() {
        // Query, header values, body and identity never show; the address and the content type do.
        let url = "https://api.example.com:8443/gateway?sign=hunter2".parse().expect("an address");
        let mut request =
            HttpRequest::post(url, "text/xml", "<sign>hunter2</sign>").header("authorization", "Bearer hunter2");
        request.identity = Some(ClientIdentity::from_pem(Secret::from_text("hunter2")));
        let reply = HttpReply {
            status: 200,
            headers: vec![("set-cookie".into(), "hunter2".into())],
            body: Bytes::from_static(b"hunter2"),
        };
        let text = format!("{request:?} {request:#?} {reply:?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("https://api.example.com:8443/gateway") && text.contains("text/xml"), "{text}");
    }

    #[test]
    fn the_peers_date_is_read() {
        // The one form of RFC 9110 that is to be sent is read; anything else is as if it were absent.
        let table = [
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000)),
            (Some("yesterday"), None),
            (Some(""), None),
            (None, None),
        ];
        for (text, millis) in table {
            let headers = text.map(|text| ("Date".to_owned(), text.to_owned())).into_iter().collect();
            let reply = HttpReply { status: 200, headers, body: Bytes::new() };
            assert_eq!(reply.date().map(Timestamp::millis), millis, "{text:?}");
        }
    }
}
