//! UnionPay ACP 5.1.0: `unipay_app` (a tn for the phone's SDK) and `unipay_web` (a form that the payer's browser posts
//! to the cashier), with query, void and refund.
//!
//! Requests are form bodies signed under the merchant's PKCS#12 certificate; answers and notices carry the certificate
//! that signed them, which must lead to UnionPay's root and name UnionPay itself. An order is merId, orderId and txnTime
//! together. There is no close: an order ends at its `payTimeout`.

mod account;
mod codes;
mod message;
mod notify;
mod reply;
mod request;
#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(all(test, feature = "simulator"))]
mod tests;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, PayerAction, Timestamp};
use serde_json::{Map, Value};

pub use codes::ADAPTER;

/// The adapter of UnionPay.
#[derive(Debug)]
pub struct UnionPay {
    manifest: Manifest,
}

impl UnionPay {
    /// The adapter. It keeps nothing but its manifest.
    #[must_use]
    pub fn new() -> Self {
        Self { manifest: codes::manifest() }
    }
}

impl Default for UnionPay {
    fn default() -> Self {
        Self::new()
    }
}

impl Adapter for UnionPay {
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

    fn shown(&self, _code: &ChannelCode, _number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        actions.iter().filter_map(field).collect()
    }
}

/// The original's answer fields: `tn` of the app, `html` of the web.
fn field(named: &NamedAction) -> Option<(String, String)> {
    match &named.action {
        PayerAction::AppOrder { order } => Some(("tn".to_owned(), order.clone())),
        PayerAction::Form { html } => Some(("html".to_owned(), html.clone())),
        PayerAction::Redirect { .. }
        | PayerAction::Prepay { .. }
        | PayerAction::QrText { .. }
        | PayerAction::WalletSession { .. } => None,
    }
}
