//! The store in two redb files: a journal that every group of batches is committed to, and tables behind it that an
//! applier brings up. Readers see the tables' snapshot under an overlay of what is not applied yet.
//!
//! It knows rows and files; it does not know what a row means.

mod applier;
pub mod blob;
mod fence;
mod files;
mod journal;
mod journal_file;
mod layer;
mod options;
mod overlay;
mod progress;
mod recovery;
mod session;
mod tables;
mod witness;

#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use files::{Files, Folder};
pub use options::{CrashPoint, CrashPoints, RedbOptions};
use session::{Listeners, Session, Shared};

use self::fence::{Fates, ask};
use super::admission::Prepared;
use super::{Batch, CommitError, CommitFuture, CommitListener, Health, Read, RowKey, Rows, Scan, Store, StoreError};

/// The file whose lock says that the folder is in use.
const LOCK: &str = "lock";

/// A store in a folder.
pub struct RedbStore {
    options: RedbOptions,
    files: Arc<dyn Files>,
    fates: Fates,
    listeners: Arc<Listeners>,
    session: RwLock<Arc<Session>>,
    /// Held while sessions are exchanged.
    reopening: Mutex<()>,
    closed: AtomicBool,
    /// Locked as long as the store is open.
    lock: Mutex<Option<File>>,
}

impl RedbStore {
    /// Opens the store in `folder`, or makes it. Waits for the disk; how long depends on the journal's length.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Damaged`] and, when the disk refuses, [`StoreError::Unavailable`].
    pub fn open(folder: &Path, options: RedbOptions) -> Result<Arc<Self>, StoreError> {
        let lock = lock(folder)?;
        let files = options.files.clone().unwrap_or_else(|| Arc::new(Folder::new(folder)));
        let (fates, listeners) = (Fates::default(), Arc::new(Listeners::default()));
        let recovered = recovery::recover(&files, &fates, &options, None)?;
        listeners.start_behind(recovered.last);
        let session = Session::start(recovered, &options, &files, &fates, &listeners)?;
        Ok(Arc::new(Self {
            options,
            files,
            fates,
            listeners,
            session: RwLock::new(Arc::new(session)),
            reopening: Mutex::new(()),
            closed: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        }))
    }

    /// Waits until everything that is committed now is in the tables.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is fenced.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let session = self.session();
        let shared = &session.shared;
        if shared.progress.wait_until_applied(shared.view.last(), &shared.fence) {
            return Ok(());
        }
        let why = shared.fence.why().unwrap_or_else(|| "the store is closed".into());
        Err(StoreError::Unavailable(why.to_string()))
    }

    /// Rows and bytes that are in the journal and not yet in the tables.
    #[must_use]
    pub fn unapplied(&self) -> (usize, usize) {
        self.session().shared.view.above()
    }

    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A read that went down to the tables' file.
fn below<T>(shared: &Shared, what: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    ask(what).map_err(|why| {
        if let fence::Refused::Panic(_) = why {
            shared.refused("tables", &why);
        }
        StoreError::Unavailable(why.to_string())
    })
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let unavailable = |why: std::io::Error| StoreError::Unavailable(format!("{}: {why}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unavailable)?;
    let mut options = File::options();
    let file =
        options.read(true).write(true).create(true).truncate(false).open(folder.join(LOCK)).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.display().to_string())),
        Err(TryLockError::Error(why)) => Err(unavailable(why)),
    }
}

impl Store for RedbStore {
    fn read(&self, key: &RowKey) -> Result<Read, StoreError> {
        let session = self.session();
        match session.shared.view.point(key) {
            Ok(read) => Ok(read),
            Err(under) => {
                let value = below(&session.shared, || under.snapshot.get(key))?;
                Ok(Read { value, seen: under.seen })
            }
        }
    }

    fn peek(&self, key: &RowKey) -> Option<Read> {
        self.session().shared.view.point(key).ok()
    }

    fn scan(&self, scan: &Scan) -> Result<Rows, StoreError> {
        let session = self.session();
        below(&session.shared, || session.shared.view.scan(scan))
    }

    fn commit(&self, batch: Batch) -> CommitFuture {
        match Prepared::new(batch) {
            Ok(prepared) => self.session().commit(prepared),
            Err(why) => Box::pin(std::future::ready(Err::<_, CommitError>(why))),
        }
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.listeners.add(listener);
    }

    fn health(&self) -> Health {
        if self.closed.load(Ordering::Acquire) {
            return Health::Fenced { why: "the store is closed".into() };
        }
        match self.session().shared.fence.why() {
            Some(why) => Health::Fenced { why },
            None => Health::Open,
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let one_at_a_time = self.reopening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let old = self.session();
        if !old.shared.fence.is_closed() {
            return Ok(());
        }
        old.stop();
        // Tables that nothing has befallen stay open, so that reads go on when the disk refuses the journal again.
        if !self.fates.tables.is_good() {
            old.let_tables_go();
        }
        let recovered = recovery::recover(&self.files, &self.fates, &self.options, old.tables())?;
        let session = Session::start(recovered, &self.options, &self.files, &self.fates, &self.listeners)?;
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(session);
        old.let_tables_go();
        drop(one_at_a_time);
        Ok(())
    }

    fn close(&self) {
        let one_at_a_time = self.reopening.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.closed.swap(true, Ordering::AcqRel) {
            let session = self.session();
            session.stop();
            session.let_tables_go();
            session.shared.fence.shut("the store is closed");
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        drop(one_at_a_time);
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.close();
    }
}
