//! Lists that only the operator sees.

use super::walk::{PAGE_ROWS_MAX, Rows, record};
use crate::Error;
use crate::api::{AlarmFilter, Page, PageRequest, SetAsideRecord};
use crate::model::{Alarm, InboxItem, RawId};
use crate::store::{RowKey, Scan, Store, Table, keys, notes};

/// A page of alarms.
pub(crate) fn alarms(store: &dyn Store, filter: AlarmFilter, page: PageRequest) -> Result<Page<Alarm>, Error> {
    Rows::table(Table::Alarm).page(store, page, |row, value| {
        Ok(record::<Alarm>(row, value).filter(|alarm| !filter.open_only || alarm.acknowledged.is_none()))
    })
}

/// A page of notifications without a home.
pub(crate) fn inbox(store: &dyn Store, page: PageRequest) -> Result<Page<InboxItem>, Error> {
    Rows::table(Table::Inbox).page(store, page, |row, value| Ok(record::<InboxItem>(row, value)))
}

/// A page of what is set aside, in the order of its ids. Looks at the first 10,000 only: that many are an accident of
/// their own. Records of one id stay on one page.
pub(crate) fn set_aside(store: &dyn Store, page: PageRequest) -> Result<Page<SetAsideRecord>, Error> {
    let rows = store.scan(&Scan::prefix(Table::SetAside, &[], PAGE_ROWS_MAX))?.rows;
    let mut all: Vec<(RawId, SetAsideRecord)> =
        rows.into_iter().filter_map(|(key, value)| listed(key, &value)).collect();
    all.sort_by_key(|(id, record)| (*id, record.kind));
    if page.newest_first {
        all.reverse();
    }
    let passed = |id: RawId| page.after.is_some_and(|after| if page.newest_first { id >= after } else { id <= after });
    all.retain(|(id, _)| !passed(*id));
    let limit = page.limit.clamp(1, 100);
    let last = all.get(limit - 1).map(|(id, _)| *id);
    let end = last.map_or(all.len(), |last| all.iter().rposition(|(id, _)| *id == last).map_or(limit, |at| at + 1));
    let next = last.filter(|_| end < all.len());
    all.truncate(end);
    Ok(Page { items: all.into_iter().map(|(_, record)| record).collect(), next })
}

fn listed(key: std::sync::Arc<[u8]>, value: &[u8]) -> Option<(RawId, SetAsideRecord)> {
    let row = RowKey { table: Table::SetAside, key };
    let note = record::<notes::SetAside>(&row, value)?;
    let about = keys::parse_set_aside(&row.key)?;
    let mut id = [0; RawId::LEN];
    let length = about.key.len().min(RawId::LEN);
    id[..length].copy_from_slice(&about.key[..length]);
    let record =
        SetAsideRecord { kind: kind_of(about.table), id: hex::encode(&about.key), reason: note.why, since: note.since };
    Some((RawId(id), record))
}

fn kind_of(table: Table) -> &'static str {
    match table {
        Table::App => "app",
        Table::KeyDigest => "key",
        Table::Account | Table::AccountByApp => "account",
        Table::Material => "material",
        Table::Transaction | Table::TransactionByApp | Table::TransactionByBill => "transaction",
        Table::Bill => "bill",
        Table::Transition => "transition",
        Table::Evidence => "evidence",
        Table::Event => "event",
        Table::Subscription | Table::SubscriptionByApp => "subscription",
        Table::Delivery | Table::DeliveryBySubscription | Table::DeliveryByApp => "delivery",
        Table::Due => "due",
        Table::Once => "once",
        Table::Idempotency => "idempotency",
        Table::Inbox => "inbox",
        Table::SetAside => "set_aside",
        Table::Alarm => "alarm",
        Table::Meta => "meta",
        Table::Refund => "refund",
    }
}
