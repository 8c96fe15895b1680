//! A disk that refuses when it is told to: the files are real, their writes or syncs fail on demand.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex};

use maxpay_engine::store::redb::{Files, Folder};
use redb::{BackendError, StorageBackend};

/// What a disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Writes fail, as on a full disk.
    Write,
    /// Syncs fail: what was written may or may not be there later.
    Sync,
}

type Refused = Arc<Mutex<Option<(&'static str, Refusal)>>>;

/// The files of one folder, on a disk that can refuse.
#[derive(Debug)]
pub struct Disk {
    folder: Folder,
    refused: Refused,
}

impl Disk {
    /// The files in `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { folder: Folder::new(path), refused: Arc::default() }
    }

    /// From now on refuses to do that to files whose name begins with `file`.
    ///
    /// # Panics
    /// Never in practice: nobody panics while the switch is held.
    pub fn refuse(&self, file: &'static str, what: Refusal) {
        *self.refused.lock().expect("held shortly") = Some((file, what));
    }

    /// From now on works.
    ///
    /// # Panics
    /// As [`Disk::refuse`].
    pub fn heal(&self) {
        *self.refused.lock().expect("held shortly") = None;
    }
}

impl Files for Disk {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let inner = self.folder.open(name)?;
        Ok(Box::new(File { name: name.to_owned(), inner, refused: Arc::clone(&self.refused) }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.folder.exists(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }
}

#[derive(Debug)]
struct File {
    name: String,
    inner: Box<dyn StorageBackend>,
    refused: Refused,
}

impl File {
    fn may(&self, what: Refusal) -> io::Result<()> {
        let refused = *self.refused.lock().expect("held shortly");
        match refused {
            Some((file, refused)) if refused == what && self.name.starts_with(file) => {
                Err(io::Error::other("the disk refuses"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

type Locked = Result<bool, BackendError>;

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.may(Refusal::Write)?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.may(Refusal::Sync)?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.may(Refusal::Write)?;
        self.inner.write(offset, data)
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
