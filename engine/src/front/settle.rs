//! Decide, commit, and decide again when somebody else was quicker.

use crate::Error;
use crate::api::Scope;
use crate::engine::Inner;
use crate::store::{Batch, CommitError, keys, notes};

/// So often a command is decided anew before the caller hears *busy*.
const TRIES: u32 = 16;

/// What a command came to.
pub(crate) enum Decided<T> {
    /// This is to be written; then the answer is.
    Write(Batch, T),
    /// Nothing is to be written.
    Already(T),
}

impl Inner {
    /// Commits what `decide` wants. When a row that it read has changed meanwhile, nothing was written, and it reads
    /// and decides again.
    ///
    /// # Errors
    /// Those of `decide`, those of a commit, and [`Error::Busy`] when the rows keep changing.
    pub(crate) async fn settle<T, F, Fut>(&self, decide: F) -> Result<T, Error>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Decided<T>, Error>>,
    {
        for _ in 0..TRIES {
            let (batch, answer) = match decide().await? {
                Decided::Already(answer) => return Ok(answer),
                Decided::Write(batch, answer) => (batch, answer),
            };
            match self.store.commit(batch).await {
                Ok(_) => return Ok(answer),
                Err(CommitError::Conflict(_) | CommitError::Stale) => {}
                Err(
                    why @ (CommitError::Busy
                    | CommitError::TooLarge
                    | CommitError::Fenced(_)
                    | CommitError::OutcomeUnknown),
                ) => return Err(why.into()),
            }
        }
        Err(Error::Busy)
    }
}

impl Inner {
    /// Has those who make one of a bounded number of things do so one after the other: of two at once one decides
    /// again, and counts anew. To be called before counting.
    ///
    /// # Errors
    /// Those of every read.
    pub(super) async fn take_turn(&self, batch: &mut Batch, what: &str, scope: Scope) -> Result<(), Error> {
        let row = keys::meta(&format!("{what}/{}/{}", scope.app_id, scope.mode));
        let (turn, seen) = self.reader.record::<notes::MetaValue>(row.clone()).await?;
        let before = turn.and_then(|turn| <[u8; 8]>::try_from(turn.0).ok()).map_or(0, u64::from_be_bytes);
        let turn = notes::MetaValue(before.wrapping_add(1).to_be_bytes().to_vec());
        batch.watch(row.clone(), seen).put_record(row, &turn);
        Ok(())
    }
}
