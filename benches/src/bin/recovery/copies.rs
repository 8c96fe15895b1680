//! Copies of a payment: the rows that the engine would have written, had it made so many. Before any is written, a copy
//! is compared with the engine's own rows.

use std::collections::BTreeMap;

use maxpay_engine::clock::System;
use maxpay_engine::model::{Bill, BillNum, Timestamp, Transaction, TransactionId, Transition};
use maxpay_engine::secrets::{SealContext, Sealer, Secret};
use maxpay_engine::store::records::read_record;
use maxpay_engine::store::{Batch, RowKey, Scan, Store, Table, Value, codec, keys, notes};
use sha2::{Digest, Sha256};

use crate::Failure;

/// A payment as the engine wrote it.
pub struct Sample {
    record: Transaction,
    transitions: Vec<Transition>,
    /// The opened evidence of a transition, by its number, and when it came.
    evidence: BTreeMap<u32, (Secret, Timestamp)>,
}

/// What tells a copy from its sample.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Its id.
    pub id: TransactionId,
    /// Its bill number.
    pub bill_num: BillNum,
    /// When it is looked at next.
    pub due_at: Timestamp,
}

impl Sample {
    /// Reads a payment and everything that was written of it.
    pub fn read(store: &dyn Store, sealer: &Sealer, id: TransactionId) -> Result<Self, Failure> {
        let record = found::<Transaction>(store, &keys::transaction(id))?;
        let (mut transitions, mut evidence) = (Vec::new(), BTreeMap::new());
        for number in 1..=record.transitions {
            transitions.push(found::<Transition>(store, &keys::transition(id.0, number))?);
            if let (Some(note), _) = read_record::<notes::Evidence>(store, &keys::evidence(id.0, number))? {
                evidence.insert(number, (sealer.open(place(&id), &note.raw)?, note.received_at));
            }
        }
        Ok(Self { record, transitions, evidence })
    }

    /// The payment's id.
    pub fn id(&self) -> TransactionId {
        self.record.id
    }

    /// When the payment was made.
    pub fn made_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// The payment as what it is itself.
    fn itself(&self) -> Result<Difference, Failure> {
        let due_at = self.record.due_at.ok_or("a payment that waits has a due time")?;
        Ok(Difference { id: self.record.id, bill_num: self.record.bill_num.clone(), due_at })
    }

    /// Lets the payment be looked at then, and not before.
    pub fn put_off(&self, due_at: Timestamp) -> Batch {
        let mut after = self.record.clone();
        (after.look_at, after.due_at) = (Some(due_at), Some(due_at));
        let mut batch = Batch::default();
        batch.put_transaction(Some(&self.record), &after);
        batch
    }

    /// Adds the rows of a copy to a batch.
    pub fn write(&self, batch: &mut Batch, sealer: &Sealer, entropy: &System, it: &Difference) {
        let mut record = self.record.clone();
        (record.id, record.bill_num) = (it.id, it.bill_num.clone());
        (record.look_at, record.due_at) = (Some(it.due_at), Some(it.due_at));
        for attempt in &mut record.attempts {
            attempt.number.transaction = it.id;
        }
        record.transition_hash = [0; 32];
        for transition in &self.transitions {
            let transition = Transition { previous: record.transition_hash, ..transition.clone() };
            let key = keys::transition(it.id.0, transition.number);
            record.transition_hash = Sha256::digest(codec::encode(&key, &transition)).into();
            if let Some((opened, received_at)) = self.evidence.get(&transition.number) {
                let raw = sealer.seal(place(&it.id), opened, entropy);
                let note = notes::Evidence { raw, received_at: *received_at };
                batch.put_record(keys::evidence(it.id.0, transition.number), &note);
            }
            batch.put_record(key, &transition);
        }
        batch.put_transaction(None, &record);
        let bill = Bill { first: it.id, newest: it.id, made: 1, open: 1, first_paid: None };
        batch.put_record(keys::bill(record.app_id, record.mode, &record.bill_num), &bill);
    }

    /// Compares copies with what the engine wrote: a copy of this payment under its own id must be its rows byte for
    /// byte, but for the nonce of what is sealed; one under `other`'s id must be as many rows, under the same keys and of
    /// the same lengths, as the engine wrote for that.
    pub fn compare(&self, store: &dyn Store, sealer: &Sealer, other: &Self) -> Result<usize, Failure> {
        let entropy = System::new();
        let copied = |it: &Difference| {
            let mut batch = Batch::default();
            self.write(&mut batch, sealer, &entropy, it);
            batch.puts.into_iter().map(|put| (put.key, put.value)).collect::<BTreeMap<_, _>>()
        };
        let (own, copy) = (rows_of(store, &self.record)?, copied(&self.itself()?));
        for (key, value) in &own {
            let same = match (key.table, copy.get(key)) {
                (Table::Evidence, Some(Some(copied))) => opened(sealer, key, value)? == opened(sealer, key, copied)?,
                (_, copied) => copied == Some(&Some(value.clone())),
            };
            if !same {
                return Err(format!("the copy of a payment is not what the engine wrote: row {key:?}").into());
            }
        }
        let shape = |rows: BTreeMap<RowKey, Option<Value>>| {
            rows.into_iter().map(|(key, value)| (key, value.map(|value| value.len()))).collect::<Vec<_>>()
        };
        let others = rows_of(store, &other.record)?.into_iter().map(|(key, value)| (key, Some(value))).collect();
        if own.len() != copy.len() || shape(others) != shape(copied(&other.itself()?)) {
            return Err("a copy has other rows than the engine wrote".into());
        }
        Ok(own.len())
    }
}

/// Where the evidence of a transaction is sealed for.
fn place(id: &TransactionId) -> SealContext<'_> {
    SealContext { purpose: "evidence", record: id.bytes() }
}

fn opened(sealer: &Sealer, key: &RowKey, value: &[u8]) -> Result<(Secret, Timestamp), Failure> {
    let note: notes::Evidence = codec::decode(key, value)?;
    let id = key.key.first_chunk::<12>().ok_or("a row of evidence begins with an id")?;
    let context = SealContext { purpose: "evidence", record: id };
    Ok((sealer.open(context, &note.raw)?, note.received_at))
}

/// Every row of a small store that speaks of a transaction: its id is in the key, or its bill number is the key's end.
fn rows_of(store: &dyn Store, record: &Transaction) -> Result<BTreeMap<RowKey, Value>, Failure> {
    let id = record.id.bytes();
    let bill_num = record.bill_num.as_str().as_bytes();
    let mut found = BTreeMap::new();
    for table in Table::ALL {
        let rows = store.scan(&Scan::prefix(table, &[], 10_000))?;
        if rows.more {
            return Err("the store is not small any more".into());
        }
        let own = |key: &[u8]| key.windows(id.len()).any(|part| part == id);
        let of_bill = |key: &[u8]| table == Table::Bill && key.ends_with(bill_num);
        for (key, value) in rows.rows.into_iter().filter(|(key, _)| own(key) || of_bill(key)) {
            found.insert(RowKey { table, key }, value);
        }
    }
    // Another app may have used the same bill number.
    let bill = keys::bill(record.app_id, record.mode, &record.bill_num);
    found.retain(|key, _| key.table != Table::Bill || *key == bill);
    Ok(found)
}

fn found<T: codec::Record>(store: &dyn Store, key: &RowKey) -> Result<T, Failure> {
    let (record, _) = read_record::<T>(store, key)?;
    record.ok_or_else(|| format!("there is no row {key:?}").into())
}
