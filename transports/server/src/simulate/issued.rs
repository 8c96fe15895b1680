//! What a simulator hands out: accounts with their merchants' keys, and tokens of its device. The keys are of test mode,
//! made here a moment ago or at an earlier start, and good for nothing but this simulator; they are for whoever started
//! it, and for the engine they are pasted into.

use maxpay_adapters::simulator::Offer;
use maxpay_engine::secrets::Secret;
use serde_json::{Value, json, value::RawValue};

/// Accounts, each the body of a `POST /v1/accounts`. They go before an account of the sandbox, which the demo app has.
pub fn accounts(offers: Vec<Offer>) -> Vec<Value> {
    let account = |offer: Offer| {
        let mut settings = offer.settings;
        for (name, secret) in offer.secrets {
            settings.insert(name, secret.reveal_once().into());
        }
        json!({ "adapter": offer.adapter, "label": offer.label, "priority": 1, "settings": settings })
    };
    offers.into_iter().map(account).collect()
}

/// A token for whoever asked the device for it. `None`: it is no JSON.
pub fn token(token: Secret) -> Option<Box<RawValue>> {
    RawValue::from_string(token.reveal_once()?).ok()
}
