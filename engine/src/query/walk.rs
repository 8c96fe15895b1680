//! Walking a table or an index by id: from a cursor on, in either direction, between two ids, and never over more than
//! a bounded number of rows.

use crate::Error;
use crate::api::{Page, PageRequest, Scope};
use crate::model::{RawId, Timestamp};
use crate::store::codec::Record;
use crate::store::records::{decode_row, read_record};
use crate::store::{RowKey, Scan, Store, StoreError, Table, keys};

/// Rows that one page looks at.
pub(super) const PAGE_ROWS_MAX: usize = 10_000;
/// Objects of a page.
const PAGE_MAX: usize = 100;
/// Bytes of a page's objects, beyond which it ends early: with as many of the largest, answers to many callers at once
/// would fill the memory.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Rows of one scan.
const CHUNK: usize = 1_000;

/// Rows whose keys are a prefix and an id.
pub(super) struct Rows {
    table: Table,
    prefix: Vec<u8>,
    lowest: Option<RawId>,
    highest: Option<RawId>,
}

/// How far a walk goes.
pub(super) struct Way {
    /// Start behind this one.
    pub after: Option<RawId>,
    /// From the newest to the oldest.
    pub newest_first: bool,
    /// Stop with so many objects.
    pub wanted: usize,
    /// Stop after so many rows.
    pub rows_max: usize,
    /// Stop with objects of so many bytes or more.
    pub bytes_max: usize,
}

impl Rows {
    /// A table whose keys are ids.
    pub fn table(table: Table) -> Self {
        Self::under(table, Vec::new())
    }

    /// What an index by app says of an app and mode.
    pub fn of(table: Table, scope: Scope) -> Self {
        Self::under(table, keys::owner_prefix(scope.app_id, scope.mode))
    }

    /// The rows under a prefix.
    pub fn under(table: Table, prefix: Vec<u8>) -> Self {
        Self { table, prefix, lowest: None, highest: None }
    }

    /// Only ids made at or after that moment.
    pub fn from(mut self, at: Option<Timestamp>) -> Self {
        self.lowest = at.map(RawId::earliest);
        self
    }

    /// Only ids made at or before that moment.
    pub fn to(mut self, at: Option<Timestamp>) -> Self {
        self.highest = at.map(RawId::latest);
        self
    }

    /// One page of what `pick` makes of the rows.
    pub fn page<T>(
        &self,
        store: &dyn Store,
        page: PageRequest,
        mut pick: impl FnMut(&RowKey, &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        self.weighed_page(store, page, |_| 0, &mut pick)
    }

    /// The same of objects that may be large: `weigh` tells about how many bytes one has.
    pub fn weighed_page<T>(
        &self,
        store: &dyn Store,
        page: PageRequest,
        weigh: impl Fn(&T) -> usize,
        pick: impl FnMut(&RowKey, &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        let wanted = page.limit.clamp(1, PAGE_MAX);
        let (rows_max, bytes_max) = (PAGE_ROWS_MAX, PAGE_BYTES_MAX);
        let way = Way { after: page.after, newest_first: page.newest_first, wanted, rows_max, bytes_max };
        self.walk(store, &way, weigh, pick)
    }

    /// What `pick` makes of the rows on that way.
    pub fn walk<T>(
        &self,
        store: &dyn Store,
        way: &Way,
        weigh: impl Fn(&T) -> usize,
        mut pick: impl FnMut(&RowKey, &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        let mut items = Vec::new();
        let (mut looked, mut bytes, mut last) = (0, 0, way.after);
        loop {
            // A filter that takes most rows needs few; one that takes few is given more at a time.
            let chunk = if looked == 0 { way.wanted + 1 } else { CHUNK }.min(CHUNK).min(way.rows_max - looked);
            let rows = store.scan(&self.scan(last, way.newest_first, chunk))?;
            let count = rows.rows.len();
            for (at, (key, value)) in rows.rows.into_iter().enumerate() {
                let Some(id) = keys::last_id::<RawId>(&key) else { continue };
                last = Some(id);
                looked += 1;
                let picked = pick(&RowKey { table: self.table, key }, &value)?;
                bytes += picked.as_ref().map_or(0, &weigh);
                items.extend(picked);
                let more = rows.more || at + 1 < count;
                let full = items.len() >= way.wanted || bytes >= way.bytes_max;
                if more && (full || looked >= way.rows_max) {
                    return Ok(Page { items, next: last });
                }
            }
            if !rows.more || count == 0 {
                return Ok(Page { items, next: None });
            }
        }
    }

    fn scan(&self, after: Option<RawId>, newest_first: bool, limit: usize) -> Scan {
        let mut scan = Scan::prefix(self.table, &self.prefix, limit);
        scan.newest_first = newest_first;
        if let Some(lowest) = self.lowest {
            scan.from = self.key(lowest, false);
        }
        if let Some(highest) = self.highest {
            scan.to = self.key(highest, true);
        }
        match after {
            Some(after) if newest_first => {
                let to = self.key(after, false);
                if scan.to.is_empty() || to < scan.to {
                    scan.to = to;
                }
            }
            Some(after) => scan.from = self.key(after, true).max(scan.from),
            None => {}
        }
        scan
    }

    /// The key of `id`, or the first key behind it.
    fn key(&self, id: RawId, behind: bool) -> Vec<u8> {
        [self.prefix.as_slice(), &id.0, if behind { &[0] } else { &[] }].concat()
    }
}

/// The record under `key`. `None`, and a line in the log, when it does not decode: it is set aside elsewhere.
pub(super) fn found<T: Record>(store: &dyn Store, key: Option<RowKey>) -> Result<Option<T>, Error> {
    let Some(key) = key else { return Ok(None) };
    match read_record::<T>(store, &key) {
        Ok((record, _)) => Ok(record),
        Err(StoreError::Row { key, why }) => {
            tracing::error!(row = ?key, why, "a record does not decode and is left out of a list");
            Ok(None)
        }
        Err(why @ (StoreError::InUse(_) | StoreError::Damaged(_) | StoreError::Unavailable(_))) => Err(why.into()),
    }
}

/// The record in a row, as [`found`].
pub(super) fn record<T: Record>(key: &RowKey, value: &[u8]) -> Option<T> {
    let decoded = decode_row::<T>(key, value);
    decoded.inspect_err(|why| tracing::error!(%why, "a record does not decode and is left out of a list")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{IdSource, SeededEntropy, VirtualClock};

    #[test]
    fn ids_lie_between_the_earliest_and_the_latest_of_their_moment() {
        // Whatever the counter and the random part, and never within those of another millisecond.
        let at = Timestamp::from_millis(1_795_000_000_123);
        let ids = IdSource::new(Arc::new(VirtualClock::at(at)), Arc::new(SeededEntropy::new(1)));
        for _ in 0..100 {
            let id: RawId = ids.next();
            assert!(RawId::earliest(at) <= id && id <= RawId::latest(at), "{id}");
            assert!(id > RawId::latest(Timestamp::from_millis(at.millis() - 1)), "{id}");
            assert!(id < RawId::earliest(Timestamp::from_millis(at.millis() + 1)), "{id}");
        }
    }
}
