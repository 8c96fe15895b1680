//! WeChat Pay's older dialect: flat XML, signed with a shared key by MD5 or HMAC-SHA256, refunds over mutual TLS. For
//! merchants who have nothing but an API key, as the original console asked for; everybody else takes v3.
//!
//! It is an adapter of its own because its accounts have other settings and its answers prove other things; what the two
//! have in common (codes, states of an order, app ids) is the folder's above. Facts are from the v2 documents
//! (pay.weixin.qq.com/wiki/doc/api/…).

pub(in crate::wechat) mod account;
mod codes;
mod notify;
mod reply;
mod request;
pub(in crate::wechat) mod signature;

#[cfg(test)]
mod tests;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, Timestamp};
use serde_json::{Map, Value};

use super::shown;

pub use codes::ADAPTER;

/// The adapter of WeChat Pay v2.
#[derive(Debug)]
pub struct WeChatV2 {
    manifest: Manifest,
}

impl WeChatV2 {
    /// The adapter. It keeps nothing but its manifest.
    #[must_use]
    pub fn new() -> Self {
        Self { manifest: codes::manifest() }
    }
}

impl Default for WeChatV2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for WeChatV2 {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        account::validate(mode, settings, secrets, now)
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        request::prepare(call, context)
    }

    fn interpret(&self, call: &Call, _step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        Interpreted::Done(reply::read(call, reply, context))
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        notify::notification(raw, context)
    }

    fn shown(&self, code: &ChannelCode, _number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        let mut fields = shown::shown(code, actions);
        // The recorded answer has the prepay id in front of the address to draw.
        fields.sort_by_key(|(name, _)| code.as_str() == "wx_native" && name != "prepayid");
        fields
    }
}
