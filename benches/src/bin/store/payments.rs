//! The load: payments of five transitions each, in the rows and sizes that a transaction's actor commits. Nobody decides
//! anything here: the records are made up, and only what they weigh is like a real one's.

use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, QueryRules, Recreate};
use maxpay_engine::clock::IdSource;
use maxpay_engine::machine::transaction::{Draft, create};
use maxpay_engine::model::{
    AccountId, AppId, AttemptNumber, Cause, Currency, Door, Event, EventData, EventKind, Mode, Money, PayerInputs,
    RawId, Receipt, ReceiptState, Send, SendState, Timestamp, Transaction, TransactionId, Transition,
};
use maxpay_engine::store::{Batch, Seq, keys};

/// Transitions of one payment. The last one publishes an event.
pub const TRANSITIONS: u32 = 5;

/// From a transition to the next look, while the payment is open.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// One payment after the other. Each batch is what its actor would commit next.
pub struct Payments {
    ids: IdSource,
    rules: CodeManifest,
    /// The payment under way, as the last batch leaves it.
    record: Option<Transaction>,
    /// The commit of that batch.
    seen: Seq,
}

impl Payments {
    /// Payments with ids from `ids`.
    #[must_use]
    pub fn new(ids: IdSource) -> Self {
        Self { ids, rules: rules(), record: None, seen: Seq(0) }
    }

    /// The next transition: the first of a payment lists it and gives it a due time, the next three move that, the
    /// last removes it and publishes an event. All but the first demand that nobody else has changed the record.
    pub fn next_batch(&mut self, now: Timestamp) -> Batch {
        let before = self.record.take().filter(|record| record.transitions < TRANSITIONS);
        let after = match &before {
            None => self.started(now),
            Some(before) => moved_on(before, now),
        };
        let mut batch = Batch::default();
        if let Some(before) = &before {
            batch.watch(keys::transaction(before.id), self.seen);
        }
        let key = keys::transition(after.id.0, after.transitions);
        batch.put_record(key, &transition(before.as_ref(), &after, now)).put_transaction(before.as_ref(), &after);
        if after.transitions == TRANSITIONS {
            batch.publish(self.event(&after, now));
        }
        self.record = Some(after);
        batch
    }

    /// Whether the last batch was the last one of its payment.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.transitions == TRANSITIONS)
    }

    /// Notes the commit of the last batch.
    pub fn committed(&mut self, seq: Seq) {
        self.seen = seq;
    }

    fn started(&self, now: Timestamp) -> Transaction {
        let id: TransactionId = self.ids.next();
        let draft = Draft {
            id,
            app_id: AppId(RawId([1; RawId::LEN])),
            mode: Mode::Live,
            door: Door::Native,
            bill_num: format!("order-{id}").parse().expect("short and without control characters"),
            content_digest: [7; 32],
            channel: self.rules.code.clone(),
            amount: Money::new(1_999, Currency::CNY).expect("a small amount"),
            subject: "A pot of green tea".to_owned(),
            extras: Some(r#"{"table":12}"#.to_owned()),
            return_url: Some("https://shop.example/orders/done".to_owned()),
            show_url: None,
            payer: PayerInputs { client_ip: Some("203.0.113.7".to_owned()), ..PayerInputs::default() },
            timeout: None,
            account_id: AccountId(RawId([2; RawId::LEN])),
            revision: 1,
            fallbacks: Vec::new(),
        };
        let mut record = create(draft, now, &self.rules);
        let sent = Send { at: now, state: SendState::Unknown };
        for attempt in &mut record.attempts {
            attempt.sends.push(sent.clone());
            attempt.sends_made = 1;
        }
        noted(record, now)
    }

    fn event(&self, record: &Transaction, now: Timestamp) -> Event {
        let data = EventData {
            bill_num: record.bill_num.to_string(),
            channel: record.channel.to_string(),
            amount_minor: record.amount.minor(),
            currency: record.amount.currency().code().to_owned(),
            created_at: record.created_at,
            ended_at: record.ended_at,
            extras: record.extras.clone(),
            status: "succeeded".to_owned(),
            trade_number: record.receipts.last().map(|receipt| receipt.trade_number.clone()),
            paid_minor: record.amount.minor(),
            refunded_minor: 0,
            moved_minor: None,
            moved_currency: None,
            duplicate_of: None,
            reason: None,
        };
        Event {
            id: self.ids.next(),
            app_id: record.app_id,
            mode: record.mode,
            kind: EventKind::PaymentSucceeded,
            transaction_id: record.id,
            created_at: now,
            data,
        }
    }
}

fn moved_on(before: &Transaction, now: Timestamp) -> Transaction {
    let mut record = before.clone();
    record.version += 1;
    if record.transitions + 1 == TRANSITIONS {
        record.ended_at = Some(now);
        record.receipts.push(Receipt {
            number: AttemptNumber { transaction: record.id, index: 0 },
            trade_number: "4200000000202600000001".to_owned(),
            amount: record.amount,
            paid_at: now,
            recorded_at: now,
            state: ReceiptState::Counted,
            refunded_minor: 0,
            reserved_minor: 0,
            returned: None,
        });
    }
    noted(record, now)
}

/// The record with its next transition's number, and its next due time while it is open.
fn noted(mut record: Transaction, now: Timestamp) -> Transaction {
    record.transitions += 1;
    // In place of the digest of the transition, at its length.
    record.transition_hash = [9; 32];
    record.due_at = record.ended_at.is_none().then(|| now.after(LOOK_AFTER * record.transitions));
    record
}

fn transition(before: Option<&Transaction>, after: &Transaction, now: Timestamp) -> Transition {
    Transition {
        number: after.transitions,
        at: now,
        from: before.map(|_| "awaiting_payer".to_owned()).unwrap_or_default(),
        to: "awaiting_payer".to_owned(),
        cause: Cause::Notification,
        note: "the channel says that it is unpaid".to_owned(),
        evidence_digest: Some([3; 32]),
        previous: before.map_or([0; 32], |before| before.transition_hash),
    }
}

/// What the machine asks of a channel before it makes a record. Only the code and the expiry end up in it.
fn rules() -> CodeManifest {
    const HOUR: Duration = Duration::from_hours(1);
    CodeManifest {
        code: "wx_native".parse().expect("a channel code"),
        group: "wx",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs: Vec::new(),
        subject_bytes_max: 127,
        expiry: (HOUR, HOUR * 24),
        expiry_default: HOUR * 2,
        min_life: HOUR,
        grace: HOUR,
        recreate: Recreate::ReturnsAction,
        decline_final: false,
        action_lifetime: None,
        locally_signed: false,
        authorize: false,
        query: QueryRules { truth_from: HOUR, truth_until: None, schedule: vec![HOUR], awaiting_schedule: vec![HOUR] },
        close: None,
        refund: None,
        void: None,
        not_executed_max: 3,
        call_deadline: HOUR,
    }
}
