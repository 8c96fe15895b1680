//! The router: finds the actor of a record or brings it to life from the store, passes messages one at a time, and
//! supervises.
//!
//! What waits for an actor waits here, not in the actor's mailbox, so that an actor's death loses only the message that
//! killed it, and an actor that is let go has nothing unread. A record that kills its actor twice in a row is set aside.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::Error;
use crate::engine::Inner;

use super::kind::Kind;

/// Messages for one record: the one that is worked on, and those behind it.
pub(crate) const ENTITY_MAX: usize = 8;
/// Kills in a row after which a record is set aside.
const KILLS_MAX: u8 = 2;
/// How long an actor stays that has nothing to do.
const IDLE: Duration = Duration::from_secs(5);
/// How long an actor stays whose calls are out; what comes later finds it again.
const IDLE_CALLING: Duration = Duration::from_mins(10);
/// Actors that one router keeps when they have nothing to do.
const LIVE_MAX: usize = 50_000;

/// A message on its way to the actor of `id`.
pub(crate) struct Envelope<K: Kind> {
    pub id: K::Id,
    pub body: K::Body,
    /// Its place in the shard's bound.
    pub permit: OwnedSemaphorePermit,
}

impl<K: Kind> Message for Envelope<K> {
    type Result = ();
}

/// One message for an actor to work on. It says when it is done; not saying so is dying.
pub(crate) struct Work<B> {
    pub body: B,
    pub done: oneshot::Sender<Report>,
}

impl<B: Send + 'static> Message for Work<B> {
    type Result = ();
}

/// What an actor says when it has worked on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is well, and waits for so many answers to calls.
    Well { calling: u32 },
    /// It does not trust what it holds: its record is to be read again.
    Reload,
    /// The record made it fail: counts as a kill.
    Poisoned,
}

/// Looks for actors that have nothing to do.
pub(crate) struct Tick;

impl Message for Tick {
    type Result = ();
}

/// Finds and supervises the actors of one kind on one arbiter.
pub(crate) struct Router<K: Kind> {
    inner: Weak<Inner>,
    entries: BTreeMap<K::Id, Entry<K>>,
    /// Who rested when, oldest first; an entry counts only if it is the newest of its record.
    rested: VecDeque<(Duration, K::Id)>,
    /// How many of its entries are in the engine's count.
    counted: usize,
}

struct Entry<K: Kind> {
    actor: Option<Addr<K::Actor>>,
    waiting: VecDeque<Envelope<K>>,
    /// Whether it is being loaded or works on a message.
    occupied: bool,
    kills: u8,
    calling: u32,
    rested_at: Duration,
}

impl<K: Kind> Entry<K> {
    fn new(now: Duration) -> Self {
        Self { actor: None, waiting: VecDeque::new(), occupied: false, kills: 0, calling: 0, rested_at: now }
    }
}

impl<K: Kind> Router<K> {
    pub fn new(inner: Weak<Inner>) -> Self {
        Self { inner, entries: BTreeMap::new(), rested: VecDeque::new(), counted: 0 }
    }

    /// Gives the first waiting message of `id` to its actor, or has the actor brought to life.
    fn pump(&mut self, inner: &Arc<Inner>, id: K::Id, context: &mut Context<Self>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.occupied {
            return;
        }
        let Some(first) = entry.waiting.front() else { return };
        let Some(actor) = entry.actor.clone().or_else(|| K::fresh(inner, &first.body)) else {
            entry.occupied = true;
            let (inner, router) = (Arc::clone(inner), context.address());
            actix::spawn(async move {
                let loaded = K::load(inner, id).await;
                // It is closed only when the engine has stopped.
                drop(router.try_send(Loaded::<K> { id, loaded }));
            });
            return;
        };
        let Some(Envelope { body, permit, .. }) = entry.waiting.pop_front() else { return };
        if entry.waiting.is_empty() {
            // Room for a few messages is a quarter of what a live actor takes, and most wait with none.
            entry.waiting.shrink_to_fit();
        }
        entry.actor = Some(actor.clone());
        entry.occupied = true;
        let (done, report) = oneshot::channel();
        let router = context.address();
        actix::spawn(async move {
            let report = match actor.try_send(Work { body, done }) {
                Ok(()) => report.await.ok(),
                Err(refused) => {
                    // It died between two messages; this one has killed nobody and goes nowhere else.
                    K::refuse(refused.into_inner().body, Error::Busy);
                    Some(Report::Reload)
                }
            };
            drop(router.try_send(Finished::<K> { id, report }));
            // After it: whoever sees the place free finds the record at rest.
            drop(permit);
        });
    }

    fn set_aside(&mut self, inner: &Arc<Inner>, id: K::Id, why: &str) {
        tracing::error!(kind = K::NAME, %id, why, "a record is set aside");
        inner.set_aside.put(inner, K::row(id), why);
        self.refuse_all(id, &Error::SetAside);
    }

    fn refuse_all(&mut self, id: K::Id, why: &Error) {
        let Some(entry) = self.entries.remove(&id) else { return };
        for envelope in entry.waiting {
            K::refuse(envelope.body, why.clone());
        }
    }

    /// Counts a death. Returns whether the record is set aside by it.
    fn died(&mut self, inner: &Arc<Inner>, id: K::Id) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        entry.actor = None;
        entry.calling = 0;
        entry.kills += 1;
        inner.metrics.actors_died.add(1);
        if entry.kills < KILLS_MAX {
            return false;
        }
        self.set_aside(inner, id, "it killed its actor twice in a row");
        true
    }
}

impl<K: Kind> Actor for Router<K> {
    type Context = Context<Self>;
}

impl<K: Kind> Handler<Envelope<K>> for Router<K> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<K>, context: &mut Context<Self>) {
        let Some(inner) = self.inner.upgrade() else { return K::refuse(envelope.body, Error::ShuttingDown) };
        let id = envelope.id;
        if inner.set_aside.contains(&K::row(id)) {
            return K::refuse(envelope.body, Error::SetAside);
        }
        let now = inner.clock.now().monotonic;
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(now));
        if entry.waiting.len() + usize::from(entry.occupied) >= ENTITY_MAX {
            inner.metrics.busy.add(1);
            return K::refuse(envelope.body, Error::Busy);
        }
        entry.waiting.push_back(envelope);
        self.pump(&inner, id, context);
    }
}

/// A record was read, or could not be.
struct Loaded<K: Kind> {
    id: K::Id,
    loaded: Result<K::Loaded, Error>,
}

impl<K: Kind> Message for Loaded<K> {
    type Result = ();
}

impl<K: Kind> Handler<Loaded<K>> for Router<K> {
    type Result = ();

    fn handle(&mut self, Loaded { id, loaded }: Loaded<K>, context: &mut Context<Self>) {
        let Some(inner) = self.inner.upgrade() else { return context.stop() };
        match loaded {
            Ok(loaded) => {
                let Some(entry) = self.entries.get_mut(&id) else { return };
                entry.occupied = false;
                entry.actor = Some(K::wake(&inner, loaded));
                self.pump(&inner, id, context);
            }
            Err(Error::SetAside) => self.set_aside(&inner, id, "it does not decode"),
            Err(why) => self.refuse_all(id, &why),
        }
    }
}

/// An actor has worked on a message, or died of it (`None`).
struct Finished<K: Kind> {
    id: K::Id,
    report: Option<Report>,
}

impl<K: Kind> Message for Finished<K> {
    type Result = ();
}

impl<K: Kind> Handler<Finished<K>> for Router<K> {
    type Result = ();

    fn handle(&mut self, Finished { id, report }: Finished<K>, context: &mut Context<Self>) {
        let Some(inner) = self.inner.upgrade() else { return context.stop() };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let now = inner.clock.now().monotonic;
        entry.occupied = false;
        entry.rested_at = now;
        self.rested.push_back((now, id));
        match report {
            Some(Report::Well { calling }) => {
                entry.kills = 0;
                entry.calling = calling;
            }
            Some(Report::Reload) => {
                entry.actor = None;
                entry.calling = 0;
            }
            Some(Report::Poisoned) | None => {
                if self.died(&inner, id) {
                    return;
                }
            }
        }
        self.pump(&inner, id, context);
    }
}

impl<K: Kind> Handler<Tick> for Router<K> {
    type Result = ();

    fn handle(&mut self, _: Tick, context: &mut Context<Self>) {
        let Some(inner) = self.inner.upgrade() else { return context.stop() };
        let now = inner.clock.now().monotonic;
        let mut later = Vec::new();
        while let Some((at, id)) = self.rested.front().copied() {
            let crowded = self.entries.len() > LIVE_MAX;
            if now.saturating_sub(at) < IDLE && !crowded {
                break;
            }
            self.rested.pop_front();
            let Some(entry) = self.entries.get(&id) else { continue };
            if entry.rested_at != at || entry.occupied || !entry.waiting.is_empty() {
                continue;
            }
            // A death is remembered for as long as a call may take, so that a second one in a row is known for one.
            let patience = if entry.calling > 0 || entry.kills > 0 { IDLE_CALLING } else { IDLE };
            if now.saturating_sub(at) < patience && !crowded {
                later.push((at, id));
                continue;
            }
            // Whatever it was told has been answered, and what comes from now on wakes it again.
            self.entries.remove(&id);
        }
        for rest in later.into_iter().rev() {
            self.rested.push_front(rest);
        }
        let live = self.entries.len();
        K::live(&inner).add(live);
        K::live(&inner).subtract(std::mem::replace(&mut self.counted, live));
    }
}
