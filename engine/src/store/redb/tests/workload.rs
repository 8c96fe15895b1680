//! A small business whose every state is known: what a store must show after each of its commits.

use std::sync::Arc;

use crate::model::{
    DeliveryMode, Event, EventId, Subscription, SubscriptionId, SubscriptionState, Timestamp, Transaction,
};
use crate::store::exam::wait;
use crate::store::memory::MemoryStore;
use crate::store::redb::RedbStore;
use crate::store::samples::{raw, sample_event, sample_subscription, sample_transaction};
use crate::store::{Batch, CommitError, Scan, Store, StoreError, Table};

/// Every row of a store.
pub type Dump = Vec<(Table, Vec<u8>, Vec<u8>)>;

/// Every row of a store, by table and key.
pub fn dump(store: &dyn Store) -> Result<Dump, StoreError> {
    let mut dump = Vec::new();
    for table in Table::ALL {
        let rows = store.scan(&Scan::prefix(table, &[], 10_000))?.rows;
        dump.extend(rows.into_iter().map(|(key, value)| (table, key.to_vec(), value.to_vec())));
    }
    Ok(dump)
}

/// The batch that comes after `number` others: a subscription first, then payments that move on, claim and release keys
/// and publish events.
pub fn batch(number: u8) -> Batch {
    let mut batch = Batch::default();
    if number == 0 {
        let (state, delivery) = (SubscriptionState::Enabled, DeliveryMode::Events);
        let subscription = Subscription { id: SubscriptionId(raw(50)), state, delivery, ..sample_subscription() };
        batch.put_subscription(None, &subscription);
        return batch;
    }
    let at = |step: u8| Some(Timestamp::from_millis(u64::from(step) * 1_000));
    let payment = |step: u8| Transaction {
        id: crate::model::TransactionId(raw(1 + step % 3)),
        version: u64::from(step),
        due_at: at(step),
        subject: "tea ".repeat(usize::from(step) * 20),
        ..sample_transaction()
    };
    let before = number.checked_sub(3).filter(|before| *before > 0).map(payment);
    batch.put_transaction(before.as_ref(), &payment(number));
    if number.is_multiple_of(2) {
        batch.publish(Event { id: EventId(raw(number)), ..sample_event() });
    }
    batch
}

/// Where the workload asks for a checkpoint: after these batches.
fn checkpoint_after(number: u8) -> bool {
    number % 4 == 2
}

/// The states of a store after 0, 1, 2 … of the batches, from the body in memory.
pub fn states(batches: u8) -> Vec<Dump> {
    let store = MemoryStore::new();
    let mut states = vec![dump(&store).expect("memory")];
    for number in 0..batches {
        wait(store.commit(batch(number))).expect("memory takes it");
        states.push(dump(&store).expect("memory"));
    }
    states
}

/// How far a workload came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Batches that were acknowledged.
    pub acknowledged: u8,
    /// Why the next one was not.
    pub unknown: bool,
}

/// Commits the batches from `first` to `end`, with checkpoints on the way, until the store refuses.
pub fn work(store: &Arc<RedbStore>, first: u8, end: u8) -> Reached {
    for number in first..end {
        match wait(store.commit(batch(number))) {
            Ok(_) => {}
            Err(CommitError::OutcomeUnknown) => return Reached { acknowledged: number, unknown: true },
            Err(CommitError::Fenced(_)) => return Reached { acknowledged: number, unknown: false },
            Err(other) => panic!("batch {number}: {other}"),
        }
        if checkpoint_after(number) && store.checkpoint().is_err() {
            return Reached { acknowledged: number + 1, unknown: false };
        }
    }
    Reached { acknowledged: end, unknown: false }
}
