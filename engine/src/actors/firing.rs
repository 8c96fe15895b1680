//! What the timekeeper sets off: a due transaction, a group of due deliveries, work beside payments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::Error;
use crate::engine::Inner;
use crate::model::{AccountId, Delivery, DeliveryId, SubscriptionId, Transaction, TransactionId};
use crate::store::keys::{self, Due};
use crate::store::{Batch, RowKey, Seq, Store, StoreError, notes, records};

use super::subscription::{DueDelivery, SubscriptionMessage};
use super::ticket::Ticket;
use super::transaction::{TransactionMessage, What};
use super::upkeep;

/// How often something busy is asked again, in real time, before it is left to be offered anew.
const PATIENCE: u32 = 40;
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Tells a transaction that its time has come. `has_waited`: its account had no room for the question before.
pub(super) fn transaction(inner: &Arc<Inner>, due: Due, has_waited: bool, permit: OwnedSemaphorePermit) {
    let owner = Arc::clone(inner);
    inner.commands.spawn(async move {
        // Held here too until the record is not busy: so many may wait for theirs, and no more.
        let ticket = Ticket::place(permit, Arc::clone(&owner.timekeeper.wake));
        match tell(&owner, due, has_waited, &ticket).await {
            Told::Taken => owner.timekeeper.taken(&[due]),
            Told::Crowded(account) => owner.timekeeper.stall(account, due),
            Told::InVain => owner.timekeeper.not_taken(&[due]),
        }
    });
}

/// What came of it.
enum Told {
    /// Its record has it; when it is done with, the row is gone.
    Taken,
    /// That account has no room for the question.
    Crowded(AccountId),
    /// Nobody has it. It is to be offered again, and until then it takes up no room.
    InVain,
}

async fn tell(inner: &Arc<Inner>, due: Due, has_waited: bool, ticket: &Ticket) -> Told {
    let mut wait = FIRST_WAIT;
    for _ in 0..PATIENCE {
        if let Some(account) = crowded(inner, due, has_waited).await {
            return Told::Crowded(account);
        }
        let (message, answer) = TransactionMessage::new(What::Due(due.at), Some(ticket.clone()));
        let Some(system) = inner.system() else { return Told::InVain };
        system.transactions().send(TransactionId(due.id), message);
        match answer.await {
            Ok(Err(Error::Busy)) => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            Ok(Err(Error::SetAside)) => {
                remove_set_aside(inner, due).await;
                return Told::InVain;
            }
            Ok(Err(Error::NotFound("transaction"))) => {
                remove(inner, &[due]).await;
                return Told::InVain;
            }
            Ok(Ok(_)) => {
                remove_stranger(inner, due).await;
                return Told::Taken;
            }
            Ok(Err(Error::Conflict(_))) => {
                remove_stranger(inner, due).await;
                return Told::InVain;
            }
            // Its account has no room for the question any more: nothing was counted.
            Ok(Err(Error::LimitReached(_))) => {}
            Ok(Err(why)) => {
                tracing::warn!(transaction = %due.id, %why, "a due transaction has to wait");
                return Told::InVain;
            }
            Err(_) => return Told::InVain,
        }
    }
    Told::InVain
}

/// The account of a due transaction, if that has no room for one more question, or others wait for it already. The record
/// is read for that while there is such an account at all, so that nobody wakes it in vain.
async fn crowded(inner: &Inner, due: Due, has_waited: bool) -> Option<AccountId> {
    if !inner.dispatcher.is_crowded() && (has_waited || !inner.timekeeper.has_stalled()) {
        return None;
    }
    let key = keys::transaction(TransactionId(due.id));
    let (record, _) = inner.reader.record::<Transaction>(key).await.ok()?;
    let account = record?.attempts.last()?.account_id;
    let full = inner.dispatcher.room(account) == 0;
    (full || !has_waited && inner.timekeeper.stalls(account)).then_some(account)
}

/// Removes the row of a record that nothing works on until an operator retries it, which writes the row again; only
/// while it is durable that it is set aside. Until then it is offered again.
async fn remove_set_aside(inner: &Arc<Inner>, due: Due) {
    let flag = keys::set_aside(&keys::transaction(TransactionId(due.id)));
    let mut batch = Batch::default();
    let Ok((Some(_), seen)) = inner.reader.record::<notes::SetAside>(flag.clone()).await else { return };
    batch.watch(flag, seen).remove(keys::due(due.at, due.kind, due.id));
    if let Err(why) = inner.store.commit(batch).await {
        tracing::debug!(transaction = %due.id, %why, "the due row of what is set aside stays for another round");
    }
}

/// Removes a row that was fired and is not the record's own: a hint or a retry has done its work.
async fn remove_stranger(inner: &Arc<Inner>, due: Due) {
    let key = keys::transaction(TransactionId(due.id));
    let Ok((Some(record), seen)) = inner.reader.record::<Transaction>(key.clone()).await else { return };
    if record.due_at == Some(due.at) {
        return;
    }
    let mut batch = Batch::default();
    batch.watch(key, seen).remove(keys::due(due.at, due.kind, due.id));
    if let Err(why) = inner.store.commit(batch).await {
        tracing::debug!(transaction = %due.id, %why, "a due row that has done its work stays for another round");
    }
}

/// Hands due deliveries to their subscriptions.
pub(super) fn deliveries(inner: &Arc<Inner>, group: Vec<Due>, permit: OwnedSemaphorePermit) {
    let owner = Arc::clone(inner);
    inner.commands.spawn(async move {
        match sorted(&owner, &group).await {
            Ok(sorted) => {
                remove(&owner, &sorted.homeless).await;
                for row in sorted.damaged {
                    owner.set_aside.put(&owner, row, "it does not decode");
                }
                for (subscription, due) in sorted.by_subscription {
                    offer(&owner, subscription, due).await;
                }
            }
            Err(why) => tracing::warn!(%why, "due deliveries cannot be read now"),
        }
        // Those that nobody has by now.
        owner.timekeeper.not_taken(&group);
        drop(permit);
        owner.timekeeper.wake.notify_one();
    });
}

#[derive(Default)]
struct Sorted {
    by_subscription: BTreeMap<SubscriptionId, Vec<DueDelivery>>,
    /// Rows without a delivery.
    homeless: Vec<Due>,
    /// Deliveries that do not decode.
    damaged: Vec<RowKey>,
}

/// On a thread that may block, unless all of them were written just now.
async fn sorted(inner: &Arc<Inner>, group: &[Due]) -> Result<Sorted, Error> {
    if let Some(sorted) = sort(group, |key| records::peek_record(inner.store.as_ref(), key)) {
        return sorted;
    }
    let group = group.to_vec();
    let read = move |store: &dyn Store| sort(&group, |key| Some(records::read_record(store, key)));
    inner.reader.run(read).await?.expect("every row is read")
}

type ReadDelivery = Result<(Option<Delivery>, Seq), StoreError>;

/// Sorts by what `read` gives; `None` when it gives nothing for one of them.
fn sort(group: &[Due], read: impl Fn(&RowKey) -> Option<ReadDelivery>) -> Option<Result<Sorted, Error>> {
    let mut sorted = Sorted::default();
    for due in group {
        match read(&keys::delivery(DeliveryId(due.id)))? {
            Ok((Some(delivery), _)) => {
                let entry = DueDelivery { id: delivery.id, at: due.at, retry: !delivery.tries.is_empty() };
                sorted.by_subscription.entry(delivery.subscription_id).or_default().push(entry);
            }
            Ok((None, _)) => sorted.homeless.push(*due),
            // Its row stays: once it is mended, it goes on.
            Err(StoreError::Row { key, .. }) => sorted.damaged.push(key),
            Err(why) => return Some(Err(why.into())),
        }
    }
    Some(Ok(sorted))
}

async fn offer(inner: &Arc<Inner>, subscription: SubscriptionId, due: Vec<DueDelivery>) {
    let row = |it: &DueDelivery| Due { at: it.at, kind: keys::DueKind::Delivery, id: it.id.0 };
    let mut wait = FIRST_WAIT;
    for _ in 0..PATIENCE {
        let (reply, answer) = oneshot::channel();
        let Some(system) = inner.system() else { return };
        system.subscriptions().send(subscription, SubscriptionMessage::Due(due.clone(), reply));
        match answer.await {
            Ok(Ok(no_room)) => {
                inner.timekeeper.not_taken(&no_room.iter().map(row).collect::<Vec<_>>());
                // Those that were refused are not offered any more, so this is about the others.
                return inner.timekeeper.taken(&due.iter().map(row).collect::<Vec<_>>());
            }
            Ok(Err(Error::Busy)) => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            Ok(Err(why)) => return tracing::warn!(%subscription, %why, "due deliveries have to wait"),
            Err(_) => return,
        }
    }
}

/// Has work beside payments done.
pub(super) fn upkeep(inner: &Arc<Inner>, due: Due, permit: OwnedSemaphorePermit) {
    let owner = Arc::clone(inner);
    inner.commands.spawn(async move {
        match upkeep::work(&owner, due).await {
            Ok(()) => owner.timekeeper.taken(&[due]),
            Err(why) => {
                tracing::warn!(id = %due.id, %why, "work beside payments has to wait");
                owner.timekeeper.not_taken(&[due]);
            }
        }
        drop(permit);
        owner.timekeeper.wake.notify_one();
    });
}

/// Removes rows that nothing can be done about.
async fn remove(inner: &Arc<Inner>, rows: &[Due]) {
    if rows.is_empty() {
        return;
    }
    let mut batch = Batch::default();
    for due in rows {
        batch.remove(keys::due(due.at, due.kind, due.id));
    }
    if let Err(why) = inner.store.commit(batch).await {
        tracing::warn!(%why, "due rows without a home could not be removed");
    }
}
