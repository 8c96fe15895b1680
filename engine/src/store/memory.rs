//! The store without a disk: for tests, and for embedding services that want none. Everything is lost with the
//! process; everything else is as in [`super::redb`]: preconditions, fan-out, the listener, fencing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::admission::{Admission, Group, Prepared};
use super::fanout::Fanout;
use super::{
    Batch, CommitError, CommitFuture, CommitListener, Committed, Health, Put, Read, RowKey, Rows, Scan, Seq, Store,
    StoreError, Table, Value,
};

/// Batches that wait while the store is held.
const QUEUE_MAX: usize = 1_024;

/// What a commit does that was told to fail; the store is fenced with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of it is there after reopening.
    Lost,
    /// All of it is there after reopening.
    Kept,
}

/// A store in memory.
pub struct MemoryStore(Mutex<State>);

struct State {
    rows: BTreeMap<(Table, Arc<[u8]>), Value>,
    last: Seq,
    admission: Admission,
    listeners: Vec<Arc<dyn CommitListener>>,
    queue: VecDeque<Waiting>,
    held: bool,
    /// Commits to go until one fails, and how.
    failing: Option<(u32, Failure)>,
    fenced: Option<Arc<str>>,
    closed: bool,
    /// Durable, but the listeners have not heard of it.
    untold: Option<(Seq, Vec<Put>)>,
}

type Waiting = (Prepared, oneshot::Sender<Result<Committed, CommitError>>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(State {
            rows: BTreeMap::new(),
            last: Seq(0),
            admission: Admission::new(Seq(0), Fanout::default()),
            listeners: Vec::new(),
            queue: VecDeque::new(),
            held: false,
            failing: None,
            fenced: None,
            closed: false,
            untold: None,
        }))
    }

    /// Has the group that follows the next `after` ones fail: its callers get [`CommitError::OutcomeUnknown`], and the
    /// store is fenced until it is reopened. For tests.
    pub fn fail_next_commits(&self, after: u32, how: Failure) {
        self.state().failing = Some((after, how));
    }

    /// Has batches wait, at most 1,024, until [`MemoryStore::release`] commits them as one group. For tests.
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Commits what waits, and goes on as usual.
    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        state.commit_group();
    }

    /// How many batches wait while the store is held. For tests.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a listener leaves the rows whole: the group was in before it was told.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn commit_group(&mut self) {
        let seq = Seq(self.last.0 + 1);
        let mut group = Group::default();
        let mut admitted = Vec::new();
        while let Some((prepared, answer)) = self.queue.pop_front() {
            match self.admission.admit(prepared, seq, &mut group) {
                Ok(()) => admitted.push(answer),
                // A caller that went away wants no answer.
                Err(why) => drop(answer.send(Err(why))),
            }
        }
        if admitted.is_empty() {
            return;
        }
        match self.failing.take() {
            Some((0, how)) => {
                if how == Failure::Kept {
                    self.apply(seq, &group.puts);
                    self.untold = Some((seq, group.puts));
                }
                self.fenced = Some(Arc::from("a commit was told to fail"));
                for answer in admitted {
                    drop(answer.send(Err(CommitError::OutcomeUnknown)));
                }
            }
            other => {
                self.failing = other.map(|(after, how)| (after - 1, how));
                self.apply(seq, &group.puts);
                self.tell(seq, &group.puts);
                for answer in admitted {
                    drop(answer.send(Ok(Committed { seq })));
                }
            }
        }
    }

    fn apply(&mut self, seq: Seq, puts: &[Put]) {
        for Put { key, value } in puts {
            let place = (key.table, Arc::clone(&key.key));
            match value {
                Some(value) => drop(self.rows.insert(place, Arc::clone(value))),
                None => drop(self.rows.remove(&place)),
            }
        }
        self.last = seq;
    }

    fn tell(&self, seq: Seq, puts: &[Put]) {
        for listener in &self.listeners {
            listener.committed(seq, puts);
        }
    }

    fn subscriptions(&self) -> Fanout {
        let mut fanout = Fanout::default();
        let from = (Table::Subscription, Arc::from([]));
        for ((table, key), value) in self.rows.range(from..) {
            if *table != Table::Subscription {
                break;
            }
            let key = RowKey { table: *table, key: Arc::clone(key) };
            fanout.observe(&Put { key, value: Some(Arc::clone(value)) });
        }
        fanout
    }
}

impl Store for MemoryStore {
    fn read(&self, key: &RowKey) -> Result<Read, StoreError> {
        let state = self.state();
        let value = state.rows.get(&(key.table, Arc::clone(&key.key))).cloned();
        Ok(Read { value, seen: state.last })
    }

    fn peek(&self, key: &RowKey) -> Option<Read> {
        self.read(key).ok()
    }

    fn scan(&self, scan: &Scan) -> Result<Rows, StoreError> {
        let state = self.state();
        let limit = scan.limit.clamp(1, super::SCAN_ROWS_MAX);
        if !scan.to.is_empty() && scan.to <= scan.from {
            return Ok(Rows { rows: Vec::new(), more: false, seen: state.last });
        }
        let from: Arc<[u8]> = scan.from.as_slice().into();
        let to: Arc<[u8]> = scan.to.as_slice().into();
        let belongs =
            |(table, key): &(Table, Arc<[u8]>)| *table == scan.table && *key >= from && (to.is_empty() || *key < to);
        let start = (scan.table, Arc::clone(&from));
        let part = state.rows.range(start..).take_while(|(place, _)| belongs(place));
        let owned = |((_, key), value): (&(Table, Arc<[u8]>), &Value)| (Arc::clone(key), Arc::clone(value));
        let mut rows: Vec<_> = if scan.newest_first {
            let mut all: VecDeque<_> = VecDeque::new();
            for row in part {
                if all.len() > limit {
                    all.pop_front();
                }
                all.push_back(row);
            }
            all.into_iter().rev().map(owned).collect()
        } else {
            part.take(limit + 1).map(owned).collect()
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Rows { rows, more, seen: state.last })
    }

    fn commit(&self, batch: Batch) -> CommitFuture {
        let (sender, answer) = oneshot::channel();
        match Prepared::new(batch) {
            Err(why) => drop(sender.send(Err(why))),
            Ok(prepared) => {
                let mut state = self.state();
                if let Some(why) = &state.fenced {
                    drop(sender.send(Err(CommitError::Fenced(Arc::clone(why)))));
                } else if state.queue.len() >= QUEUE_MAX {
                    drop(sender.send(Err(CommitError::Busy)));
                } else {
                    state.queue.push_back((prepared, sender));
                    if !state.held {
                        state.commit_group();
                    }
                }
            }
        }
        super::answer(answer)
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.state().listeners.push(listener);
    }

    fn health(&self) -> Health {
        match &self.state().fenced {
            Some(why) => Health::Fenced { why: Arc::clone(why) },
            None => Health::Open,
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        if state.fenced.take().is_none() {
            return Ok(());
        }
        if let Some((seq, puts)) = state.untold.take() {
            state.tell(seq, &puts);
        }
        let fanout = state.subscriptions();
        state.admission = Admission::new(state.last, fanout);
        Ok(())
    }

    fn close(&self) {
        let mut state = self.state();
        state.held = false;
        state.commit_group();
        state.closed = true;
        state.fenced = Some(Arc::from("the store is closed"));
    }
}
