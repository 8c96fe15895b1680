//! The channels: one folder each, all alike, and the only list of them.
//!
//! An adapter is pure: it knows its provider's dialect and nothing of stores, actors or transports. Each folder stands
//! behind a feature of its name. [`simulator`] is what the providers' simulators share, and `conformance` the exam that
//! every adapter sits, other people's too.
#![deny(missing_docs)]

use std::sync::Arc;

use maxpay_engine::channel::Adapter;

#[cfg(feature = "alipay")]
pub mod alipay;
#[cfg(feature = "applepay")]
pub mod applepay;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod parts;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod simulator;
#[cfg(feature = "unionpay")]
pub mod unionpay;
#[cfg(feature = "wechat")]
pub mod wechat;

/// Every adapter that was compiled in, in a fixed order.
#[must_use]
pub fn builtin() -> Vec<Arc<dyn Adapter>> {
    vec![
        #[cfg(feature = "alipay")]
        Arc::new(alipay::Alipay::new()),
        #[cfg(feature = "applepay")]
        Arc::new(applepay::ApplePay::new(applepay::Https)),
        #[cfg(feature = "sandbox")]
        Arc::new(sandbox::Sandbox::new()),
        #[cfg(feature = "unionpay")]
        Arc::new(unionpay::UnionPay::new()),
        #[cfg(feature = "wechat")]
        Arc::new(wechat::WeChat::new()),
        #[cfg(feature = "wechat")]
        Arc::new(wechat::v2::WeChatV2::new()),
    ]
}

/// Every simulator that anybody can run and that was compiled in, in a fixed order.
#[cfg(feature = "simulator")]
#[must_use]
pub fn simulations() -> Vec<simulator::Simulation> {
    vec![
        #[cfg(feature = "alipay")]
        alipay::simulator::SIMULATION,
        #[cfg(feature = "applepay")]
        applepay::simulator::SIMULATION,
        #[cfg(feature = "unionpay")]
        unionpay::simulator::SIMULATION,
        #[cfg(feature = "wechat")]
        wechat::simulator::SIMULATION,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_adapters_claim_one_name() {
        // Accounts and notify addresses name an adapter, so a name means one adapter.
        let mut names: Vec<_> = builtin().iter().map(|adapter| adapter.manifest().adapter).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
