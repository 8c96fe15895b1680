//! Lists and single reads that need no actor.

use crate::api::{DeliveryFilter, Page, PageRequest, RecordsQuery, Scope, TimelineEntry, TransactionFilter};
use crate::model::{Delivery, DeliveryId, Transaction, TransactionId};
use crate::store::keys;
use crate::{Engine, Error, query};

impl Engine {
    /// Transactions of an app and mode, in the order they were made or the other way round.
    ///
    /// A page looks at no more than 10,000 transactions: with a filter that few pass it may be short, or empty, and
    /// still have a next one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a status that there is not, and those of every read.
    pub async fn transactions(
        &self,
        scope: Scope,
        filter: TransactionFilter,
        page: PageRequest,
    ) -> Result<Page<Transaction>, Error> {
        self.inner()
            .reader
            .list(Some(scope.app_id), move |store| query::transactions(store, scope, &filter, page))
            .await?
    }

    /// Transactions as the original API's `records` asks for them: its statuses, and pages that are counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a status that there is not, a `skip` above 10,000 or a `limit` outside 1 to 1,000;
    /// [`Error::LimitReached`] when more than 200,000 transactions would have to be looked through, or when they are more
    /// than 2 MiB, which 101 never are; those of every read.
    pub async fn records(&self, scope: Scope, query: RecordsQuery) -> Result<Vec<Transaction>, Error> {
        self.inner().reader.list(Some(scope.app_id), move |store| query::records(store, scope, &query)).await?
    }

    /// The steps of a transaction that come after step `after` (0: from the first one), oldest first; `limit` is 1 to
    /// 100.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one of another app or mode, and those of every read.
    pub async fn timeline(
        &self,
        scope: Scope,
        id: TransactionId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>, Error> {
        let transaction = self.transaction_for_operator(id).await?;
        if transaction.app_id != scope.app_id || transaction.mode != scope.mode {
            return Err(Error::NotFound("transaction"));
        }
        self.inner().reader.list(Some(scope.app_id), move |store| query::timeline(store, id, after, limit)).await?
    }

    /// A delivery.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one of another app or mode, and those of every read.
    pub async fn delivery(&self, scope: Scope, id: DeliveryId) -> Result<Delivery, Error> {
        let (delivery, _) = self.inner().reader.record::<Delivery>(keys::delivery(id)).await?;
        let own = |it: &Delivery| it.app_id == scope.app_id && it.mode == scope.mode;
        delivery.filter(own).ok_or(Error::NotFound("delivery"))
    }

    /// Deliveries of an app and mode, as [`Engine::transactions`]. Those of a subscription of another app or mode are
    /// none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a state that there is not, and those of every read.
    pub async fn deliveries(
        &self,
        scope: Scope,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Error> {
        self.inner()
            .reader
            .list(Some(scope.app_id), move |store| query::deliveries(store, scope, &filter, page))
            .await?
    }
}
