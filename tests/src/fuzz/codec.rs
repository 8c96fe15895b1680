//! The rows of the store: bytes that a disk gives back.

use std::fmt::Debug;

use maxpay_engine::model::{
    Account, Alarm, App, Bill, Delivery, Event, InboxItem, KeyOwner, RawId, Subscription, Transaction, Transition,
};
use maxpay_engine::store::codec::{self, CodecError, Record};
use maxpay_engine::store::keys;
use maxpay_engine::store::notes::{Evidence, Idempotency, Material, MetaValue, OnceOwner, SetAside};

/// The number of a kind of record on disk, and what reads its payloads.
type Kind = (u8, fn(&[u8]));

const RECORDS: [Kind; 17] = [
    (App::KIND, record::<App>),
    (KeyOwner::KIND, record::<KeyOwner>),
    (Account::KIND, record::<Account>),
    (Transaction::KIND, record::<Transaction>),
    (Bill::KIND, record::<Bill>),
    (Transition::KIND, record::<Transition>),
    (Event::KIND, record::<Event>),
    (Subscription::KIND, record::<Subscription>),
    (Delivery::KIND, record::<Delivery>),
    (InboxItem::KIND, record::<InboxItem>),
    (Alarm::KIND, record::<Alarm>),
    (Idempotency::KIND, record::<Idempotency>),
    (OnceOwner::KIND, record::<OnceOwner>),
    (SetAside::KIND, record::<SetAside>),
    (Evidence::KIND, record::<Evidence>),
    (Material::KIND, record::<Material>),
    (MetaValue::KIND, record::<MetaValue>),
];

/// First byte: a kind of record, and a payload follows; 0, and a whole row follows; another, and a key follows.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    match RECORDS.iter().find(|(kind, _)| kind == first) {
        Some((_, record)) => record(rest),
        None if *first == 0 => row(rest),
        None => key(rest),
    }
}

/// Whether a kind of record is among those that are tried.
#[must_use]
pub fn knows(kind: u8) -> bool {
    RECORDS.iter().any(|(known, _)| *known == kind)
}

/// A payload that decodes can be shown, and comes back from what it encodes to, which is no longer.
fn record<T: Record + PartialEq + Debug>(payload: &[u8]) {
    let key = keys::meta("fuzz");
    let row = codec::seal::<T>(&key, payload);
    let Ok(record) = codec::decode::<T>(&key, &row) else { return };
    let shown = format!("{record:?}");
    let again = codec::encode(&key, &record);
    assert!(again.len() <= row.len(), "{} bytes became {}: {shown}", row.len(), again.len());
    assert_eq!(codec::decode::<T>(&key, &again).as_ref(), Ok(&record));
    let elsewhere = codec::decode::<T>(&keys::meta("elsewhere"), &row);
    assert_eq!(elsewhere, Err(CodecError::Checksum), "{shown}");
}

/// A row is taken only as it was sealed.
fn row(row: &[u8]) {
    let key = keys::meta("fuzz");
    match codec::decode::<MetaValue>(&key, row) {
        Ok(value) => assert_eq!(*codec::encode(&key, &value), *row),
        Err(CodecError::Payload(_) | CodecError::Trailing(_)) => assert_eq!(codec::intact(&key, row), Ok(())),
        Err(_) => {}
    }
}

/// A key that reads is the one that its parts make.
fn key(key: &[u8]) {
    if let Some(due) = keys::parse_due(key) {
        assert_eq!(*keys::due(due.at, due.kind, due.id).key, *key, "{due:?}");
    }
    if let Some((seq, index)) = keys::parse_event(key) {
        assert_eq!(*keys::event(seq, index).key, *key);
    }
    if let Some(row) = keys::parse_set_aside(key) {
        assert_eq!(*keys::set_aside(&row).key, *key, "{row:?}");
    }
    if let Some(id) = keys::last_id::<RawId>(key) {
        assert!(key.ends_with(&id.0), "{id}");
    }
}
