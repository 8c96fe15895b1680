//! WeChat Pay, API v3: JSON over HTTP, signed with RSA in both directions, notifications sealed with AES-GCM.
//!
//! Facts of the dialect are from WeChat Pay's merchant documents (pay.weixin.qq.com/doc/v3/merchant/…, cited by number)
//! and its own SDKs. The older XML dialect is an adapter of its own, [`v2`]: its accounts have other settings, its answers
//! prove other things.

mod account;
mod certificates;
mod codes;
mod notify;
mod reply;
mod request;
mod sealed;
mod shown;
mod signature;
pub mod v2;
mod wire;

#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(all(test, feature = "simulator"))]
mod tests;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, Timestamp};
use serde_json::{Map, Value};

pub use codes::ADAPTER;

/// The adapter of WeChat Pay v3.
#[derive(Debug)]
pub struct WeChat {
    manifest: Manifest,
}

impl WeChat {
    /// The adapter. It keeps nothing but its manifest.
    #[must_use]
    pub fn new() -> Self {
        Self { manifest: codes::manifest() }
    }
}

impl Default for WeChat {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for WeChat {
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
        reply::interpret(call, reply, context)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        notify::notification(raw, context)
    }

    fn shown(&self, code: &ChannelCode, _number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        shown::shown(code, actions)
    }
}
