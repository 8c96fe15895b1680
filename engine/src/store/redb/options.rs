//! What a redb store can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::files::Files;
use crate::clock::{Clock, Entropy};

/// A named point of the way of a commit, for tests that end the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashPoint {
    /// The writer has taken and judged the batches of a group; nothing is written.
    BatchTaken,
    /// Before the group's commit in the journal.
    BeforeJournalCommit,
    /// The group is durable; no reader sees it yet.
    AfterJournalCommit,
    /// Readers see the group.
    AfterOverlay,
    /// The listeners have heard of the group; no caller has.
    BeforeReply,
    /// Before the commit of a checkpoint in the tables.
    BeforeCheckpointCommit,
    /// The checkpoint is durable.
    AfterCheckpointCommit,
    /// Before a commit that cuts the journal.
    BeforeCut,
    /// The journal is cut.
    AfterCut,
}

/// Hears of every crash point as it is passed, on the store's own threads.
pub type CrashPoints = Arc<dyn Fn(CrashPoint) + Send + Sync>;

/// What a redb store can be told. [`RedbOptions::new`] gives what suits a server.
#[derive(Clone)]
pub struct RedbOptions {
    /// Measures how long checkpoints take.
    pub clock: Arc<dyn Clock>,
    /// Names a new store.
    pub entropy: Arc<dyn Entropy>,
    /// Batches that may wait for the writer; more are refused as busy.
    pub queue_batches_max: usize,
    /// Bytes of batches that may wait for the writer; more are refused as busy.
    pub queue_bytes_max: usize,
    /// Rows that may be in the journal and not in the tables; at it the writer waits.
    pub unapplied_rows_max: usize,
    /// Bytes of rows that may be in the journal and not in the tables; at it the writer waits.
    pub unapplied_bytes_max: usize,
    /// Rows of one checkpoint (a single group may have more); when so many wait, it begins.
    pub checkpoint_rows: usize,
    /// A checkpoint begins when rows have waited so long.
    pub checkpoint_every: Duration,
    /// A journal file longer than this is replaced.
    pub journal_bytes_max: u64,
    /// Bytes of the tables that redb keeps in memory.
    pub tables_cache_bytes: usize,
    /// Whether opening checks every page of the tables, which reads the whole file. The journal is always checked.
    pub check_tables: bool,
    /// The files; `None`: those of the folder.
    pub files: Option<Arc<dyn Files>>,
    /// For tests that end the process at a named point.
    pub crash_points: Option<CrashPoints>,
}

impl RedbOptions {
    /// The options of a server.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            queue_batches_max: 8_192,
            queue_bytes_max: 64 * 1024 * 1024,
            unapplied_rows_max: 200_000,
            unapplied_bytes_max: 256 * 1024 * 1024,
            checkpoint_rows: 50_000,
            checkpoint_every: Duration::from_millis(500),
            journal_bytes_max: 512 * 1024 * 1024,
            tables_cache_bytes: 256 * 1024 * 1024,
            check_tables: false,
            files: None,
            crash_points: None,
        }
    }

    /// Passes a named point.
    pub fn pass(&self, point: CrashPoint) {
        if let Some(hear) = &self.crash_points {
            hear(point);
        }
    }
}

impl fmt::Debug for RedbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbOptions")
    }
}
