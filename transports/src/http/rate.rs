//! How many requests one credential, or one address, may send.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use maxpay_engine::api::{Principal, Right};
use maxpay_engine::model::{AppId, KeyId, KeyOwner};

use super::settings::HttpSettings;

/// Keys are swept after so many requests.
const SWEEP_EVERY: u32 = 4_096;

/// Counts requests and refuses those beyond the rate.
pub(super) struct Rates {
    limiter: DefaultKeyedRateLimiter<Who>,
    clock: DefaultClock,
    asked: AtomicU32,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// One key of an app. A client key is in the hands of all payers: each address counts for itself.
    Key(AppId, KeyId, Option<IpAddr>),
    /// One operator.
    Operator(KeyId),
    /// A caller without a credential that holds.
    Address(IpAddr),
}

impl Who {
    pub(super) fn of(principal: &Principal, client: IpAddr) -> Self {
        match principal.owner {
            KeyOwner::App(app, key) => {
                Self::Key(app, key, Some(network(client)).filter(|_| principal.right == Right::Client))
            }
            KeyOwner::Operator(key) => Self::Operator(key),
        }
    }

    pub(super) fn address(client: IpAddr) -> Self {
        Self::Address(network(client))
    }
}

/// An IPv6 client owns a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Rates {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let quota = Quota::per_second(settings.rate_per_second).allow_burst(settings.rate_burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), asked: AtomicU32::new(0) }
    }

    /// Counts one request. `Err`: it is one too many; after so many seconds there is room again.
    pub(super) fn count(&self, who: &Who) -> Result<(), u32> {
        // Those who have been silent for a burst's time are forgotten, so that what is kept is bounded by the traffic.
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(who).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_no_more() {
        // One address gets its burst, then waits; another address is not touched by that.
        let one = const { NonZeroU32::new(1).expect("not zero") };
        let three = const { NonZeroU32::new(3).expect("not zero") };
        let rates = Rates::new(&HttpSettings { rate_per_second: one, rate_burst: three, ..HttpSettings::default() });
        let who = Who::address("2001:db8::1".parse().expect("an address"));
        let neighbour = Who::address("2001:db8::ffff".parse().expect("an address"));
        let other = Who::address("192.0.2.1".parse().expect("an address"));
        assert_eq!(who, neighbour);
        let taken: Vec<_> = (0..4).map(|_| rates.count(&who).is_ok()).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert_eq!(rates.count(&neighbour), Err(1));
        assert_eq!(rates.count(&other), Ok(()));
    }
}
