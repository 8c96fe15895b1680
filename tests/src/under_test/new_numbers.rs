//! A planted fault: a create that is sent again goes under another number, and its answer is taken for one about the
//! first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    AccountView, Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification,
    SecretSettings, Step, Subject, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

/// A create whose number is older than this is one that is sent again by a process that was started since.
const OLD: Duration = Duration::from_secs(1);

/// An adapter that gives repeated creates new numbers.
pub struct NewNumbers {
    inner: Arc<dyn Adapter>,
    /// How often each number was sent.
    sent: Mutex<BTreeMap<String, u32>>,
}

impl NewNumbers {
    /// Around `inner`.
    pub fn new(inner: Arc<dyn Adapter>) -> Self {
        Self { inner, sent: Mutex::default() }
    }

    fn sends(&self, number: &str) -> u32 {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(number).copied().unwrap_or(0)
    }
}

impl Adapter for NewNumbers {
    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let Some(subject) = context.subject.filter(|_| matches!(call, Call::Create { .. })) else {
            return self.inner.prepare(call, context);
        };
        let sends = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let old = context.now.since(subject.numbered_at) > OLD;
            let sends = sent.entry(subject.number.to_owned()).or_insert(u32::from(old));
            *sends += 1;
            *sends
        };
        if sends == 1 {
            return self.inner.prepare(call, context);
        }
        let number = format!("{}x{sends}", subject.number);
        let subject = Some(Subject { number: &number, ..subject });
        self.inner.prepare(call, &Context { subject, ..again(context) })
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        let sends = context.subject.map_or(0, |subject| self.sends(subject.number));
        let Some(subject) = context.subject.filter(|_| sends > 1 && matches!(call, Call::Create { .. })) else {
            return self.inner.interpret(call, step, reply, context);
        };
        let number = format!("{}x{sends}", subject.number);
        let renamed = Some(Subject { number: &number, ..subject });
        match self.inner.interpret(call, step, reply, &Context { subject: renamed, ..again(context) }) {
            Interpreted::Done(mut answer) => {
                answer.number = answer.number.map(|_| subject.number.to_owned());
                Interpreted::Done(answer)
            }
            other @ (Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_)) => other,
        }
    }

    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
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

/// The same in hand.
fn again<'a>(context: &Context<'a>) -> Context<'a> {
    let AccountView { id, mode, settings, secrets, notify_url } = context.account;
    Context {
        now: context.now,
        entropy: context.entropy,
        account: AccountView { id, mode, settings, secrets, notify_url },
        material: context.material,
        subject: context.subject,
        original: context.original,
    }
}
