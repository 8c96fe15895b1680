//! How many callers wait for a record's actor. Whoever comes to one that is full is told so at the door, before a thread of
//! the engine has anything to do with him, so that a flood of one record costs its neighbours nothing but what its callers
//! spend themselves; and places are left for what comes home to the record.
//!
//! Records share places by their ids' last bytes, far more places than there are commands under way.

use std::sync::atomic::{AtomicU16, Ordering};

use crate::model::RawId;

use super::router::ENTITY_MAX;

/// Places that callers leave to answers of providers, notifications and due times.
const LEFT: usize = 2;
/// One for each value of an id's last two bytes, which are random.
const PLACES: usize = 1 << 16;

/// Callers who wait for actors.
pub(crate) struct Doorkeeper(Box<[AtomicU16]>);

/// Counts one caller for as long as it is there.
pub(crate) struct Inside<'a>(&'a AtomicU16);

impl Doorkeeper {
    /// Whether so many wait for the record that one more is to come back later.
    pub fn is_full(&self, id: RawId) -> bool {
        usize::from(self.place(id).load(Ordering::Relaxed)) >= ENTITY_MAX - LEFT
    }

    /// One more waits, whether it is full or not: whoever asks by himself is sent away before.
    pub fn enter(&self, id: RawId) -> Inside<'_> {
        let place = self.place(id);
        place.fetch_add(1, Ordering::Relaxed);
        Inside(place)
    }

    fn place(&self, id: RawId) -> &AtomicU16 {
        let [.., high, low] = id.0;
        &self.0[usize::from(u16::from_be_bytes([high, low]))]
    }
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU16::new(0)).collect())
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_full_until_somebody_leaves() {
        // As many as there are places for callers come in, whoever leaves makes room, and another record has its own.
        let id = |last: u8| RawId([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, last]);
        let door = Doorkeeper::default();
        let mut inside: Vec<_> =
            (0..ENTITY_MAX - LEFT).map(|_| (!door.is_full(id(1))).then(|| door.enter(id(1)))).collect();
        assert!(inside.iter().all(Option::is_some) && door.is_full(id(1)) && !door.is_full(id(2)));
        inside.pop();
        assert!(!door.is_full(id(1)));
        inside.clear();
        assert_eq!(door.place(id(1)).load(Ordering::Relaxed), 0);
    }
}
