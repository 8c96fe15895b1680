//! Who may speak for the payer: whoever sits at this machine, by a page of ours or by a program, and no page of anybody
//! else's that the same browser shows.
//!
//! A stranger's page can send forms and cannot read answers: forms carry a token that stands in our page alone, and
//! everything else must be JSON, which no page sends elsewhere unasked. A stranger's name that resolves to this machine
//! would make its page ours: so only our own names are listened to.

use std::net::SocketAddr;

use maxpay_engine::clock::System;
use maxpay_engine::secrets::Secret;
use maxpay_transports::http::MountRequest;
use url::Url;

/// The guard.
pub struct Guard {
    /// Names and ports by which we are called, in lower case.
    names: Vec<String>,
    token: Secret,
}

impl Guard {
    /// For a simulator that listens there and is called by that address.
    pub fn new(address: SocketAddr, base_url: &str) -> Self {
        let port = address.port();
        let mut names = vec![address.to_string(), format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        names.push(format!("[::1]:{port}"));
        if let Ok(url) = base_url.parse::<Url>() {
            names.push(url[url::Position::BeforeHost..url::Position::AfterPort].to_ascii_lowercase());
        }
        Self { names, token: Secret::mint("", &System::new()) }
    }

    /// What our forms carry.
    pub fn token(&self) -> &str {
        self.token.expose_text().unwrap_or_default()
    }

    /// Whether the request calls us by a name of ours.
    pub fn is_called(&self, request: &MountRequest) -> bool {
        header(request, "host").is_some_and(|host| self.names.contains(&host.to_ascii_lowercase()))
    }

    /// Whether a page that sends this is one of ours, as far as the browser tells.
    pub fn is_our_page(&self, request: &MountRequest) -> bool {
        let site = header(request, "sec-fetch-site");
        let ours = |origin: &str| {
            let name = origin.split_once("://").map(|(_, name)| name.to_ascii_lowercase());
            name.is_some_and(|name| self.names.contains(&name))
        };
        site.is_none_or(|site| matches!(site, "same-origin" | "none")) && header(request, "origin").is_none_or(ours)
    }

    /// Whether it is the token of our forms.
    pub fn is_token(&self, given: &str) -> bool {
        Secret::from_text(given) == self.token
    }
}

/// The header of that name, in lower case.
pub fn header<'r>(request: &'r MountRequest, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_we_speak_for_the_payer() {
        // Our names and our pages pass; strangers' names, origins and sites do not, and no token but ours is one.
        let guard = Guard::new(SocketAddr::from(([127, 0, 0, 1], 7481)), "http://Sim.example.com:80");
        let request = |headers: &[(&str, &str)]| MountRequest {
            method: "POST".to_owned(),
            path: "/payer/pay".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: bytes::Bytes::new(),
            private: true,
        };
        for (host, called) in [
            ("127.0.0.1:7481", true),
            ("LOCALHOST:7481", true),
            ("sim.example.com", true),
            ("evil.example.com", false),
            ("evil.example.com:7481", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(guard.is_called(&request(&[("host", host)])), called, "{host}");
        }
        assert!(!guard.is_called(&request(&[])));
        for (headers, ours) in [
            (vec![], true),
            (vec![("origin", "http://localhost:7481")], true),
            (vec![("origin", "http://sim.example.com"), ("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("origin", "null")], false),
            (vec![("origin", "http://evil.example.com")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
        ] {
            assert_eq!(guard.is_our_page(&request(&headers)), ours, "{headers:?}");
        }
        assert!(guard.is_token(guard.token()) && !guard.is_token("") && guard.token().len() == 48);
    }
}
