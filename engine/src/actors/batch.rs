//! What one step of a transaction writes: everything that belongs to it, in one batch.

use sha2::{Digest, Sha256};

use crate::engine::Inner;
use crate::machine::{NewEvent, Step};
use crate::model::{Event, EventData, Sealed, Timestamp, Transaction, TransactionId, Transition};
use crate::store::{Batch, RowKey, Seq, Table, codec, keys, notes};

/// The rows that a step was computed from.
pub(crate) struct Before<'a> {
    /// The record as it stands in the store; `None`: it is about to be made.
    pub record: Option<&'a Transaction>,
    pub seen: Seq,
    pub bill_seen: Seq,
    /// As of when the once-key that the step claims was found free.
    pub once_seen: Seq,
}

/// The batch of a step, and the record as the batch leaves it.
pub(crate) fn batch_of(inner: &Inner, step: &Step, before: &Before<'_>, raw: Option<&Sealed>) -> (Batch, Transaction) {
    let now = inner.clock.now().wall;
    let mut batch = Batch::default();
    let mut record = step.record.clone();
    if let Some(known) = before.record {
        batch.watch(keys::transaction(known.id), before.seen);
        if !step.changed {
            return (batch, record);
        }
    }
    note_transition(&mut batch, step, before.record, &mut record, raw, now);
    batch.put_transaction(before.record, &record);
    if let Some(bill) = &step.bill {
        let key = keys::bill(record.app_id, record.mode, &record.bill_num);
        batch.watch(key.clone(), before.bill_seen).put_record(key, bill);
    }
    if let Some(hash) = step.claims_once {
        let owner = notes::OnceOwner { transaction_id: record.id, taken_at: now };
        let key = RowKey::new(Table::Once, &[&hash]);
        batch.watch(key.clone(), before.once_seen).put_record(key, &owner);
    }
    for alarm in &step.alarms {
        inner.alarms.raise(&mut batch, alarm.kind, record.id, &alarm.text);
    }
    for event in &step.events {
        batch.publish(event_of(inner.ids.next(), &record, event, now));
    }
    (batch, record)
}

fn note_transition(
    batch: &mut Batch,
    step: &Step,
    before: Option<&Transaction>,
    record: &mut Transaction,
    raw: Option<&Sealed>,
    now: Timestamp,
) {
    let transition = Transition {
        number: record.transitions.saturating_add(1),
        at: now,
        from: before.map(|before| before.status.name().to_owned()).unwrap_or_default(),
        to: record.status.name().to_owned(),
        cause: step.cause.clone(),
        note: step.note.clone(),
        evidence_digest: step.evidence_digest,
        previous: record.transition_hash,
    };
    let key = keys::transition(record.id.0, transition.number);
    record.transitions = transition.number;
    record.transition_hash = Sha256::digest(codec::encode(&key, &transition)).into();
    if let Some(raw) = raw {
        let evidence = notes::Evidence { raw: raw.clone(), received_at: now };
        batch.put_record(keys::evidence(record.id.0, transition.number), &evidence);
    }
    batch.put_record(key, &transition);
}

fn event_of(id: crate::model::EventId, record: &Transaction, new: &NewEvent, now: Timestamp) -> Event {
    let newest_receipt = record.receipts.last().map(|receipt| receipt.trade_number.clone());
    let data = EventData {
        bill_num: record.bill_num.to_string(),
        channel: record.channel.to_string(),
        amount_minor: record.amount.minor(),
        currency: record.amount.currency().code().to_owned(),
        created_at: record.created_at,
        ended_at: record.ended_at,
        extras: record.extras.clone(),
        status: record.status.name().to_owned(),
        trade_number: new.trade_number.clone().or(newest_receipt),
        // A sum beyond the range of numbers was flagged by the machine; what is told is cut at it.
        paid_minor: record.paid_minor().unwrap_or(u64::MAX),
        refunded_minor: record.refunded_minor().unwrap_or(u64::MAX),
        moved_minor: new.moved.map(|moved| moved.minor()),
        moved_currency: new.moved.map(|moved| moved.currency().code().to_owned()),
        duplicate_of: record.duplicate_of,
        reason: new.reason.clone(),
    };
    Event {
        id,
        app_id: record.app_id,
        mode: record.mode,
        kind: new.kind,
        transaction_id: record.id,
        created_at: now,
        data,
    }
}

/// Where the evidence of a transaction is sealed for.
pub(crate) fn evidence_place(id: &TransactionId) -> crate::secrets::SealContext<'_> {
    crate::secrets::SealContext { purpose: "evidence", record: id.bytes() }
}
