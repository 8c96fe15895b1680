//! Counts what became durable of tries, from the store's commits: how many, how late each began, and what is still to come.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maxpay_engine::machine::schedule::Schedule;
use maxpay_engine::model::{Delivery, DeliveryState, SubscriptionId};
use maxpay_engine::store::{CommitListener, Put, Seq, Table, codec};

/// What was counted.
#[derive(Debug, Default)]
pub struct Counted {
    /// Tries whose result is durable.
    pub tries: u64,
    /// First tries of deliveries to receivers that answer.
    pub first_answered: u64,
    /// Deliveries that have ended.
    pub ended: u64,
    /// Milliseconds that each try began after its due time.
    pub late_ms: Vec<u64>,
    /// Rows that were no delivery's try, or did not decode: there must be none.
    pub strange: u64,
}

/// A listener of the store.
pub struct Count {
    schedule: Schedule,
    hanging: BTreeSet<SubscriptionId>,
    counted: Mutex<Counted>,
}

impl Count {
    /// Nothing yet. Receivers of `hanging` never answer.
    pub fn new(schedule: Schedule, hanging: BTreeSet<SubscriptionId>) -> Self {
        Self { schedule, hanging, counted: Mutex::default() }
    }

    /// What was counted so far.
    pub fn so_far(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the newest try was due: the first when the delivery was made, another one a gap after the end of the one
    /// before.
    fn late(&self, delivery: &Delivery) -> Option<Duration> {
        let newest = delivery.tries.last()?;
        let due = match delivery.tries.len().checked_sub(2).and_then(|place| delivery.tries.get(place)) {
            None => delivery.created_at,
            Some(before) => before.ended_at.after(self.schedule.gap_after(newest.number.checked_sub(1)?)?),
        };
        Some(newest.started_at.since(due))
    }
}

impl CommitListener for Count {
    fn committed(&self, _: Seq, puts: &[Put]) {
        for put in puts.iter().filter(|put| put.key.table == Table::Delivery) {
            let delivery = put.value.as_ref().and_then(|value| codec::decode::<Delivery>(&put.key, value).ok());
            let late = delivery.as_ref().and_then(|delivery| self.late(delivery));
            let mut counted = self.so_far();
            let (Some(delivery), Some(late)) = (delivery, late) else {
                counted.strange += 1;
                continue;
            };
            counted.tries += 1;
            counted.late_ms.push(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
            let answers = !self.hanging.contains(&delivery.subscription_id);
            counted.first_answered += u64::from(delivery.tries.len() == 1 && answers);
            counted.ended += u64::from(match delivery.state {
                DeliveryState::Delivered { .. } | DeliveryState::Exhausted | DeliveryState::Cancelled => true,
                DeliveryState::Due { .. } | DeliveryState::Held { .. } => false,
            });
        }
    }
}
