//! What the timekeeper knows of the due rows of one kind: which wait for their time, which were offered, and which are
//! to be offered again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Now;
use crate::model::{AccountId, RawId, Timestamp};
use crate::store::keys::{Due, DueKind};

use super::stalled::Stalled;

/// Rows in memory that wait for their time; twice as many for a moment.
pub(super) const NEAR_MAX: usize = 16_384;
/// Rows that were offered and are still being handed over.
const OFFERED_MAX: usize = 200_000;
/// Rows that were handed over and are remembered; more are offered again sooner.
const GIVEN_MAX: usize = 200_000;
/// When what was read ahead ends sooner than this, more is read.
const MARGIN: Duration = Duration::from_secs(20);
/// What was offered and is still there is offered again after this, and all rows are gone through so often.
const OFFER_AGAIN: Duration = Duration::from_mins(1);
/// While rows are gone through again, what was offered so long ago is looked for this often.
const LET_GO: Duration = Duration::from_secs(1);

/// Due rows of one kind.
pub(super) struct Lane {
    kind: DueKind,
    /// Known, and waiting for their time.
    near: BTreeSet<Due>,
    /// Overdue, and offered before. They go behind those that were never offered, so that what nobody takes holds
    /// nobody up.
    again: BTreeSet<Due>,
    /// Fired, and when by the monotonic clock.
    offered: BTreeMap<Due, Duration>,
    /// Handed over, as many as fit: they are not offered again for a while, and hold nobody up.
    given: BTreeMap<Due, Duration>,
    /// Waiting for their accounts: they are not offered before those can be asked about them.
    stalled: Stalled,
    /// Rows before this one are known.
    known_to: Due,
    /// Up to where the rows that are known have been gone through again; `None`: that is not being done.
    anew: Option<Due>,
    /// What the rows are that are being read now.
    reads: Reads,
    /// What was heard while rows are being read; `None`: they are not.
    heard: Option<Vec<(Due, bool)>>,
    /// When all rows had been gone through.
    anew_at: Option<Duration>,
    /// When what was offered long ago was let go the last time.
    let_go_at: Duration,
}

/// What rows are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// To be known in time, from this one on.
    Ahead(Due),
    /// They are known, and gone through again.
    Anew,
    /// Nothing: all was forgotten meanwhile.
    Void,
}

/// The first of all rows.
fn first() -> Due {
    Due { at: Timestamp::from_millis(0), kind: DueKind::Transaction, id: RawId([0; RawId::LEN]) }
}

impl Lane {
    pub fn new(kind: DueKind) -> Self {
        Self {
            kind,
            near: BTreeSet::new(),
            again: BTreeSet::new(),
            offered: BTreeMap::new(),
            given: BTreeMap::new(),
            stalled: Stalled::default(),
            known_to: first(),
            anew: None,
            reads: Reads::Void,
            heard: None,
            anew_at: None,
            let_go_at: Duration::ZERO,
        }
    }

    pub fn kind(&self) -> DueKind {
        self.kind
    }

    /// Forgets what it knows.
    pub fn begin_anew(&mut self) {
        *self = Self { heard: self.heard.take(), ..Self::new(self.kind) };
    }

    /// A row was offered in vain.
    pub fn not_taken(&mut self, due: &Due) {
        self.offered.remove(due);
    }

    /// A row was handed over: whoever has it is done with it when the row is gone.
    pub fn taken(&mut self, due: Due) {
        if let Some(at) = self.offered.remove(&due)
            && self.given.len() < GIVEN_MAX
        {
            self.given.insert(due, at);
        }
    }

    /// A row was offered, and its account has no room for the question.
    pub fn stall(&mut self, account: AccountId, due: Due) {
        if self.offered.remove(&due).is_some() {
            self.stalled.put(account, due);
        }
    }

    /// Whether rows wait for any account.
    pub fn has_stalled(&self) -> bool {
        self.stalled.len() > 0
    }

    /// Whether rows wait for that account.
    pub fn stalls(&self, account: AccountId) -> bool {
        self.stalled.waits_for(account)
    }

    /// Whether it is on its way to somebody, or there, or waits for its account.
    fn is_out(&self, due: &Due) -> bool {
        self.offered.contains_key(due) || self.given.contains_key(due) || self.stalled.contains(due)
    }

    /// Rows whose time has come and that are not done with.
    pub fn backlog(&self, now: Timestamp) -> usize {
        self.offered.len()
            + self.given.len()
            + self.stalled.len()
            + self.again.len()
            + self.near.iter().take_while(|due| due.at <= now).count()
    }

    /// When the oldest row was due whose time has come and that is not done with.
    pub fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = [self.near.first(), self.again.first()];
        let out = [self.offered.keys().next(), self.given.keys().next()];
        waiting.into_iter().chain(out).flatten().map(|due| due.at).filter(|at| *at <= now).min()
    }

    /// When the next one is due that waits for its time.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.near.first().map(|due| due.at)
    }

    /// A row was written or removed. Whether the next one due may be another now.
    pub fn hear(&mut self, due: Due, there: bool) -> bool {
        if let Some(heard) = &mut self.heard {
            heard.push((due, there));
        }
        self.note(due, there)
    }

    fn note(&mut self, due: Due, there: bool) -> bool {
        if there {
            return self.know(due);
        }
        self.near.remove(&due);
        self.again.remove(&due);
        self.offered.remove(&due);
        self.given.remove(&due);
        self.stalled.remove(&due);
        false
    }

    fn know(&mut self, due: Due) -> bool {
        if due >= self.known_to || self.is_out(&due) || self.again.contains(&due) {
            return false;
        }
        self.near.insert(due);
        // Bounded: what does not fit is not known, and is read when its time comes near.
        if self.near.len() > 2 * NEAR_MAX {
            while self.near.len() > NEAR_MAX
                && let Some(last) = self.near.pop_last()
            {
                self.known_to = last;
            }
        }
        self.near.first() == Some(&due)
    }

    /// Up to `room` rows whose time has come.
    pub fn take_due(&mut self, now: Timestamp, monotonic: Duration, room: usize) -> Vec<Due> {
        let room = room.min(OFFERED_MAX.saturating_sub(self.offered.len()));
        let mut due = Vec::new();
        while due.len() < room
            && let Some(next) = pop_due(&mut self.near, now).or_else(|| pop_due(&mut self.again, now))
        {
            self.offered.insert(next, monotonic);
            due.push(next);
        }
        due
    }

    /// Up to `room` rows that waited for their accounts, of each as many as it has room for, oldest first.
    pub fn take_stalled(&mut self, monotonic: Duration, room: usize, room_of: impl Fn(AccountId) -> usize) -> Vec<Due> {
        let mut due = Vec::new();
        for account in self.stalled.accounts() {
            let left = room.min(OFFERED_MAX.saturating_sub(self.offered.len())).saturating_sub(due.len());
            if left > 0 {
                due.extend(self.stalled.take(account, left.min(room_of(account))));
            }
        }
        self.offered.extend(due.iter().map(|due| (*due, monotonic)));
        due
    }

    /// From where on rows are to be read, if they are: ahead when that is needed, else those that are known, again.
    pub fn wants_reading(&mut self, now: Timestamp, monotonic: Duration) -> Option<Due> {
        if self.heard.is_some() {
            return None;
        }
        let since = |at: Duration| monotonic.saturating_sub(at);
        // The first time only reads ahead: nothing was offered before.
        let anew_at = *self.anew_at.get_or_insert(monotonic);
        let begins = self.anew.is_none() && since(anew_at) >= OFFER_AGAIN;
        if begins {
            self.anew = Some(first());
        }
        // And not only at the beginning: what waits for room to go on would wait for its own end.
        if begins || self.anew.is_some() && since(self.let_go_at) >= LET_GO {
            self.offered.retain(|_, at| since(*at) < OFFER_AGAIN);
            self.given.retain(|_, at| since(*at) < OFFER_AGAIN);
            self.let_go_at = monotonic;
        }
        let ahead = self.known_to.at <= now.after(MARGIN) && self.near.len() < NEAR_MAX / 2;
        let anew = self.anew.filter(|_| self.again.len() < NEAR_MAX / 8);
        self.reads = if ahead { Reads::Ahead(self.known_to) } else { Reads::Anew };
        let from = if ahead { Some(self.known_to) } else { anew };
        from.inspect(|_| self.heard = Some(Vec::new()))
    }

    /// Rows were read, all of them before `to`.
    pub fn read(&mut self, rows: BTreeSet<Due>, to: Due, now: Now) {
        match self.reads {
            Reads::Ahead(from) => {
                // Unless something that was known has been let go meanwhile: then it is read again from there.
                if self.known_to >= from {
                    self.known_to = self.known_to.max(to);
                }
                for due in rows {
                    self.know(due);
                }
            }
            Reads::Anew => {
                let unknown = |lane: &Self, due: &Due| !lane.near.contains(due) && !lane.is_out(due);
                for due in rows {
                    if due.at > now.wall {
                        self.know(due);
                    } else if due < self.known_to && unknown(self, &due) {
                        self.again.insert(due);
                    }
                }
                // What is due later is known, or is found the next time. That rows are known up to there does not tell
                // the end alone: after the wall clock stepped back that lies further ahead than is read.
                self.anew = (to < self.known_to && to.at <= now.wall).then_some(to);
                if self.anew.is_none() {
                    self.anew_at = Some(now.monotonic);
                }
            }
            Reads::Void => {}
        }
        for (due, there) in self.heard.take().unwrap_or_default() {
            self.note(due, there);
        }
    }

    /// Rows could not be read.
    pub fn not_read(&mut self) {
        self.heard = None;
    }
}

fn pop_due(rows: &mut BTreeSet<Due>, now: Timestamp) -> Option<Due> {
    if rows.first().is_some_and(|first| first.at <= now) { rows.pop_first() } else { None }
}

#[cfg(test)]
mod tests;
