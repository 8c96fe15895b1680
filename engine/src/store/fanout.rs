//! From an event to the deliveries it makes: the writer's table of subscriptions. Which subscriptions get an event is
//! fixed in the commit that publishes it; what a delivery says and where to is read at each try, elsewhere.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::codec;
use super::keys;
use super::{Batch, Put, Seq, Table};
use crate::model::{
    AppId, Delivery, DeliveryId, DeliveryMode, DeliveryState, Event, EventId, EventKind, Mode, RawId, Subscription,
    SubscriptionId, SubscriptionState,
};

/// Who wants which events, as of the newest group.
#[derive(Debug, Default)]
pub struct Fanout {
    owners: HashMap<SubscriptionId, (AppId, Mode)>,
    interests: HashMap<(AppId, Mode), BTreeMap<SubscriptionId, Interest>>,
}

#[derive(Debug)]
struct Interest {
    kinds: Vec<EventKind>,
    held: bool,
}

/// An event with its payload, encoded off the writer.
pub struct PreparedEvent {
    /// The event.
    pub event: Event,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl PreparedEvent {
    /// Encodes `event`.
    #[must_use]
    pub fn new(event: Event) -> Self {
        let payload = codec::payload(&event);
        Self { event, payload }
    }
}

impl Fanout {
    /// Learns from a change. A subscription that does not decode gets nothing; whoever reads it sets it aside.
    pub fn observe(&mut self, put: &Put) {
        if put.key.table != Table::Subscription {
            return;
        }
        let Some(id) = keys::last_id::<SubscriptionId>(&put.key.key) else { return };
        if let Some(owner) = self.owners.remove(&id)
            && let Some(interests) = self.interests.get_mut(&owner)
        {
            interests.remove(&id);
        }
        let Some(value) = &put.value else { return };
        match codec::decode::<Subscription>(&put.key, value) {
            Ok(subscription) => self.learn(&subscription),
            Err(why) => tracing::error!(row = ?put.key, %why, "a subscription does not decode and gets no events"),
        }
    }

    fn learn(&mut self, subscription: &Subscription) {
        let held = match (subscription.state, subscription.delivery) {
            (SubscriptionState::Enabled, DeliveryMode::Events) => false,
            (SubscriptionState::Disabled, DeliveryMode::Events) => true,
            (SubscriptionState::Deleted, _) | (_, DeliveryMode::TestSendsOnly) => return,
        };
        let owner = (subscription.app_id, subscription.mode);
        self.owners.insert(subscription.id, owner);
        let interest = Interest { kinds: subscription.event_types.clone(), held };
        self.interests.entry(owner).or_default().insert(subscription.id, interest);
    }

    /// The rows that publish an event at (`seq`, `index`), appended to `rows`: its own, and one delivery with its index
    /// and due rows for each subscription that wants it.
    pub fn expand(&self, prepared: &PreparedEvent, seq: Seq, index: u32, rows: &mut Vec<Put>) {
        let event = &prepared.event;
        let key = keys::event(seq, index);
        let value = codec::seal::<Event>(&key, &prepared.payload);
        rows.push(Put { key, value: Some(value) });
        let Some(interests) = self.interests.get(&(event.app_id, event.mode)) else { return };
        let wanting = interests.iter().filter(|(_, interest)| interest.kinds.contains(&event.kind));
        let mut batch = Batch { puts: std::mem::take(rows), ..Batch::default() };
        for (subscription, interest) in wanting {
            let at = event.created_at;
            let state = if interest.held { DeliveryState::Held { due_at: at } } else { DeliveryState::Due { at } };
            batch.put_delivery(None, &new_delivery(event, *subscription, (seq.0, index), state));
        }
        *rows = batch.puts;
    }
}

/// The id of the delivery of an event to a subscription: the event's time, then a digest of both.
#[must_use]
pub fn delivery_id(event: EventId, subscription: SubscriptionId) -> DeliveryId {
    let digest = Sha256::new().chain_update(event.bytes()).chain_update(subscription.bytes()).finalize();
    let mut id = *event.bytes();
    id[7..].copy_from_slice(&digest[..5]);
    DeliveryId(RawId(id))
}

fn new_delivery(event: &Event, subscription: SubscriptionId, at: (u64, u32), state: DeliveryState) -> Delivery {
    Delivery {
        id: delivery_id(event.id, subscription),
        app_id: event.app_id,
        mode: event.mode,
        version: 1,
        subscription_id: subscription,
        event_id: event.id,
        event_at: at,
        kind: event.kind,
        transaction_id: event.transaction_id,
        created_at: event.created_at,
        state,
        tries_done: 0,
        tries: Vec::new(),
    }
}
