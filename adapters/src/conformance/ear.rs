//! Listens to everything an adapter says (answers, errors, `Debug`, log lines), and knows what must never be among it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step, VerifiedToken,
};
use maxpay_engine::model::{ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The shortest part of a secret whose showing is told from chance.
const PART_MIN: usize = 8;
/// Longer secrets are looked for in pieces of this length, so that a cut one is found too.
const PIECE: usize = 32;

/// What must not be said, and where it was said nevertheless.
#[derive(Default)]
pub(super) struct Ear {
    /// What it is, and a part of it.
    parts: Mutex<Vec<(String, String)>>,
    leaks: Mutex<BTreeSet<String>>,
}

impl Ear {
    /// Adds a secret, in the forms it may be shown in.
    pub fn learn(&self, name: &str, secret: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |part: &str| {
            let entry = (name.to_owned(), part.to_owned());
            if part.len() >= PART_MIN && !parts.contains(&entry) {
                parts.push(entry);
            }
        };
        let mut lines = 0;
        for line in secret.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
            lines += 1;
            add(line);
            for piece in line.as_bytes().chunks_exact(PIECE) {
                add(&String::from_utf8_lossy(piece));
            }
        }
        if lines == 1 {
            add(&hex::encode(secret.trim()));
            add(STANDARD.encode(secret.trim()).trim_end_matches('='));
        }
    }

    /// Adds a text whose parts may be said, such as a token: what names it is no secret.
    pub fn learn_whole(&self, name: &str, text: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() >= PART_MIN {
            parts.push((name.to_owned(), text.to_owned()));
            // As `Debug` of a text writes it.
            parts.push((name.to_owned(), text.escape_debug().to_string()));
        }
    }

    /// Hears a text that was said at `place`.
    pub fn hear(&self, place: &str, text: &str) {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, part) in parts.iter() {
            if text.contains(part.as_str()) {
                let leak = format!("{place} shows {name}");
                self.leaks.lock().unwrap_or_else(PoisonError::into_inner).insert(leak);
            }
        }
    }

    /// Where secrets were said.
    pub fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// An adapter that is listened to. It says what the one inside says.
pub(super) struct Heard {
    pub inner: Arc<dyn Adapter>,
    pub ear: Arc<Ear>,
}

impl Heard {
    /// Runs one method, with its log lines heard.
    fn listen<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(Log { ear: Arc::clone(&self.ear), spans: AtomicU64::new(1) }, work)
    }

    fn said(&self, place: &str, what: &impl Debug) {
        self.ear.hear(place, &format!("{what:?}"));
    }
}

impl Adapter for Heard {
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
        let judged = self.listen(|| self.inner.validate(mode, settings, secrets, now));
        self.said("an error of validate", &judged);
        judged
    }

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let prepared = self.listen(|| self.inner.prepare(call, context));
        match &prepared {
            Prepared::Done(answer) => self.said("an answer of prepare", answer),
            Prepared::Send(request) | Prepared::NeedMaterial(request) => {
                self.said("the Debug of a request", request);
                // Addresses are logged everywhere on their way.
                self.said("the address of a request", &request.url.as_str());
            }
            Prepared::Unsupported => {}
        }
        prepared
    }

    fn interpret(&self, call: &Call, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted {
        let read = self.listen(|| self.inner.interpret(call, step, reply, context));
        match &read {
            Interpreted::Done(answer) => self.said("an answer", answer),
            Interpreted::Next { request, .. } | Interpreted::NeedMaterial(request) => {
                self.said("the address of a request", &request.url.as_str());
            }
            Interpreted::Learned(_) => {}
        }
        read
    }

    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        let notified = self.listen(|| self.inner.notification(raw, context));
        match &notified {
            Notified::Verified { facts, ack, refusal } => {
                self.said("the facts of a notification", facts);
                self.said("an acknowledgement", &(ack, refusal));
            }
            Notified::Hint { number, ack, refusal } => {
                self.said("an acknowledgement", &(number, ack, refusal));
            }
            Notified::NeedMaterial(request) => self.said("the address of a request", &request.url.as_str()),
            Notified::Unverified { reason, refusal } => {
                self.said("the refusal of a notification", &(reason, &refusal.body));
            }
        }
        notified
    }

    fn verify_token(
        &self,
        code: &ChannelCode,
        intent: &Intent,
        token: &Secret,
        context: &Context<'_>,
    ) -> Result<VerifiedToken, String> {
        let verified = self.listen(|| self.inner.verify_token(code, intent, token, context));
        self.said("what is said of a token", &verified);
        verified
    }

    fn shown(&self, code: &ChannelCode, number: &str, actions: &[NamedAction]) -> Vec<(String, String)> {
        let shown = self.listen(|| self.inner.shown(code, number, actions));
        self.said("what the original API shows", &shown);
        shown
    }
}

/// Hears log lines and spans of the thread it is set on.
struct Log {
    ear: Arc<Ear>,
    spans: AtomicU64,
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        span.record(&mut line);
        self.ear.hear("a log line", &line.0);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        self.ear.hear("a log line", &line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.ear.hear("a log line", &line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a text does not fail.
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
