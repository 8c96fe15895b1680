//! How far the overlay and the tables have come, and who waits for what: shared by the writer, the applier and those
//! who want everything applied.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fence::Fence;
use super::layer::Layer;
use super::overlay::View;
use crate::store::Seq;

/// A waiting thread looks up at least this often, so that a fence is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// The marks of progress.
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
    /// The newest group in the overlay.
    laid: Seq,
    applied: Seq,
    /// Apply up to here without delay.
    wanted: Seq,
    closing: bool,
}

impl Progress {
    /// Starts with the groups above `applied` up to `laid` in the overlay; `rows_max` and `bytes_max` bound what may lie
    /// there, `rows_at_once` is one checkpoint.
    #[must_use]
    pub fn new(applied: Seq, laid: Seq, rows_max: usize, bytes_max: usize, rows_at_once: usize) -> Self {
        let state = Mutex::new(State { laid, applied, wanted: Seq(0), closing: false });
        Self { state, work: Condvar::new(), room: Condvar::new(), rows_max, bytes_max, rows_at_once }
    }

    /// Notes that a group lies in the overlay.
    pub fn laid(&self, seq: Seq, view: &View) {
        self.state().laid = seq;
        if view.above().0 >= self.rows_at_once {
            self.work.notify_one();
        }
    }

    /// Waits until another group may be laid, or the fence closes.
    pub fn wait_for_room(&self, view: &View, fence: &Fence) {
        let mut state = self.state();
        let full = || {
            let (rows, bytes) = view.above();
            rows >= self.rows_max || bytes >= self.bytes_max
        };
        while full() && !fence.is_closed() {
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

    /// The layer to apply next: when there are rows enough for a checkpoint, someone waits, or `every` has passed. `None`
    /// when there will be none.
    pub fn next(&self, every: Duration, view: &View, fence: &Fence) -> Option<Arc<Layer>> {
        let mut state = self.state();
        let mut waited = Duration::ZERO;
        loop {
            let nothing = state.laid <= state.applied;
            if fence.is_closed() || (state.closing && nothing) {
                return None;
            }
            let hurried = state.closing || state.wanted > state.applied || view.above().0 >= self.rows_at_once;
            if !nothing && (hurried || waited >= every) {
                return view.lowest();
            }
            let pause = LOOK.min(every).max(Duration::from_millis(1));
            let (woken, timeout) = self.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                waited += pause;
            }
        }
    }

    /// Notes that everything up to `seq` is in the tables and no longer above them.
    pub fn applied_up_to(&self, seq: Seq) {
        self.state().applied = seq;
        self.room.notify_all();
    }

    /// The newest group in the tables: the journal may be cut up to it.
    #[must_use]
    pub fn applied(&self) -> Seq {
        self.state().applied
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
