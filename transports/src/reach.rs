//! Where calls to providers may lead. An account names its provider's address itself: without a bound a merchant could
//! have the server ask what only the server can reach.

use std::net::IpAddr;
use std::sync::Arc;

use maxpay_engine::model::Mode;
use maxpay_engine::webhook::GuardPolicy;

/// What a merchant may learn of an address that is not reached.
const REFUSED: &str = "the provider's address is not one that this server may reach";

/// Which addresses are connected to.
#[derive(Clone)]
pub(crate) struct Reach(Option<Arc<GuardPolicy>>);

impl Reach {
    /// All of them.
    pub fn everything() -> Self {
        Self(None)
    }

    /// Those that the policy lets webhooks of live mode go to.
    pub fn within(policy: GuardPolicy) -> Self {
        Self(Some(Arc::new(policy)))
    }

    /// Whether all these addresses may be connected to.
    ///
    /// # Errors
    /// Why not, without what they are.
    pub fn covers(&self, addresses: &[IpAddr]) -> Result<(), &'static str> {
        let Some(policy) = &self.0 else { return Ok(()) };
        policy.vet(addresses, Mode::Live).map_err(|_| REFUSED)
    }
}
