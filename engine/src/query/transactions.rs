//! Lists of a merchant's transactions and deliveries.

use std::time::Duration;

use super::walk::{PAGE_ROWS_MAX, Rows, Way, found, record};
use crate::Error;
use crate::api::{DeliveryFilter, Page, PageRequest, RecordsQuery, Scope, TimelineEntry, TransactionFilter};
use crate::model::{
    Delivery, DeliveryState, RawId, Status, Subscription, Timestamp, Transaction, TransactionId, Transition, TryResult,
};
use crate::store::{RowKey, Scan, Store, Table, keys};

/// Records that one query of the original API leaves out at most.
const SKIP_MAX: usize = 10_000;
/// Records that it answers at most.
const RECORDS_MAX: usize = 1_000;
/// Transactions that it looks at: it has no cursor, so what it cannot look through it must refuse.
const RECORDS_ROWS_MAX: usize = 20 * PAGE_ROWS_MAX;
/// Bytes of records that it answers at most, as [`weight`] tells them: a page of the original console, 101 records, fits
/// in it whatever their extras are.
const RECORDS_BYTES_MAX: usize = 2 << 20;
/// Steps of a timeline in one answer.
const TIMELINE_MAX: usize = 100;
/// Ids run ahead of the wall clock while it catches up with a step back, and a record may be stamped a moment after its
/// id was made. Lists between two times look that much further.
const ID_SLACK: Duration = Duration::from_mins(1);
const ORIGINAL_STATUSES: [&str; 3] = ["created", "success", "refund"];
const DELIVERY_STATES: [&str; 5] = ["due", "held", "delivered", "exhausted", "cancelled"];

/// A page of transactions.
///
/// # Errors
/// [`Error::Invalid`] for a status that there is not.
pub(crate) fn transactions(
    store: &dyn Store,
    scope: Scope,
    filter: &TransactionFilter,
    page: PageRequest,
) -> Result<Page<Transaction>, Error> {
    one_of("status", filter.status.as_deref(), &Status::NAMES)?;
    rows_of(scope, filter).weighed_page(store, page, weight, |row, _| {
        let transaction = transaction_of(store, row)?;
        Ok(transaction.filter(|it| fits(filter, it, it.status.name())))
    })
}

/// Records for the original API, which counts pages instead of following a cursor.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::LimitReached`] when too many transactions would have to be looked through, or are too large
/// for one answer.
pub(crate) fn records(store: &dyn Store, scope: Scope, query: &RecordsQuery) -> Result<Vec<Transaction>, Error> {
    one_of("status", query.filter.status.as_deref(), &ORIGINAL_STATUSES)?;
    if query.skip > SKIP_MAX {
        return Err(Error::field("skip", format!("at most {SKIP_MAX}")));
    }
    if !(1..=RECORDS_MAX).contains(&query.limit) {
        return Err(Error::field("limit", format!("1 to {RECORDS_MAX}")));
    }
    let mut skip = query.skip;
    let way = Way {
        after: None,
        newest_first: query.newest_first,
        wanted: query.limit,
        rows_max: RECORDS_ROWS_MAX,
        bytes_max: RECORDS_BYTES_MAX,
    };
    let page = rows_of(scope, &query.filter).walk(store, &way, weight, |row, _| {
        let transaction = transaction_of(store, row)?.filter(|it| fits(&query.filter, it, it.original_status()));
        let skipped = transaction.is_some() && skip > 0;
        skip -= usize::from(skipped);
        Ok(transaction.filter(|_| !skipped))
    })?;
    // Cut short it would read as the last page: these clients know no cursor.
    if page.items.len() < query.limit && page.next.is_some() {
        let large = page.items.iter().map(weight).sum::<usize>() >= RECORDS_BYTES_MAX;
        let why = if large {
            "the records are too large for one answer: ask for fewer by limit"
        } else {
            "too many records to look through: name a shorter time"
        };
        return Err(Error::LimitReached(why.to_owned()));
    }
    Ok(page.items)
}

/// About how many bytes a transaction has in an answer: what a merchant can make large, and the rest.
fn weight(transaction: &Transaction) -> usize {
    1_024 + transaction.extras.as_ref().map_or(0, String::len)
}

/// The index that leaves the least to look through, between the ids of the filter's times.
fn rows_of(scope: Scope, filter: &TransactionFilter) -> Rows {
    let rows = match &filter.bill_num {
        Some(number) => Rows::under(Table::TransactionByBill, keys::bill_prefix(scope.app_id, scope.mode, number)),
        None => Rows::of(Table::TransactionByApp, scope),
    };
    rows.from(filter.created_from.map(|at| at.before(ID_SLACK))).to(filter.created_to.map(|at| at.after(ID_SLACK)))
}

fn transaction_of(store: &dyn Store, row: &RowKey) -> Result<Option<Transaction>, Error> {
    found::<Transaction>(store, keys::last_id(&row.key).map(keys::transaction))
}

fn fits(filter: &TransactionFilter, transaction: &Transaction, status: &str) -> bool {
    let within = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.is_none_or(|from| from <= transaction.created_at) && to.is_none_or(|to| transaction.created_at <= to)
    };
    filter.status.as_deref().is_none_or(|wanted| wanted == status)
        && filter.channels.as_ref().is_none_or(|channels| channels.contains(&transaction.channel))
        && filter.bill_num.as_ref().is_none_or(|number| *number == transaction.bill_num)
        && within(filter.created_from, filter.created_to)
        && filter.needs_attention.is_none_or(|wanted| wanted != transaction.attention.is_empty())
}

/// The steps of a transaction after step `after`, oldest first; at most 100.
pub(crate) fn timeline(
    store: &dyn Store,
    id: TransactionId,
    after: u32,
    limit: usize,
) -> Result<Vec<TimelineEntry>, Error> {
    let mut scan = Scan::prefix(Table::Transition, id.bytes(), limit.clamp(1, TIMELINE_MAX));
    scan.from = keys::transition(id.0, after.saturating_add(1)).key.to_vec();
    let rows = store.scan(&scan)?.rows.into_iter();
    let steps = rows.filter_map(|(key, value)| record::<Transition>(&RowKey { table: Table::Transition, key }, &value));
    Ok(steps.map(|transition| TimelineEntry { transaction_id: id, transition }).collect())
}

/// A page of deliveries.
pub(crate) fn deliveries(
    store: &dyn Store,
    scope: Scope,
    filter: &DeliveryFilter,
    page: PageRequest,
) -> Result<Page<Delivery>, Error> {
    one_of("state", filter.state.as_deref(), &DELIVERY_STATES)?;
    let rows = match filter.subscription_id {
        None => Rows::of(Table::DeliveryByApp, scope),
        Some(id) => {
            let subscription = found::<Subscription>(store, Some(keys::subscription(id)))?;
            if !subscription.is_some_and(|it| it.app_id == scope.app_id && it.mode == scope.mode) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            Rows::under(Table::DeliveryBySubscription, id.bytes().to_vec())
        }
    };
    // Nothing is told of a transaction before it is made.
    let from = filter.transaction_id.map(|id| made_at(id.0).before(ID_SLACK));
    rows.from(from).weighed_page(store, page, delivery_weight, |row, _| {
        let delivery = found::<Delivery>(store, keys::last_id(&row.key).map(keys::delivery))?;
        Ok(delivery.filter(|it| delivery_fits(filter, it)))
    })
}

/// About how many bytes a delivery has in an answer: most are what its target answered.
fn delivery_weight(delivery: &Delivery) -> usize {
    let told = |result: &TryResult| match result {
        TryResult::Answered { excerpt: text, .. }
        | TryResult::NoAnswer { reason: text }
        | TryResult::Refused { reason: text }
        | TryResult::FunctionFailed { reason: text } => text.len(),
        TryResult::FunctionOk => 0,
    };
    512 + delivery.tries.iter().map(|each| 128 + told(&each.result)).sum::<usize>()
}

fn delivery_fits(filter: &DeliveryFilter, delivery: &Delivery) -> bool {
    filter.subscription_id.is_none_or(|id| id == delivery.subscription_id)
        && filter.transaction_id.is_none_or(|id| id == delivery.transaction_id)
        && filter.state.as_deref().is_none_or(|state| state == state_name(delivery.state))
}

fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Due { .. } => "due",
        DeliveryState::Held { .. } => "held",
        DeliveryState::Delivered { .. } => "delivered",
        DeliveryState::Exhausted => "exhausted",
        DeliveryState::Cancelled => "cancelled",
    }
}

/// The second in which an id was made.
fn made_at(id: RawId) -> Timestamp {
    let [a, b, c, d, ..] = id.0;
    Timestamp::from_millis(u64::from(u32::from_be_bytes([a, b, c, d])) * 1_000)
}

fn one_of(field: &str, value: Option<&str>, known: &[&str]) -> Result<(), Error> {
    match value {
        Some(value) if !known.contains(&value) => Err(Error::field(field, format!("one of {}", known.join(", ")))),
        Some(_) | None => Ok(()),
    }
}
