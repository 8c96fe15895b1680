//! The same channels with shorter waits, so that what takes a real provider minutes takes a test seconds. Nothing else
//! of the manifest is another.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

/// Waits in milliseconds; the last one is repeated as often as a schedule may need.
const LOOKS_MS: [u64; 6] = [150, 300, 600, 1_000, 2_000, 4_000];
/// Waits while only the payer is awaited, in milliseconds.
const AWAITING_MS: [u64; 4] = [500, 1_000, 2_000, 4_000];
/// So many looks before a person is asked for.
const LOOKS: usize = 200;

/// An adapter with shorter waits.
pub struct ShortWaits {
    inner: Arc<dyn Adapter>,
    manifest: Manifest,
}

impl ShortWaits {
    /// Around `inner`.
    pub fn new(inner: Arc<dyn Adapter>) -> Self {
        let mut manifest = inner.manifest().clone();
        let looks = LOOKS_MS.into_iter().chain(std::iter::repeat(4_000)).map(Duration::from_millis);
        let looks: Vec<Duration> = looks.take(LOOKS).collect();
        for code in &mut manifest.codes {
            code.expiry.0 = Duration::from_secs(3);
            code.min_life = Duration::from_secs(1);
            code.grace = Duration::from_millis(500);
            code.call_deadline = Duration::from_secs(2);
            code.query.truth_from = Duration::from_secs(1);
            code.query.schedule.clone_from(&looks);
            code.query.awaiting_schedule = AWAITING_MS.map(Duration::from_millis).to_vec();
            if let Some(close) = &mut code.close {
                close.schedule.clone_from(&looks);
            }
        }
        Self { inner, manifest }
    }
}

impl Adapter for ShortWaits {
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
        self.inner.validate(mode, settings, secrets, now)
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        self.inner.prepare(call, context)
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        self.inner.interpret(call, step, reply, context)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        self.inner.notification(raw, context)
    }

    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        self.inner.verify_token(code, intent, token, context)
    }

    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        self.inner.shown(code, number, actions)
    }
}
