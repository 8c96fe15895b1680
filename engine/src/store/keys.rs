//! The key of every kind of row, and back. Integers are big-endian, so that keys sort as their values do.

use sha2::{Digest, Sha256};

use super::{RowKey, Seq, Table};
use crate::model::{
    AccountId, AlarmId, AppId, BillNum, DeliveryId, InboxId, Mode, RawId, SubscriptionId, Timestamp, TransactionId,
};

/// What becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DueKind {
    /// A transaction wants to be looked at.
    Transaction,
    /// A delivery wants its next try.
    Delivery,
    /// Work beside payments: the deliveries of a subscription follow a change of it.
    Maintenance,
}

impl DueKind {
    /// The byte that stands for it in keys; on disk, never changes.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Transaction => 1,
            Self::Delivery => 2,
            Self::Maintenance => 3,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Transaction),
            2 => Some(Self::Delivery),
            3 => Some(Self::Maintenance),
            _ => None,
        }
    }
}

/// A row of the `due` table, read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: DueKind,
    /// Which one.
    pub id: RawId,
}

/// `app` → App.
#[must_use]
pub fn app(id: AppId) -> RowKey {
    RowKey::new(Table::App, &[id.bytes()])
}

/// Digest of a bearer key → KeyOwner.
#[must_use]
pub fn key_digest(digest: &[u8; 32]) -> RowKey {
    RowKey::new(Table::KeyDigest, &[digest])
}

/// `account` → Account.
#[must_use]
pub fn account(id: AccountId) -> RowKey {
    RowKey::new(Table::Account, &[id.bytes()])
}

/// Index of the accounts of an app and mode.
#[must_use]
pub fn account_by_app(app: AppId, mode: Mode, id: AccountId) -> RowKey {
    RowKey::new(Table::AccountByApp, &[&owner_prefix(app, mode), id.bytes()])
}

/// `account` → Material.
#[must_use]
pub fn material(id: AccountId) -> RowKey {
    RowKey::new(Table::Material, &[id.bytes()])
}

/// `transaction` → Transaction.
#[must_use]
pub fn transaction(id: TransactionId) -> RowKey {
    RowKey::new(Table::Transaction, &[id.bytes()])
}

/// Index of the transactions of an app and mode.
#[must_use]
pub fn transaction_by_app(app: AppId, mode: Mode, id: TransactionId) -> RowKey {
    RowKey::new(Table::TransactionByApp, &[&owner_prefix(app, mode), id.bytes()])
}

/// Index of the transactions of a bill number, oldest first.
#[must_use]
pub fn transaction_by_bill(app: AppId, mode: Mode, number: &BillNum, id: TransactionId) -> RowKey {
    RowKey::new(Table::TransactionByBill, &[&bill_prefix(app, mode, number), id.bytes()])
}

/// What the keys of the index of a bill number's transactions begin with: the length keeps `1` apart from `12`.
#[must_use]
pub fn bill_prefix(app: AppId, mode: Mode, number: &BillNum) -> Vec<u8> {
    let text = number.as_str().as_bytes();
    let length = u16::try_from(text.len()).expect("a bill number has at most 128 characters");
    [&owner_prefix(app, mode), &length.to_be_bytes()[..], text].concat()
}

/// The merchant's number → Bill.
#[must_use]
pub fn bill(app: AppId, mode: Mode, number: &BillNum) -> RowKey {
    RowKey::new(Table::Bill, &[&owner_prefix(app, mode), number.as_str().as_bytes()])
}

/// A step of a record → Transition.
#[must_use]
pub fn transition(record: RawId, number: u32) -> RowKey {
    RowKey::new(Table::Transition, &[&record.0, &number.to_be_bytes()])
}

/// The raw evidence of a step → Evidence.
#[must_use]
pub fn evidence(record: RawId, number: u32) -> RowKey {
    RowKey::new(Table::Evidence, &[&record.0, &number.to_be_bytes()])
}

/// The place of an event → Event.
#[must_use]
pub fn event(seq: Seq, index: u32) -> RowKey {
    RowKey::new(Table::Event, &[&seq.0.to_be_bytes(), &index.to_be_bytes()])
}

/// The place in the key of an event's row.
#[must_use]
pub fn parse_event(key: &[u8]) -> Option<(Seq, u32)> {
    let (seq, index) = key.split_first_chunk::<8>()?;
    Some((Seq(u64::from_be_bytes(*seq)), u32::from_be_bytes(index.try_into().ok()?)))
}

/// `subscription` → Subscription.
#[must_use]
pub fn subscription(id: SubscriptionId) -> RowKey {
    RowKey::new(Table::Subscription, &[id.bytes()])
}

/// Index of the subscriptions of an app and mode.
#[must_use]
pub fn subscription_by_app(app: AppId, mode: Mode, id: SubscriptionId) -> RowKey {
    RowKey::new(Table::SubscriptionByApp, &[&owner_prefix(app, mode), id.bytes()])
}

/// `delivery` → Delivery.
#[must_use]
pub fn delivery(id: DeliveryId) -> RowKey {
    RowKey::new(Table::Delivery, &[id.bytes()])
}

/// Index of the deliveries of a subscription.
#[must_use]
pub fn delivery_by_subscription(subscription: SubscriptionId, id: DeliveryId) -> RowKey {
    RowKey::new(Table::DeliveryBySubscription, &[subscription.bytes(), id.bytes()])
}

/// Index of the deliveries of an app and mode.
#[must_use]
pub fn delivery_by_app(app: AppId, mode: Mode, id: DeliveryId) -> RowKey {
    RowKey::new(Table::DeliveryByApp, &[&owner_prefix(app, mode), id.bytes()])
}

/// Something that is due at a moment.
#[must_use]
pub fn due(at: Timestamp, kind: DueKind, id: RawId) -> RowKey {
    RowKey::new(Table::Due, &[&at.millis().to_be_bytes(), &[kind.byte()], &id.0])
}

/// What the key of a due row says; `None` for a key that no version of this program wrote.
#[must_use]
pub fn parse_due(key: &[u8]) -> Option<Due> {
    let (millis, rest) = key.split_first_chunk::<8>()?;
    let (kind, id) = rest.split_first()?;
    let at = Timestamp::exactly(u64::from_be_bytes(*millis))?;
    Some(Due { at, kind: DueKind::from_byte(*kind)?, id: RawId(id.try_into().ok()?) })
}

/// The first due key after `at`: the exclusive end of a scan for what is due.
#[must_use]
pub fn due_after(at: Timestamp) -> Vec<u8> {
    at.millis().saturating_add(1).to_be_bytes().to_vec()
}

/// A key that may be used once for ever, among all accounts of an adapter in a mode → OnceOwner.
#[must_use]
pub fn once(adapter: &str, mode: Mode, key: &[u8]) -> RowKey {
    RowKey::new(Table::Once, &[&digest(&[adapter.as_bytes(), &[mode.byte()], key])])
}

/// An `Idempotency-Key` of a credential's owner → Idempotency.
#[must_use]
pub fn idempotency(owner: &[u8], mode: Mode, route: &str, key: &str) -> RowKey {
    RowKey::new(Table::Idempotency, &[&digest(&[owner, &[mode.byte()], route.as_bytes(), key.as_bytes()])])
}

/// `inbox` → InboxItem.
#[must_use]
pub fn inbox(id: InboxId) -> RowKey {
    RowKey::new(Table::Inbox, &[id.bytes()])
}

/// The row that says why `row` is set aside → SetAside.
#[must_use]
pub fn set_aside(row: &RowKey) -> RowKey {
    RowKey::new(Table::SetAside, &[&[row.table.number()], &row.key])
}

/// Which row the key of a set-aside row speaks of.
#[must_use]
pub fn parse_set_aside(key: &[u8]) -> Option<RowKey> {
    let (number, row) = key.split_first()?;
    let table = Table::numbered(*number)?;
    Some(RowKey::new(table, &[row]))
}

/// `alarm` → Alarm.
#[must_use]
pub fn alarm(id: AlarmId) -> RowKey {
    RowKey::new(Table::Alarm, &[id.bytes()])
}

/// A named engine-wide value → MetaValue.
#[must_use]
pub fn meta(name: &str) -> RowKey {
    RowKey::new(Table::Meta, &[name.as_bytes()])
}

/// What the keys of the by-app indexes begin with.
#[must_use]
pub fn owner_prefix(app: AppId, mode: Mode) -> Vec<u8> {
    [app.bytes().as_slice(), &[mode.byte()]].concat()
}

/// The id at the end of a key of an index.
#[must_use]
pub fn last_id<T: From<RawId>>(key: &[u8]) -> Option<T> {
    key.last_chunk::<{ RawId::LEN }>().map(|id| T::from(RawId(*id)))
}

/// SHA-256 of the parts, each behind its length, so that no two lists of parts are alike.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        let length = u64::try_from(part.len()).expect("a length fits 64 bits");
        hash.update(length.to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
