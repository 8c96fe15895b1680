//! The sandbox's channel with its test-mode rule taken off, so that there are objects of live mode to ask for.

use maxpay_adapters::sandbox::Sandbox;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step,
};
use maxpay_engine::model::{ChannelCode, Mode, NamedAction, Timestamp};
use serde_json::{Map, Value};

/// The adapter.
pub struct Live {
    sandbox: Sandbox,
    manifest: Manifest,
}

impl Live {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let manifest = Manifest { test_mode_only: false, ..sandbox.manifest().clone() };
        Self { sandbox, manifest }
    }
}

impl Adapter for Live {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn validate(
        &self,
        _mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>> {
        self.sandbox.validate(Mode::Test, settings, secrets, now)
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        self.sandbox.prepare(call, context)
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        self.sandbox.interpret(call, step, reply, context)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        self.sandbox.notification(raw, context)
    }

    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        self.sandbox.shown(code, number, actions)
    }
}
