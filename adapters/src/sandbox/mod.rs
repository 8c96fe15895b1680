//! A whole channel without a network: the adapter of a dialect of our own, and the provider that speaks it.
//!
//! The dialect is JSON over HTTP; every request, answer and notification is signed with HMAC-SHA256 under the
//! account's secret and echoes merchant, number, amount and currency. It serves every channel code, each with the
//! answer shape and the rules of the real channel, in test mode only. The provider's side is [`simulator`].

mod account;
mod codes;
mod notify;
mod reply;
mod request;
mod shown;
mod signed;
pub mod simulator;
mod wire;

#[cfg(test)]
mod tests;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

pub use codes::{ADAPTER, FIRST_STEPS};
pub use wire::{SIGNATURE_HEADER, SIGNATURE_WINDOW, WireState};

/// The adapter of the sandbox.
#[derive(Debug)]
pub struct Sandbox {
    manifest: Manifest,
}

impl Sandbox {
    /// The adapter. It keeps nothing but its manifest.
    #[must_use]
    pub fn new() -> Self {
        Self { manifest: codes::manifest() }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for Sandbox {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        _: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        account::validate(mode, settings, secrets)
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

    fn verify_token(
        &self,
        code: &ChannelCode,
        _intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        request::verify_token(code, token, context)
    }

    fn shown(&self, code: &ChannelCode, _number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        shown::shown(code, actions)
    }
}
