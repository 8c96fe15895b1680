//! The operator's own credentials: issued, listed, revoked. All of them stand in one row; each is found by its digest.

use std::sync::Arc;

use super::Decided;
use crate::api::OperatorKey;
use crate::engine::Inner;
use crate::model::{KeyId, KeyOwner, OperatorCredential};
use crate::secrets::Secret;
use crate::store::{Batch, Seq, codec, keys, notes};
use crate::{Engine, Error};

/// Credentials that are kept at most, revoked ones included.
const KEYS_MAX: usize = 64;
/// The row.
const ROW: &str = "operator keys";

impl Engine {
    /// Issues a credential of the operator. Only its digest is kept.
    ///
    /// # Errors
    /// [`Error::LimitReached`] at 64 in use, and those of every command.
    pub async fn issue_operator_key(&self) -> Result<OperatorKey, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_operator_key()).await }).await
    }

    /// The operator's credentials, oldest first, revoked ones included; at most 64.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn operator_keys(&self) -> Result<Vec<OperatorCredential>, Error> {
        self.inner().operator_credentials().await.map(|(all, _)| all)
    }

    /// Revokes a credential of the operator: it is refused from now on. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every command.
    pub async fn revoke_operator_key(&self, id: KeyId) -> Result<OperatorCredential, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_operator_revoke(id)).await }).await
    }
}

impl Inner {
    async fn decide_operator_key(&self) -> Result<Decided<OperatorKey>, Error> {
        let (mut all, seen) = self.operator_credentials().await?;
        if all.len() >= KEYS_MAX {
            let revoked = all.iter().position(|key| key.revoked_at.is_some());
            let why = || Error::LimitReached(format!("there are at most {KEYS_MAX} operator keys in use"));
            all.remove(revoked.ok_or_else(why)?);
        }
        let (id, secret) = (self.ids.next(), Secret::mint("op_", self.entropy.as_ref()));
        let digest = self.sealer.lookup_digest(secret.expose());
        let (created_at, hint) = (self.clock.now().wall, secret.hint());
        all.push(OperatorCredential { id, digest, hint, created_at, revoked_at: None });
        let mut batch = written(codec::payload(&all), seen);
        batch.put_record(keys::key_digest(&digest), &KeyOwner::Operator(id));
        Ok(Decided::Write(batch, OperatorKey { id, secret }))
    }

    async fn decide_operator_revoke(&self, id: KeyId) -> Result<Decided<OperatorCredential>, Error> {
        let (mut all, seen) = self.operator_credentials().await?;
        let key = all.iter_mut().find(|key| key.id == id).ok_or(Error::NotFound("key"))?;
        if key.revoked_at.is_some() {
            return Ok(Decided::Already(key.clone()));
        }
        key.revoked_at = Some(self.clock.now().wall);
        let key = key.clone();
        let mut batch = written(codec::payload(&all), seen);
        batch.remove(keys::key_digest(&key.digest));
        Ok(Decided::Write(batch, key))
    }

    async fn operator_credentials(&self) -> Result<(Vec<OperatorCredential>, Seq), Error> {
        let (row, seen) = self.reader.record::<notes::MetaValue>(keys::meta(ROW)).await?;
        let Some(notes::MetaValue(bytes)) = row else { return Ok((Vec::new(), seen)) };
        let all = codec::decode_payload(&bytes);
        all.map(|all| (all, seen)).map_err(|why| Error::Internal(format!("the operator keys do not decode: {why}")))
    }
}

fn written(all: Vec<u8>, seen: Seq) -> Batch {
    let mut batch = Batch::default();
    batch.watch(keys::meta(ROW), seen).put_record(keys::meta(ROW), &notes::MetaValue(all));
    batch
}
