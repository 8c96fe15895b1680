//! The timekeeper: fires what is due. Due times are rows of the store; only the near future is in memory.
//!
//! It is told of new and removed rows by the store's commits, reads ahead, and reads everything anew now and then, so
//! that a row that was offered in vain is offered again. What fires stays *offered* until its row is gone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::select;
use tokio::sync::{Notify, Semaphore};

use crate::Error;
use crate::engine::Inner;
use crate::model::{AccountId, RawId, Timestamp};
use crate::store::keys::{self, Due, DueKind};
use crate::store::{CommitListener, Health, Put, Scan, Seq, Store, Table};

use super::firing;
use super::lane::{Lane, NEAR_MAX};

/// How far ahead rows are read.
const AHEAD: Duration = Duration::from_mins(1);
/// Rows read at once.
const PAGE: usize = 4_096;
/// A clock that jumps ahead is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Due transactions that are worked off at once, their calls included.
const TRANSACTIONS_AT_ONCE: usize = 512;
/// Groups of due deliveries that are handed over at once.
const DELIVERIES_AT_ONCE: usize = 4;
/// Pieces of work beside payments at once.
const UPKEEP_AT_ONCE: usize = 4;
/// Deliveries handed over together.
const GROUP: usize = 256;

/// Fires what is due.
pub(crate) struct Timekeeper {
    lanes: Mutex<[Lane; 3]>,
    pub(super) wake: Arc<Notify>,
    pub(super) transactions: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
    /// Until when by the monotonic clock it does nothing, in nanoseconds; 0 while it looks at what is due.
    idle_until: AtomicU64,
}

/// The first of all rows.
fn first() -> Due {
    Due { at: Timestamp::from_millis(0), kind: DueKind::Transaction, id: RawId([0; RawId::LEN]) }
}

impl Timekeeper {
    /// One that knows nothing yet. It has to listen to the store's commits, and to [`run`](Self::run).
    pub fn new() -> Self {
        Self {
            lanes: Mutex::new([DueKind::Transaction, DueKind::Delivery, DueKind::Maintenance].map(Lane::new)),
            wake: Arc::new(Notify::new()),
            transactions: Arc::new(Semaphore::new(TRANSACTIONS_AT_ONCE)),
            deliveries: Arc::new(Semaphore::new(DELIVERIES_AT_ONCE)),
            upkeep: Arc::new(Semaphore::new(UPKEEP_AT_ONCE)),
            idle_until: AtomicU64::new(0),
        }
    }

    /// Forgets what it knows and reads everything anew.
    pub fn begin_anew(&self) {
        for lane in self.lanes().iter_mut() {
            lane.begin_anew();
        }
        self.wake.notify_one();
    }

    /// As [`begin_anew`](Self::begin_anew), when nobody reads: a read that a panic ended has no end of its own.
    fn begin(&self) {
        for lane in self.lanes().iter_mut() {
            lane.not_read();
        }
        self.begin_anew();
    }

    /// Offered in vain: to be offered again when everything is read the next time.
    pub fn not_taken(&self, due: &[Due]) {
        let mut lanes = self.lanes();
        for due in due {
            for lane in lanes.iter_mut().filter(|lane| lane.kind() == due.kind) {
                lane.not_taken(due);
            }
        }
    }

    /// Handed over to somebody who is done with them when their rows are gone.
    pub fn taken(&self, due: &[Due]) {
        let mut lanes = self.lanes();
        for due in due {
            for lane in lanes.iter_mut().filter(|lane| lane.kind() == due.kind) {
                lane.taken(*due);
            }
        }
    }

    /// A due transaction whose account has no room for the question: it waits until there is some.
    pub fn stall(&self, account: AccountId, due: Due) {
        self.lanes()[0].stall(account, due);
    }

    /// Whether due transactions wait for any account.
    pub fn has_stalled(&self) -> bool {
        self.lanes()[0].has_stalled()
    }

    /// Whether due transactions wait for that account.
    pub fn stalls(&self, account: AccountId) -> bool {
        self.lanes()[0].stalls(account)
    }

    /// Whether it looks at what is due, or has to now: what it will find counts nowhere yet.
    pub fn is_looking(&self, now: Duration) -> bool {
        self.idle_until.load(Ordering::Acquire) <= nanos(now)
    }

    /// Rows whose time has come and that are not done with.
    pub fn backlog(&self, now: Timestamp) -> usize {
        self.lanes().iter().map(|lane| lane.backlog(now)).sum()
    }

    /// When the oldest of them was due.
    pub fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        self.lanes().iter().filter_map(|lane| lane.oldest(now)).min()
    }

    /// Fires what is due until the engine is gone.
    pub async fn run(inner: Weak<Inner>) {
        if let Some(owner) = inner.upgrade() {
            owner.timekeeper.begin();
        }
        loop {
            let Some(owner) = inner.upgrade() else { return };
            let wake = Arc::clone(&owner.timekeeper.wake);
            // Until a moment and not for a while: a clock that moves meanwhile must not make the sleep a longer one.
            let longest = owner.clock.now().monotonic.saturating_add(LONGEST_SLEEP);
            owner.timekeeper.idle_until.store(0, Ordering::Release);
            let until = owner.timekeeper.turn(&owner).await.unwrap_or(longest).min(longest);
            owner.timekeeper.idle_until.store(nanos(until), Ordering::Release);
            let sleep = owner.clock.sleep_until(until);
            drop(owner);
            select(sleep, std::pin::pin!(wake.notified())).await;
        }
    }

    /// Reads ahead, fires, and says until when by the monotonic clock nothing more is to be done. `None`: as long as may
    /// be.
    async fn turn(&self, inner: &Arc<Inner>) -> Option<Duration> {
        if inner.store.health() != Health::Open || inner.commands.is_draining() {
            return None;
        }
        for index in 0..3 {
            let now = inner.clock.now();
            let wanted = self.lanes()[index].wants_reading(now.wall, now.monotonic);
            if let Some(from) = wanted
                && let Err(why) = self.read_ahead(inner, index, from, now.wall).await
            {
                tracing::warn!(%why, "due rows cannot be read now");
                self.lanes()[index].not_read();
                return None;
            }
        }
        let fired_at = self.fire(inner);
        let lanes = self.lanes();
        let now = inner.clock.now();
        let wait = wait(lanes.iter().filter_map(Lane::next_at), fired_at, now.wall);
        Some(now.monotonic.saturating_add(wait))
    }

    async fn read_ahead(&self, inner: &Arc<Inner>, index: usize, from: Due, now: Timestamp) -> Result<(), Error> {
        let kind = self.lanes()[index].kind();
        let to = now.after(AHEAD);
        let (rows, known_to) = inner.reader.run(move |store| read_rows(store, kind, from, to)).await??;
        self.lanes()[index].read(rows, known_to, inner.clock.now());
        Ok(())
    }

    /// Fires what is due, as far as there is room. Gives the time by which it was judged.
    fn fire(&self, inner: &Arc<Inner>) -> Timestamp {
        let now = inner.clock.now();
        let take = |index: usize, room: usize| self.lanes()[index].take_due(now.wall, now.monotonic, room);
        // An account's room is looked up under the lanes' lock, and never the other way round.
        let room = self.transactions.available_permits();
        let stalled = self.lanes()[0].take_stalled(now.monotonic, room, |account| inner.dispatcher.room(account));
        let new = take(0, room.saturating_sub(stalled.len()));
        let has_waited = std::iter::repeat_n(true, stalled.len()).chain(std::iter::repeat(false));
        for (due, has_waited) in stalled.into_iter().chain(new).zip(has_waited) {
            match Arc::clone(&self.transactions).try_acquire_owned() {
                Ok(permit) => firing::transaction(inner, due, has_waited, permit),
                Err(_) => self.not_taken(&[due]),
            }
        }
        while let Ok(permit) = Arc::clone(&self.deliveries).try_acquire_owned() {
            let group = take(1, GROUP);
            if group.is_empty() {
                break;
            }
            firing::deliveries(inner, group, permit);
        }
        for due in take(2, self.upkeep.available_permits()) {
            match Arc::clone(&self.upkeep).try_acquire_owned() {
                Ok(permit) => firing::upkeep(inner, due, permit),
                Err(_) => self.not_taken(&[due]),
            }
        }
        now.wall
    }

    fn lanes(&self) -> MutexGuard<'_, [Lane; 3]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitListener for Timekeeper {
    fn committed(&self, _: Seq, puts: &[Put]) {
        let mut sooner = false;
        for put in puts.iter().filter(|put| put.key.table == Table::Due) {
            let Some(due) = keys::parse_due(&put.key.key) else { continue };
            let mut lanes = self.lanes();
            for lane in lanes.iter_mut().filter(|lane| lane.kind() == due.kind) {
                sooner |= lane.hear(due, put.value.is_some());
            }
        }
        if sooner {
            self.wake.notify_one();
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long nothing is to be done, of rows that are due then: those that were due when they were fired wait for room, and
/// what has become due since is done at once.
fn wait(next: impl Iterator<Item = Timestamp>, fired_at: Timestamp, now: Timestamp) -> Duration {
    let next = next.filter(|at| *at > fired_at).min();
    next.map_or(LONGEST_SLEEP, |at| at.since(now)).min(LONGEST_SLEEP)
}

/// Rows of one kind from `from` on and not after `to`, as many as fit; and the first row that may be missing.
fn read_rows(store: &dyn Store, kind: DueKind, from: Due, to: Timestamp) -> Result<(BTreeSet<Due>, Due), Error> {
    let end = Due { at: to.after(Duration::from_millis(1)), ..first() };
    let mut rows = BTreeSet::new();
    let mut next = keys::due(from.at, from.kind, from.id).key.to_vec();
    loop {
        let scan = Scan { table: Table::Due, from: next, to: keys::due_after(to), newest_first: false, limit: PAGE };
        let page = store.scan(&scan)?;
        rows.extend(page.rows.iter().filter_map(|(key, _)| keys::parse_due(key)).filter(|due| due.kind == kind));
        let Some((last, _)) = page.rows.last().filter(|_| page.more) else { return Ok((rows, end)) };
        if rows.len() >= NEAR_MAX {
            // The last one is read again: what follows it may be missing.
            let known_to = rows.last().copied().unwrap_or(end);
            return Ok((rows, known_to));
        }
        next = [&last[..], &[0]].concat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_due_while_others_are_fired_does_not_wait() {
        // Rows due at these moments, when the others were fired, what time it is by then: how long nothing is done.
        let table: [(&[u64], u64, u64, u64); 7] = [
            (&[], 100, 100, 1_000),
            (&[130], 100, 100, 30),
            (&[130, 110, 400], 100, 105, 5),
            (&[5_000], 100, 100, 1_000),
            (&[101], 100, 101, 0),
            (&[101], 100, 150, 0),
            (&[100], 100, 150, 1_000),
        ];
        for (due, fired_at, now, wanted) in table {
            let at = Timestamp::from_millis;
            let waits = wait(due.iter().copied().map(at), at(fired_at), at(now));
            assert_eq!(waits, Duration::from_millis(wanted), "{due:?}, fired at {fired_at}, now {now}");
        }
    }
}
