//! What is committed and not yet in the tables, together with the snapshot of the tables it lies over. Both are
//! read under one lock, so that a reader sees one moment.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::tables::{Row, Snapshot};
use crate::store::{Put, Read, RowKey, Rows, SCAN_ROWS_MAX, Scan, Seq, Table, Value};

/// Rows pruned under one lock, so that readers and the writer wait for microseconds only.
const PRUNED_AT_ONCE: usize = 512;

/// The newest rows.
pub struct View(RwLock<State>);

struct State {
    /// By the table's place.
    tables: Vec<BTreeMap<Arc<[u8]>, Entry>>,
    snapshot: Arc<Snapshot>,
    last: Seq,
}

struct Entry {
    value: Option<Value>,
    changed: Seq,
}

/// A point read that the overlay cannot answer: what to ask, and what its answer reflects.
pub struct Below {
    /// The tables under the overlay.
    pub snapshot: Arc<Snapshot>,
    /// The newest commit that the answer reflects.
    pub seen: Seq,
}

impl View {
    /// Nothing above `snapshot`, which holds everything up to `last`.
    #[must_use]
    pub fn new(snapshot: Snapshot, last: Seq) -> Self {
        let tables = Table::ALL.iter().map(|_| BTreeMap::new()).collect();
        Self(RwLock::new(State { tables, snapshot: Arc::new(snapshot), last }))
    }

    /// Lays a durable group over the rest.
    pub fn lay(&self, seq: Seq, puts: &[Put]) {
        let mut state = self.write();
        for Put { key, value } in puts {
            let entry = Entry { value: value.clone(), changed: seq };
            state.tables[key.table.place()].insert(Arc::clone(&key.key), entry);
        }
        state.last = seq;
    }

    /// Puts a snapshot that holds everything up to `applied` under the overlay, then drops from the overlay those of
    /// `puts` that it holds.
    pub fn settle(&self, snapshot: Snapshot, applied: Seq, puts: &[&Put]) {
        let old = std::mem::replace(&mut self.write().snapshot, Arc::new(snapshot));
        drop(old);
        let mut dropped = Vec::with_capacity(PRUNED_AT_ONCE);
        for puts in puts.chunks(PRUNED_AT_ONCE) {
            let mut state = self.write();
            for Put { key, .. } in puts {
                if let Slot::Occupied(slot) = state.tables[key.table.place()].entry(Arc::clone(&key.key))
                    && slot.get().changed <= applied
                {
                    dropped.push(slot.remove_entry());
                }
            }
            drop(state);
            dropped.clear();
        }
    }

    /// The newest commit.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.read().last
    }

    /// A row of the overlay, or where else to look.
    pub fn point(&self, key: &RowKey) -> Result<Read, Below> {
        let state = self.read();
        match state.tables[key.table.place()].get(&key.key) {
            Some(entry) => Ok(Read { value: entry.value.clone(), seen: state.last }),
            None => Err(Below { snapshot: Arc::clone(&state.snapshot), seen: state.last }),
        }
    }

    /// The rows of a scan, at most [`SCAN_ROWS_MAX`] of them, all of one moment.
    pub fn scan(&self, scan: &Scan) -> Result<Rows, redb::Error> {
        let limit = scan.limit.clamp(1, SCAN_ROWS_MAX);
        let (above, snapshot, seen) = {
            let state = self.read();
            (state.part(scan, limit + 1), Arc::clone(&state.snapshot), state.last)
        };
        if !scan.to.is_empty() && scan.to <= scan.from {
            return Ok(Rows { rows: Vec::new(), more: false, seen });
        }
        let mut rows = merge(above, snapshot.rows(scan)?, scan.newest_first, limit + 1)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Rows { rows, more, seen })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A writer that panics has fenced the store; what it had laid down is durable.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

type Change = (Arc<[u8]>, Option<Value>);

impl State {
    /// The changes in the part of a table that a scan wants, up to as many rows as it wants; rows behind the last of
    /// those cannot be among its first.
    fn part(&self, scan: &Scan, wanted: usize) -> Vec<Change> {
        if !scan.to.is_empty() && scan.to <= scan.from {
            return Vec::new();
        }
        let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(scan.to.as_slice()) };
        let mut range = self.tables[scan.table.place()].range::<[u8], _>((Bound::Included(scan.from.as_slice()), to));
        let mut part = Vec::new();
        let mut rows = 0;
        while rows < wanted {
            let Some((key, entry)) = (if scan.newest_first { range.next_back() } else { range.next() }) else { break };
            rows += usize::from(entry.value.is_some());
            part.push((Arc::clone(key), entry.value.clone()));
        }
        part
    }
}

/// The first `wanted` rows of both: a change hides the row below it, and a removal is no row.
fn merge(
    above: Vec<Change>,
    below: impl Iterator<Item = Result<Row, redb::Error>>,
    newest_first: bool,
    wanted: usize,
) -> Result<Vec<Row>, redb::Error> {
    let mut above = above.into_iter().peekable();
    let mut below = below.peekable();
    let mut rows = Vec::new();
    while rows.len() < wanted {
        let order = match (above.peek(), below.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) | (Some(_), Some(Err(_))) => std::cmp::Ordering::Greater,
            (Some((one, _)), Some(Ok((other, _)))) if newest_first => other.cmp(one),
            (Some((one, _)), Some(Ok((other, _)))) => one.cmp(other),
        };
        if order.is_ge() {
            let row = below.next().transpose()?;
            if order.is_gt() {
                rows.extend(row);
            }
        }
        if order.is_le()
            && let Some((key, Some(value))) = above.next()
        {
            rows.push((key, value));
        }
    }
    Ok(rows)
}
