//! Candidates that are as they should be but for one claim, one reading, or one habit of the provider's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Acknowledgement, Adapter, Call, CodeManifest, Context, FieldError, Interpreted, Manifest, Notified, Outcome,
    Prepared, RawNotification, SecretSettings, Step, Subject, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::planted::copied;
use crate::conformance::{self, Lack, Provider, Stage, rotations};
use crate::simulator::{Changes, Ledger};

/// What is bent.
#[derive(Clone, Copy)]
pub enum Bend {
    /// Nothing.
    Straight,
    /// A claim about the code.
    Claim(fn(&mut CodeManifest)),
    /// A claim about the adapter.
    Whole(fn(&mut Manifest)),
    /// What an answer is read as: `None`: as it is.
    Reading(fn(&Call, &Outcome, &Context<'_>) -> Option<Outcome>),
    /// What is asked instead.
    Asking(fn(&Call) -> Option<Call>),
    /// Tokens are verified against this intent as well.
    Token(fn(&Intent) -> Intent),
    /// Every refund and void is sent under another number.
    Renumbers,
    /// Whatever is answered to a request for material is material.
    LearnsAnything,
    /// Keys are never fetched for a notification.
    NeverFetches,
    /// Keys are fetched for whatever notification cannot be verified.
    AlwaysFetches,
    /// Nothing is echoed of an answer to a query, or about what goes back.
    Anonymous,
    /// The provider keeps nothing in its ledger.
    Forgets,
    /// The provider keeps everything but that its keys were changed.
    ForgetsKeys,
}

/// A candidate with something bent, for one code.
pub struct Bent {
    pub inner: Box<dyn conformance::Candidate>,
    pub code: &'static str,
    pub bend: Bend,
}

impl conformance::Candidate for Bent {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        let inner = self.inner.adapter();
        let mut manifest = inner.manifest().clone();
        match self.bend {
            Bend::Claim(bend) => manifest.codes.iter_mut().for_each(bend),
            Bend::Whole(bend) => bend(&mut manifest),
            _ => {}
        }
        Arc::new(BentAdapter { inner, manifest, bend: self.bend, count: AtomicU64::new(0) })
    }

    fn codes(&self) -> Vec<ChannelCode> {
        vec![self.code.parse().expect("a code")]
    }

    fn lacks(&self) -> Vec<Lack> {
        self.inner.lacks()
    }

    fn open(&self, stage: Stage) -> Result<Arc<dyn Provider>, String> {
        let ledger = if matches!(self.bend, Bend::Forgets) { Ledger::memory() } else { stage.ledger };
        if matches!(self.bend, Bend::ForgetsKeys) {
            let mut changes = Changes::default();
            changes.remove(rotations::KEY.to_owned());
            ledger.commit(changes).map_err(|why| why.to_string())?;
        }
        self.inner.open(Stage { ledger, ..stage })
    }
}

struct BentAdapter {
    inner: Arc<dyn Adapter>,
    manifest: Manifest,
    bend: Bend,
    count: AtomicU64,
}

impl Adapter for BentAdapter {
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
        match self.bend {
            Bend::Asking(bend) => self.inner.prepare(bend(call).as_ref().unwrap_or(call), context),
            Bend::Renumbers if matches!(call, Call::Refund { .. } | Call::Void { .. }) => {
                let number = context.subject.map(|subject| subject.number).unwrap_or_default();
                let number = format!("{number}{:02}", self.count.fetch_add(1, Ordering::Relaxed));
                let subject = context.subject.map(|subject| Subject { number: &number, ..subject });
                self.inner.prepare(call, &Context { subject, ..copied(context, context.now) })
            }
            _ => self.inner.prepare(call, context),
        }
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        let read = self.inner.interpret(call, step, reply, context);
        if matches!((self.bend, call, &read), (Bend::LearnsAnything, Call::Maintain, Interpreted::Done(_))) {
            return Interpreted::Learned(Vec::new());
        }
        let names =
            matches!(call, Call::Query { .. } | Call::Refund { .. } | Call::Void { .. } | Call::QueryRefund { .. });
        if let (Bend::Anonymous, true, Interpreted::Done(answer)) = (self.bend, names, &read) {
            return Interpreted::bare(answer.outcome.clone());
        }
        let (Bend::Reading(bend), Interpreted::Done(mut answer)) = (self.bend, read) else {
            return self.inner.interpret(call, step, reply, context);
        };
        if let Some(other) = bend(call, &answer.outcome, context) {
            answer.outcome = other;
        }
        Interpreted::Done(answer)
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        match (self.bend, self.inner.notification(raw, context)) {
            (Bend::NeverFetches, Notified::NeedMaterial(_)) => Notified::Unverified {
                reason: "the key is not known".to_owned(),
                refusal: Acknowledgement { status: 401, content_type: "text/plain".to_owned(), body: Bytes::new() },
            },
            (Bend::AlwaysFetches, Notified::Unverified { reason, refusal }) => {
                match self.inner.prepare(&Call::Maintain, context) {
                    Prepared::Send(request) => Notified::NeedMaterial(request),
                    _ => Notified::Unverified { reason, refusal },
                }
            }
            (_, notified) => notified,
        }
    }

    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        let verified = self.inner.verify_token(code, intent, token, context);
        match (self.bend, verified) {
            (Bend::Token(bend), Err(_)) => self.inner.verify_token(code, &bend(intent), token, context),
            (_, verified) => verified,
        }
    }

    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        self.inner.shown(code, number, actions)
    }
}
