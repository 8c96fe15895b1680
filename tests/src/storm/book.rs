//! The merchants' own record of what was acknowledged to them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A transaction that the server has told a merchant of.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its bill number.
    pub bill_num: String,
    /// What it costs.
    pub amount: u64,
    /// Whether the merchant was once told that it was paid.
    pub told_paid: bool,
}

/// The record.
#[derive(Default)]
pub struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    by_id: BTreeMap<String, Entry>,
    /// Told of since somebody last looked whether they are still there.
    fresh: Vec<String>,
    /// Bill calls of `/2.0` that were sent, answered or not, by bill number.
    calls: BTreeMap<String, u64>,
}

impl Book {
    /// The server has told of this transaction.
    pub fn acknowledged(&self, id: &str, entry: Entry) {
        let mut pages = self.pages();
        pages.fresh.push(id.to_owned());
        pages.by_id.entry(id.to_owned()).or_insert(entry);
    }

    /// The merchant was told that it was paid.
    pub fn told_paid(&self, id: &str) {
        if let Some(entry) = self.pages().by_id.get_mut(id) {
            entry.told_paid = true;
        }
    }

    /// A bill call of `/2.0` leaves.
    pub fn call(&self, bill_num: &str) {
        *self.pages().calls.entry(bill_num.to_owned()).or_default() += 1;
    }

    /// Bill calls that were sent with this number.
    #[must_use]
    pub fn calls(&self, bill_num: &str) -> u64 {
        self.pages().calls.get(bill_num).copied().unwrap_or(0)
    }

    /// Those told of since the last time, to be looked for.
    #[must_use]
    pub fn take_fresh(&self) -> Vec<String> {
        std::mem::take(&mut self.pages().fresh)
    }

    /// Everything that was told.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        self.pages().by_id.clone()
    }

    /// The entry of a transaction.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<Entry> {
        self.pages().by_id.get(id).cloned()
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
