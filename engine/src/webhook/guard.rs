//! Where a webhook may go.
//!
//! A target is judged twice: its address text when it is saved and again at every try, and the addresses its name
//! resolves to at every try, all of them, before anything connects. What is connected to are the judged addresses.

mod address;

use std::net::IpAddr;

use url::{Host, Url};

use crate::model::Mode;

pub use address::{AddressClass, Network, NetworkError};

/// Characters of a target address at most.
pub const TARGET_MAX: usize = 2_048;

/// What besides the public internet may be reached. The default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Whether subscriptions of test mode may reach this machine's loopback addresses.
    pub allow_loopback_in_test: bool,
    /// Networks that subscriptions of both modes may reach.
    pub allow_networks: Vec<Network>,
}

/// A target is refused. Names no address that it resolves to: what lies in our network is not the merchant's to learn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// It is no address at all.
    #[error("the target is not an http or https address of at most {TARGET_MAX} characters")]
    NotAnAddress,
    /// It holds a user name or a password.
    #[error("the target holds credentials: send them in a header instead")]
    Credentials,
    /// Its port is 0.
    #[error("the target's port cannot be 0")]
    Port,
    /// It is, or resolves to, an address that is not allowed; one such address among several is enough.
    #[error("the target is a private, loopback or reserved address")]
    NotPublic,
    /// Its name resolves to nothing.
    #[error("the target's name has no address")]
    NoAddress,
}

impl GuardPolicy {
    /// Reads a target and judges what can be judged without resolving: the text, and an address written as a literal
    /// in any spelling. The fragment, which is never sent, is dropped.
    pub fn check_target(&self, text: &str, mode: Mode) -> Result<Url, GuardError> {
        if text.len() > TARGET_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(GuardError::NotAnAddress);
        }
        let mut url = Url::parse(text).map_err(|_| GuardError::NotAnAddress)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GuardError::NotAnAddress);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardError::Credentials);
        }
        if url.port() == Some(0) {
            return Err(GuardError::Port);
        }
        url.set_fragment(None);
        match literal(&url) {
            Some(address) => self.vet(&[address], mode).map(|()| url),
            None if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
            None => Err(GuardError::NotAnAddress),
        }
    }

    /// Judges all addresses of a target together: one that is not allowed refuses the target.
    pub fn vet(&self, addresses: &[IpAddr], mode: Mode) -> Result<(), GuardError> {
        if addresses.is_empty() {
            return Err(GuardError::NoAddress);
        }
        let allowed = |address: &IpAddr| match AddressClass::of(*address) {
            AddressClass::Public => true,
            AddressClass::Loopback if self.allow_loopback_in_test && mode == Mode::Test => true,
            AddressClass::Loopback | AddressClass::Internal => {
                self.allow_networks.iter().any(|network| network.contains(*address))
            }
        };
        if addresses.iter().all(allowed) { Ok(()) } else { Err(GuardError::NotPublic) }
    }
}

/// The address that a target names directly; the parser has normalised every spelling of it.
#[must_use]
pub fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(text: &str) -> Result<Url, GuardError> {
        GuardPolicy::default().check_target(text, Mode::Live)
    }

    #[test]
    fn public_targets_pass() {
        // Names and public literals, with ports, paths, queries, IDN and trailing dots; the fragment goes.
        let table = [
            ("https://shop.example/hook?a=b", "https://shop.example/hook?a=b"),
            ("HTTP://Shop.Example:8080", "http://shop.example:8080/"),
            ("https://shop.example./hook#part", "https://shop.example./hook"),
            ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
            ("https://a_b.example/", "https://a_b.example/"),
            ("http://8.8.8.8/", "http://8.8.8.8/"),
            ("http://[2606:4700::1111]:8443/x", "http://[2606:4700::1111]:8443/x"),
            ("https://@shop.example/", "https://shop.example/"),
            ("http://shop.example:007/", "http://shop.example:7/"),
        ];
        for (text, url) in table {
            assert_eq!(strict(text).map(String::from).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn no_spelling_of_an_internal_address_passes() {
        // Decimal, octal, hex, short, full-width, dotted at the end, bracketed: all are the address they mean.
        let texts = [
            "http://127.0.0.1",
            "http://127.1",
            "http://2130706433",
            "http://0177.0.0.1",
            "http://0x7f000001",
            "http://0x7f.1",
            "http://127.0.0.1.",
            "http://１２７.０.０.１",
            "http://127。0。0。1",
            "http://[::1]:9876",
            "https://@[::1]",
            "http://[0000:0000:0000:0000:0000:ffff:7f00:0001]",
            "http://[::127.0.0.1]",
            "http://[::ffff:0:127.0.0.1]",
            "http://[::ffff:10.0.0.1]",
            "http://169.254.169.254/latest/meta-data",
            "http://0",
            "http://0.0.0.0:80",
            "http://10.0.0.1",
            "http://[fd00:ec2::254]",
            "http://%31%32%37.0.0.1",
        ];
        for text in texts {
            assert_eq!(strict(text), Err(GuardError::NotPublic), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        // Other schemes, broken hosts and ports, credentials, white space, and texts too long.
        let long = format!("https://shop.example/{}", "a".repeat(TARGET_MAX));
        let texts = [
            "",
            "shop.example",
            "//shop.example",
            "ftp://shop.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "unix:/run/x",
            "http://",
            "http:///",
            "http://::1/",
            "http://[::1%lo]/",
            "http://[127.0.0.1]/",
            "http://[[::1]]/",
            "http://shop.example:91337/",
            "http://shop.example:-12/",
            "http://shop.example:https/",
            "http://a b/",
            "http://shop.example/\r\nx",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "data:text/plain,x",
            &long,
        ];
        for text in texts {
            assert_eq!(strict(text), Err(GuardError::NotAnAddress), "{text:?}");
        }
        for text in
            ["https://u@shop.example", "https://u:p@shop.example", "https://:p@shop.example", "https://1:2@[::1]"]
        {
            assert_eq!(strict(text), Err(GuardError::Credentials), "{text}");
        }
        assert_eq!(strict("http://shop.example:0/"), Err(GuardError::Port));
    }

    #[test]
    fn one_internal_answer_refuses_the_name() {
        // All addresses of a name are judged together; none at all is refused too.
        let vet = |texts: &[&str]| {
            let addresses: Vec<IpAddr> = texts.iter().map(|text| text.parse().expect(text)).collect();
            GuardPolicy::default().vet(&addresses, Mode::Live)
        };
        assert_eq!(vet(&["8.8.8.8", "2606:4700::1111"]), Ok(()));
        assert_eq!(vet(&["8.8.8.8", "10.0.0.1"]), Err(GuardError::NotPublic));
        assert_eq!(vet(&["::1", "8.8.8.8"]), Err(GuardError::NotPublic));
        assert_eq!(vet(&[]), Err(GuardError::NoAddress));
    }

    #[test]
    fn the_policy_opens_what_it_says_and_no_more() {
        // Loopback for test mode only; a listed network for both modes; nothing beside them.
        let networks = vec!["10.1.0.0/16".parse().expect("a network")];
        let policy = GuardPolicy { allow_loopback_in_test: true, allow_networks: networks };
        let table = [
            ("http://127.0.0.1:9000/", Mode::Test, true),
            ("http://[::1]:9000/", Mode::Test, true),
            ("http://127.0.0.1:9000/", Mode::Live, false),
            ("http://[::ffff:127.0.0.1]/", Mode::Test, false),
            ("http://0.0.0.0/", Mode::Test, false),
            ("http://10.1.2.3/", Mode::Live, true),
            ("http://10.1.2.3/", Mode::Test, true),
            ("http://10.2.2.3/", Mode::Test, false),
            ("http://169.254.169.254/", Mode::Test, false),
        ];
        for (text, mode, passes) in table {
            assert_eq!(policy.check_target(text, mode).is_ok(), passes, "{text} {mode}");
        }
    }
}
