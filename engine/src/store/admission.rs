//! Which batches may be committed: preconditions in the order of arrival, and the rows that a batch becomes. Shared by
//! both bodies of the store; it knows no disk.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use super::fanout::{Fanout, PreparedEvent};
use super::{Batch, CommitError, Put, RowKey, Seq, Watch};

/// A batch has at most so many rows, events counted in.
pub const BATCH_ROWS_MAX: usize = 2_048;
/// A batch has at most so many bytes of keys and values.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// A batch publishes at most so many events.
pub const BATCH_EVENTS_MAX: usize = 64;
/// The longest key.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Rows of which the newest change is remembered: between this number and twice it.
const REMEMBERED: usize = 400_000;

/// A batch made ready off the writer: keys hashed, events encoded, sizes checked.
pub struct Prepared {
    watches: Vec<(u64, Watch)>,
    puts: Vec<Put>,
    hashes: Vec<u64>,
    events: Vec<PreparedEvent>,
    bytes: usize,
}

impl Prepared {
    /// Bytes of its keys, values and events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks and prepares a batch.
    ///
    /// # Errors
    /// [`CommitError::TooLarge`].
    pub fn new(batch: Batch) -> Result<Self, CommitError> {
        let Batch { watches, puts, events } = batch;
        let events: Vec<PreparedEvent> = events.into_iter().map(PreparedEvent::new).collect();
        let bytes =
            puts.iter().map(put_bytes).sum::<usize>() + events.iter().map(|event| event.payload.len()).sum::<usize>();
        let longest = puts.iter().map(|put| put.key.key.len()).max().unwrap_or(0);
        let fits = bytes <= BATCH_BYTES_MAX
            && puts.len() + events.len() <= BATCH_ROWS_MAX
            && watches.len() <= BATCH_ROWS_MAX
            && events.len() <= BATCH_EVENTS_MAX
            && longest <= KEY_BYTES_MAX;
        if !fits {
            return Err(CommitError::TooLarge);
        }
        let watches = watches.into_iter().map(|watch| (hash_of(&watch.key), watch)).collect();
        let hashes = puts.iter().map(|put| hash_of(&put.key)).collect();
        Ok(Self { watches, puts, hashes, events, bytes })
    }
}

/// The bytes of key and value of a change.
#[must_use]
pub fn put_bytes(put: &Put) -> usize {
    put.key.key.len() + put.value.as_ref().map_or(0, |value| value.len())
}

/// What one group becomes.
#[derive(Default)]
pub struct Group {
    /// Its changes in order; of two to one row the later counts.
    pub puts: Vec<Put>,
    /// Bytes of them.
    pub bytes: usize,
    /// Events published so far in it.
    events: u32,
}

/// Judges batches one after the other.
pub struct Admission {
    recent: Recent,
    fanout: Fanout,
}

impl Admission {
    /// Starts behind `last`, with the subscriptions as they are then.
    #[must_use]
    pub fn new(last: Seq, fanout: Fanout) -> Self {
        Self { recent: Recent::new(last, REMEMBERED), fanout }
    }

    /// Appends a batch to the group that becomes `seq`, or refuses it and leaves the group as it is.
    ///
    /// # Errors
    /// [`CommitError::Conflict`], [`CommitError::Stale`].
    pub fn admit(&mut self, prepared: Prepared, seq: Seq, group: &mut Group) -> Result<(), CommitError> {
        for (hash, watch) in &prepared.watches {
            self.recent.check(*hash, watch)?;
        }
        let Prepared { puts, hashes, events, .. } = prepared;
        for (put, hash) in puts.iter().zip(&hashes) {
            self.recent.note(*hash, seq);
            self.fanout.observe(put);
            group.bytes += put_bytes(put);
        }
        group.puts.extend(puts);
        for event in &events {
            let before = group.puts.len();
            self.fanout.expand(event, seq, group.events, &mut group.puts);
            group.events += 1;
            for put in &group.puts[before..] {
                self.recent.note(hash_of(&put.key), seq);
                group.bytes += put_bytes(put);
            }
        }
        self.recent.turn(seq);
        Ok(())
    }
}

/// The newest change of the rows changed of late, by the hash of their keys.
///
/// Two rows with one hash look like one row: then a watch may fail that need not, and the repeat after a fresh read
/// goes through.
struct Recent {
    newer: Changes,
    older: Changes,
    /// What changed at or before it may be forgotten.
    floor: Seq,
    /// The newest commit in `older`.
    older_last: Seq,
    keep: usize,
}

type Changes = HashMap<u64, Seq, BuildHasherDefault<AsItIs>>;

impl Recent {
    fn new(floor: Seq, keep: usize) -> Self {
        Self { newer: Changes::default(), older: Changes::default(), floor, older_last: floor, keep }
    }

    fn check(&self, hash: u64, watch: &Watch) -> Result<(), CommitError> {
        match self.newer.get(&hash).or_else(|| self.older.get(&hash)) {
            Some(changed) if *changed > watch.seen => Err(CommitError::Conflict(watch.key.clone())),
            None if watch.seen < self.floor => Err(CommitError::Stale),
            Some(_) | None => Ok(()),
        }
    }

    fn note(&mut self, hash: u64, seq: Seq) {
        self.newer.insert(hash, seq);
    }

    /// Forgets the older half when the newer one is full. Group `seq` may go on afterwards, so it stays above the floor.
    fn turn(&mut self, seq: Seq) {
        if self.newer.len() >= self.keep {
            // The memory is used again: growing to that size would copy the whole, while everybody waits.
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
            self.floor = self.older_last;
            self.older_last = seq;
        }
    }
}

fn hash_of(key: &RowKey) -> u64 {
    // Fixed keys: an attacker who finds rows with one hash gains a needless repeat.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Hashes what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called for keys of type u64; this keeps the contract all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Table};

    fn row(number: u64) -> RowKey {
        RowKey::new(Table::Meta, &[&number.to_be_bytes()])
    }

    #[test]
    fn forgets_in_halves_and_says_so() {
        // A watch older than what is remembered is stale, never taken for unchanged; one that is remembered is exact.
        let mut admission = Admission { recent: Recent::new(Seq(0), 4), fanout: Fanout::default() };
        for number in 1..=20 {
            let mut batch = Batch::default();
            batch.put_marker(row(number));
            let prepared = Prepared::new(batch).expect("small");
            admission.admit(prepared, Seq(number), &mut Group::default()).expect("no watch");
            for (watched, seen) in (1..=number).flat_map(|watched| (0..=number).map(move |seen| (watched, seen))) {
                let watch = Watch { key: row(watched), seen: Seq(seen) };
                let verdict = admission.recent.check(hash_of(&watch.key), &watch);
                if seen < watched {
                    assert!(verdict.is_err(), "row {watched} changed after {seen}");
                } else if seen >= number.saturating_sub(4) {
                    assert_eq!(verdict, Ok(()), "row {watched} did not change after {seen} of {number}");
                }
            }
        }
    }
}
