//! Work beside payments that has become due. Its due row leads by its id to what is to be done: the deliveries of a
//! subscription follow it, a notification of the inbox is applied, idempotency keys are forgotten.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::engine::Inner;
use crate::front::is_forgotten;
use crate::model::{InboxId, InboxItem, Subscription, SubscriptionId, Timestamp};
use crate::store::codec::Record;
use crate::store::keys::{self, Due, DueKind};
use crate::store::records::decode_row;
use crate::store::{Batch, RowKey, Scan, Store, Table, notes};

/// Due rows that are looked through for keys that can be forgotten in one commit.
const TOGETHER: usize = 512;
/// How long after it came a notification of the inbox is applied again, at least and at most.
pub(crate) const APPLY_AGAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(1));

/// Does what is due, and removes the due row when it is done; or hands it to whoever does so.
///
/// # Errors
/// The store cannot answer or take it; the row stays and it is done again. [`Error::SetAside`] when what it is about
/// does not decode: that is set aside, and the row stays until it is mended.
pub(super) async fn work(inner: &Arc<Inner>, due: Due) -> Result<(), Error> {
    let id = SubscriptionId(due.id);
    if read::<Subscription>(inner, keys::subscription(id)).await?.is_some() {
        inner.sweeps.ask(inner, id, due.at);
        return Ok(());
    }
    match read::<InboxItem>(inner, keys::inbox(InboxId(due.id))).await? {
        Some(item) => apply(inner, &item, due).await,
        None => forget_keys(inner, due).await,
    }
}

/// The record of a row; one that does not decode is set aside.
async fn read<T: Record + Send + 'static>(inner: &Arc<Inner>, key: RowKey) -> Result<Option<T>, Error> {
    let read = inner.reader.record::<T>(key.clone()).await;
    if read.as_ref().is_err_and(|why| *why == Error::SetAside) {
        inner.set_aside.put(inner, key, "it does not decode");
    }
    read.map(|(record, _)| record)
}

/// Applies a notification that its record was too busy for.
async fn apply(inner: &Arc<Inner>, item: &InboxItem, due: Due) -> Result<(), Error> {
    let now = inner.clock.now().wall;
    let mut next = None;
    match inner.apply_item(item.id, None).await {
        Ok(()) | Err(Error::NotFound(_)) => {}
        Err(Error::Busy | Error::StoreUnavailable(_) | Error::OutcomeUnknown) => {
            let (least, most) = APPLY_AGAIN;
            next = Some(now.after(now.since(item.received_at).clamp(least, most)));
        }
        Err(why) => tracing::warn!(item = %item.id, %why, "a notification of the inbox waits for an operator"),
    }
    let mut batch = Batch::default();
    batch.move_due(DueKind::Maintenance, due.id, Some(due.at), next);
    if !batch.puts.is_empty() {
        inner.store.commit(batch).await?;
    }
    Ok(())
}

/// Removes the idempotency keys that are over from this due row on, and their due rows.
async fn forget_keys(inner: &Arc<Inner>, due: Due) -> Result<(), Error> {
    let now = inner.clock.now().wall;
    let batch = inner.reader.run(move |store| forgotten(store, due, now)).await??;
    inner.store.commit(batch).await?;
    Ok(())
}

fn forgotten(store: &dyn Store, first: Due, now: Timestamp) -> Result<Batch, Error> {
    let row = |due: &Due| keys::due(due.at, due.kind, due.id);
    let from = row(&first).key.to_vec();
    let rows = Scan { table: Table::Due, from, to: keys::due_after(now), newest_first: false, limit: TOGETHER };
    let mut batch = Batch::default();
    batch.remove(row(&first));
    for (key, _) in store.scan(&rows)?.rows {
        let Some(due) = keys::parse_due(&key).filter(|due| due.kind == DueKind::Maintenance) else { continue };
        // The id is what the key begins with.
        let of_this = store.scan(&Scan::prefix(Table::Idempotency, &due.id.0, 4))?;
        for (key, value) in of_this.rows {
            let key = RowKey { table: Table::Idempotency, key };
            // A note that does not decode can say no more until when it holds.
            let over = decode_row::<notes::Idempotency>(&key, &value).map_or(true, |note| is_forgotten(&note, now));
            // One that holds was written anew, with a due row of its own.
            if over {
                batch.watch(key.clone(), of_this.seen).remove(key);
            }
            if due != first {
                batch.remove(row(&due));
            }
        }
    }
    Ok(batch)
}
