//! The subscription actor: one merchant's target, with its own backlog and its own window of tries under way, so that
//! a slow or dead receiver delays only itself.
//!
//! What is due is in the store; the backlog here is only the order of work, and losing it loses nothing. Each try reads
//! delivery, event and subscription anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;

use crate::Error;
use crate::engine::Inner;
use crate::model::{DeliveryId, Subscription, SubscriptionId, Timestamp};
use crate::store::keys;

use super::delivering;
use super::router::{Report, Work};

/// Tries of one subscription that are under way at once.
const AT_ONCE: usize = 8;
/// Deliveries that wait here; more stay in the store and are offered again.
const BACKLOG_MAX: usize = 10_000;

/// A delivery whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueDelivery {
    pub id: DeliveryId,
    pub at: Timestamp,
    /// Whether it was tried before: first tries go before these.
    pub retry: bool,
}

/// What a subscription's actor is told.
pub(crate) enum SubscriptionMessage {
    /// Deliveries are due. Answered with those it has no room for.
    Due(Vec<DueDelivery>, oneshot::Sender<Result<Vec<DueDelivery>, Error>>),
    /// A try has ended, and its result is kept. Answered with the delivery to try next in its place, if there is one.
    Ended(DeliveryId, oneshot::Sender<Result<Option<DeliveryId>, Error>>),
}

impl SubscriptionMessage {
    /// Answers it without working on it.
    pub fn refuse(self, why: Error) {
        // Who asked may have gone away.
        match self {
            Self::Due(_, reply) => drop(reply.send(Err(why))),
            Self::Ended(_, reply) => drop(reply.send(Err(why))),
        }
    }
}

/// What an actor is made from.
pub(crate) struct LoadedSubscription(SubscriptionId);

impl LoadedSubscription {
    /// Reads the record, to find out whether it can be worked on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::SetAside`] when it does not decode; the store cannot answer.
    pub async fn read(inner: &Arc<Inner>, id: SubscriptionId) -> Result<Self, Error> {
        let (record, _) = inner.reader.record::<Subscription>(keys::subscription(id)).await?;
        record.map(|record| Self(record.id)).ok_or(Error::NotFound("subscription"))
    }
}

/// One merchant's target.
pub(crate) struct SubscriptionActor {
    inner: Arc<Inner>,
    id: SubscriptionId,
    /// First tries first, then by due time.
    backlog: BTreeSet<(bool, Timestamp, DeliveryId)>,
    /// Tries under way.
    out: BTreeSet<DeliveryId>,
    /// Due again before the end of the try before was told here.
    again: BTreeMap<DeliveryId, DueDelivery>,
}

impl SubscriptionActor {
    /// An actor for a record that was read. On an arbiter only.
    pub fn wake(inner: &Arc<Inner>, loaded: LoadedSubscription) -> actix::Addr<Self> {
        let LoadedSubscription(id) = loaded;
        let inner = Arc::clone(inner);
        Self::create(|_| Self { inner, id, backlog: BTreeSet::new(), out: BTreeSet::new(), again: BTreeMap::new() })
    }

    fn take(&mut self, due: Vec<DueDelivery>) -> Vec<DueDelivery> {
        let mut no_room = Vec::new();
        for delivery in due {
            if self.backlog.len() >= BACKLOG_MAX {
                no_room.push(delivery);
            } else if self.out.contains(&delivery.id) {
                self.again.insert(delivery.id, delivery);
            } else {
                self.backlog.insert((delivery.retry, delivery.at, delivery.id));
            }
        }
        no_room
    }

    /// The delivery to try next, which counts as under way from now on.
    fn next_try(&mut self) -> Option<DeliveryId> {
        // What is due stays in the store: a drain need not wait for it.
        while self.out.len() < AT_ONCE
            && !self.inner.commands.is_draining()
            && let Some((retry, at, id)) = self.backlog.pop_first()
        {
            if self.out.insert(id) {
                return Some(id);
            }
            // Known twice, by two due times: one try of a delivery at a time.
            self.again.insert(id, DueDelivery { id, at, retry });
        }
        None
    }

    fn begin(&self, id: DeliveryId) {
        let (inner, subscription) = (Arc::clone(&self.inner), self.id);
        self.inner.commands.spawn(async move {
            delivering::try_due(&inner, subscription, id).await;
        });
    }

    /// A try has ended: what makes it goes on with the next one.
    fn ended(&mut self, id: DeliveryId, reply: oneshot::Sender<Result<Option<DeliveryId>, Error>>) {
        self.out.remove(&id);
        if let Some(again) = self.again.remove(&id) {
            self.take(vec![again]);
        }
        if let Err(Ok(Some(next))) = reply.send(Ok(self.next_try())) {
            // It has gone away.
            self.begin(next);
        }
    }
}

impl Actor for SubscriptionActor {
    type Context = Context<Self>;
}

impl Handler<Work<SubscriptionMessage>> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Work { body, done }: Work<SubscriptionMessage>, _: &mut Context<Self>) {
        match body {
            SubscriptionMessage::Due(due, reply) => {
                let no_room = self.take(due);
                // Who asked may have gone away.
                drop(reply.send(Ok(no_room)));
            }
            SubscriptionMessage::Ended(id, reply) => self.ended(id, reply),
        }
        while let Some(next) = self.next_try() {
            self.begin(next);
        }
        // Both are bounded far below.
        let calling = u32::try_from(self.out.len() + self.backlog.len()).unwrap_or(u32::MAX);
        let _ = done.send(Report::Well { calling });
    }
}
