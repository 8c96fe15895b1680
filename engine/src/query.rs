//! Reads for merchants and operators: lists and pages, straight from the store, past the busy actors.
//!
//! Every list goes by ids, which sort by creation. A page looks at a bounded number of rows and says where the next one
//! begins; a record that does not decode is left out and logged. What is committed before a list starts is in it.

mod operators;
mod transactions;
mod walk;

pub(crate) use operators::{alarms, inbox, set_aside};
pub(crate) use transactions::{deliveries, records, timeline, transactions};

use crate::Error;
use crate::api::{Page, PageRequest, Scope};
use crate::model::{Account, App, Subscription, SubscriptionId, SubscriptionState};
use crate::store::{Scan, Store, Table, keys};

use walk::{PAGE_ROWS_MAX, Rows, found, record};

/// Apps.
pub(crate) fn apps(store: &dyn Store, page: PageRequest) -> Result<Page<App>, Error> {
    Rows::table(Table::App).page(store, page, |row, value| Ok(record::<App>(row, value)))
}

/// Accounts of an app and mode.
pub(crate) fn accounts(store: &dyn Store, scope: Scope, page: PageRequest) -> Result<Page<Account>, Error> {
    Rows::of(Table::AccountByApp, scope)
        .page(store, page, |row, _| found::<Account>(store, keys::last_id(&row.key).map(keys::account)))
}

/// Subscriptions of an app and mode that are not deleted.
pub(crate) fn subscriptions(store: &dyn Store, scope: Scope, page: PageRequest) -> Result<Page<Subscription>, Error> {
    Rows::of(Table::SubscriptionByApp, scope).page(store, page, |row, _| {
        let subscription = found::<Subscription>(store, keys::last_id(&row.key).map(keys::subscription))?;
        Ok(subscription.filter(|it| it.state != SubscriptionState::Deleted))
    })
}

/// How many subscriptions of an app and mode are not deleted, counted up to `max`. One that does not decode counts.
pub(crate) fn subscription_count(store: &dyn Store, scope: Scope, max: usize) -> Result<usize, Error> {
    let prefix = keys::owner_prefix(scope.app_id, scope.mode);
    let mut scan = Scan::prefix(Table::SubscriptionByApp, &prefix, PAGE_ROWS_MAX);
    // The newest are the ones that are least likely deleted.
    scan.newest_first = true;
    let mut count = 0;
    for (key, _) in store.scan(&scan)?.rows {
        let Some(id) = keys::last_id::<SubscriptionId>(&key) else { continue };
        let read = crate::store::records::read_record::<Subscription>(store, &keys::subscription(id));
        let deleted = matches!(read, Ok((Some(it), _)) if it.state == SubscriptionState::Deleted);
        if !deleted {
            count += 1;
        }
        if count >= max {
            break;
        }
    }
    Ok(count)
}
