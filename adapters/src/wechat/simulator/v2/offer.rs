//! The merchant of v2 that a service has: its keys in the ledger, and its account as it is to be saved.

use maxpay_engine::channel::Adapter;
use maxpay_engine::clock::Entropy;
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::simulator::{Changes, Offer, ServiceError};
use crate::wechat::v2::WeChatV2;

use super::super::Simulator;
use super::super::keys::{KeptPair, KeyPair};
use super::Merchant;

const MCHID: &str = "1900000103";
const APPID: &str = "wx0000000000000101";
const KEYS: &str = "keys/v2";

#[derive(Serialize, Deserialize)]
struct KeptKeys {
    certificate: KeptPair,
    api_key: String,
}

/// Makes the merchant known; its keys are made when there are none.
pub(in crate::wechat::simulator) fn enrol(simulator: &Simulator) -> Result<(), ServiceError> {
    let make = || {
        let api_key = api_key(simulator.entropy.as_ref());
        Ok::<_, ServiceError>(KeptKeys { certificate: KeyPair::generate(MCHID).kept(), api_key })
    };
    simulator.enrol_v2(merchant(&simulator.ledger.row_or(KEYS, make)?));
    Ok(())
}

/// Gives the merchant a new API key. The one before it ends at once, as a new APIv3 key ends its own
/// (pay.weixin.qq.com/doc/v3/partner/4013059095; developers.weixin.qq.com/community/pay/doc/00024cf868c740ed05dab59ae51c00).
pub(in crate::wechat::simulator) fn renew(simulator: &Simulator) -> Result<(), ServiceError> {
    let mut kept: KeptKeys = simulator.ledger.row(KEYS)?.ok_or(ServiceError::Keys)?;
    kept.api_key = api_key(simulator.entropy.as_ref());
    let mut changes = Changes::default();
    changes.put(KEYS.to_owned(), &kept);
    simulator.ledger.commit(changes)?;
    simulator.enrol_v2(merchant(&kept));
    Ok(())
}

/// The merchant's account.
pub(in crate::wechat::simulator) fn offer(simulator: &Simulator) -> Result<Offer, ServiceError> {
    let kept: KeptKeys = simulator.ledger.row(KEYS)?.ok_or(ServiceError::Keys)?;
    let pair = KeyPair::read(&kept.certificate).ok_or(ServiceError::Keys)?;
    let settings = json!({
        "mchid": MCHID,
        "appid": APPID,
        "base_url": simulator.base_url,
        "api_key": kept.api_key,
        "certificate": pair.certificate_pem(),
        "private_key": pair.private_pem(),
    });
    let settings = settings.as_object().cloned().ok_or(ServiceError::Keys)?;
    Ok(Offer::of(WeChatV2::new().manifest(), "Simulated WeChat Pay v2, API key", settings))
}

fn merchant(kept: &KeptKeys) -> Merchant {
    Merchant {
        mchid: MCHID.to_owned(),
        appids: vec![APPID.to_owned()],
        api_keys: vec![Secret::from_text(&kept.api_key)],
        // Whoever serves this sees no handshakes.
        certificate: None,
    }
}

/// 32 hexadecimal digits.
fn api_key(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    hex::encode(bytes)
}
