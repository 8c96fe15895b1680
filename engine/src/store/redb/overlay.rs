//! What is committed and not yet in the tables, together with the snapshot of the tables it lies over. Both are
//! read under one lock, so that a reader sees one moment.
//!
//! It lies in layers. The top one takes what is committed; when it is as large as a checkpoint, or the applier wants it, it
//! is sealed, and below it lie those that were sealed before. A layer that the tables hold goes away whole.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::layer::{Change, Layer};
use super::tables::{Row, Snapshot};
use crate::store::{Put, Read, RowKey, Rows, SCAN_ROWS_MAX, Scan, Seq};

/// The newest rows.
pub struct View {
    state: RwLock<State>,
    /// Rows from which on the top layer is sealed.
    layer_rows: usize,
}

struct State {
    top: Layer,
    /// Oldest first.
    sealed: VecDeque<Arc<Layer>>,
    snapshot: Arc<Snapshot>,
    last: Seq,
}

/// A point read that the overlay cannot answer: what to ask, and what its answer reflects.
pub struct Below {
    /// The tables under the overlay.
    pub snapshot: Arc<Snapshot>,
    /// The newest commit that the answer reflects.
    pub seen: Seq,
}

impl View {
    /// Nothing above `snapshot`, which holds everything up to `last`. A layer gets at most `layer_rows` rows, or one
    /// group.
    #[must_use]
    pub fn new(snapshot: Snapshot, last: Seq, layer_rows: usize) -> Self {
        let state = State { top: Layer::new(), sealed: VecDeque::new(), snapshot: Arc::new(snapshot), last };
        Self { state: RwLock::new(state), layer_rows }
    }

    /// Lays a durable group over the rest.
    pub fn lay(&self, seq: Seq, puts: &[Put]) {
        let mut state = self.write();
        if state.top.rows() + puts.len() > self.layer_rows {
            state.seal();
        }
        state.top.lay(seq, puts);
        state.last = seq;
    }

    /// The layer that is to be applied next; `None` when everything is.
    pub fn lowest(&self) -> Option<Arc<Layer>> {
        let mut state = self.write();
        if state.sealed.is_empty() {
            state.seal();
        }
        state.sealed.front().cloned()
    }

    /// Puts a snapshot that holds the lowest layer in its place.
    pub fn settle(&self, snapshot: Snapshot) {
        let mut state = self.write();
        let old = (std::mem::replace(&mut state.snapshot, Arc::new(snapshot)), state.sealed.pop_front());
        drop(state);
        // Their memory is given back while nobody waits for it.
        drop(old);
    }

    /// The newest commit.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.read().last
    }

    /// Rows and bytes above the tables.
    #[must_use]
    pub fn above(&self) -> (usize, usize) {
        let state = self.read();
        state.layers().fold((0, 0), |(rows, bytes), layer| (rows + layer.rows(), bytes + layer.bytes()))
    }

    /// A row of the overlay, or where else to look.
    pub fn point(&self, key: &RowKey) -> Result<Read, Below> {
        let state = self.read();
        match state.layers().find_map(|layer| layer.change(key)) {
            Some(change) => Ok(Read { value: change.clone(), seen: state.last }),
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
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

type Changed = (Arc<[u8]>, Change);

impl State {
    /// Newest first: the first that has a change of a row has the newest.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.top).chain(self.sealed.iter().rev().map(Arc::as_ref))
    }

    fn seal(&mut self) {
        if !self.top.is_empty() {
            self.sealed.push_back(Arc::new(std::mem::replace(&mut self.top, Layer::new())));
        }
    }

    /// The changes in the part of a table that a scan wants, up to as many rows as it wants; rows behind the last of
    /// those cannot be among its first.
    fn part(&self, scan: &Scan, wanted: usize) -> Vec<Changed> {
        if !scan.to.is_empty() && scan.to <= scan.from {
            return Vec::new();
        }
        let mut layers: Vec<_> = self.layers().map(|layer| layer.part(scan).peekable()).collect();
        let mut part = Vec::new();
        let mut rows = 0;
        while rows < wanted {
            let keys = layers.iter_mut().filter_map(|changes| changes.peek().map(|(key, _)| *key));
            let Some(key) = (if scan.newest_first { keys.max() } else { keys.min() }) else { break };
            let mut newest = None;
            for changes in &mut layers {
                let change = changes.next_if(|(other, _)| *other == key).map(|(_, change)| change);
                newest = newest.or(change);
            }
            let Some(change) = newest else { break };
            rows += usize::from(change.is_some());
            part.push((Arc::clone(key), change.clone()));
        }
        part
    }
}

/// The first `wanted` rows of both: a change hides the row below it, and a removal is no row.
fn merge(
    above: Vec<Changed>,
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
