//! The tables' file: records and indexes as of one commit, and the numbers that tie it to its journal.

use std::ops::Bound;
use std::sync::Arc;

use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};

use super::blob::StoreId;
use super::layer::Layer;
use crate::store::{RowKey, Scan, Seq, Table, Value};

type Bytes = &'static [u8];

/// What both files say of themselves.
pub const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("store");

/// The numbers that tie the two files of a store to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The store.
    pub id: StoreId,
    /// Counts the openings; 1 while the files are being made.
    pub epoch: u64,
    /// The newest group whose changes the tables hold. In the journal it says nothing.
    pub applied: Seq,
}

impl About {
    /// Writes them.
    pub fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("id", self.id.as_slice())?;
        about.insert("epoch", self.epoch.to_be_bytes().as_slice())?;
        about.insert("applied", self.applied.0.to_be_bytes().as_slice())?;
        Ok(())
    }

    /// Reads them; `None` when one is not there or has a wrong length.
    pub fn read(database: &Database) -> Result<Option<Self>, redb::Error> {
        let table = match database.begin_read()?.open_table(ABOUT) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other?,
        };
        let value = |name: &str| table.get(name).map(|guard| guard.map(|guard| guard.value().to_vec()));
        let number = |bytes: Option<Vec<u8>>| bytes?.try_into().ok().map(u64::from_be_bytes);
        let id = value("id")?.and_then(|bytes| bytes.try_into().ok());
        let (epoch, applied) = (number(value("epoch")?), number(value("applied")?));
        Ok(id.zip(epoch).zip(applied).map(|((id, epoch), applied)| Self { id, epoch, applied: Seq(applied) }))
    }
}

/// Starts a write transaction on the tables: every commit of them, without exception, carries what a quick repair needs.
fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Writes who the tables are, and makes the tables that are not there.
pub fn declare(database: &Database, about: &About) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    about.write(&transaction)?;
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    Ok(transaction.commit()?)
}

/// After so many rows a checkpoint lets other threads run: nobody waits for it, and the writer, for whom everybody waits,
/// is not to wait for a processor.
const POLITE: usize = 32;

/// Brings a layer into the tables, in one durable commit.
pub fn checkpoint(database: &Database, layer: &Layer) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    for (table, changes) in layer.tables() {
        let mut table = transaction.open_table(definition(table))?;
        for (number, (key, change)) in changes.iter().enumerate() {
            match change {
                Some(value) => drop(table.insert(&**key, &**value)?),
                None => drop(table.remove(&**key)?),
            }
            if number.is_multiple_of(POLITE) {
                std::thread::yield_now();
            }
        }
    }
    transaction.open_table(ABOUT)?.insert("applied", layer.last().0.to_be_bytes().as_slice())?;
    Ok(transaction.commit()?)
}

/// The tables as of one checkpoint.
pub struct Snapshot {
    tables: Vec<ReadOnlyTable<Bytes, Bytes>>,
}

impl Snapshot {
    /// The tables as they are now.
    pub fn take(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        let tables = Table::ALL.into_iter().map(|table| transaction.open_table(definition(table)));
        Ok(Self { tables: tables.collect::<Result<_, _>>()? })
    }

    /// The bytes of a row.
    pub fn get(&self, key: &RowKey) -> Result<Option<Value>, redb::Error> {
        Ok(self.table(key.table).get(&*key.key)?.map(|guard| guard.value().into()))
    }

    /// The rows of a part of a table, in its order.
    pub fn rows(&self, scan: &Scan) -> Result<impl Iterator<Item = Result<Row, redb::Error>> + use<>, redb::Error> {
        let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(scan.to.as_slice()) };
        let mut range = self.table(scan.table).range::<&[u8]>((Bound::Included(scan.from.as_slice()), to))?;
        let newest_first = scan.newest_first;
        Ok(std::iter::from_fn(move || {
            let row = if newest_first { range.next_back() } else { range.next() }?;
            Some(row.map(|(key, value)| (key.value().into(), value.value().into())).map_err(redb::Error::from))
        }))
    }

    fn table(&self, table: Table) -> &ReadOnlyTable<Bytes, Bytes> {
        &self.tables[table.place()]
    }
}

/// Key and bytes of a row.
pub type Row = (Arc<[u8]>, Value);

fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(match table {
        Table::App => "app",
        Table::KeyDigest => "key_digest",
        Table::Account => "account",
        Table::AccountByApp => "account_by_app",
        Table::Material => "material",
        Table::Transaction => "transaction",
        Table::TransactionByApp => "transaction_by_app",
        Table::Bill => "bill",
        Table::Transition => "transition",
        Table::Evidence => "evidence",
        Table::Event => "event",
        Table::Subscription => "subscription",
        Table::SubscriptionByApp => "subscription_by_app",
        Table::Delivery => "delivery",
        Table::DeliveryBySubscription => "delivery_by_subscription",
        Table::DeliveryByApp => "delivery_by_app",
        Table::Due => "due",
        Table::Once => "once",
        Table::Idempotency => "idempotency",
        Table::Inbox => "inbox",
        Table::SetAside => "set_aside",
        Table::Alarm => "alarm",
        Table::Meta => "meta",
        Table::Refund => "refund",
        Table::TransactionByBill => "transaction_by_bill",
    })
}
