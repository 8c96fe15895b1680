//! The two kinds of records that have actors.

use std::fmt::Display;
use std::sync::Arc;

use actix::{Actor, Context, Handler};
use futures_util::future::BoxFuture;

use crate::Error;
use crate::engine::Inner;
use crate::model::{RawId, SubscriptionId, TransactionId};
use crate::store::{RowKey, keys};

use super::metrics::Count;
use super::router::Work;
use super::subscription::{LoadedSubscription, SubscriptionActor, SubscriptionMessage};
use super::transaction::{LoadedTransaction, TransactionActor, TransactionMessage};

/// A kind of records, each with an actor of its own while it has something to do.
pub(crate) trait Kind: Sized + 'static {
    /// Names one.
    type Id: Copy + Ord + Send + Sync + Unpin + Display + 'static;
    /// What its actors are told.
    type Body: Send + Unpin + 'static;
    /// What an actor is made from.
    type Loaded: Send + Unpin + 'static;
    /// Its actors.
    type Actor: Actor<Context = Context<Self::Actor>> + Handler<Work<Self::Body>>;
    /// For people.
    const NAME: &'static str;

    /// The id as shards know it.
    fn raw(id: Self::Id) -> RawId;
    /// The record's row: what is set aside.
    fn row(id: Self::Id) -> RowKey;
    /// Answers a message that is not worked on.
    fn refuse(body: Self::Body, why: Error);
    /// An actor for a record that the message is about to make; `None`: the record is to be read.
    fn fresh(inner: &Arc<Inner>, body: &Self::Body) -> Option<actix::Addr<Self::Actor>>;
    /// Reads the record, off the arbiters.
    fn load(inner: Arc<Inner>, id: Self::Id) -> BoxFuture<'static, Result<Self::Loaded, Error>>;
    /// The count of those that are live.
    fn live(inner: &Inner) -> &Count;
    /// Brings an actor to life. On an arbiter only.
    fn wake(inner: &Arc<Inner>, loaded: Self::Loaded) -> actix::Addr<Self::Actor>;
}

/// Transactions.
pub(crate) struct Transactions;

impl Kind for Transactions {
    type Id = TransactionId;
    type Body = TransactionMessage;
    type Loaded = LoadedTransaction;
    type Actor = TransactionActor;
    const NAME: &'static str = "transaction";

    fn raw(id: TransactionId) -> RawId {
        id.0
    }

    fn row(id: TransactionId) -> RowKey {
        keys::transaction(id)
    }

    fn refuse(body: TransactionMessage, why: Error) {
        body.refuse(why);
    }

    fn fresh(inner: &Arc<Inner>, body: &TransactionMessage) -> Option<actix::Addr<TransactionActor>> {
        body.makes_record().then(|| TransactionActor::begin(inner))
    }

    fn load(inner: Arc<Inner>, id: TransactionId) -> BoxFuture<'static, Result<LoadedTransaction, Error>> {
        Box::pin(async move { LoadedTransaction::read(&inner, id).await })
    }

    fn live(inner: &Inner) -> &Count {
        &inner.metrics.live_transactions
    }

    fn wake(inner: &Arc<Inner>, loaded: LoadedTransaction) -> actix::Addr<TransactionActor> {
        TransactionActor::wake(inner, loaded)
    }
}

/// Subscriptions.
pub(crate) struct Subscriptions;

impl Kind for Subscriptions {
    type Id = SubscriptionId;
    type Body = SubscriptionMessage;
    type Loaded = LoadedSubscription;
    type Actor = SubscriptionActor;
    const NAME: &'static str = "subscription";

    fn raw(id: SubscriptionId) -> RawId {
        id.0
    }

    fn row(id: SubscriptionId) -> RowKey {
        keys::subscription(id)
    }

    fn refuse(body: SubscriptionMessage, why: Error) {
        body.refuse(why);
    }

    fn fresh(_: &Arc<Inner>, _: &SubscriptionMessage) -> Option<actix::Addr<SubscriptionActor>> {
        None
    }

    fn load(inner: Arc<Inner>, id: SubscriptionId) -> BoxFuture<'static, Result<LoadedSubscription, Error>> {
        Box::pin(async move { LoadedSubscription::read(&inner, id).await })
    }

    fn live(inner: &Inner) -> &Count {
        &inner.metrics.live_subscriptions
    }

    fn wake(inner: &Arc<Inner>, loaded: LoadedSubscription) -> actix::Addr<SubscriptionActor> {
        SubscriptionActor::wake(inner, loaded)
    }
}
