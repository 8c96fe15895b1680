//! What a group commit held: counted alike for the store and for the reference, so that the two can be compared.

use std::sync::{Mutex, PoisonError};

use maxpay_engine::store::admission::put_bytes;
use maxpay_engine::store::{CommitListener, Put, Seq, Table};

/// What one group held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    /// Transitions: one for each commit that waited for it.
    pub transitions: u64,
    /// Rows put or removed.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// The groups of a run, in order. A listener of the store; the reference's writer calls it in the same place.
#[derive(Debug, Default)]
pub struct Groups(Mutex<Vec<Group>>);

impl Groups {
    /// The groups so far, which are forgotten.
    pub fn take(&self) -> Vec<Group> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CommitListener for Groups {
    fn committed(&self, _: Seq, puts: &[Put]) {
        let mut group = Group::default();
        for put in puts {
            group.transitions += u64::from(put.key.table == Table::Transition);
            group.rows += 1;
            group.bytes += u64::try_from(put_bytes(put)).unwrap_or(u64::MAX);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }
}
