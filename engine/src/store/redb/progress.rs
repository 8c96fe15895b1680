//! How far the journal, the tables and the cut have come, and who waits for what: shared by the writer, the applier and
//! those who want everything applied.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fence::Fence;
use crate::store::admission::put_bytes;
use crate::store::{Put, Seq};

/// A waiting thread looks up at least this often, so that a fence is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// A group that is durable in the journal.
pub struct Group {
    /// Its number.
    pub seq: Seq,
    /// Its changes, in order.
    pub puts: Vec<Put>,
}

/// Groups that are not in the tables yet, and the marks of progress.
pub struct Progress {
    state: Mutex<State>,
    /// Something to apply.
    work: Condvar,
    /// Something was applied.
    room: Condvar,
    rows_max: usize,
    bytes_max: usize,
    rows_at_once: usize,
}

struct State {
    groups: VecDeque<Arc<Group>>,
    rows: usize,
    bytes: usize,
    applied: Seq,
    /// Apply up to here without delay.
    wanted: Seq,
    closing: bool,
}

impl Progress {
    /// Starts with `groups` above `applied`; `rows_max` and `bytes_max` bound what may wait, `rows_at_once` one checkpoint.
    #[must_use]
    pub fn new(applied: Seq, groups: Vec<Arc<Group>>, rows_max: usize, bytes_max: usize, rows_at_once: usize) -> Self {
        let rows = groups.iter().map(|group| group.puts.len()).sum();
        let bytes = groups.iter().map(|group| bytes_of(group)).sum();
        let state = State { groups: groups.into(), rows, bytes, applied, wanted: Seq(0), closing: false };
        let state = Mutex::new(state);
        Self { state, work: Condvar::new(), room: Condvar::new(), rows_max, bytes_max, rows_at_once }
    }

    /// Adds a durable group.
    pub fn push(&self, group: Arc<Group>) {
        let mut state = self.state();
        state.rows += group.puts.len();
        state.bytes += bytes_of(&group);
        state.groups.push_back(group);
        if state.rows >= self.rows_at_once {
            self.work.notify_one();
        }
    }

    /// Waits until another group may be added, or the fence closes.
    pub fn wait_for_room(&self, fence: &Fence) {
        let mut state = self.state();
        while (state.rows >= self.rows_max || state.bytes >= self.bytes_max) && !fence.is_closed() {
            self.work.notify_one();
            state = self.room.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything up to `seq` is in the tables; `false` when the fence closed first.
    pub fn wait_until_applied(&self, seq: Seq, fence: &Fence) -> bool {
        let mut state = self.state();
        state.wanted = state.wanted.max(seq);
        while state.applied < seq && !fence.is_closed() {
            self.work.notify_one();
            state = self.room.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.applied >= seq
    }

    /// The next groups to apply, at most as many rows as one checkpoint takes: when there are enough of them, someone
    /// waits, or `every` has passed. `None` when there will be none.
    pub fn next(&self, every: Duration, fence: &Fence) -> Option<Vec<Arc<Group>>> {
        let mut state = self.state();
        let mut waited = Duration::ZERO;
        loop {
            if fence.is_closed() || (state.closing && state.groups.is_empty()) {
                return None;
            }
            let hurried = state.closing || state.rows >= self.rows_at_once || state.wanted > state.applied;
            if !state.groups.is_empty() && (hurried || waited >= every) {
                return Some(self.take(&state));
            }
            let pause = LOOK.min(every).max(Duration::from_millis(1));
            let (woken, timeout) = self.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                waited += pause;
            }
        }
    }

    fn take(&self, state: &State) -> Vec<Arc<Group>> {
        let mut rows = 0;
        let fits = |group: &&Arc<Group>| {
            let first = rows == 0;
            rows += group.puts.len();
            first || rows <= self.rows_at_once
        };
        state.groups.iter().take_while(fits).cloned().collect()
    }

    /// Notes that everything up to `seq` is in the tables and no longer above them.
    pub fn applied_up_to(&self, seq: Seq) {
        let mut state = self.state();
        while let Some(group) = state.groups.pop_front_if(|group| group.seq <= seq) {
            state.rows -= group.puts.len();
            state.bytes -= bytes_of(&group);
        }
        state.applied = seq;
        drop(state);
        self.room.notify_all();
    }

    /// The newest group in the tables: the journal may be cut up to it.
    #[must_use]
    pub fn applied(&self) -> Seq {
        self.state().applied
    }

    /// Rows and bytes that wait to be applied.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.state();
        (state.rows, state.bytes)
    }

    /// Has everybody who waits look up: the fence has closed.
    pub fn wake(&self) {
        // Under the lock, so that nobody is between looking and waiting.
        let state = self.state();
        self.work.notify_all();
        self.room.notify_all();
        drop(state);
    }

    /// No more groups come: the applier ends once it has applied all.
    pub fn finish(&self) {
        self.state().closing = true;
        self.work.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has fenced the store.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(group: &Group) -> usize {
    group.puts.iter().map(put_bytes).sum()
}
