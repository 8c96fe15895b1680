//! `Idempotency-Key`: what a request made is noted in the same commit, so that a repeat finds it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;
use crate::api::Idempotency;
use crate::engine::Inner;
use crate::model::{KeyOwner, Mode, RawId, Timestamp};
use crate::store::keys::DueKind;
use crate::store::{Batch, RowKey, Seq, keys, notes};

use super::Decided;

/// How long a key is remembered.
const KEPT: Duration = Duration::from_hours(24);

/// Whether what a key stands for is remembered no more.
pub(crate) fn is_forgotten(note: &notes::Idempotency, now: Timestamp) -> bool {
    now >= note.created_at.after(KEPT)
}

/// What a key stands for.
pub(crate) enum Claimed {
    /// This object: an earlier request with the same content made it.
    Before(RawId),
    /// Nothing yet: the claim is to join the commit.
    New(Claim),
}

/// A key that is to be noted in the commit of what it stands for. Empty when the request came without a key.
pub(crate) struct Claim(Option<Free>);

struct Free {
    row: RowKey,
    seen: Seq,
    body_digest: [u8; 32],
}

/// Keys of requests that send first and note the key afterwards, while they do.
#[derive(Default)]
pub(crate) struct KeysInProgress(Mutex<BTreeSet<RowKey>>);

/// Holds a key for as long as it is there.
pub(crate) struct InProgress<'a>(&'a KeysInProgress, Option<RowKey>);

impl KeysInProgress {
    /// Holds the key of a request; without one there is nothing to hold. Bounded by the commands that may be under way.
    ///
    /// # Errors
    /// [`Error::IdempotencyInProgress`] while another request holds it.
    pub(crate) fn begin(&self, request: Option<&Idempotency>) -> Result<InProgress<'_>, Error> {
        let row = request.map(row_of);
        if let Some(row) = &row
            && !self.keys().insert(row.clone())
        {
            return Err(Error::IdempotencyInProgress);
        }
        Ok(InProgress(self, row))
    }

    fn keys(&self) -> MutexGuard<'_, BTreeSet<RowKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        if let Some(row) = &self.1 {
            self.0.keys().remove(row);
        }
    }
}

impl Inner {
    /// Looks a key up. A key that another request claims meanwhile fails the commit as a conflict: look it up again.
    ///
    /// # Errors
    /// [`Error::IdempotencyMismatch`] when it came with another body, [`Error::Invalid`] when it is no key.
    pub(crate) async fn claim(&self, request: Option<&Idempotency>) -> Result<Claimed, Error> {
        let Some(request) = request else { return Ok(Claimed::New(Claim(None))) };
        if request.key.is_empty() || request.key.len() > 255 || !request.key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::field("Idempotency-Key", "1 to 255 visible ASCII characters"));
        }
        let row = row_of(request);
        let (note, seen) = self.reader.record::<notes::Idempotency>(row.clone()).await?;
        match note.filter(|note| !is_forgotten(note, self.clock.now().wall)) {
            Some(note) if note.body_digest == request.body_digest => Ok(Claimed::Before(note.resource_id)),
            Some(_) => Err(Error::IdempotencyMismatch),
            None => Ok(Claimed::New(Claim(Some(Free { row, seen, body_digest: request.body_digest })))),
        }
    }
}

impl Inner {
    /// Notes a key before work that commits nothing of its own. `true`: an earlier request with the same content has
    /// begun that work.
    ///
    /// # Errors
    /// As [`Inner::claim`], and those of a commit.
    pub(super) async fn begun_before(
        &self,
        request: Option<&Idempotency>,
        kind: &str,
        id: RawId,
    ) -> Result<bool, Error> {
        let decide = || async move {
            let claim = self.claim(request).await?.about(id)?;
            Ok(claim.map_or(Decided::Already(true), |claim| claim.alone(kind, id, self.clock.now().wall, false)))
        };
        self.settle(decide).await
    }
}

impl Claimed {
    /// For a command to an object that is there: the claim that is to join its commit, `None` when it was done before.
    ///
    /// # Errors
    /// [`Error::IdempotencyMismatch`] when the key stands for another object.
    pub(crate) fn about(self, id: RawId) -> Result<Option<Claim>, Error> {
        match self {
            Self::Before(found) if found == id => Ok(None),
            Self::Before(_) => Err(Error::IdempotencyMismatch),
            Self::New(claim) => Ok(Some(claim)),
        }
    }
}

impl Claim {
    /// For a command that changes nothing: the key is written all the same, so that a repeat finds it.
    pub(crate) fn alone<T>(self, kind: &str, id: RawId, now: Timestamp, answer: T) -> Decided<T> {
        if self.0.is_none() {
            return Decided::Already(answer);
        }
        let mut batch = Batch::default();
        self.join(&mut batch, kind, id, now);
        Decided::Write(batch, answer)
    }

    /// Notes in `batch` that the key stands for this object. `kind` is one word for it.
    pub(crate) fn join(self, batch: &mut Batch, kind: &str, id: RawId, now: Timestamp) {
        let Some(Free { row, seen, body_digest }) = self.0 else { return };
        let note = notes::Idempotency {
            body_digest,
            resource_kind: kind.to_owned(),
            resource_id: id,
            status_code: 201,
            created_at: now,
        };
        // Its due row leads back to it by what its key begins with, so that it is removed when its time is over.
        if let Some(id) = row.key.first_chunk::<{ RawId::LEN }>() {
            batch.put_marker(keys::due(now.after(KEPT), DueKind::Maintenance, RawId(*id)));
        }
        batch.watch(row.clone(), seen).put_record(row, &note);
    }
}

/// The scope of a key is whose credential it is (the app, or the operator), the mode, the operation and the text.
fn row_of(request: &Idempotency) -> RowKey {
    let owner = match &request.owner {
        KeyOwner::App(app, _) => [b"app ".as_slice(), app.bytes()].concat(),
        KeyOwner::Operator(_) => b"operator".to_vec(),
    };
    // An operator's requests have no mode; their owner keeps them apart from those of test mode.
    keys::idempotency(&owner, request.mode.unwrap_or(Mode::Test), request.route, &request.key)
}
