//! What operators look at, and the small decisions that need no actor.

use std::sync::Arc;

use super::{Decided, check_text};
use crate::api::{AlarmFilter, Idempotency, Page, PageRequest, SetAsideRecord};
use crate::engine::Inner;
use crate::model::{Alarm, AlarmId, AlarmKind, InboxId, InboxItem, Transaction, TransactionId};
use crate::store::{Batch, keys};
use crate::{Engine, Error, query};

const AUTHOR_MAX: usize = 100;
const REASON_MAX: usize = 300;

impl Engine {
    /// Alarms.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn alarms(&self, filter: AlarmFilter, page: PageRequest) -> Result<Page<Alarm>, Error> {
        self.inner().reader.list(None, move |store| query::alarms(store, filter, page)).await?
    }

    /// Notes that somebody has seen an alarm. The first one to do so stays.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn acknowledge_alarm(
        &self,
        id: AlarmId,
        author: &str,
        idem: Option<Idempotency>,
    ) -> Result<Alarm, Error> {
        check_text("author", author, AUTHOR_MAX)?;
        let (inner, author) = (Arc::clone(self.inner()), author.to_owned());
        self.detached_first(async move { inner.settle(|| inner.decide_acknowledge(id, &author, idem.as_ref())).await })
            .await
    }

    /// Verified notifications that have no home yet.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn inbox(&self, page: PageRequest) -> Result<Page<InboxItem>, Error> {
        self.inner().reader.list(None, move |store| query::inbox(store, page)).await?
    }

    /// Discards a notification that has no home. An acknowledged alarm stays to tell of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn discard_inbox(
        &self,
        id: InboxId,
        author: &str,
        reason: &str,
        idem: Option<Idempotency>,
    ) -> Result<(), Error> {
        check_text("author", author, AUTHOR_MAX)?;
        check_text("reason", reason, REASON_MAX)?;
        let (inner, author, reason) = (Arc::clone(self.inner()), author.to_owned(), reason.to_owned());
        self.detached_first(
            async move { inner.settle(|| inner.decide_discard(id, &author, &reason, idem.as_ref())).await },
        )
        .await
    }

    /// Records that nothing works on until an operator retries them.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn set_aside(&self, page: PageRequest) -> Result<Page<SetAsideRecord>, Error> {
        self.inner().reader.list(None, move |store| query::set_aside(store, page)).await?
    }

    /// A transaction of whatever app and mode.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SetAside`] when it does not decode, and those of every read.
    pub async fn transaction_for_operator(&self, id: TransactionId) -> Result<Transaction, Error> {
        let (transaction, _) = self.inner().reader.record::<Transaction>(keys::transaction(id)).await?;
        transaction.ok_or(Error::NotFound("transaction"))
    }
}

impl Inner {
    async fn decide_acknowledge(
        &self,
        id: AlarmId,
        author: &str,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<Alarm>, Error> {
        let row = keys::alarm(id);
        let (alarm, seen) = self.reader.record::<Alarm>(row.clone()).await?;
        let mut alarm = alarm.ok_or(Error::NotFound("alarm"))?;
        let Some(claim) = self.claim(idem).await?.about(id.0)? else { return Ok(Decided::Already(alarm)) };
        let now = self.clock.now().wall;
        if alarm.acknowledged.is_some() {
            return Ok(claim.alone("alarm", id.0, now, alarm));
        }
        alarm.acknowledged = Some((author.to_owned(), now));
        let mut batch = Batch::default();
        batch.watch(row.clone(), seen).put_record(row, &alarm);
        claim.join(&mut batch, "alarm", id.0, now);
        Ok(Decided::Write(batch, alarm))
    }

    async fn decide_discard(
        &self,
        id: InboxId,
        author: &str,
        reason: &str,
        request: Option<&Idempotency>,
    ) -> Result<Decided<()>, Error> {
        let Some(claim) = self.claim(request).await?.about(id.0)? else { return Ok(Decided::Already(())) };
        let row = keys::inbox(id);
        let (item, seen) = self.reader.record::<InboxItem>(row.clone()).await?;
        let item = item.ok_or(Error::NotFound("notification"))?;
        let now = self.clock.now().wall;
        let digest = hex::encode(item.digest);
        let text = format!("discarded: {reason} (account {}, number {}, body {digest})", item.account_id, item.number);
        let trace = Alarm {
            id: self.ids.next(),
            kind: AlarmKind::Inbox,
            subject: id.to_string(),
            text: text.chars().take(500).collect(),
            raised_at: now,
            acknowledged: Some((author.to_owned(), now)),
        };
        let mut batch = Batch::default();
        batch.watch(row.clone(), seen).remove(row).put_record(keys::alarm(trace.id), &trace);
        claim.join(&mut batch, "inbox", id.0, now);
        Ok(Decided::Write(batch, ()))
    }
}
