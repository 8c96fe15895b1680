//! Subscriptions whose deliveries are to follow them: each waits once, however often that was asked for, and few are
//! gone through at once, so that a merchant with a long history and many changes holds up nobody else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::FutureExt;

use crate::engine::Inner;
use crate::model::{SubscriptionId, Timestamp};

use super::sweeping::{self, Swept};

/// Subscriptions that are gone through at once.
const AT_ONCE: usize = 4;
/// Due rows of one subscription that are removed together; more are offered again and asked for then.
const ROWS_MAX: usize = 512;

/// The subscriptions that wait, and those that are gone through.
#[derive(Default)]
pub(crate) struct Sweeps(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    /// Who is next.
    waiting: VecDeque<SubscriptionId>,
    /// The due rows by which it was asked for, of those that wait and those that are gone through.
    asked: BTreeMap<SubscriptionId, BTreeSet<Timestamp>>,
    working: usize,
}

impl Sweeps {
    /// A due row of that moment asks for it. Losing it loses nothing: the row stays until all is done.
    pub fn ask(&self, inner: &Arc<Inner>, id: SubscriptionId, at: Timestamp) {
        if self.queue().ask(id, at) {
            let owner = Arc::clone(inner);
            inner.commands.spawn(async move { work(&owner).await });
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether one more is to work.
    fn ask(&mut self, id: SubscriptionId, at: Timestamp) -> bool {
        if let Some(rows) = self.asked.get_mut(&id) {
            if rows.len() < ROWS_MAX {
                rows.insert(at);
            }
            return false;
        }
        self.asked.insert(id, BTreeSet::from([at]));
        self.waiting.push_back(id);
        let more = self.working < AT_ONCE;
        self.working += usize::from(more);
        more
    }

    /// The one to go through next; whoever is given none works no more.
    fn next(&mut self) -> Option<SubscriptionId> {
        let next = self.waiting.pop_front();
        self.working -= usize::from(next.is_none());
        next
    }

    /// The due rows by which it has been asked for by now.
    fn rows(&self, id: SubscriptionId) -> BTreeSet<Timestamp> {
        self.asked.get(&id).cloned().unwrap_or_default()
    }

    /// One was gone through, and those rows of it are done with. When there are others it comes again, behind those
    /// that wait.
    fn done(&mut self, id: SubscriptionId, rows: &BTreeSet<Timestamp>) {
        let Some(asked) = self.asked.get_mut(&id) else { return };
        asked.retain(|at| !rows.contains(at));
        if asked.is_empty() {
            self.asked.remove(&id);
        } else {
            self.waiting.push_back(id);
        }
    }

    /// One could not be gone through: its rows are offered again.
    fn forget(&mut self, id: SubscriptionId) {
        self.asked.remove(&id);
    }
}

/// Goes through one after the other until none waits.
async fn work(inner: &Arc<Inner>) {
    // What is due stays in the store: a drain need not wait for it.
    while !inner.commands.is_draining() {
        let Some(id) = inner.sweeps.queue().next() else { return };
        let rows = || inner.sweeps.queue().rows(id);
        // A panic in it costs nobody else his turn.
        match AssertUnwindSafe(sweeping::sweep(inner, id, rows)).catch_unwind().await {
            Ok(Ok(Swept::All(rows))) => inner.sweeps.queue().done(id, &rows),
            Ok(Ok(Swept::Changed)) => inner.sweeps.queue().done(id, &BTreeSet::new()),
            Ok(Err(why)) => {
                tracing::warn!(subscription = %id, %why, "deliveries that are to follow their subscription have to wait");
                inner.sweeps.queue().forget(id);
            }
            Err(_) => {
                tracing::error!(subscription = %id, "going through the deliveries of a subscription ended by a panic");
                inner.sweeps.queue().forget(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RawId;

    #[test]
    fn a_subscription_waits_once_and_comes_again_behind_the_others() {
        // Rows asked for before its end are done with together; what is asked for later, or was not reached, is not lost.
        let (id, at) = (|id: u8| SubscriptionId(RawId([id; RawId::LEN])), Timestamp::from_millis);
        let mut queue = Queue::default();
        assert!(queue.ask(id(1), at(1)) && !queue.ask(id(1), at(2)) && queue.ask(id(2), at(3)));
        assert_eq!(queue.next(), Some(id(1)));
        let rows = queue.rows(id(1));
        assert_eq!(rows, BTreeSet::from([at(1), at(2)]));
        assert!(!queue.ask(id(1), at(4)));
        queue.done(id(1), &rows);
        assert_eq!((queue.next(), queue.next()), (Some(id(2)), Some(id(1))));
        assert_eq!(queue.rows(id(1)), BTreeSet::from([at(4)]));
        queue.forget(id(2));
        queue.done(id(1), &BTreeSet::new());
        assert_eq!(queue.next(), Some(id(1)), "its subscription changed meanwhile");
        queue.done(id(1), &queue.rows(id(1)));
        assert_eq!((queue.next(), queue.next()), (None, None));
        assert_eq!((queue.asked.len(), queue.working), (0, 0));
        let workers = (1..=9).filter(|it| queue.ask(id(*it), at(5))).count();
        assert_eq!(workers, AT_ONCE);
    }
}
