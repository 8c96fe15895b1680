//! A disk that forgets: what is not synced may be lost, kept or torn when the power goes; reads, writes and syncs fail
//! on demand.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::store::redb::Files;

/// The unit that a disk writes whole.
const SECTOR: usize = 512;

/// What can be done to a disk that a crash may interrupt, or that may be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Create,
    Read,
    Write,
    SetLength,
    Sync,
    Rename,
    Remove,
}

/// What becomes of unsynced writes when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them are lost.
    All,
    /// None is lost.
    Nothing,
    /// Some are lost, and one of the others is torn.
    Some(u64),
}

/// The disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Deeds that change something, done so far, by file and kind.
    done: Vec<(String, Deed)>,
    /// The power goes at this deed.
    crash_at: Option<usize>,
    off: bool,
    /// The deed that fails next on a file, after so many that work; then the file works again.
    fault: Option<(String, Deed, usize)>,
    /// How often a fault came true.
    faults: usize,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// What readers see.
    current: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What is between the two, in order.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLength(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLength(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power at the deed of that number, counted from now.
    pub fn crash_at(&self, deed: usize) {
        let mut state = self.state();
        state.done.clear();
        state.crash_at = Some(deed);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The deeds done since the last [`Disk::crash_at`], by file and kind.
    pub fn done(&self) -> Vec<(String, Deed)> {
        self.state().done.clone()
    }

    /// Has one deed on `file` fail after `after` more that work.
    pub fn fail(&self, file: &str, deed: Deed, after: usize) {
        self.state().fault = Some((file.to_owned(), deed, after));
    }

    /// How often a fault came true.
    pub fn faults(&self) -> usize {
        self.state().faults
    }

    /// The disk after the power came back.
    pub fn after_power_loss(&self, loss: Loss) -> Self {
        self.copy(|content| content.lose(loss))
    }

    /// The disk after the process ended: the page cache stays as it is.
    pub fn after_process_end(&self) -> Self {
        self.copy(|_| ())
    }

    fn copy(&self, change: impl Fn(&mut Content)) -> Self {
        let state = self.state();
        let files = state.files.iter().map(|(name, content)| {
            let mut content = content.lock().unwrap_or_else(PoisonError::into_inner).clone();
            change(&mut content);
            (name.clone(), Arc::new(Mutex::new(content)))
        });
        Self(Arc::new(Mutex::new(State { files: files.collect(), ..State::default() })))
    }

    /// The disk with one bit of a file flipped.
    pub fn with_flipped_bit(&self, file: &str, bit: usize) -> Self {
        let copy = self.after_power_loss(Loss::Nothing);
        copy.edit(file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        copy
    }

    /// Changes the bytes of a file behind everybody's back.
    pub fn edit(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let content = Arc::clone(self.state().files.get(file).expect("the file is there"));
        let mut content = content.lock().expect("whole");
        change(&mut content.current);
        content.durable = content.current.clone();
    }

    /// The bytes of a file, as a reader sees them.
    pub fn bytes(&self, file: &str) -> Vec<u8> {
        let content = Arc::clone(self.state().files.get(file).expect("the file is there"));
        let content = content.lock().expect("whole");
        content.current.clone()
    }

    /// Does a deed unless the power goes before it, or it is told to fail.
    fn deed(&self, file: &str, deed: Deed) -> io::Result<()> {
        let mut state = self.state();
        if state.off {
            return Err(io::Error::other("the power is off"));
        }
        if deed != Deed::Read {
            let number = state.done.len();
            state.done.push((file.to_owned(), deed));
            if state.crash_at == Some(number) {
                state.off = true;
                return Err(io::Error::other("the power goes"));
            }
        }
        let Some((name, kind, after)) = &mut state.fault else { return Ok(()) };
        if name != file || *kind != deed {
            return Ok(());
        }
        if let Some(left) = after.checked_sub(1) {
            *after = left;
            return Ok(());
        }
        state.fault = None;
        state.faults += 1;
        Err(io::Error::other("the disk refuses"))
    }
}

impl Content {
    fn lose(&mut self, loss: Loss) {
        let mut random = match loss {
            Loss::All => {
                self.pending.clear();
                0
            }
            Loss::Nothing => 0,
            Loss::Some(seed) => seed | 1,
        };
        let mut next = move || {
            // SplitMix64.
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        let mut torn = loss == Loss::Nothing;
        for change in std::mem::take(&mut self.pending) {
            if let Loss::Some(_) = loss {
                if next() % 2 == 0 {
                    continue;
                }
                if let (false, Change::Write(offset, data)) = (torn, &change)
                    && data.len() > SECTOR
                    && next() % 2 == 0
                {
                    torn = true;
                    let sectors = data.len() / SECTOR;
                    let kept = usize::try_from(next() % 1024).expect("small") % sectors * SECTOR;
                    Change::Write(*offset, data[..kept].to_vec()).apply(&mut self.durable);
                    continue;
                }
            }
            change.apply(&mut self.durable);
        }
        self.current = self.durable.clone();
    }
}

/// An open file.
#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    name: Mutex<String>,
    content: Arc<Mutex<Content>>,
}

impl OpenFile {
    fn change(&self, deed: Deed, change: Change) -> io::Result<()> {
        let done = self.disk.deed(&self.name.lock().expect("whole"), deed);
        let mut content = self.content.lock().expect("whole");
        if done.is_err() {
            if self.disk.is_off() {
                // The deed that the power goes at may still reach the platter, or half of it may.
                content.pending.push(change);
            }
            return done;
        }
        change.apply(&mut content.current);
        content.pending.push(change);
        Ok(())
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("files of tests are small")
}

impl StorageBackend for OpenFile {
    fn len(&self) -> io::Result<u64> {
        let length = self.content.lock().expect("whole").current.len();
        Ok(u64::try_from(length).expect("a length fits 64 bits"))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.deed(&self.name.lock().expect("whole"), Deed::Read)?;
        let content = self.content.lock().expect("whole");
        let bytes = content.current.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Deed::SetLength, Change::SetLength(place(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let done = self.disk.deed(&self.name.lock().expect("whole"), Deed::Sync);
        let mut content = self.content.lock().expect("whole");
        if done.is_err() {
            if !self.disk.is_off() {
                // As Linux does: the pages count as clean from now on, and never reach the platter.
                content.pending.clear();
            }
            return done;
        }
        for change in std::mem::take(&mut content.pending) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Deed::Write, Change::Write(place(offset), data.to_vec()))
    }
}

impl Files for Disk {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let there = self.state().files.get(name).cloned();
        let content = if let Some(content) = there {
            content
        } else {
            self.deed(name, Deed::Create)?;
            Arc::clone(self.state().files.entry(name.to_owned()).or_default())
        };
        Ok(Box::new(OpenFile { disk: self.clone(), name: Mutex::new(name.to_owned()), content }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.deed(name, Deed::Read)?;
        Ok(self.state().files.contains_key(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.state().files.contains_key(name) {
            self.deed(name, Deed::Remove)?;
            self.state().files.remove(name);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.deed(to, Deed::Rename)?;
        let mut state = self.state();
        let content = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }
}
