//! A planted fault: a disk that says *synced* while the bytes are still in this process. It writes them in order, 50 ms
//! later, so that a process that ends by force leaves files that are whole and old.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maxpay_engine::store::redb::{Files, Folder};
use redb::{BackendError, StorageBackend};

/// How much later the bytes are written.
const BEHIND: Duration = Duration::from_millis(50);
/// What waits to be written; at it the store waits.
const WAITING_MAX: usize = 65_536;

type Inner = Arc<dyn StorageBackend>;

/// What is to be done to a file, in the order in which it was asked.
#[derive(Debug)]
enum Task {
    Write(Inner, u64, Vec<u8>),
    SetLen(Inner, u64),
    Sync(Inner),
    /// Says when all before it is done.
    Tell(SyncSender<()>),
}

/// The files of a folder on such a disk.
#[derive(Debug)]
pub struct LateDisk {
    folder: Folder,
    tasks: SyncSender<Task>,
}

impl LateDisk {
    /// The files in `path`.
    pub fn new(path: &Path) -> Self {
        let (tasks, waiting) = sync_channel(WAITING_MAX);
        std::thread::spawn(move || work(&waiting));
        Self { folder: Folder::new(path), tasks }
    }

    /// Waits until everything is written: names are not late.
    fn catch_up(&self) {
        let (tell, told) = sync_channel(1);
        if self.tasks.send(Task::Tell(tell)).is_ok() {
            let _ = told.recv();
        }
    }
}

/// Does what is asked, each run of it late.
fn work(waiting: &Receiver<Task>) {
    while let Ok(first) = waiting.recv() {
        std::thread::sleep(BEHIND);
        for task in std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok())) {
            let done = match task {
                Task::Write(file, offset, bytes) => file.write(offset, &bytes),
                Task::SetLen(file, len) => file.set_len(len),
                Task::Sync(file) => file.sync_data(),
                Task::Tell(tell) => {
                    let _ = tell.send(());
                    Ok(())
                }
            };
            done.expect("the disk behind the late one works");
        }
    }
}

impl Files for LateDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.catch_up();
        let inner: Inner = Arc::from(self.folder.open(name)?);
        let mut bytes = vec![0; usize::try_from(inner.len()?).map_err(io::Error::other)?];
        inner.read(0, &mut bytes)?;
        Ok(Box::new(File { inner, bytes: Mutex::new(bytes), tasks: self.tasks.clone() }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.folder.exists(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.catch_up();
        self.folder.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.catch_up();
        self.folder.rename(from, to)
    }
}

/// A file: its bytes as they will be, and the file that will hold them.
#[derive(Debug)]
struct File {
    inner: Inner,
    bytes: Mutex<Vec<u8>>,
    tasks: SyncSender<Task>,
}

impl File {
    fn later(&self, task: Task) -> io::Result<()> {
        self.tasks.send(task).map_err(|_| io::Error::other("the late disk has stopped"))
    }
}

fn range(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let from = usize::try_from(offset).map_err(io::Error::other)?;
    Ok(from..from + len)
}

type Locked = Result<bool, BackendError>;

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        u64::try_from(bytes.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = bytes.get(range(offset, out.len())?).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(wanted);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        self.later(Task::SetLen(Arc::clone(&self.inner), len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.later(Task::Sync(Arc::clone(&self.inner)))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = range(offset, data.len())?;
        if bytes.len() < wanted.end {
            bytes.resize(wanted.end, 0);
        }
        bytes[wanted].copy_from_slice(data);
        self.later(Task::Write(Arc::clone(&self.inner), offset, data.to_vec()))
    }

    fn close(&self) -> io::Result<()> {
        let (tell, told) = sync_channel(1);
        self.later(Task::Tell(tell))?;
        let _ = told.recv();
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
