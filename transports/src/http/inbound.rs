//! What a request says of itself: path, headers, who sent it and whether anybody could listen in.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};

use super::settings::ProxyTrust;
use super::watched::Cut;
use crate::operations::Problem;

/// Headers that decide who asks or how the body reads. Of two values a proxy may go by one and we by the other.
const SINGLE: [&str; 22] = [
    "authorization",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "x-ml-appid",
    "x-ml-session-token",
    "x-ml-masterkey",
    "x-ml-apikey",
    "x-ml-clientkey",
    "x-ml-request-sign",
    "x-las-appid",
    "x-las-session-token",
    "x-las-masterkey",
    "x-las-apikey",
    "x-las-clientkey",
    "x-las-request-sign",
    "x-zcloud-appid",
    "x-zcloud-session-token",
    "x-zcloud-masterkey",
    "x-zcloud-apikey",
    "x-zcloud-clientkey",
    "x-zcloud-request-sign",
];

/// A request without its body.
pub(super) struct Inbound {
    request: HttpRequest,
    path: String,
    /// Who sent it, as far as a trusted proxy or the connection tells.
    pub(super) client: IpAddr,
    /// Whether nobody in between can read it: loopback, TLS, or a trusted proxy that does not say that its client came
    /// without.
    pub(super) private: bool,
    /// Names this request in the log and in the answer.
    pub(super) request_id: String,
    /// When its head was read, by the monotonic clock.
    pub(super) began: Duration,
}

impl Inbound {
    pub(super) fn new(
        request: HttpRequest,
        trust: &ProxyTrust,
        began: Duration,
        mint: impl FnOnce() -> String,
    ) -> Self {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip().to_canonical());
        let trusted = trust.trusts(peer);
        // A proxy may add a header of its own behind one that the client made up: the last one is the proxy's.
        let forwarded = request.headers().get_all("x-forwarded-for").last().and_then(text);
        let told = forwarded.filter(|_| trusted).and_then(last_address);
        let scheme = request.headers().get_all("x-forwarded-proto").last();
        let over_tls = scheme.is_none_or(|value| text(value).is_some_and(last_is_https));
        let asked = header(&request, "x-request-id").filter(|id| is_request_id(id)).map(str::to_owned);
        Self {
            path: collapsed(request.path()),
            client: told.unwrap_or(peer),
            private: if trusted { over_tls } else { peer.is_loopback() || request.app_config().secure() },
            request_id: asked.unwrap_or_else(mint),
            began,
            request,
        }
    }

    /// The method, in upper case.
    pub(super) fn method(&self) -> &str {
        self.request.method().as_str()
    }

    /// The path with doubled slashes collapsed, whatever form the request target had.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path as it came.
    pub(super) fn raw_path(&self) -> &str {
        self.request.path()
    }

    /// The query, without `?`.
    pub(super) fn query(&self) -> &str {
        self.request.query_string()
    }

    /// The first header of that name, whatever its case, without blanks around it. One that is not visible ASCII or
    /// UTF-8 counts as absent.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.request, name)
    }

    /// Whether there is a header of that name, readable or not.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.request.headers().contains_key(name)
    }

    /// A header that decides who asks or how the body reads, and says two things at once.
    fn contradiction(&self) -> Option<&'static str> {
        SINGLE.into_iter().find(|name| {
            let mut values = self.request.headers().get_all(*name);
            let first = values.next();
            values.any(|value| Some(value) != first)
        })
    }

    /// All headers, names in lower case; of those that come several times, in their order.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        self.request.headers().iter().map(pair).collect()
    }

    /// Whether the head is within that bound, and says one thing.
    pub(super) fn head_fits(&self, max: usize) -> Result<(), Problem> {
        if self.header_bytes().saturating_add(self.raw_path().len() + self.query().len()) > max {
            return Err(Problem::new(431, "headers_too_large", format!("the head is larger than {max} bytes")));
        }
        match self.contradiction() {
            Some(name) => Err(Problem::malformed(name, format!("the header {name} comes with several values"))),
            None => Ok(()),
        }
    }

    /// Ends the connection before anything more is written to it.
    pub(super) fn cut(&self) {
        if let Some(cut) = self.request.conn_data::<Cut>() {
            cut.now();
        }
    }

    /// Bytes of all header names and values.
    fn header_bytes(&self) -> usize {
        self.request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(text)
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
}

/// The client a proxy names: the last address, which is the one that it saw itself.
fn last_address(forwarded: &str) -> Option<IpAddr> {
    let last = forwarded.rsplit(',').next()?.trim();
    let address = last.parse().ok().or_else(|| last.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whether the scheme that a proxy names last, which is the one that it saw itself, is `https`.
fn last_is_https(forwarded: &str) -> bool {
    forwarded.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("https"))
}

fn is_request_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A path with doubled slashes collapsed.
fn collapsed(path: &str) -> String {
    let mut collapsed = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        collapsed.push('/');
    }
    for letter in path.chars() {
        if letter != '/' || !collapsed.ends_with('/') {
            collapsed.push(letter);
        }
    }
    collapsed
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn paths_collapse() {
        // Doubled slashes are one, wherever they stand; nothing else of a path changes.
        for (path, wanted) in [
            ("/2.0/maxpay/bill", "/2.0/maxpay/bill"),
            ("//2.0///maxpay//records", "/2.0/maxpay/records"),
            ("/2.0/maxpay/bill/", "/2.0/maxpay/bill/"),
            ("", "/"),
            ("*", "/*"),
        ] {
            assert_eq!(collapsed(path), wanted);
        }
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        // What a stranger forwards is not believed; of a trusted proxy's list the last address counts.
        let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
        let trust = ProxyTrust::when(move |peer| peer == proxy);
        for (peer, forwarded, client, private) in [
            ("10.0.0.1:1", "1.1.1.1, 2.2.2.2", "2.2.2.2", true),
            ("10.0.0.2:1", "1.1.1.1", "10.0.0.2", false),
            ("10.0.0.1:1", "unknown", "10.0.0.1", true),
            ("10.0.0.1:1", "[2001:db8::1]:77", "2001:db8::1", true),
            ("127.0.0.1:1", "1.1.1.1", "127.0.0.1", true),
        ] {
            let request = TestRequest::default()
                .peer_addr(peer.parse().expect("an address"))
                .insert_header(("x-forwarded-for", forwarded))
                .to_http_request();
            let inbound = Inbound::new(request, &trust, Duration::ZERO, || "minted".to_owned());
            assert_eq!((inbound.client.to_string().as_str(), inbound.private), (client, private), "{peer} {forwarded}");
        }
        let two = TestRequest::default()
            .peer_addr("10.0.0.1:1".parse().expect("an address"))
            .append_header(("x-forwarded-for", "1.1.1.1"))
            .append_header(("x-forwarded-for", "2.2.2.2"));
        let inbound = Inbound::new(two.to_http_request(), &trust, Duration::ZERO, String::new);
        assert_eq!(inbound.client.to_string(), "2.2.2.2");
    }

    #[test]
    fn a_proxy_says_whether_its_client_came_over_tls() {
        // The last scheme that a trusted proxy names counts, and anything but https is in the clear; a stranger's word
        // does not count either way.
        let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
        let trust = ProxyTrust::when(move |peer| peer == proxy || peer.is_loopback());
        for (peer, schemes, private) in [
            ("10.0.0.1:1", &[][..], true),
            ("10.0.0.1:1", &["https"], true),
            ("10.0.0.1:1", &["HTTPS"], true),
            ("10.0.0.1:1", &["http"], false),
            ("10.0.0.1:1", &[""], false),
            ("10.0.0.1:1", &["https, http"], false),
            ("10.0.0.1:1", &["http, https"], true),
            ("10.0.0.1:1", &["https", "http"], false),
            ("10.0.0.1:1", &["http", "https"], true),
            ("127.0.0.1:1", &["http"], false),
            ("10.0.0.2:1", &["https"], false),
        ] {
            let mut request = TestRequest::default().peer_addr(peer.parse().expect("an address"));
            for scheme in schemes {
                request = request.append_header(("x-forwarded-proto", *scheme));
            }
            let inbound = Inbound::new(request.to_http_request(), &trust, Duration::ZERO, String::new);
            assert_eq!(inbound.private, private, "{peer} {schemes:?}");
        }
    }

    #[test]
    fn a_header_says_one_thing() {
        // The same twice does no harm; two values of a header that decides something are a contradiction.
        for (headers, wanted) in [
            (vec![("authorization", "Bearer a")], None),
            (vec![("authorization", "Bearer a"), ("authorization", "Bearer a")], None),
            (vec![("Authorization", "Bearer a"), ("authorization", "Bearer b")], Some("authorization")),
            (vec![("idempotency-key", "a"), ("idempotency-key", "b")], Some("idempotency-key")),
            (vec![("X-ML-MasterKey", "a"), ("X-LAS-MasterKey", "b")], None),
            (vec![("X-ML-MasterKey", "a"), ("x-ml-masterkey", "b")], Some("x-ml-masterkey")),
            (vec![("accept", "a"), ("accept", "b")], None),
        ] {
            let mut request = TestRequest::default();
            for header in &headers {
                request = request.append_header(*header);
            }
            let inbound = Inbound::new(request.to_http_request(), &ProxyTrust::nobody(), Duration::ZERO, String::new);
            assert_eq!(inbound.contradiction(), wanted, "{headers:?}");
        }
    }

    #[test]
    fn request_ids_are_taken_when_they_are_fit_to_log() {
        // A visible short id is kept; anything else gets a new one.
        for (given, wanted) in [("abc-1", "abc-1"), ("", "minted"), ("a b", "minted"), (&*"x".repeat(129), "minted")] {
            let request = TestRequest::default().insert_header(("x-request-id", given)).to_http_request();
            assert_eq!(
                Inbound::new(request, &ProxyTrust::nobody(), Duration::ZERO, || "minted".to_owned()).request_id,
                wanted
            );
        }
    }
}
