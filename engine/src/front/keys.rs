//! Keys and session tokens: made, imported, revoked. What stands in the records is sealed; bearer keys are found by a
//! digest that only the sealing key can make.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{Claimed, Decided, check_text};
use crate::actors::sweeping;
use crate::api::{Idempotency, IssueKey, Issued, PageRequest, Scope};
use crate::directory::opened;
use crate::engine::Inner;
use crate::model::{App, AppId, IssuedKey, KeyId, KeyKind, KeyOwner, Mode, Timestamp};
use crate::secrets::{Place, Secret};
use crate::store::{Batch, keys};
use crate::{Engine, Error, query};

/// Keys of an app at most, revoked ones included.
const KEYS_MAX: usize = 256;
/// Life of a session token when nobody says: that of the original's.
const SESSION_LIFE: Duration = Duration::from_hours(24 * 180);
const OWNER_MAX: usize = 100;
/// Length of an imported key, in visible ASCII characters.
const IMPORT_LEN: std::ops::RangeInclusive<usize> = 16..=128;

impl Engine {
    /// Issues a key or a session token of an app, or imports one that is in use elsewhere.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] when an imported key is in use already;
    /// [`Error::LimitReached`] at 256 keys in use; [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn issue_key(&self, app: AppId, request: IssueKey, idem: Option<Idempotency>) -> Result<Issued, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            check_issue(&request, inner.clock.now().wall)?;
            inner.settle(|| inner.decide_key(app, &request, idem.as_ref())).await
        })
        .await
    }

    /// Revokes a key: it is refused from now on. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every command.
    pub async fn revoke_key(&self, app: AppId, key: KeyId) -> Result<IssuedKey, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_revoke(app, key)).await }).await
    }
}

impl Inner {
    /// A new key in the format of its kind.
    pub(super) fn mint_key(&self, kind: KeyKind, mode: Mode) -> Secret {
        let entropy = self.entropy.as_ref();
        match kind {
            // As the original's: 30 characters, base64url of the 22 characters of base64url of 16 bytes.
            KeyKind::Client => {
                let mut random = Zeroizing::new([0_u8; 16]);
                entropy.fill(random.as_mut_slice());
                let inner = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
                Secret::from_bytes(URL_SAFE_NO_PAD.encode(inner.as_bytes()).into_bytes())
            }
            KeyKind::Api => Secret::mint(&format!("sk_{mode}_"), entropy),
            KeyKind::Master => Secret::mint(&format!("mk_{mode}_"), entropy),
            KeyKind::SessionToken => {
                let mut random = Zeroizing::new([0_u8; 32]);
                entropy.fill(random.as_mut_slice());
                Secret::from_bytes(URL_SAFE_NO_PAD.encode(random.as_slice()).into_bytes())
            }
        }
    }

    /// The record of a new key.
    pub(super) fn seal_key(&self, app: AppId, kind: KeyKind, mode: Mode, secret: &Secret) -> IssuedKey {
        let id = self.ids.next();
        let sealed = self.sealer.seal(Place::app_key(app, id).context(), secret, self.entropy.as_ref());
        IssuedKey {
            id,
            kind,
            mode,
            secret: sealed,
            hint: secret.hint(),
            created_at: self.clock.now().wall,
            expires_at: None,
            owner: None,
            revoked_at: None,
        }
    }

    /// Makes a bearer key findable; other keys only go along with an app's id.
    pub(super) fn put_digest(&self, batch: &mut Batch, app: AppId, key: &IssuedKey, secret: &Secret) {
        if is_bearer(key.kind) {
            let digest = self.sealer.lookup_digest(secret.expose());
            batch.put_record(keys::key_digest(&digest), &KeyOwner::App(app, key.id));
        }
    }

    async fn decide_key(
        &self,
        app: AppId,
        request: &IssueKey,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<Issued>, Error> {
        let (mut record, seen) = self.app_row(app).await?;
        let claim = match self.claim(idem).await? {
            Claimed::Before(id) => {
                // A key of another app: the same body was sent to another place.
                let key = record.keys.into_iter().find(|key| key.id == KeyId(id)).ok_or(Error::IdempotencyMismatch)?;
                return Ok(Decided::Already(Issued { key, secret: None, first: false }));
            }
            Claimed::New(claim) => claim,
        };
        let mut batch = Batch::default();
        let now = self.clock.now().wall;
        let secret = match &request.import {
            None => self.mint_key(request.kind, request.mode),
            Some(secret) => {
                self.check_import(&record, request.kind, secret, &mut batch).await?;
                secret.clone()
            }
        };
        if request.kind == KeyKind::Master && !record.has_master_key(request.mode) {
            self.release(&mut batch, Scope { app_id: app, mode: request.mode }, now).await?;
        }
        make_room(&mut record, now)?;
        let mut key = self.seal_key(app, request.kind, request.mode, &secret);
        key.owner.clone_from(&request.owner);
        key.expires_at = match request.kind {
            KeyKind::SessionToken => Some(request.expires_at.unwrap_or_else(|| now.after(SESSION_LIFE))),
            KeyKind::Client | KeyKind::Api | KeyKind::Master => None,
        };
        record.keys.push(key.clone());
        record.version += 1;
        self.put_digest(&mut batch, app, &key, &secret);
        batch.watch(keys::app(app), seen).put_record(keys::app(app), &record);
        claim.join(&mut batch, "key", key.id.0, now);
        Ok(Decided::Write(batch, Issued { key, secret: Some(secret), first: true }))
    }

    /// Has the payments told that no key could sign: their deliveries were held meanwhile.
    async fn release(&self, batch: &mut Batch, scope: Scope, now: Timestamp) -> Result<(), Error> {
        let mut page = PageRequest { after: None, limit: 100, newest_first: false };
        loop {
            let found = self.reader.run(move |store| query::subscriptions(store, scope, page)).await??;
            for subscription in &found.items {
                sweeping::follow(batch, subscription.id, now);
                // Another time without a key is told again.
                self.missing_functions.untold(subscription.id);
            }
            page.after = found.next;
            if page.after.is_none() {
                return Ok(());
            }
        }
    }

    /// A key must open one thing: it may not be another key of the app, nor somebody's bearer key.
    async fn check_import(&self, app: &App, kind: KeyKind, secret: &Secret, batch: &mut Batch) -> Result<(), Error> {
        let in_use = || Error::Conflict("this key is in use".to_owned());
        for key in app.keys.iter().filter(|key| key.revoked_at.is_none()) {
            if opened(&self.sealer, &Place::app_key(app.id, key.id), &key.secret)? == *secret {
                return Err(in_use());
            }
        }
        if is_bearer(kind) {
            let row = keys::key_digest(&self.sealer.lookup_digest(secret.expose()));
            let (owner, seen) = self.reader.record::<KeyOwner>(row.clone()).await?;
            if owner.is_some() {
                return Err(in_use());
            }
            batch.watch(row, seen);
        }
        Ok(())
    }

    async fn decide_revoke(&self, app: AppId, id: KeyId) -> Result<Decided<IssuedKey>, Error> {
        let (mut record, seen) = self.app_row(app).await?;
        let key = record.keys.iter_mut().find(|key| key.id == id).ok_or(Error::NotFound("key"))?;
        if key.revoked_at.is_some() {
            return Ok(Decided::Already(key.clone()));
        }
        key.revoked_at = Some(self.clock.now().wall);
        let key = key.clone();
        record.version += 1;
        let mut batch = Batch::default();
        if is_bearer(key.kind) {
            let secret = opened(&self.sealer, &Place::app_key(app, id), &key.secret)?;
            batch.remove(keys::key_digest(&self.sealer.lookup_digest(secret.expose())));
        }
        batch.watch(keys::app(app), seen).put_record(keys::app(app), &record);
        Ok(Decided::Write(batch, key))
    }
}

/// Whether a key is shown alone, without an app's id beside it.
fn is_bearer(kind: KeyKind) -> bool {
    match kind {
        KeyKind::Api | KeyKind::Master => true,
        KeyKind::Client | KeyKind::SessionToken => false,
    }
}

fn check_issue(request: &IssueKey, now: Timestamp) -> Result<(), Error> {
    if let Some(secret) = &request.import {
        let shaped = IMPORT_LEN.contains(&secret.len()) && secret.expose().iter().all(u8::is_ascii_graphic);
        if !shaped {
            return Err(Error::field("import", "a key is 16 to 128 visible ASCII characters"));
        }
    }
    let token = request.kind == KeyKind::SessionToken;
    if let Some(owner) = &request.owner {
        check_text("owner", owner, OWNER_MAX)?;
        if !token {
            return Err(Error::field("owner", "only session tokens have one"));
        }
    }
    match request.expires_at {
        Some(_) if !token => Err(Error::field("expires_at", "only session tokens end")),
        Some(at) if at <= now => Err(Error::field("expires_at", "must lie in the future")),
        Some(_) | None => Ok(()),
    }
}

/// Forgets the key that ended first when the app has as many as it may; those in use stay.
fn make_room(app: &mut App, now: Timestamp) -> Result<(), Error> {
    if app.keys.len() < KEYS_MAX {
        return Ok(());
    }
    let ended = |key: &IssuedKey| key.revoked_at.or(key.expires_at).filter(|at| *at <= now);
    let oldest = app.keys.iter().enumerate().filter_map(|(at, key)| Some((ended(key)?, at))).min();
    let (_, at) = oldest.ok_or_else(|| Error::LimitReached(format!("an app has at most {KEYS_MAX} keys in use")))?;
    app.keys.remove(at);
    Ok(())
}
