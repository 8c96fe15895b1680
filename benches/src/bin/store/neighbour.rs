//! A second file on the log's disk, written and synced as the tables are while the store works: what checkpoints alone
//! cost a log.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a checkpoint writes of the tables, measured under the paced load.
pub const CHECKPOINT_BYTES: usize = 8 * 1024 * 1024;

/// From the end of one to the beginning of the next, as measured there.
pub const PAUSE: Duration = Duration::from_millis(300);

/// Writes until it is stopped.
pub struct Neighbour {
    stop: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Neighbour {
    /// Starts to write the file at `path`, over and over.
    ///
    /// # Errors
    /// Those of the disk, and of a system that gives no thread.
    pub fn start(path: &Path) -> io::Result<Self> {
        let mut file = File::create_new(path)?;
        let (stop, stopped) = sync_channel(1);
        let write = move || {
            let checkpoint = vec![0xA5; CHECKPOINT_BYTES];
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                file.seek(SeekFrom::Start(0))?;
                file.write_all(&checkpoint)?;
                file.sync_data()?;
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("neighbour".to_owned()).spawn(write)?;
        Ok(Self { stop, thread })
    }

    /// Has it end.
    ///
    /// # Errors
    /// Those that it met.
    pub fn stop(self) -> io::Result<()> {
        // One that has failed hears nothing, and says why below.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the neighbour panicked")))
    }
}
