//! What waits in the inbox, by heart: whose it is and how much it is, without reading what it says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::model::{InboxId, InboxItem, TransactionId};
use crate::store::records::decode_row;
use crate::store::{CommitListener, Put, RowKey, Scan, Seq, Store, Table, keys};

/// Items at most. At it notifications are refused, so that the provider repeats, and answers are asked for again.
const ITEMS_MAX: usize = 10_000;
/// Items that are read at once at the start: one may be 256 KiB.
const PAGE: usize = 64;

/// The number that each item of the inbox is about.
#[derive(Default)]
pub(crate) struct InboxItems(Mutex<BTreeMap<InboxId, String>>);

impl InboxItems {
    /// Those of a store. It has to listen to the store's commits from then on.
    ///
    /// # Errors
    /// The store cannot answer.
    pub fn read(store: &dyn Store) -> Result<Self, Error> {
        let items = Self::default();
        let mut scan = Scan::prefix(Table::Inbox, &[], PAGE);
        loop {
            let rows = store.scan(&scan)?;
            for (key, value) in &rows.rows {
                items.note(&RowKey { table: Table::Inbox, key: key.clone() }, Some(value));
            }
            let Some((last, _)) = rows.rows.last().filter(|_| rows.more) else { return Ok(items) };
            scan.from = [last, [0].as_slice()].concat();
        }
    }

    /// Whether no more are taken.
    pub fn is_full(&self) -> bool {
        self.items().len() >= ITEMS_MAX
    }

    /// Those about a transaction.
    pub fn about(&self, id: TransactionId) -> Vec<InboxId> {
        let id = id.to_string();
        self.items().iter().filter(|(_, number)| number.starts_with(&id)).map(|(item, _)| *item).collect()
    }

    fn note(&self, key: &RowKey, value: Option<&crate::store::Value>) {
        let Some(id) = keys::last_id(&key.key) else { return };
        match value {
            // One that does not decode is about nothing that is known, and takes its place all the same.
            Some(value) => {
                let number = decode_row::<InboxItem>(key, value).map_or_else(|_| String::new(), |item| item.number);
                self.items().insert(id, number);
            }
            None => drop(self.items().remove(&id)),
        }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<InboxId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitListener for InboxItems {
    fn committed(&self, _: Seq, puts: &[Put]) {
        for put in puts.iter().filter(|put| put.key.table == Table::Inbox) {
            self.note(&put.key, put.value.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::RawId;
    use crate::store::Batch;
    use crate::store::memory::MemoryStore;
    use crate::store::samples::sample_inbox;

    #[test]
    fn the_items_of_a_store_are_known() {
        // Those that were there at the start, over several pages, and what came and went since.
        let store = Arc::new(MemoryStore::new());
        let id = |number: u8| InboxId(RawId([number; RawId::LEN]));
        let put = |number: u8| {
            let mut batch = Batch::default();
            batch.put_record(keys::inbox(id(number)), &InboxItem { id: id(number), ..sample_inbox() });
            futures_util::future::FutureExt::now_or_never(store.commit(batch)).expect("at once").expect("committed");
        };
        (0..200).for_each(put);
        let items = Arc::new(InboxItems::read(store.as_ref()).expect("it is open"));
        store.listen(items.clone());
        put(200);
        let mut batch = Batch::default();
        batch.remove(keys::inbox(id(7)));
        futures_util::future::FutureExt::now_or_never(store.commit(batch)).expect("at once").expect("committed");
        assert_eq!(items.items().len(), 200);
        assert!(!items.items().contains_key(&id(7)) && items.items().contains_key(&id(200)));
        let about = crate::model::AttemptNumber::parse(&sample_inbox().number).expect("of ours").transaction;
        assert_eq!(items.about(about).len(), 200);
        assert_eq!(items.about(TransactionId(RawId([0xEE; RawId::LEN]))), []);
    }
}
