//! What stands under a bill number: read for the rule that one number makes one payment.

use crate::Error;
use crate::machine::transaction as machine;
use crate::model::{AppId, Bill, BillNum, Mode, Status, Transaction};
use crate::store::records::read_record;
use crate::store::{Scan, Store, Table, keys};

/// Transactions of one bill number that are looked through, the newest first.
const LOOKED_THROUGH: usize = 1_000;

/// The records that the rule wants to see: those that the row names, and the open ones that it does not name.
///
/// # Errors
/// The store cannot answer; [`Error::SetAside`] when one that the row names does not decode.
pub(crate) fn candidates(
    store: &dyn Store,
    bill: &Bill,
    (app, mode, number): (AppId, Mode, &BillNum),
) -> Result<Vec<Transaction>, Error> {
    let mut records: Vec<Transaction> = Vec::new();
    for id in machine::bill_candidates(bill) {
        records.extend(read_record(store, &keys::transaction(id))?.0);
    }
    let wanted = usize::try_from(bill.open).unwrap_or(usize::MAX);
    let mut open = records.iter().filter(|record| is_open(record)).count();
    if open >= wanted {
        return Ok(records);
    }
    let prefix = keys::bill_prefix(app, mode, number);
    let scan = Scan { newest_first: true, ..Scan::prefix(Table::TransactionByBill, &prefix, LOOKED_THROUGH) };
    for (key, _) in store.scan(&scan)?.rows {
        let Some(id) = keys::last_id(&key) else { continue };
        if open >= wanted {
            break;
        }
        if records.iter().any(|record| record.id == id) {
            continue;
        }
        let record: Option<Transaction> = read_record(store, &keys::transaction(id))?.0;
        if let Some(record) = record.filter(is_open) {
            open += 1;
            records.push(record);
        }
    }
    Ok(records)
}

fn is_open(record: &Transaction) -> bool {
    match record.status {
        Status::Created | Status::Submitting { .. } | Status::AwaitingPayer { .. } | Status::Closing => true,
        Status::Succeeded { .. } | Status::Failed { .. } | Status::Closed { .. } => false,
    }
}
