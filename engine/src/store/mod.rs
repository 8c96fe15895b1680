//! Durable memory: batches of rows in, committed or conflict out; reads that see every commit.
//!
//! This room knows rows, tables and the order of commits. What a row means is told by `codec` and `records`; which
//! status follows which is none of its business.

pub mod admission;
pub mod codec;
#[cfg(test)]
mod exam;
pub mod fanout;
pub mod keys;
pub mod memory;
pub mod notes;
pub mod records;
pub mod redb;
#[cfg(test)]
pub(crate) mod samples;

use std::fmt;
use std::sync::Arc;

use crate::model::Event;

/// The number of a group commit. Rows and events carry the one they were committed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// The tables. The number is on disk: it never changes and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// `app` → App.
    App = 1,
    /// SHA-256 of a bearer key under the sealing key → the app or operator it belongs to.
    KeyDigest = 2,
    /// `account` → Account.
    Account = 3,
    /// `app mode account` → nothing.
    AccountByApp = 4,
    /// `account` → downloaded material.
    Material = 5,
    /// `transaction` → Transaction.
    Transaction = 6,
    /// `app mode transaction` → nothing.
    TransactionByApp = 7,
    /// `app mode bill-number` → Bill.
    Bill = 8,
    /// `record number(u32)` → Transition.
    Transition = 9,
    /// `record number(u32)` → raw evidence, sealed.
    Evidence = 10,
    /// `seq(u64) index(u32)` → Event.
    Event = 11,
    /// `subscription` → Subscription.
    Subscription = 12,
    /// `app mode subscription` → nothing.
    SubscriptionByApp = 13,
    /// `delivery` → Delivery.
    Delivery = 14,
    /// `subscription delivery` → nothing.
    DeliveryBySubscription = 15,
    /// `app mode delivery` → nothing.
    DeliveryByApp = 16,
    /// `due(u64 ms) kind(u8) id` → nothing.
    Due = 17,
    /// Hash of (adapter, account identity, key) → the transaction that used it.
    Once = 18,
    /// Hash of (owner, mode, route, key) → what was answered.
    Idempotency = 19,
    /// `inbox` → a verified notification without a home.
    Inbox = 20,
    /// `kind(u8) id` → why the record is set aside.
    SetAside = 21,
    /// `alarm` → Alarm.
    Alarm = 22,
    /// `name` → engine-wide values: the sealed check value, operator keys.
    Meta = 23,
    /// Refund (reserved).
    Refund = 24,
    /// `app mode length(u16) bill-number transaction` → nothing.
    TransactionByBill = 25,
}

impl Table {
    /// Every table, in order of number.
    pub const ALL: [Self; 25] = [
        Self::App,
        Self::KeyDigest,
        Self::Account,
        Self::AccountByApp,
        Self::Material,
        Self::Transaction,
        Self::TransactionByApp,
        Self::Bill,
        Self::Transition,
        Self::Evidence,
        Self::Event,
        Self::Subscription,
        Self::SubscriptionByApp,
        Self::Delivery,
        Self::DeliveryBySubscription,
        Self::DeliveryByApp,
        Self::Due,
        Self::Once,
        Self::Idempotency,
        Self::Inbox,
        Self::SetAside,
        Self::Alarm,
        Self::Meta,
        Self::Refund,
        Self::TransactionByBill,
    ];

    /// The table of a number on disk.
    #[must_use]
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Its place in [`Table::ALL`].
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.number()) - 1
    }

    /// The number on disk.
    #[must_use]
    pub fn number(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "the discriminant is the number")]
        {
            self as u8
        }
    }
}

/// Which row: its table and its key, big-endian and sorted by time where it can be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The table.
    pub table: Table,
    /// The key in it; at most 1,024 bytes.
    pub key: Arc<[u8]>,
}

impl RowKey {
    /// The row of `table` whose key is these parts one after the other.
    #[must_use]
    pub fn new(table: Table, parts: &[&[u8]]) -> Self {
        Self { table, key: parts.concat().into() }
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.table, hex::encode(&self.key))
    }
}

/// The bytes of a row, as the codec made them.
pub type Value = Arc<[u8]>;

/// One change: the new bytes of a row, or `None` to remove it.
#[derive(Clone, PartialEq, Eq)]
pub struct Put {
    /// Which row.
    pub key: RowKey,
    /// What it shall hold.
    pub value: Option<Value>,
}

/// A row as it was read: its bytes, and the commit as of which they are the newest.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    /// The bytes; `None`: there is no such row.
    pub value: Option<Value>,
    /// The newest commit that this answer reflects.
    pub seen: Seq,
}

/// A precondition: nobody has changed the row since `seen`. It holds for rows that were absent, too: a key may be
/// claimed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which row.
    pub key: RowKey,
    /// [`Read::seen`] of the read that the batch was computed from, or [`Committed::seq`] of the own last write.
    pub seen: Seq,
}

/// Changes that become durable together or not at all.
#[derive(Clone, Default)]
pub struct Batch {
    /// What must not have changed.
    pub watches: Vec<Watch>,
    /// What changes.
    pub puts: Vec<Put>,
    /// What is told of it. The writer gives each its place (seq, index), and writes in the same commit one delivery
    /// for each subscription that wants it.
    pub events: Vec<Event>,
}

/// What became of a batch that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The group it was committed in.
    pub seq: Seq,
}

/// Why a batch is not known to be durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A watched row has changed: read it again, decide again. Nothing was written.
    #[error("row {0:?} has changed since it was read")]
    Conflict(RowKey),
    /// A watch is older than the store remembers: read again. Nothing was written.
    #[error("the rows were read too long ago, read again")]
    Stale,
    /// The queue is full. Nothing was written.
    #[error("the store is busy")]
    Busy,
    /// The batch is larger than one group may be. Nothing was written.
    #[error("the change is too large for one commit")]
    TooLarge,
    /// The store was fenced before the batch was taken. Nothing was written.
    #[error("the store is fenced: {0}")]
    Fenced(Arc<str>),
    /// The disk refused while the batch was on its way: it may or may not be durable.
    #[error("it is not known whether the change is durable")]
    OutcomeUnknown,
}

/// Why a read or an opening failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("the store at {0} is in use by another process")]
    InUse(String),
    /// The files do not belong together or contradict themselves.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The row needs a disk that refuses.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// One row does not decode.
    #[error("row {key:?} cannot be read: {why}")]
    Row {
        /// Which row.
        key: RowKey,
        /// What is wrong with its bytes.
        why: String,
    },
}

/// A part of one table, in the order of keys.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The table.
    pub table: Table,
    /// The first key that belongs to it (inclusive).
    pub from: Vec<u8>,
    /// The first key that no longer belongs to it (exclusive); empty: the end of the table.
    pub to: Vec<u8>,
    /// Whether to go from the last key to the first.
    pub newest_first: bool,
    /// At most so many rows (1 to 10,000).
    pub limit: usize,
}

impl Scan {
    /// All rows of `table` whose key starts with `prefix`, oldest first.
    #[must_use]
    pub fn prefix(table: Table, prefix: &[u8], limit: usize) -> Self {
        let mut to = prefix.to_vec();
        // The next prefix: the last byte that can be raised, raised; what follows it, dropped.
        while let Some(last) = to.pop() {
            if last < u8::MAX {
                to.push(last + 1);
                break;
            }
        }
        Self { table, from: prefix.to_vec(), to, newest_first: false, limit }
    }
}

/// The rows of a scan.
#[derive(Clone)]
pub struct Rows {
    /// Key and bytes, in order.
    pub rows: Vec<(Arc<[u8]>, Value)>,
    /// Whether the scan ended at its limit and more rows may follow.
    pub more: bool,
    /// The newest commit that this answer reflects.
    pub seen: Seq,
}

/// Whether the store takes commits and answers reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Open,
    /// The disk refused or a store thread died: no commits. Reads may still work.
    Fenced {
        /// What happened.
        why: Arc<str>,
    },
}

/// Hears of every durable group, in order, on the writer's thread, before the callers do. Must be quick and must not
/// call the store.
pub trait CommitListener: Send + Sync {
    /// The rows of a group that is durable now, deliveries included.
    fn committed(&self, seq: Seq, puts: &[Put]);
}

/// The answer to [`Store::commit`], once it is there.
pub type CommitFuture = std::pin::Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send>>;

/// The most rows that one scan returns.
pub const SCAN_ROWS_MAX: usize = 10_000;

/// The future of an answer that a body of the store sends. One that dies without sending leaves the outcome unknown.
fn answer(receiver: tokio::sync::oneshot::Receiver<Result<Committed, CommitError>>) -> CommitFuture {
    Box::pin(async { receiver.await.unwrap_or(Err(CommitError::OutcomeUnknown)) })
}

/// Durable memory. Bodies: [`memory`] and [`redb`](mod@redb).
///
/// `read` and `scan` may wait for the disk: off the arbiters only. `peek`, `commit` and `health` never block.
pub trait Store: Send + Sync + 'static {
    /// The newest committed bytes of a row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the disk refuses, [`StoreError::Damaged`].
    fn read(&self, key: &RowKey) -> Result<Read, StoreError>;

    /// As [`Store::read`], when that needs no disk; `None` when it does.
    fn peek(&self, key: &RowKey) -> Option<Read>;

    /// The newest committed rows of a part of a table. A scan that starts after a commit shows it.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn scan(&self, scan: &Scan) -> Result<Rows, StoreError>;

    /// Hands a batch to the writer. The future may be dropped: the batch goes its way all the same.
    fn commit(&self, batch: Batch) -> CommitFuture;

    /// Has `listener` hear of every group from the next one on.
    fn listen(&self, listener: Arc<dyn CommitListener>);

    /// Whether it works.
    fn health(&self) -> Health;

    /// Tries to work again after it was fenced; does nothing when it was not. Waits for the disk.
    ///
    /// # Errors
    /// As when opening: the reason it cannot.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Writes what is queued, applies what is journalled, closes the files. Later calls are answered as fenced.
    fn close(&self);
}
