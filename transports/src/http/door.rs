//! The front door: every request comes in here, finds its face, and leaves as an answer, a line in the access log and
//! a count. No answer is left to the framework, so that each face keeps its own shape for every failure.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::FutureExt;
use maxpay_engine::Engine;
use maxpay_engine::clock::{Clock, IdSource, System};
use maxpay_engine::model::RawId;

use super::answer::{Answer, Held};
use super::body::{self, BodyRefusal};
use super::inbound::Inbound;
use super::metrics::{self, Metrics, Seen};
use super::rate::{Rates, Who};
use super::settings::{Extras, HttpSettings};
use super::{health, maxleap, mount, notify, openapi, sandbox, v1};
use crate::operations::Problem;

/// Bytes of a path that the access log shows: a stranger's request makes a short line, whatever it asks for.
const LOGGED_PATH_BYTES_MAX: usize = 256;

/// What all workers share.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    settings: HttpSettings,
    engine: Engine,
    extras: Extras,
    rates: Rates,
    metrics: Metrics,
    clock: System,
    ids: IdSource,
    openapi: Bytes,
}

/// The faces, as metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Original,
    Native,
    Notify,
    Sandbox,
    Watch,
    OpenApi,
    Mounted,
    Unknown,
}

impl Face {
    fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Native => "v1",
            Self::Notify => "notify",
            Self::Sandbox => "sandbox",
            Self::Watch => "watch",
            Self::OpenApi => "openapi",
            Self::Mounted => "mounted",
            Self::Unknown => "unknown",
        }
    }
}

impl Door {
    /// The door of an engine.
    #[must_use]
    pub fn new(settings: HttpSettings, engine: Engine, extras: Extras) -> Self {
        let clock = System::new();
        let inner = Inner {
            rates: Rates::new(&settings),
            metrics: Metrics::new(engine.clone()),
            ids: IdSource::new(Arc::new(clock.clone()), Arc::new(clock.clone())),
            openapi: openapi::document(),
            clock,
            settings,
            engine,
            extras,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Puts the door into an application of the framework, for [`super::serve`] and for tests.
    pub fn configure(&self) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let door = self.clone();
        move |config| {
            config.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
                let door = door.clone();
                async move { door.answer(request, payload).await }
            }));
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.inner.settings
    }

    pub(super) fn extras(&self) -> &Extras {
        &self.inner.extras
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(super) fn openapi(&self) -> Bytes {
        self.inner.openapi.clone()
    }

    /// Reads a body within the settings' bounds.
    pub(super) async fn body(&self, payload: &mut web::Payload) -> Result<Bytes, BodyRefusal> {
        body::read(payload, self.inner.settings.body_max_bytes, self.inner.settings.body_deadline).await
    }

    /// Counts a request against a rate. `Err`: after so many seconds there is room again.
    pub(super) fn count(&self, who: &Who) -> Result<(), u32> {
        self.inner.rates.count(who).inspect_err(|_| self.inner.metrics.limited())
    }

    async fn answer(&self, request: HttpRequest, mut payload: web::Payload) -> HttpResponse<Held> {
        let began = self.inner.clock.now().monotonic;
        let mint = || self.inner.ids.next::<RawId>().to_string();
        let inbound = Inbound::new(request, &self.inner.settings.trusted_proxy, began, mint);
        let face = self.face(inbound.path());
        let guard = self.inner.metrics.begin();
        // A panic is a defect of ours: it costs this request and not its connection's neighbours.
        let answer = AssertUnwindSafe(self.through(face, &inbound, &mut payload)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| broken(face));
        drop(guard);
        let took = self.inner.clock.now().monotonic.saturating_sub(began);
        self.note(face, &inbound, &answer, took);
        let id = inbound.request_id.clone();
        answer.with("x-request-id", id).send(&inbound, payload)
    }

    fn face(&self, path: &str) -> Face {
        let under =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            "/livez" | "/readyz" | "/metrics" => Face::Watch,
            "/openapi.json" => Face::OpenApi,
            _ if under("/2.0") => Face::Original,
            _ if under("/v1") => Face::Native,
            _ if under("/notify") => Face::Notify,
            _ if under("/sandbox") => Face::Sandbox,
            path if self.inner.extras.mounts.iter().any(|mount| mount.holds(path)) => Face::Mounted,
            _ => Face::Unknown,
        }
    }

    async fn through(&self, face: Face, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
        if face == Face::Original {
            return maxleap::answer(self, inbound, payload).await;
        }
        if let Err(problem) = self.head_fits(inbound) {
            return Answer::problem(&problem);
        }
        match tokio::time::timeout(self.inner.settings.request_deadline, self.within(face, inbound, payload)).await {
            Ok(answer) => answer,
            Err(_) => Answer::problem(&maxpay_engine::Error::OutcomeUnknown.into()),
        }
    }

    async fn within(&self, face: Face, inbound: &Inbound, payload: &mut web::Payload) -> Answer {
        match face {
            Face::Native => v1::answer(self, inbound, payload).await,
            Face::Notify => notify::answer(self, inbound, payload).await,
            Face::Sandbox => sandbox::answer(self, inbound, payload).await,
            Face::Watch => health::answer(self, inbound),
            Face::OpenApi => Answer::json(200, self.openapi()),
            Face::Mounted => match self.inner.extras.mounts.iter().find(|mount| mount.holds(inbound.path())) {
                Some(found) => mount::answer(found, inbound, self.body(payload).await).await,
                None => nothing_here(),
            },
            // Whoever looks around without a credential counts as an address.
            Face::Original | Face::Unknown => match self.count(&Who::address(inbound.client)) {
                Ok(()) => nothing_here(),
                Err(seconds) => Answer::problem(&too_many(seconds)),
            },
        }
    }

    /// What is left of `within` since the request's head was read.
    pub(super) fn left(&self, inbound: &Inbound, within: Duration) -> Duration {
        let gone = self.inner.clock.now().monotonic.saturating_sub(inbound.began);
        within.saturating_sub(gone)
    }

    /// Whether the head is within its bound, and says one thing.
    pub(super) fn head_fits(&self, inbound: &Inbound) -> Result<(), Problem> {
        inbound.head_fits(self.inner.settings.header_max_bytes)
    }

    fn note(&self, face: Face, inbound: &Inbound, answer: &Answer, took: Duration) {
        let method = metrics::known_method(inbound.method());
        self.inner.metrics.end(&Seen { face: face.name(), method, status: answer.status, took });
        tracing::info!(
            target: "maxpay::access",
            request_id = inbound.request_id,
            face = face.name(),
            client = %inbound.client,
            method,
            path = loggable(inbound.path()),
            status = answer.status,
            code = answer.code.as_deref(),
            bytes = answer.body.len(),
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

/// The beginning of a path, as much as a line of the log takes.
pub(super) fn loggable(path: &str) -> &str {
    &path[..path.floor_char_boundary(LOGGED_PATH_BYTES_MAX)]
}

pub(super) fn nothing_here() -> Answer {
    Answer::problem(&Problem::new(404, "not_found", "there is nothing under this path"))
}

pub(super) fn wrong_method(allowed: &str) -> Answer {
    let problem = Problem::new(405, "method_not_allowed", format!("this path takes {allowed}"));
    Answer::problem(&problem).with("allow", allowed)
}

/// The refusal of one request too many.
pub(super) fn too_many(seconds: u32) -> Problem {
    Problem {
        retry_after_seconds: Some(seconds),
        ..Problem::new(429, "rate_limited", format!("too many requests; come back in {seconds} s"))
    }
}

fn broken(face: Face) -> Answer {
    let problem = Problem::internal("a request panicked");
    match face {
        Face::Original => maxleap::broken(&problem.detail),
        Face::Native | Face::Notify | Face::Sandbox | Face::Watch | Face::OpenApi | Face::Mounted | Face::Unknown => {
            Answer::problem(&problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_path_is_short() {
        // A path is cut to 256 bytes, between characters; a short one stays whole.
        let long = format!("/{}", "\u{6211}".repeat(10_000));
        for (path, bytes) in [("/livez", 6), (long.as_str(), 256)] {
            let logged = loggable(path);
            assert_eq!(logged.len(), bytes);
            assert!(path.starts_with(logged));
        }
        assert_eq!(loggable(&format!("/a{}", "\u{6211}".repeat(100))).len(), 254);
    }
}
