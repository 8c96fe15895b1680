//! The dispatcher: calls to providers, as effects of commits. Each account has its own bounded concurrency, and what asks
//! it has a bounded rate besides; what creates goes first and waits for no rate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::channel::Outcome;
use crate::engine::Inner;
use crate::machine::{Source, Told};
use crate::model::{AccountId, Attempt, AttemptNumber, CallKind, Transaction};
use crate::secrets::Secret;
use crate::store::Health;

use super::calls;
use super::homing::{Homebound, bring_home};
use super::pace::Pace;
use super::ticket::Ticket;

/// Calls of one account that are out at once.
const AT_ONCE: usize = 32;
/// Calls of one account that wait, of each kind.
const WAITING_MAX: usize = 8_192;
/// From so many waiting calls on, an account's backlog no longer holds back the due records of others.
const TICKETS_MAX: usize = 64;
/// Looks of one account that wait; more of its due records stay due, and are not woken. There is room beyond it for those
/// that are under way when it is reached.
const LOOKS_MAX: usize = 256;
/// Answers on their way home beside the slots of their accounts; beyond it they stay in them.
const HOMEBOUND_MAX: usize = 1_024;

/// One call to make.
pub(crate) struct Job {
    /// The record as committed.
    pub record: Arc<Transaction>,
    /// The attempt it is about.
    pub number: AttemptNumber,
    pub source: Source,
    pub kind: CallKind,
    /// Whether a locally signed create is signed again.
    pub resign: bool,
    /// The payer's token, of a charge.
    pub token: Option<Arc<Secret>>,
    pub ticket: Option<Ticket>,
    /// Whether the passing of time asks, rather than somebody who waits for the answer.
    pub is_look: bool,
    /// By the monotonic clock: what may move money and has not left by then never leaves.
    pub leave_by: Duration,
}

impl Job {
    /// The attempt it is about.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.record.attempts.iter().find(|attempt| attempt.number == self.number)
    }

    /// Whether it may move money or open an order.
    pub fn sends(&self) -> bool {
        matches!(self.kind, CallKind::Create | CallKind::Authorize)
    }

    /// What it told, without evidence.
    pub fn told(&self, outcome: Outcome) -> Told {
        Told {
            number: self.number.clone(),
            source: self.source,
            outcome,
            provider_time: None,
            asked_at: None,
            account_revision: None,
            digest: None,
        }
    }
}

/// The calls of all accounts.
pub(crate) struct Dispatcher {
    lanes: Mutex<BTreeMap<AccountId, Lane>>,
    /// Places of answers on their way home.
    pub(super) homebound: Arc<Semaphore>,
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self { lanes: Mutex::default(), homebound: Arc::new(Semaphore::new(HOMEBOUND_MAX)) }
    }
}

/// The calls of one account.
#[derive(Default)]
struct Lane {
    out: usize,
    /// What creates.
    first: VecDeque<Job>,
    /// Questions that somebody waits for.
    asked: VecDeque<Job>,
    /// Questions that have become due.
    looks: VecDeque<Job>,
    pace: Pace,
    /// Whether a look goes next, where both kinds of questions wait.
    look_next: bool,
    /// Whether it is looked at again when the pace allows.
    awaits_pace: bool,
}

/// What a lane does next.
enum Next {
    Call(Box<Job>),
    /// The pace allows a question after this.
    After(Duration),
    /// Nothing waits, or as much is out as may be.
    Nothing,
}

impl Lane {
    fn next(&mut self, inner: &Inner) -> Next {
        if self.out >= AT_ONCE {
            return Next::Nothing;
        }
        if let Some(job) = self.first.pop_front() {
            return self.goes_out(job);
        }
        if self.asked.is_empty() && self.looks.is_empty() {
            return Next::Nothing;
        }
        // What is drained is not sent, so that it need not wait to be.
        if !inner.commands.is_draining()
            && let Err(wait) = self.pace.take(inner.clock.now().monotonic, inner.settings.query_rate)
        {
            return Next::After(wait);
        }
        let look = !self.looks.is_empty() && (self.look_next || self.asked.is_empty());
        self.look_next = !look;
        let question = if look { self.looks.pop_front() } else { self.asked.pop_front() };
        if look && self.looks.len() == LOOKS_MAX / 2 {
            inner.timekeeper.wake.notify_one();
        }
        question.map_or(Next::Nothing, |job| self.goes_out(job))
    }

    fn goes_out(&mut self, job: Job) -> Next {
        self.out += 1;
        Next::Call(Box::new(job))
    }

    fn is_idle(&self) -> bool {
        self.out == 0 && self.first.is_empty() && self.asked.is_empty() && self.looks.is_empty() && !self.awaits_pace
    }
}

impl Dispatcher {
    /// Takes a call. It is made as soon as its account has room; its answer comes to the record by id.
    pub fn hand(&self, inner: &Arc<Inner>, mut job: Job) {
        let Some(account) = job.attempt().map(|attempt| attempt.account_id) else {
            return tracing::error!(number = %job.number, "a call about an attempt that the record does not have");
        };
        let sends = job.sends();
        {
            let mut lanes = self.lanes();
            let lane = lanes.entry(account).or_default();
            let queue = match (sends, job.is_look) {
                (true, _) => &mut lane.first,
                (false, false) => &mut lane.asked,
                (false, true) => &mut lane.looks,
            };
            // Whoever waits for the end of a question goes on waiting; what is due lets others come.
            if queue.len() >= TICKETS_MAX && (sends || job.is_look) {
                job.ticket = None;
            }
            if queue.len() < WAITING_MAX {
                queue.push_back(job);
                drop(lanes);
                return self.go_on(inner, account);
            }
        }
        inner.metrics.calls_dropped.add(1);
        if sends {
            // That it was not sent is certain, and the record is to know. What asks is asked again when it is due.
            let told = job.told(Outcome::NotExecuted("too many calls of this account wait".to_owned()));
            let inner2 = Arc::clone(inner);
            inner.commands.spawn(async move { bring_home(&inner2, Homebound::new(job, told, None)).await });
        }
    }

    /// How many looks at records of that account would be asked about, rather than wait to be due again.
    pub fn room(&self, account: AccountId) -> usize {
        LOOKS_MAX.saturating_sub(self.lanes().get(&account).map_or(0, |lane| lane.looks.len()))
    }

    /// How many questions wait that somebody waits for.
    #[cfg(test)]
    pub fn asked(&self, account: AccountId) -> usize {
        self.lanes().get(&account).map_or(0, |lane| lane.asked.len())
    }

    /// Whether some account has no room for looks.
    pub fn is_crowded(&self) -> bool {
        self.lanes().values().any(|lane| lane.looks.len() >= LOOKS_MAX)
    }

    /// Makes the calls of an account that may go now.
    fn go_on(&self, inner: &Arc<Inner>, account: AccountId) {
        while let Some(job) = self.next(inner, account) {
            run(inner, account, job);
        }
    }

    /// The next call that may go. If only the pace holds it back, it is seen to that it goes when that allows.
    fn next(&self, inner: &Arc<Inner>, account: AccountId) -> Option<Job> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(&account)?;
        match lane.next(inner) {
            Next::Call(job) => return Some(*job),
            Next::After(wait) if !lane.awaits_pace => {
                lane.awaits_pace = true;
                drop(lanes);
                await_pace(inner, account, inner.clock.now().monotonic.saturating_add(wait));
            }
            Next::Nothing if lane.is_idle() && lane.pace.is_rested(inner.clock.now().monotonic) => {
                lanes.remove(&account);
            }
            Next::After(_) | Next::Nothing => {}
        }
        None
    }

    fn ended(&self, account: AccountId) {
        if let Some(lane) = self.lanes().get_mut(&account) {
            lane.out -= 1;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<AccountId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes calls of one account one after the other until none may go.
fn run(inner: &Arc<Inner>, account: AccountId, first: Job) {
    let owner = Arc::clone(inner);
    inner.commands.spawn(async move {
        let mut next = Some(first);
        while let Some(job) = next {
            // In a task of its own, so that a panic in it does not end the account's turn.
            let inner = Arc::clone(&owner);
            let ended = owner.commands.spawn(async move { make(&inner, job).await }).await;
            if ended.is_err() {
                tracing::error!(%account, "a call ended by a panic");
            }
            owner.dispatcher.ended(account);
            next = owner.dispatcher.next(&owner, account);
        }
    });
}

/// Goes on with an account at `at` by the monotonic clock, unless the engine is gone by then.
fn await_pace(inner: &Arc<Inner>, account: AccountId, at: Duration) {
    let owner = Arc::downgrade(inner);
    let work = move || paced(Weak::clone(&owner), account, at);
    inner.commands.spawn_forever("the pace of an account", Arc::downgrade(inner), work);
}

async fn paced(owner: Weak<Inner>, account: AccountId, at: Duration) {
    loop {
        let Some(inner) = owner.upgrade() else { return };
        let left = at.saturating_sub(inner.clock.now().monotonic);
        if left.is_zero() {
            if let Some(lane) = inner.dispatcher.lanes().get_mut(&account) {
                lane.awaits_pace = false;
            }
            return inner.dispatcher.go_on(&inner, account);
        }
        let sleep = inner.clock.sleep(left);
        drop(inner);
        sleep.await;
    }
}

async fn make(inner: &Arc<Inner>, job: Job) {
    // Fenced: nothing is sent. The durable intent goes on when the store is open again; what asks, at the next start.
    if inner.store.health() != Health::Open || (inner.commands.is_draining() && !job.sends()) {
        return;
    }
    let (told, raw) = calls::carry_out(inner, &job).await;
    inner.metrics.called(job.kind, &told.outcome);
    bring_home(inner, Homebound::new(job, told, raw)).await;
}
