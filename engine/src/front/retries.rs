//! What operators set going again: records that were set aside, and notifications without a home.

use std::sync::Arc;

use crate::actors::batch::evidence_place;
use crate::actors::transaction::{Carried, What};
use crate::api::Idempotency;
use crate::engine::Inner;
use crate::machine::Input;
use crate::model::{
    AttemptNumber, Delivery, InboxId, InboxItem, RawId, Subscription, Timestamp, Transaction, TransactionId,
};
use crate::store::keys::{Due, DueKind};
use crate::store::records::read_record;
use crate::store::{Batch, RowKey, StoreError, Table, keys, notes};
use crate::{Engine, Error};

impl Engine {
    /// Applies a notification of the inbox, and removes it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it still has no home; [`Error::IdempotencyMismatch`]; those of every
    /// command.
    pub async fn apply_inbox(&self, id: InboxId, idem: Option<Idempotency>) -> Result<(), Error> {
        let inner = Arc::clone(self.inner());
        self.detached_first(async move { inner.apply_any(id, idem.as_ref()).await }).await
    }

    /// Has a record worked on again that was set aside, and applies what came for it meanwhile. `kind` and `id` as
    /// [`Engine::set_aside`] lists them.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it still does not decode; [`Error::IdempotencyMismatch`]; those of
    /// every command.
    pub async fn retry_set_aside(&self, kind: &str, id: &str, idem: Option<Idempotency>) -> Result<(), Error> {
        let inner = Arc::clone(self.inner());
        let row = row_of(kind, id).ok_or(Error::NotFound("record that is set aside"))?;
        self.detached_first(async move { inner.retry(row, idem.as_ref()).await }).await
    }
}

impl Inner {
    async fn retry(self: &Arc<Self>, row: RowKey, idem: Option<&Idempotency>) -> Result<(), Error> {
        // Of rows whose key is no id the body's digest alone tells one from another.
        let about = keys::last_id(&row.key).unwrap_or(RawId([0; RawId::LEN]));
        let Some(claim) = self.claim(idem).await?.about(about)? else { return Ok(()) };
        let flag = keys::set_aside(&row);
        let (note, seen) = self.reader.record::<notes::SetAside>(flag.clone()).await?;
        note.ok_or(Error::NotFound("record that is set aside"))?;
        let (now, read) = (self.clock.now().wall, row.clone());
        let due = self.reader.run(move |store| wanted_due(store, &read, now)).await??;
        let mut batch = Batch::default();
        batch.watch(flag.clone(), seen).remove(flag);
        if let Some(due) = due {
            batch.put_marker(keys::due(due.at, due.kind, due.id));
        }
        claim.join(&mut batch, "set aside", about, now);
        self.store.commit(batch).await?;
        if row.table == Table::Transaction
            && let Some(id) = keys::last_id(&row.key)
        {
            self.apply_what_came(id).await;
        }
        Ok(())
    }

    /// Applies an item of the inbox: a notification as it came; of an answer, the question is asked again.
    async fn apply_any(self: &Arc<Self>, id: InboxId, request: Option<&Idempotency>) -> Result<(), Error> {
        let Some(claim) = self.claim(request).await?.about(id.0)? else { return Ok(()) };
        let (item, seen) = self.reader.record::<InboxItem>(keys::inbox(id)).await?;
        let item = item.ok_or(Error::NotFound("notification"))?;
        let number = AttemptNumber::parse(&item.number);
        // An answer is sealed as evidence of its transaction, a notification as an item of the inbox.
        let asked = number.filter(|it| self.sealer.open(evidence_place(&it.transaction), &item.raw).is_ok());
        let Some(number) = asked else { return self.apply_item(id, request).await };
        let what = What::Input(Box::new((Input::Hint(number.clone()), Carried::default())));
        self.tell(number.transaction, what, None).await?;
        let mut batch = Batch::default();
        batch.watch(keys::inbox(id), seen).remove(keys::inbox(id));
        claim.join(&mut batch, "inbox", id.0, self.clock.now().wall);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Applies the notifications that came while a transaction was set aside.
    async fn apply_what_came(self: &Arc<Self>, id: TransactionId) {
        for item in self.inbox.about(id) {
            if let Err(why) = self.apply_any(item, None).await {
                tracing::warn!(%item, %why, "a notification stays in the inbox");
            }
        }
    }
}

/// The row of the due table that the record wants; an error when it does not decode still.
fn wanted_due(store: &dyn crate::store::Store, row: &RowKey, now: Timestamp) -> Result<Option<Due>, Error> {
    let decodes = if row.table == Table::Transaction {
        // Its own due time: its row may have gone while it was set aside, and only that one is its own.
        let own = |record: Transaction| Some(Due { at: record.due_at?, kind: DueKind::Transaction, id: record.id.0 });
        read_record::<Transaction>(store, row).map(|(record, _)| record.and_then(own))
    } else if row.table == Table::Subscription {
        let sweep = |record: Subscription| Due { at: now, kind: DueKind::Maintenance, id: record.id.0 };
        read_record::<Subscription>(store, row).map(|(record, _)| record.map(sweep))
    } else if row.table == Table::Delivery {
        // Its row has stayed.
        read_record::<Delivery>(store, row).map(|_| None)
    } else {
        Ok(None)
    };
    decodes.map_err(|why| match why {
        StoreError::Row { why, .. } => Error::Conflict(format!("it does not decode: {why}")),
        StoreError::InUse(_) | StoreError::Damaged(_) | StoreError::Unavailable(_) => why.into(),
    })
}

fn row_of(kind: &str, id: &str) -> Option<RowKey> {
    let table = Table::ALL.into_iter().find(|table| format!("{table:?}").to_ascii_lowercase() == kind)?;
    let key = hex::decode(id).ok()?;
    Some(RowKey::new(table, &[&key]))
}
