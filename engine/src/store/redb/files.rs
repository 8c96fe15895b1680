//! The files of a store: where they lie, and what became of their writes. The disk behind them can be exchanged, so that
//! tests can lose, tear and refuse what is written.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redb::{BackendError, StorageBackend};

/// The journal's file.
pub const JOURNAL: &str = "journal.redb";
/// The tables' file.
pub const TABLES: &str = "tables.redb";
/// A file that is being made and gets its name when it is whole.
pub const NEW: &str = ".new";
/// Stands beside a file whose sync failed: the page cache may hold what the disk does not.
pub const SUSPECT: &str = ".suspect";

/// Where the files of a store lie.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing; one that is not there is made, empty.
    ///
    /// # Errors
    /// Those of the disk.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// Whether there is such a file.
    ///
    /// # Errors
    /// Those of the disk.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Removes a file; nothing happens when there is none.
    ///
    /// # Errors
    /// Those of the disk.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives `from` the name `to` in place of the file that bore it, and waits until the folder is durable.
    ///
    /// # Errors
    /// Those of the disk.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
}

/// The files in a folder of the operating system.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The files in `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Files for Folder {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.0.join(name))?;
        let backend = redb::backends::FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.0.join(name).try_exists()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))?;
        // Only Unix can sync a folder; elsewhere the file system orders it.
        #[cfg(unix)]
        std::fs::File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}

/// What became of the writes to one file since it was last opened for good.
#[derive(Debug, Default)]
pub struct Fate {
    /// A read or write failed: check the file before using it again.
    pub failed: AtomicBool,
    /// A sync failed: never use the file in place again.
    pub sync_failed: AtomicBool,
}

impl Fate {
    /// Notes that the file must be checked before it is used again.
    pub fn distrust(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Whether nothing that was asked of the file failed.
    pub fn is_good(&self) -> bool {
        !self.failed.load(Ordering::Acquire) && !self.sync_failed.load(Ordering::Acquire)
    }
}

/// Bytes of the tables after which they are synced although nobody asked: a checkpoint of many megabytes that reaches the
/// disk all at once has every commit of the journal wait behind it.
const BURST: usize = 1024 * 1024;

/// A file of the store that notes the fate of what is written to it.
#[derive(Debug, Clone)]
pub struct Watched {
    name: &'static str,
    inner: Arc<dyn StorageBackend>,
    files: Arc<dyn Files>,
    fate: Arc<Fate>,
    /// Bytes written since the last sync, where that is bounded.
    unsynced: Option<Arc<AtomicUsize>>,
}

impl Watched {
    /// Opens `file`, one of [`JOURNAL`] and [`TABLES`], under the name it has on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open(files: &Arc<dyn Files>, file: &'static str, on_disk: &str, fate: &Arc<Fate>) -> io::Result<Self> {
        let inner = Arc::from(files.open(on_disk)?);
        // A commit of the journal is one write and one sync already.
        let unsynced = (file == TABLES).then(Arc::default);
        Ok(Self { name: file, inner, files: Arc::clone(files), fate: Arc::clone(fate), unsynced })
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.fate.distrust();
        }
        result
    }
}

/// The backend's name for it, in one place.
type Locked = Result<bool, BackendError>;

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.note(self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(unsynced) = &self.unsynced {
            unsynced.store(0, Ordering::Relaxed);
        }
        let result = self.inner.sync_data();
        if result.is_err() {
            self.fate.distrust();
            self.fate.sync_failed.store(true, Ordering::Release);
            // For the next process. It lives in the page cache as long as the doubtful pages do, so it needs no sync.
            if let Err(why) = self.files.open(&[self.name, SUSPECT].concat()) {
                tracing::error!(file = self.name, %why, "a file whose sync failed cannot be marked");
            }
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(self.inner.write(offset, data))?;
        match &self.unsynced {
            Some(unsynced) if unsynced.fetch_add(data.len(), Ordering::Relaxed) >= BURST => self.sync_data(),
            Some(_) | None => Ok(()),
        }
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.inner.query_lock_range(start, end)
    }
}
