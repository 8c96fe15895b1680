//! What the engine counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::channel::Outcome;
use crate::model::{AlarmKind, CallKind, TryResult};

/// What the engine has counted since it started, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Transactions whose actors are in memory.
    pub live_transactions: usize,
    /// Subscriptions whose actors are in memory.
    pub live_subscriptions: usize,
    /// Commits by actors.
    pub commits: usize,
    /// Messages refused because too much was under way.
    pub busy: usize,
    /// Actors that died of a message.
    pub actors_died: usize,
    /// Calls that found no room to wait; they are asked for again when due.
    pub calls_dropped: usize,
    /// Calls to providers by kind and by what they told.
    pub calls: Vec<(CallKind, &'static str, u64)>,
    /// Webhook tries by result: `delivered`, `refused_by_target`, `no_answer`, `not_allowed`, `function_failed`.
    pub deliveries: Vec<(&'static str, u64)>,
    /// Commands, calls, tries and what follows from them that are under way, and one while it is looked at what is due. Two
    /// for each call to a provider.
    pub under_way: usize,
    /// Rows whose time has come and that are not done with.
    pub due_backlog: usize,
    /// For how long the oldest of them has been due; nothing when there is none.
    pub due_oldest: std::time::Duration,
    /// Alarms raised, by kind.
    pub alarms: Vec<(AlarmKind, u64)>,
}

/// A number that goes up, or up and down.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn subtract(&self, less: usize) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The engine's counters.
#[derive(Default)]
pub(crate) struct Metrics {
    pub live_transactions: Count,
    pub live_subscriptions: Count,
    pub commits: Count,
    pub busy: Count,
    pub actors_died: Count,
    pub calls_dropped: Count,
    calls: Mutex<BTreeMap<(CallKind, &'static str), u64>>,
    tries: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    /// A call ended.
    pub fn called(&self, kind: CallKind, outcome: &Outcome) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, outcome.name())).or_default() += 1;
    }

    /// A webhook try ended.
    pub fn tried(&self, result: &TryResult) {
        let name = match result {
            TryResult::Answered { status: 200, .. } | TryResult::FunctionOk => "delivered",
            TryResult::Answered { .. } => "refused_by_target",
            TryResult::NoAnswer { .. } => "no_answer",
            TryResult::Refused { .. } => "not_allowed",
            TryResult::FunctionFailed { .. } => "function_failed",
        };
        *self.tries.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// What was counted; backlog and alarms are known elsewhere.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        MetricsSnapshot {
            live_transactions: self.live_transactions.value(),
            live_subscriptions: self.live_subscriptions.value(),
            commits: self.commits.value(),
            busy: self.busy.value(),
            actors_died: self.actors_died.value(),
            calls_dropped: self.calls_dropped.value(),
            calls: calls.iter().map(|((kind, outcome), count)| (*kind, *outcome, *count)).collect(),
            deliveries: tries.iter().map(|(name, count)| (*name, *count)).collect(),
            under_way: 0,
            due_backlog: 0,
            due_oldest: std::time::Duration::ZERO,
            alarms: Vec::new(),
        }
    }
}
