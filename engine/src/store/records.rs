//! Records over rows: typed reads, and batches that keep a record, its indexes and its due time together.

use std::sync::Arc;

use super::codec::{self, Record};
use super::keys::{self, DueKind};
use super::notes::SetAside;
use super::{Batch, Put, Read, RowKey, Rows, Scan, Seq, Store, StoreError, Value, Watch};
use crate::model::{
    Account, Alarm, AlarmId, AlarmKind, Delivery, DeliveryState, Event, Subscription, SubscriptionState, Timestamp,
    Transaction,
};

/// The record of a row, and the commit as of which it is the newest.
///
/// # Errors
/// As [`Store::read`]; [`StoreError::Row`] when its bytes do not decode.
pub fn read_record<T: Record>(store: &dyn Store, key: &RowKey) -> Result<(Option<T>, Seq), StoreError> {
    open(key, store.read(key)?)
}

/// As [`read_record`], when that needs no disk; `None` when it does.
///
/// # Errors
/// [`StoreError::Row`] when its bytes do not decode.
pub fn peek_record<T: Record>(store: &dyn Store, key: &RowKey) -> Option<Result<(Option<T>, Seq), StoreError>> {
    store.peek(key).map(|read| open(key, read))
}

/// A key, and the record under it if it decodes.
pub type Keyed<T> = (Arc<[u8]>, Result<T, StoreError>);

/// The records of a scan.
pub struct Records<T> {
    /// Key and record, in order. One that does not decode fails alone.
    pub records: Vec<Keyed<T>>,
    /// Whether more may follow.
    pub more: bool,
    /// The newest commit that this answer reflects.
    pub seen: Seq,
}

/// The records of a part of a table.
///
/// # Errors
/// As [`Store::scan`].
pub fn scan_records<T: Record>(store: &dyn Store, scan: &Scan) -> Result<Records<T>, StoreError> {
    let Rows { rows, more, seen } = store.scan(scan)?;
    let records = rows
        .into_iter()
        .map(|(key, value)| {
            let row = RowKey { table: scan.table, key };
            let record = decode_row(&row, &value);
            (row.key, record)
        })
        .collect();
    Ok(Records { records, more, seen })
}

/// The record in the bytes of one row.
///
/// # Errors
/// [`StoreError::Row`].
pub fn decode_row<T: Record>(key: &RowKey, value: &[u8]) -> Result<T, StoreError> {
    codec::decode(key, value).map_err(|why| StoreError::Row { key: key.clone(), why: why.to_string() })
}

/// What sets a row aside that cannot be worked on: the note, and the alarm that says so.
#[must_use]
pub fn set_aside(row: &RowKey, why: &str, alarm: AlarmId, now: Timestamp) -> Batch {
    let why: String = why.chars().take(500).collect();
    let text: String = format!("{row:?} is set aside: {why}").chars().take(500).collect();
    let mut batch = Batch::default();
    batch.put_record(keys::set_aside(row), &SetAside { why, since: now });
    let subject = hex::encode(&row.key);
    let alarm = Alarm { id: alarm, kind: AlarmKind::SetAside, subject, text, raised_at: now, acknowledged: None };
    batch.put_record(keys::alarm(alarm.id), &alarm);
    batch
}

fn open<T: Record>(key: &RowKey, read: Read) -> Result<(Option<T>, Seq), StoreError> {
    let record = read.value.map(|value| decode_row(key, &value)).transpose()?;
    Ok((record, read.seen))
}

impl Batch {
    /// Writes a record under `key`.
    pub fn put_record<T: Record>(&mut self, key: RowKey, record: &T) -> &mut Self {
        let value = codec::encode(&key, record);
        self.put(key, Some(value))
    }

    /// Writes a row whose key says it all.
    pub fn put_marker(&mut self, key: RowKey) -> &mut Self {
        self.put(key, Some(codec::marker()))
    }

    /// Removes a row; nothing happens to one that is not there.
    pub fn remove(&mut self, key: RowKey) -> &mut Self {
        self.put(key, None)
    }

    /// Demands that nobody has changed the row since `seen`.
    pub fn watch(&mut self, key: RowKey, seen: Seq) -> &mut Self {
        self.watches.push(Watch { key, seen });
        self
    }

    /// Publishes an event.
    pub fn publish(&mut self, event: Event) -> &mut Self {
        self.events.push(event);
        self
    }

    /// Writes a transaction: `before` is the record as it stands in the store, `None` for a new one. A new one is
    /// listed, by its app and by its bill number; the row of the due table moves along.
    pub fn put_transaction(&mut self, before: Option<&Transaction>, after: &Transaction) -> &mut Self {
        if before.is_none() {
            self.put_marker(keys::transaction_by_app(after.app_id, after.mode, after.id));
            self.put_marker(keys::transaction_by_bill(after.app_id, after.mode, &after.bill_num, after.id));
        }
        let old = before.and_then(|before| before.due_at);
        self.move_due(DueKind::Transaction, after.id.0, old, after.due_at);
        self.put_record(keys::transaction(after.id), after)
    }

    /// Writes a delivery, as [`Batch::put_transaction`] does a transaction.
    pub fn put_delivery(&mut self, before: Option<&Delivery>, after: &Delivery) -> &mut Self {
        if before.is_none() {
            self.put_marker(keys::delivery_by_subscription(after.subscription_id, after.id));
            self.put_marker(keys::delivery_by_app(after.app_id, after.mode, after.id));
        }
        let old = before.and_then(due_of_delivery);
        self.move_due(DueKind::Delivery, after.id.0, old, due_of_delivery(after));
        self.put_record(keys::delivery(after.id), after)
    }

    /// Writes an account; a new one is listed.
    pub fn put_account(&mut self, before: Option<&Account>, after: &Account) -> &mut Self {
        if before.is_none() {
            self.put_marker(keys::account_by_app(after.app_id, after.mode, after.id));
        }
        self.put_record(keys::account(after.id), after)
    }

    /// Writes a subscription; a new one is listed, and a deleted one no longer: so those that are listed are few.
    pub fn put_subscription(&mut self, before: Option<&Subscription>, after: &Subscription) -> &mut Self {
        let listed = keys::subscription_by_app(after.app_id, after.mode, after.id);
        if after.state == SubscriptionState::Deleted {
            self.remove(listed);
        } else if before.is_none() {
            self.put_marker(listed);
        }
        self.put_record(keys::subscription(after.id), after)
    }

    /// Moves the due time of something from `old` to `new`; `None`: it is not due at all.
    pub fn move_due(
        &mut self,
        kind: DueKind,
        id: crate::model::RawId,
        old: Option<Timestamp>,
        new: Option<Timestamp>,
    ) -> &mut Self {
        if old == new {
            return self;
        }
        if let Some(old) = old {
            self.remove(keys::due(old, kind, id));
        }
        if let Some(new) = new {
            self.put_marker(keys::due(new, kind, id));
        }
        self
    }

    fn put(&mut self, key: RowKey, value: Option<Value>) -> &mut Self {
        self.puts.push(Put { key, value });
        self
    }
}

/// When a delivery wants its next try.
#[must_use]
pub fn due_of_delivery(delivery: &Delivery) -> Option<Timestamp> {
    match delivery.state {
        DeliveryState::Due { at } => Some(at),
        DeliveryState::Held { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Exhausted
        | DeliveryState::Cancelled => None,
    }
}
