//! The dispatcher: calls to providers, as effects of commits. Each account has its own bounded concurrency; what
//! creates goes before what asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use super::ticket::Ticket;

/// Calls of one account that are out at once.
const AT_ONCE: usize = 32;
/// Calls of one account that wait, of each kind.
const WAITING_MAX: usize = 8_192;
/// From so many waiting calls on, an account's backlog no longer holds back the due records of others.
const TICKETS_MAX: usize = 64;
/// Places to wait that looks leave to others: what is asked for beyond them is not lost because of a step that counts
/// on it.
const SPARE: usize = WAITING_MAX / 4;
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

#[derive(Default)]
struct Lane {
    out: usize,
    /// What creates.
    first: VecDeque<Job>,
    /// What asks.
    later: VecDeque<Job>,
}

impl Dispatcher {
    /// Takes a call. It is made as soon as its account has room; its answer comes to the record by id.
    pub fn hand(&self, inner: &Arc<Inner>, mut job: Job) {
        let Some(account) = job.attempt().map(|attempt| attempt.account_id) else {
            return tracing::error!(number = %job.number, "a call about an attempt that the record does not have");
        };
        let mut lanes = self.lanes();
        let lane = lanes.entry(account).or_default();
        if lane.out < AT_ONCE {
            lane.out += 1;
            drop(lanes);
            return run(inner, account, job);
        }
        let sends = job.sends();
        let queue = if sends { &mut lane.first } else { &mut lane.later };
        if queue.len() >= TICKETS_MAX {
            job.ticket = None;
        }
        if queue.len() < WAITING_MAX {
            return queue.push_back(job);
        }
        drop(lanes);
        inner.metrics.calls_dropped.add(1);
        if sends {
            // That it was not sent is certain, and the record is to know. What asks is asked again when it is due.
            let told = job.told(Outcome::NotExecuted("too many calls of this account wait".to_owned()));
            let inner2 = Arc::clone(inner);
            inner.commands.spawn(async move { bring_home(&inner2, Homebound::new(job, told, None)).await });
        }
    }

    /// Whether a look at a record of that account would be asked, rather than dropped.
    pub fn has_room(&self, account: AccountId) -> bool {
        self.lanes().get(&account).is_none_or(|lane| lane.later.len() < WAITING_MAX - SPARE)
    }

    fn next(&self, account: AccountId) -> Option<Job> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(&account)?;
        if let Some(job) = lane.first.pop_front().or_else(|| lane.later.pop_front()) {
            return Some(job);
        }
        lane.out -= 1;
        if lane.out == 0 {
            lanes.remove(&account);
        }
        None
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<AccountId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes calls of one account one after the other until none waits.
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
            next = owner.dispatcher.next(account);
        }
    });
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
