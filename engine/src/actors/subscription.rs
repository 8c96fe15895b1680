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
    /// A try has ended, and its result is kept.
    Ended(DeliveryId, oneshot::Sender<Result<Vec<DueDelivery>, Error>>),
}

impl SubscriptionMessage {
    /// Answers it without working on it.
    pub fn refuse(self, why: Error) {
        let (Self::Due(_, reply) | Self::Ended(_, reply)) = self;
        // Who asked may have gone away.
        drop(reply.send(Err(why)));
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

    fn start_tries(&mut self) {
        // What is due stays in the store: a drain need not wait for it.
        while self.out.len() < AT_ONCE
            && !self.inner.commands.is_draining()
            && let Some((retry, at, id)) = self.backlog.pop_first()
        {
            // Known twice, by two due times: one try of a delivery at a time.
            if !self.out.insert(id) {
                self.again.insert(id, DueDelivery { id, at, retry });
                continue;
            }
            let (inner, subscription) = (Arc::clone(&self.inner), self.id);
            self.inner.commands.spawn(async move {
                delivering::try_due(&inner, subscription, id).await;
            });
        }
    }
}

impl Actor for SubscriptionActor {
    type Context = Context<Self>;
}

impl Handler<Work<SubscriptionMessage>> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Work { body, done }: Work<SubscriptionMessage>, _: &mut Context<Self>) {
        let (answer, reply) = match body {
            SubscriptionMessage::Due(due, reply) => (self.take(due), reply),
            SubscriptionMessage::Ended(id, reply) => {
                self.out.remove(&id);
                let again = self.again.remove(&id);
                (self.take(again.into_iter().collect()), reply)
            }
        };
        self.start_tries();
        // Who asked may have gone away.
        drop(reply.send(Ok(answer)));
        let _ = done.send(Report::Well { calling: self.out.len() + self.backlog.len() });
    }
}
