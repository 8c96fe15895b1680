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
use crate::model::{Account, App, Subscription, SubscriptionState};
use crate::store::records::read_record;
use crate::store::{Store, StoreError, Table, keys};

use walk::{Rows, Way, found, record};

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
///
/// All that are listed are looked at: deleted ones are among them only in a store that once listed them.
pub(crate) fn subscription_count(store: &dyn Store, scope: Scope, max: usize) -> Result<usize, Error> {
    let way = Way { after: None, newest_first: true, wanted: max, rows_max: usize::MAX, bytes_max: usize::MAX };
    let counted = Rows::of(Table::SubscriptionByApp, scope).walk(
        store,
        &way,
        |()| 0,
        |row, _| {
            let Some(id) = keys::last_id(&row.key) else { return Ok(None) };
            let is_deleted = match read_record::<Subscription>(store, &keys::subscription(id)) {
                Ok((subscription, _)) => subscription.is_some_and(|it| it.state == SubscriptionState::Deleted),
                Err(StoreError::Row { .. }) => false,
                Err(why @ (StoreError::InUse(_) | StoreError::Damaged(_) | StoreError::Unavailable(_))) => {
                    return Err(why.into());
                }
            };
            Ok((!is_deleted).then_some(()))
        },
    )?;
    Ok(counted.items.len())
}
