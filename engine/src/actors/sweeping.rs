//! After a subscription has changed: its waiting deliveries are held, released or cancelled, in bounded batches.
//!
//! That this is to be done is a row of the due table, written with the change; it is removed when all is done, so that
//! a crash in between only delays.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::engine::Inner;
use crate::machine::delivery::{DeliveryInput, step};
use crate::model::{
    Delivery, DeliveryId, DeliveryMode, Subscription, SubscriptionId, SubscriptionState, Target, Timestamp,
};
use crate::store::keys::DueKind;
use crate::store::{Batch, CommitError, Put, Scan, Seq, Store, Table, keys, records};

/// Deliveries that are looked at together.
const PAGE: usize = 256;
/// Bytes of changed rows from which on a commit is full. A delivery with all its tries is far smaller than what a commit
/// may hold beyond it.
const COMMIT_BYTES: usize = 512 * 1024;

/// Subscriptions whose function is missing, each told once.
#[derive(Default)]
pub(crate) struct MissingFunctions(Mutex<BTreeSet<SubscriptionId>>);

impl MissingFunctions {
    /// Whether it is the first time.
    pub fn first(&self, id: SubscriptionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    /// It was not told after all: the next time is the first one again.
    pub fn untold(&self, id: SubscriptionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Has the waiting deliveries of a subscription follow it: joins the commit that changes it.
pub(crate) fn follow(batch: &mut Batch, id: SubscriptionId, now: Timestamp) {
    batch.move_due(DueKind::Maintenance, id.0, None, Some(now));
}

/// What the deliveries of a subscription are to do.
fn wanted(inner: &Inner, subscription: &Subscription) -> DeliveryInput {
    match (subscription.state, subscription.delivery) {
        (SubscriptionState::Deleted, _) => DeliveryInput::Cancel,
        (SubscriptionState::Disabled, _) | (_, DeliveryMode::TestSendsOnly) => DeliveryInput::Hold,
        (SubscriptionState::Enabled, DeliveryMode::Events) => match &subscription.target {
            Target::Function(name) if !inner.sender.functions().contains(name) => DeliveryInput::Hold,
            Target::Function(_) | Target::Url(_) => DeliveryInput::Release,
        },
    }
}

/// What going through the deliveries of a subscription came to.
pub(crate) enum Swept {
    /// They follow it, and the due rows of those moments, which asked for it, are gone.
    All(BTreeSet<Timestamp>),
    /// It has changed meanwhile: they are to be gone through again.
    Changed,
}

/// Goes through all deliveries of a subscription, then removes the due rows that have asked for it by then.
///
/// # Errors
/// The store cannot answer or take it; the rows stay and it is done again.
pub(crate) async fn sweep(
    inner: &Arc<Inner>,
    id: SubscriptionId,
    asked: impl FnOnce() -> BTreeSet<Timestamp>,
) -> Result<Swept, Error> {
    let read = async || {
        let (subscription, seen) = inner.reader.record::<Subscription>(keys::subscription(id)).await?;
        subscription.map(|it| (it, seen)).ok_or(Error::NotFound("subscription"))
    };
    let (subscription, _) = read().await?;
    let input = wanted(inner, &subscription);
    let mut from = id.bytes().to_vec();
    while let Some(next) = sweep_page(inner, id, &input, from).await? {
        from = next;
    }
    let rows = asked();
    // Read again: the store may no longer remember what changed since the beginning of a long way. Whoever asked before
    // this had changed it before.
    let (now, seen) = read().await?;
    if now.version != subscription.version {
        return Ok(Swept::Changed);
    }
    let mut batch = Batch::default();
    batch.watch(keys::subscription(id), seen);
    for at in &rows {
        batch.remove(keys::due(*at, DueKind::Maintenance, id.0));
    }
    match inner.store.commit(batch).await {
        Ok(_) => Ok(Swept::All(rows)),
        // A change of the same millisecond has written the same row: it must not go with that change undone.
        Err(CommitError::Conflict(_) | CommitError::Stale) => Ok(Swept::Changed),
        Err(why) => Err(why.into()),
    }
}

/// One page, from that key of the index on. Returns where the next one begins.
async fn sweep_page(
    inner: &Arc<Inner>,
    id: SubscriptionId,
    input: &DeliveryInput,
    from: Vec<u8>,
) -> Result<Option<Vec<u8>>, Error> {
    let scan = Scan { from, ..Scan::prefix(Table::DeliveryBySubscription, id.bytes(), PAGE) };
    let (deliveries, last, more) = inner.reader.run(move |store| read_page(store, &scan)).await??;
    let mut rest = deliveries.as_slice();
    while let Some((first, _)) = rest.first() {
        let (batch, looked_at) = one_commit(inner, input, rest);
        if !batch.puts.is_empty() {
            match inner.store.commit(batch).await {
                Ok(_) => {}
                // What is not done yet is read again.
                Err(CommitError::Conflict(_) | CommitError::Stale) => {
                    return Ok(Some(keys::delivery_by_subscription(id, first.id).key.to_vec()));
                }
                Err(why) => return Err(why.into()),
            }
        }
        rest = &rest[looked_at..];
    }
    // The first key behind the last one.
    Ok(last.filter(|_| more).map(|mut key| {
        key.push(0);
        key
    }))
}

/// The changes of as many deliveries as one commit takes, and how many of them were looked at; at least one.
fn one_commit(inner: &Inner, input: &DeliveryInput, deliveries: &[(Delivery, Seq)]) -> (Batch, usize) {
    let now = inner.clock.now().wall;
    let mut batch = Batch::default();
    let (mut looked_at, mut bytes) = (0, 0);
    for (delivery, seen) in deliveries {
        if bytes >= COMMIT_BYTES {
            break;
        }
        looked_at += 1;
        if let Ok(after) = step(delivery, input.clone(), now, &inner.settings.schedule) {
            let before = batch.puts.len();
            batch.watch(keys::delivery(after.id), *seen).put_delivery(Some(delivery), &after);
            let size = |put: &Put| put.key.key.len() + put.value.as_ref().map_or(0, |value| value.len());
            bytes += batch.puts[before..].iter().map(size).sum::<usize>();
        }
    }
    (batch, looked_at)
}

type Page = (Vec<(Delivery, Seq)>, Option<Vec<u8>>, bool);

fn read_page(store: &dyn Store, scan: &Scan) -> Result<Page, Error> {
    let rows = store.scan(scan)?;
    let mut deliveries = Vec::new();
    for (key, _) in &rows.rows {
        let Some(id) = keys::last_id::<DeliveryId>(key) else { continue };
        match records::read_record::<Delivery>(store, &keys::delivery(id)) {
            Ok((Some(delivery), seen)) => deliveries.push((delivery, seen)),
            Ok((None, _)) => {}
            Err(crate::store::StoreError::Row { key, why }) => {
                tracing::error!(?key, why, "a delivery does not decode and stays as it is");
            }
            Err(why) => return Err(why.into()),
        }
    }
    Ok((deliveries, rows.rows.last().map(|(key, _)| key.to_vec()), rows.more))
}

/// Subscriptions whose function is registered now: what was held because it was missing is to go on.
///
/// # Errors
/// The store cannot answer or take it.
pub(crate) async fn follow_functions(inner: &Arc<Inner>) -> Result<(), Error> {
    let mut from = Vec::new();
    loop {
        let scan = Scan { from, ..Scan::prefix(Table::Subscription, &[], 1_000) };
        let page = inner.reader.run(move |store| records::scan_records::<Subscription>(store, &scan)).await??;
        let mut batch = Batch::default();
        let now = inner.clock.now().wall;
        for subscription in page.records.iter().filter_map(|(_, record)| record.as_ref().ok()) {
            let registered = |name: &String| inner.sender.functions().contains(name);
            if let Target::Function(name) = &subscription.target
                && subscription.state == SubscriptionState::Enabled
                && registered(name)
            {
                follow(&mut batch, subscription.id, now);
            }
        }
        if !batch.puts.is_empty() {
            inner.store.commit(batch).await?;
        }
        let Some((last, _)) = page.records.last().filter(|_| page.more) else { return Ok(()) };
        from = [&last[..], &[0]].concat();
    }
}
