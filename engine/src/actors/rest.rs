//! A transaction's actor between two messages: it holds its record as the bytes of its row, which are a fraction of what
//! the record is in memory. Very many payments wait for their payer at once, and few of them do anything.

use std::sync::Arc;

use crate::Error;
use crate::channel::CodeManifest;
use crate::engine::Inner;
use crate::model::{Bill, Transaction, TransactionId};
use crate::store::{Seq, Value, codec, keys};

use super::keeper::{Held, Keeper};

/// A keeper at rest.
pub(super) struct Rest {
    inner: Arc<Inner>,
    held: Option<Packed>,
    resumed: bool,
    calling: u32,
}

/// What it holds, packed.
struct Packed {
    id: TransactionId,
    row: Value,
    seen: Seq,
    bill: Bill,
    bill_seen: Seq,
    rules: Arc<CodeManifest>,
}

impl Rest {
    /// Puts a keeper to rest.
    pub fn of(keeper: Keeper) -> Self {
        let Keeper { inner, held, resumed, calling } = keeper;
        let held = held.map(|Held { record, seen, bill, bill_seen, rules }| {
            let row = codec::encode(&keys::transaction(record.id), &record);
            Packed { id: record.id, row, seen, bill, bill_seen, rules }
        });
        Self { inner, held, resumed, calling }
    }

    /// The keeper again.
    ///
    /// # Errors
    /// [`Error::Internal`] when the bytes are not those that it was put to rest with.
    pub fn end(self) -> Result<Keeper, Error> {
        let Self { inner, held, resumed, calling } = self;
        let unpack = |Packed { id, row, seen, bill, bill_seen, rules }| {
            let record: Transaction = codec::decode(&keys::transaction(id), &row)
                .map_err(|why| Error::Internal(format!("transaction {id} was damaged in memory: {why}")))?;
            Ok::<_, Error>(Held { record, seen, bill, bill_seen, rules })
        };
        Ok(Keeper { inner, held: held.map(unpack).transpose()?, resumed, calling })
    }
}
