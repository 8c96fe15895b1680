//! Tasks that somebody waits for, and what everybody counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// Tasks under way. Dropping it ends them.
#[derive(Default)]
pub struct Errands(Mutex<JoinSet<()>>);

impl Errands {
    /// Starts one, and forgets those that have ended.
    pub fn run(&self, errand: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(errand);
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.len()
    }
}

/// Counts by name.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    /// One more.
    pub fn add(&self, name: &'static str) {
        self.add_many(name, 1);
    }

    /// So many more.
    pub fn add_many(&self, name: &'static str, more: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += more;
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
