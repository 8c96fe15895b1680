//! The values of settings, each of a type that cannot be out of bounds once it is read.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// A number known to lie within the bounds.
    pub const fn of(number: u32) -> Self {
        assert!(MIN <= number && number <= MAX, "defaults lie within their bounds");
        Self(number)
    }

    /// The number.
    pub fn number(self) -> usize {
        usize::try_from(self.0).expect("a usize has 32 bits or more where this runs")
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        match u32::try_from(number) {
            Ok(within) if (MIN..=MAX).contains(&within) => Ok(Self(within)),
            _ => {
                let expected = format!("a number from {MIN} to {MAX}");
                Err(D::Error::invalid_value(Unexpected::Signed(number), &expected.as_str()))
            }
        }
    }
}

/// A span of `MIN` to `MAX` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis<const MIN: u32, const MAX: u32>(Whole<MIN, MAX>);

impl<const MIN: u32, const MAX: u32> Millis<MIN, MAX> {
    /// A span known to lie within the bounds.
    pub const fn of(millis: u32) -> Self {
        Self(Whole::of(millis))
    }

    /// The span.
    pub fn duration(self) -> Duration {
        Duration::from_millis(u64::from(self.0.0))
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Millis<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Whole::deserialize(from).map(Self)
    }
}

/// The gaps between the attempts of a delivery: at most 30, each of 1 ms to 7 days.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Millis<1, 604_800_000>>")]
pub struct Schedule(Vec<Millis<1, 604_800_000>>);

impl Schedule {
    const GAPS_MAX: usize = 30;

    /// The original's: 1m 5m 10m 30m 1h 2h 4h 8h 16h 24h.
    pub fn original() -> Self {
        let minutes = [1, 5, 10, 30, 60, 120, 240, 480, 960, 1_440];
        Self(minutes.map(|minutes| Millis::of(minutes * 60_000)).to_vec())
    }

    /// The gaps, first retry first.
    pub fn gaps(&self) -> Vec<Duration> {
        self.0.iter().map(|gap| gap.duration()).collect()
    }
}

impl TryFrom<Vec<Millis<1, 604_800_000>>> for Schedule {
    type Error = String;

    fn try_from(gaps: Vec<Millis<1, 604_800_000>>) -> Result<Self, String> {
        if gaps.len() > Self::GAPS_MAX {
            return Err(format!("{} gaps, expected at most {}", gaps.len(), Self::GAPS_MAX));
        }
        Ok(Self(gaps))
    }
}

/// An `http` or `https` address that paths are appended to: no query, no fragment, no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        // The text is not repeated in the message: it may hold a password.
        let url = Url::parse(&text).map_err(|why| D::Error::custom(format!("not a URL: {why}")))?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !bare || url.password().is_some() {
            return Err(D::Error::custom("expected an http or https URL without query, fragment, user and password"));
        }
        Ok(Self(url))
    }
}

/// Which peers are proxies of ours, of whom `X-Forwarded-For` and `X-Forwarded-Proto` are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxy {
    /// None: the peer is the client.
    Nobody,
    /// Every peer: only a proxy can reach this port.
    Anybody,
    /// Those of these networks; 1 to 64.
    Networks(Vec<IpNet>),
}

impl TrustedProxy {
    const NETWORKS_MAX: usize = 64;

    /// Whether what `peer` says of its client is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anybody => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(&peer.to_canonical())),
        }
    }
}

impl<'de> Deserialize<'de> for TrustedProxy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TrustedProxyVisitor)
    }
}

struct TrustedProxyVisitor;

impl<'de> Visitor<'de> for TrustedProxyVisitor {
    type Value = TrustedProxy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a list of 1 to 64 networks like \"10.0.0.0/8\"")
    }

    fn visit_bool<E: Error>(self, anybody: bool) -> Result<TrustedProxy, E> {
        Ok(if anybody { TrustedProxy::Anybody } else { TrustedProxy::Nobody })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TrustedProxy, A::Error> {
        let mut networks = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            let Ok(network) = network else {
                return Err(A::Error::custom("expected a network like \"10.0.0.0/8\""));
            };
            networks.push(network);
        }
        if networks.is_empty() || networks.len() > TrustedProxy::NETWORKS_MAX {
            return Err(A::Error::invalid_length(networks.len(), &self));
        }
        Ok(TrustedProxy::Networks(networks))
    }
}
