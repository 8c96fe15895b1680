//! The inbox: what proved itself and could not go to its record. It waits for its record to have time, or for an
//! operator.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::notifications::Taken;
use crate::Error;
use crate::actors::upkeep::APPLY_AGAIN;
use crate::actors::{account_of, batch::evidence_place};
use crate::api::Idempotency;
use crate::channel::{Notified, RawNotification};
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::model::{AlarmKind, AttemptNumber, InboxId, InboxItem};
use crate::secrets::{SealContext, Secret};
use crate::store::keys::DueKind;
use crate::store::{Batch, keys};

impl Inner {
    pub(super) async fn to_inbox(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
        (number, reason): (String, String),
        apply_again: bool,
    ) -> Result<(), Error> {
        if self.inbox.is_full() {
            return Err(Error::LimitReached("the inbox is full".to_owned()));
        }
        let id: InboxId = self.ids.next();
        let text = format!("a verified notification about {number} has no home: {reason}");
        let item = InboxItem {
            id,
            account_id: account.record.id,
            number,
            reason,
            digest: Sha256::digest(&raw.body).into(),
            raw: self.sealer.seal(inbox_place(&id), &pack(raw), self.entropy.as_ref()),
            received_at: self.clock.now().wall,
        };
        let mut batch = Batch::default();
        batch.put_record(keys::inbox(id), &item);
        if apply_again {
            batch.put_marker(keys::due(item.received_at.after(APPLY_AGAIN.0), DueKind::Maintenance, id.0));
        }
        self.alarms.raise(&mut batch, AlarmKind::Inbox, id, &text);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Applies what is in the inbox and removes it.
    pub(crate) async fn apply_item(self: &Arc<Self>, id: InboxId, request: Option<&Idempotency>) -> Result<(), Error> {
        let Some(claim) = self.claim(request).await?.about(id.0)? else { return Ok(()) };
        let (item, seen) = self.reader.record::<InboxItem>(keys::inbox(id)).await?;
        let item = item.ok_or(Error::NotFound("notification"))?;
        match self.sealer.open(inbox_place(&id), &item.raw) {
            Ok(packed) => self.apply_notification(&item, &packed).await?,
            Err(why) => self.apply_answer(&item, &why.to_string()).await?,
        }
        let mut batch = Batch::default();
        batch.watch(keys::inbox(id), seen).remove(keys::inbox(id));
        claim.join(&mut batch, "inbox", id.0, self.clock.now().wall);
        match self.store.commit(batch).await {
            Ok(_) => Ok(()),
            // Somebody else applied or discarded it meanwhile: what it says is kept either way.
            Err(crate::store::CommitError::Conflict(_)) => self.begun_before(request, "inbox", id.0).await.map(drop),
            Err(why) => Err(why.into()),
        }
    }

    async fn apply_notification(self: &Arc<Self>, item: &InboxItem, packed: &Secret) -> Result<(), Error> {
        let raw = unpack(packed).ok_or_else(|| Error::Internal("a notification does not unpack".to_owned()))?;
        let account = account_of(self, item.account_id).await?;
        // As when it came: proofs grow old, and what they proved does not.
        let facts = match self.read_notification(&account, &raw, item.received_at).await {
            Ok(Notified::Verified { facts, .. }) => facts,
            Err(why @ (Error::Busy | Error::ShuttingDown | Error::StoreUnavailable(_))) => return Err(why),
            Ok(Notified::Hint { .. } | Notified::Unverified { .. } | Notified::NeedMaterial(_)) | Err(_) => {
                return self.ask_instead(item, &raw).await;
            }
        };
        for fact in &facts {
            match self.keep_fact(&account, &raw, fact).await {
                Taken::Kept => {}
                Taken::Homeless(why) | Taken::Wrong(why) => return Err(Error::Conflict(why)),
                Taken::Busy => return Err(Error::Busy),
                Taken::NotNow(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// A notification that was verified when it came and cannot be read any more, because its key or its account is gone,
    /// still says whom the channel is to be asked about.
    async fn ask_instead(&self, item: &InboxItem, raw: &RawNotification) -> Result<(), Error> {
        let number = AttemptNumber::parse(&item.number)
            .ok_or_else(|| Error::Conflict("it does not prove itself any more".to_owned()))?;
        let body = Secret::from_bytes(raw.body.to_vec());
        let sealed = self.sealer.seal(evidence_place(&number.transaction), &body, self.entropy.as_ref());
        self.hint(&number, Some(sealed)).await
    }

    /// The answer to a call of ours, sealed as evidence of its record: it belongs to a question of then, so it is kept
    /// with the record and the channel is asked anew.
    async fn apply_answer(&self, item: &InboxItem, no_notification: &str) -> Result<(), Error> {
        let unreadable = || Error::Internal(no_notification.to_owned());
        let number = AttemptNumber::parse(&item.number).ok_or_else(unreadable)?;
        self.sealer.open(evidence_place(&number.transaction), &item.raw).map_err(|_| unreadable())?;
        self.hint(&number, Some(item.raw.clone())).await
    }
}

fn inbox_place(id: &InboxId) -> SealContext<'_> {
    SealContext { purpose: "inbox", record: id.bytes() }
}

/// Headers, query and body as one value, to be sealed.
fn pack(raw: &RawNotification) -> Secret {
    let whole = (raw.headers.clone(), raw.query.clone(), raw.body.to_vec());
    Secret::from_bytes(crate::store::codec::payload(&whole))
}

fn unpack(packed: &Secret) -> Option<RawNotification> {
    type Whole = (Vec<(String, String)>, String, Vec<u8>);
    let (headers, query, body) = crate::store::codec::decode_payload::<Whole>(packed.expose()).ok()?;
    Some(RawNotification { headers, query, body: Bytes::from(body) })
}
