//! When the disk refuses: the one-way switch that stops commits, and what must be done to a file before it may be used
//! again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::files::{Fate, Files, NEW, SUSPECT, Watched};
use crate::store::StoreError;

/// Bytes copied at a time.
const COPIED_AT_ONCE: u64 = 1024 * 1024;

/// Fenced or not. Once fenced, a session stays so; reopening makes a new session.
#[derive(Debug, Default)]
pub struct Fence(OnceLock<Arc<str>>);

impl Fence {
    /// Stops commits because something is wrong. The first reason stays.
    pub fn close(&self, why: String) {
        if self.shut(&why) {
            tracing::error!(%why, "the store is fenced");
        }
    }

    /// Stops commits. The first reason stays; whether it is this one.
    pub fn shut(&self, why: &str) -> bool {
        self.0.set(why.into()).is_ok()
    }

    /// Why it is fenced.
    #[must_use]
    pub fn why(&self) -> Option<Arc<str>> {
        self.0.get().cloned()
    }

    /// Whether it is fenced.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.get().is_some()
    }
}

/// Why something that redb was asked for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// redb says so.
    #[error("{0}")]
    Redb(redb::Error),
    /// redb panicked.
    #[error("redb panicked: {0}")]
    Panic(String),
}

/// Asks redb for something; a panic becomes an answer.
pub fn ask<T>(what: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Refused> {
    match catch_unwind(AssertUnwindSafe(what)) {
        Ok(result) => result.map_err(Refused::Redb),
        Err(panic) => Err(Refused::Panic(told(&*panic))),
    }
}

/// What a panic said.
pub fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

impl Refused {
    /// What it means when a file is opened or read from end to end.
    #[must_use]
    pub fn opening(self, file: &str) -> StoreError {
        match self {
            Self::Panic(why) => StoreError::Damaged(format!("{file}: redb panicked: {why}")),
            Self::Redb(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse(file.to_owned()),
            Self::Redb(redb::Error::Io(why)) if why.kind() != std::io::ErrorKind::InvalidData => {
                StoreError::Unavailable(format!("{file}: {why}"))
            }
            Self::Redb(why @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed)) => {
                StoreError::Unavailable(format!("{file}: {why}"))
            }
            Self::Redb(why) => StoreError::Damaged(format!("{file}: {why}")),
        }
    }
}

/// The fates of both files; they outlive the sessions.
#[derive(Debug, Clone, Default)]
pub struct Fates {
    /// The journal's.
    pub journal: Arc<Fate>,
    /// The tables'.
    pub tables: Arc<Fate>,
}

impl Fates {
    /// A panic, or a thread that died: trust neither file before it is checked.
    pub fn distrust(&self) {
        self.journal.distrust();
        self.tables.distrust();
    }
}

/// Replaces a file whose sync failed by a copy that is synced and checked. Until then nothing else touches it.
pub fn replace_suspect(files: &Arc<dyn Files>, file: &'static str, fate: &Fate) -> Result<(), StoreError> {
    let mark = [file, SUSPECT].concat();
    let unavailable = |why: std::io::Error| StoreError::Unavailable(format!("{file}: {why}"));
    let marked = files.exists(&mark).map_err(unavailable)?;
    if !marked && !fate.sync_failed.load(Ordering::Acquire) {
        return Ok(());
    }
    if files.exists(file).map_err(unavailable)? {
        let copy = [file, NEW].concat();
        copy_durably(files, file, &copy).map_err(unavailable)?;
        check_copy(files, file, &copy)?;
        files.rename(&copy, file).map_err(unavailable)?;
    }
    files.remove(&mark).map_err(unavailable)?;
    fate.sync_failed.store(false, Ordering::Release);
    Ok(())
}

fn copy_durably(files: &Arc<dyn Files>, from: &str, to: &str) -> std::io::Result<()> {
    files.remove(to)?;
    let (source, copy) = (files.open(from)?, files.open(to)?);
    let length = source.len()?;
    copy.set_len(length)?;
    let mut offset = 0;
    while offset < length {
        let count = COPIED_AT_ONCE.min(length - offset);
        let mut bytes = vec![0; usize::try_from(count).expect("a mebibyte")];
        source.read(offset, &mut bytes)?;
        copy.write(offset, &bytes)?;
        offset += count;
    }
    copy.sync_data()?;
    source.close()?;
    copy.close()
}

/// Opens the copy with the integrity check, which commits what it repairs, and closes it again.
fn check_copy(files: &Arc<dyn Files>, file: &'static str, copy: &str) -> Result<(), StoreError> {
    // A failure here concerns the copy alone: it gets a fate of its own.
    let backend = Watched::open(files, file, copy, &Arc::default());
    let backend = backend.map_err(|why| StoreError::Unavailable(format!("{copy}: {why}")))?;
    ask(|| {
        let mut builder = redb::Builder::new();
        let database = builder.set_check_integrity_on_open(true).create_with_backend(backend)?;
        Ok(database.close()?)
    })
    .map_err(|why| why.opening(copy))
}
