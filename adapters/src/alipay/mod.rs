//! Alipay: OpenAPI gateway 2.0, signed with RSA2, by public key or by certificates.
//!
//! | code | how the order reaches Alipay |
//! |---|---|
//! | `ali_app` `ali_web` `ali_wap` | signed here; Alipay knows it once the payer opens the cashier |
//! | `ali_qrcode` | by `alipay.trade.precreate`; Alipay knows it once the payer scans the code |
//!
//! So *not found* is what a query answers of most open orders. What the gateway signs is the text between the braces
//! exactly as it was sent, and nothing of the request: an old answer verifies again, so numbers are compared.

mod account;
mod certificates;
mod codes;
mod notify;
mod reply;
mod request;
mod shown;
mod signed;
#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(test)]
mod tests;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, Timestamp};
use serde_json::{Map, Value};

pub use codes::ADAPTER;

/// The adapter of Alipay.
#[derive(Debug)]
pub struct Alipay {
    manifest: Manifest,
}

impl Alipay {
    /// The adapter. It keeps nothing but its manifest.
    #[must_use]
    pub fn new() -> Self {
        Self { manifest: codes::manifest() }
    }
}

impl Default for Alipay {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for Alipay {
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
