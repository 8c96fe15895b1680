//! The way between an engine and a provider, broken where a plan says: it knows which call a request is of, because it
//! has seen the adapter build it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{
    Adapter, Call, Context, FieldError, Interpreted, Manifest, Notified, Prepared, RawNotification, SecretSettings,
    Step, VerifiedToken,
};
use maxpay_engine::clock::{Clock, VirtualClock};
use maxpay_engine::model::{CallKind, ChannelCode, Intent, Mode, NamedAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use crate::conformance::Provider;
use crate::conformance::fault::{Fault, struck};
use crate::parts::digest::sha256;

/// The way.
pub(super) struct Way {
    /// `None`: nobody listens there.
    provider: Mutex<Option<Arc<dyn Provider>>>,
    clock: VirtualClock,
    state: Mutex<State>,
    /// Requests that wait for time to pass, or for the end of the engine.
    held: Arc<AtomicUsize>,
    sent: AtomicUsize,
    /// Requests that are of no call about an order: those for material.
    fetched: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// What a number's intent calls it.
    subjects: BTreeMap<String, String>,
    /// Which call a request is of, by its digest.
    requests: BTreeMap<[u8; 32], (CallKind, String)>,
    /// What is to happen to calls of a kind of the order of that subject, and how often.
    plans: BTreeMap<(String, CallKind), (Fault, u32)>,
    /// Queries of the order of the second subject get what was answered to one of the first.
    swap: Option<(String, String)>,
    kept: Option<HttpReply>,
    swapped: usize,
    /// How much later the next answer to a call of a kind of the order of that subject comes.
    holds: BTreeMap<(String, CallKind), Duration>,
    /// Every call about an order, oldest first.
    sent: Vec<Sent>,
}

/// A call about an order, as it was sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub subject: String,
    pub kind: CallKind,
    pub at: Timestamp,
    /// How long the client was told to take at most.
    pub deadline: Duration,
}

impl Way {
    pub fn new(provider: Arc<dyn Provider>, clock: VirtualClock) -> Arc<Self> {
        let (held, sent, fetched) = (Arc::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let provider = Mutex::new(Some(provider));
        Arc::new(Self { provider, clock, state: Mutex::default(), held, sent, fetched })
    }

    /// The provider at its end from now on; `None`: nobody listens there, and nothing arrives.
    pub fn leads_to(&self, provider: Option<Arc<dyn Provider>>) {
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner) = provider;
    }

    fn provider(&self) -> Option<Arc<dyn Provider>> {
        self.provider.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Plans a fault for the next `times` calls of that kind about the order of that subject.
    pub fn plan(&self, subject: &str, kind: CallKind, fault: Fault, times: u32) {
        self.state().plans.insert((subject.to_owned(), kind), (fault, times));
    }

    /// Has the answer to the next call of that kind about the order of that subject come so much later.
    pub fn hold(&self, subject: &str, kind: CallKind, wait: Duration) {
        self.state().holds.insert((subject.to_owned(), kind), wait);
    }

    /// The calls of that kind about the order of that subject, oldest first.
    pub fn sent(&self, subject: &str, kind: CallKind) -> Vec<Sent> {
        self.state().sent.iter().filter(|sent| sent.kind == kind && sent.subject == subject).cloned().collect()
    }

    /// Notes that a call is sent. How much later its answer comes.
    fn note(&self, request: &HttpRequest, limits: SendLimits) -> Option<Duration> {
        let at = self.clock.now().wall;
        let mut state = self.state();
        let (kind, number) = state.requests.get(&digest(request)).cloned()?;
        let subject = state.subjects.get(&number)?.clone();
        state.sent.push(Sent { subject: subject.clone(), kind, at, deadline: limits.deadline });
        state.holds.remove(&(subject, kind))
    }

    /// Forgets what did not happen.
    pub fn clear(&self) {
        self.state().plans.clear();
    }

    /// How many requests wait for time to pass or for the end of the engine, and how many there were in all.
    pub fn counts(&self) -> (usize, usize) {
        (self.held.load(Ordering::SeqCst), self.sent.load(Ordering::SeqCst))
    }

    /// How many requests for material there were.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// From now on queries about the order of the subject `to` get the last answer about that of `from`, once there is one.
    pub fn swap_queries(&self, from: &str, to: &str) {
        let mut state = self.state();
        state.swap = Some((from.to_owned(), to.to_owned()));
        state.kept = None;
    }

    /// How many answers were another order's.
    pub fn swapped(&self) -> usize {
        self.state().swapped
    }

    /// What becomes of a request by [`Way::swap_queries`]: the answer it gets, or whether its own is to be kept.
    fn swap_of(&self, request: &HttpRequest) -> Swap {
        let mut state = self.state();
        let asked = state.requests.get(&digest(request)).filter(|(kind, _)| *kind == CallKind::Query);
        let subject = asked.and_then(|(_, number)| state.subjects.get(number));
        let (Some(subject), Some((from, to))) = (subject, &state.swap) else { return Swap::Nothing };
        if subject == from {
            return Swap::Keep;
        }
        match state.kept.clone().filter(|_| subject == to) {
            Some(reply) => {
                state.swapped += 1;
                Swap::Instead(reply)
            }
            None => Swap::Nothing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, call: &Call, context: &Context<'_>, prepared: &Prepared) {
        let Some(subject) = context.subject else { return };
        let mut state = self.state();
        if let Call::Create { intent, .. } | Call::Authorize { intent, .. } = call {
            state.subjects.insert(subject.number.to_owned(), intent.subject.clone());
        }
        if let Prepared::Send(request) = prepared {
            state.requests.insert(digest(request), (call.kind(), subject.number.to_owned()));
        }
    }

    fn fault_of(&self, request: &HttpRequest) -> Option<(Fault, String)> {
        let mut state = self.state();
        let Some((kind, number)) = state.requests.get(&digest(request)).cloned() else {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            return None;
        };
        let subject = state.subjects.get(&number)?.clone();
        let (fault, times) = state.plans.get_mut(&(subject, kind)).filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some((*fault, number))
    }
}

fn digest(request: &HttpRequest) -> [u8; 32] {
    let head = format!("{} {} {:?}\n", request.method, request.url, request.headers);
    sha256(&[head.as_bytes(), &request.body].concat())
}

/// Carries requests along the way.
pub(super) struct Carrier(pub Arc<Way>);

impl HttpClient for Carrier {
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let way = Arc::clone(&self.0);
        way.sent.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let hold = way.note(&request, limits);
            let (fault, swap) = (way.fault_of(&request), way.swap_of(&request));
            if let Swap::Instead(reply) = swap {
                return Ok(reply);
            }
            let reply = carry(&way, request, limits, fault).await?;
            if let Some(wait) = hold {
                let _held = Held::new(&way);
                way.clock.sleep(wait).await;
            }
            if matches!(swap, Swap::Keep) {
                way.state().kept = Some(reply.clone());
            }
            Ok(reply)
        })
    }
}

/// What becomes of a query where answers are swapped.
enum Swap {
    Nothing,
    Keep,
    Instead(HttpReply),
}

/// Counts a request that waits.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(way: &Way) -> Self {
        way.held.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&way.held))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn carry(
    way: &Arc<Way>,
    request: HttpRequest,
    limits: SendLimits,
    fault: Option<(Fault, String)>,
) -> Result<HttpReply, SendFailure> {
    let nobody = || SendFailure::NotSent("nobody listens there".to_owned());
    let provider = way.provider().ok_or_else(nobody)?;
    let client = provider.client();
    let Some((fault, number)) = fault else { return client.send(request, limits).await };
    match fault {
        Fault::CrashBefore => {
            let _held = Held::new(way);
            pending().await
        }
        Fault::CrashAfter => {
            drop(client.send(request, limits).await);
            let _held = Held::new(way);
            pending().await
        }
        Fault::Late => {
            let reply = client.send(request, limits).await?;
            let _held = Held::new(way);
            way.clock.sleep((limits.deadline / 2).min(Duration::from_secs(3))).await;
            Ok(reply)
        }
        Fault::NotSent
        | Fault::LostBefore
        | Fault::LostAfter
        | Fault::Duplicated
        | Fault::StatusBefore(_)
        | Fault::StatusAfter(_)
        | Fault::Html
        | Fault::Cut
        | Fault::Changed
        | Fault::Signer(_) => struck(&*provider, &number, request, limits, fault).await,
    }
}

/// An adapter whose requests are seen.
pub(super) struct Seen {
    pub inner: Arc<dyn Adapter>,
    pub way: Arc<Way>,
}

impl Adapter for Seen {
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

    fn prepare(&self, call: &Call, context: &Context<'_>) -> Prepared {
        let prepared = self.inner.prepare(call, context);
        self.way.saw(call, context, &prepared);
        prepared
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
