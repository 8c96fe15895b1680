//! A piece of what is committed and not yet in the tables: the newest change of each row in some groups that follow each
//! other. A checkpoint brings a whole one into the tables.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::store::{Put, RowKey, Scan, Seq, Table, Value};

/// The new bytes of a row, or `None` where it was removed.
pub type Change = Option<Value>;

/// The changes of one table, in the order of keys.
pub type Changes = BTreeMap<Arc<[u8]>, Change>;

/// The newest changes of some groups.
pub struct Layer {
    /// By the table's place.
    tables: Vec<Changes>,
    rows: usize,
    bytes: usize,
    last: Seq,
}

impl Layer {
    /// One of no groups.
    #[must_use]
    pub fn new() -> Self {
        Self { tables: Table::ALL.iter().map(|_| Changes::new()).collect(), rows: 0, bytes: 0, last: Seq(0) }
    }

    /// Whether there is no group in it. One may have groups and no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == Seq(0)
    }

    /// Adds a group that follows those in it.
    pub fn lay(&mut self, seq: Seq, puts: &[Put]) {
        for Put { key, value } in puts {
            self.bytes += key.key.len() + bytes_of(value);
            match self.tables[key.table.place()].insert(Arc::clone(&key.key), value.clone()) {
                Some(older) => self.bytes -= key.key.len() + bytes_of(&older),
                None => self.rows += 1,
            }
        }
        self.last = seq;
    }

    /// The change of a row, if it has one.
    #[must_use]
    pub fn change(&self, key: &RowKey) -> Option<&Change> {
        self.tables[key.table.place()].get(&key.key)
    }

    /// The changes in a part of a table, in the order that the scan wants.
    #[must_use]
    pub fn part<'a>(&'a self, scan: &'a Scan) -> Box<dyn Iterator<Item = (&'a Arc<[u8]>, &'a Change)> + 'a> {
        let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(scan.to.as_slice()) };
        let range = self.tables[scan.table.place()].range::<[u8], _>((Bound::Included(scan.from.as_slice()), to));
        if scan.newest_first { Box::new(range.rev()) } else { Box::new(range) }
    }

    /// The changes of each table that has some.
    pub fn tables(&self) -> impl Iterator<Item = (Table, &Changes)> {
        Table::ALL.into_iter().zip(&self.tables).filter(|(_, changes)| !changes.is_empty())
    }

    /// Rows that it changes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of their keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest group in it.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.last
    }
}

fn bytes_of(change: &Change) -> usize {
    change.as_ref().map_or(0, |value| value.len())
}
