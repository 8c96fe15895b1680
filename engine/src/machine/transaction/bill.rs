//! The Bill row: what one bill number came to, and whether another transaction may be made under it.

use crate::model::{Bill, Door, Status, Transaction, TransactionId};

/// The Bill row once transaction `id` is made under it.
#[must_use]
pub fn bill_after_create(bill: Option<&Bill>, id: TransactionId) -> Bill {
    match bill {
        Some(bill) => Bill {
            first: bill.first,
            newest: id,
            made: bill.made.saturating_add(1),
            open: bill.open.saturating_add(1),
            first_paid: bill.first_paid,
        },
        None => Bill { first: id, newest: id, made: 1, open: 1, first_paid: None },
    }
}

/// What the bill number rule says of a new request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillDecision {
    /// Answer this transaction as it is now.
    Reuse(TransactionId),
    /// Another one is open or paid under the bill number: refuse, and name it.
    Conflict(TransactionId),
    /// Make a new one.
    New,
}

/// The transactions that [`bill_decision`] wants to see, without repeats: the first paid, the newest and the first.
/// The row names no others: see [`bill_needs_index`]. Empty when nothing under it is open or paid.
#[must_use]
pub fn bill_candidates(bill: &Bill) -> Vec<TransactionId> {
    let mut ids = Vec::new();
    if bill.open > 0 || bill.first_paid.is_some() {
        for id in bill.first_paid.into_iter().chain([bill.newest, bill.first]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// Whether the records of the bill index are to be read too before [`bill_decision`]: among those that the row names
/// none is the one that a repeat means, and it has more open ones than they are.
///
/// `candidates` are the records of [`bill_candidates`]; what the index names is added behind them, in whatever order and
/// with or without repeats.
#[must_use]
pub fn bill_needs_index(bill: &Bill, candidates: &[&Transaction], door: Door, content_digest: &[u8; 32]) -> bool {
    let found = candidates.iter().any(|record| stands(record) && is_same(record, door, content_digest));
    let open = u32::try_from(candidates.iter().filter(|record| record.is_open()).count()).unwrap_or(u32::MAX);
    !found && open < bill.open
}

/// Whether a request may make a new transaction under a bill number.
///
/// `strict`: the rule holds for this request: always for [`Door::Native`], for [`Door::Original`] where the app turned
/// it on. `candidates` are the records of [`bill_candidates`], and those of the index where [`bill_needs_index`]. While one of them is open or paid, the request is a
/// repeat of the one that came through the same door with the same content, and a conflict otherwise.
#[must_use]
pub fn bill_decision(
    bill: Option<&Bill>,
    candidates: &[&Transaction],
    door: Door,
    content_digest: &[u8; 32],
    strict: bool,
) -> BillDecision {
    let (true, Some(bill)) = (strict, bill) else { return BillDecision::New };
    if bill.open == 0 && bill.first_paid.is_none() {
        return BillDecision::New;
    }
    let mut standing = candidates.iter().filter(|record| stands(record));
    let same = |record: &&&Transaction| is_same(record, door, content_digest);
    let first = standing.clone().next().map_or(bill.newest, |record| record.id);
    standing.find(same).map_or(BillDecision::Conflict(first), |record| BillDecision::Reuse(record.id))
}

/// Whether it came through the same door with the same content.
fn is_same(record: &Transaction, door: Door, content_digest: &[u8; 32]) -> bool {
    record.door == door && record.content_digest == *content_digest
}

/// Whether it is open or paid.
fn stands(record: &Transaction) -> bool {
    match record.status {
        Status::Created
        | Status::Submitting { .. }
        | Status::AwaitingPayer { .. }
        | Status::Closing
        | Status::Succeeded { .. } => true,
        Status::Failed { .. } | Status::Closed { .. } => false,
    }
}
