//! One visit to the provider's books: reads rows, collects changes, commits them together.

use std::time::Duration;

use maxpay_engine::model::{Currency, Money, Timestamp};

use crate::simulator::{Changes, Ledger, LedgerError, due_key};

use super::rows::{
    Dialect, Due, LedgerRow, Order, OrderState, QueuedNotice, Refund, order_key, payment_key, refund_number_key,
};
use super::v2;

const SEQUENCE: &str = "meta/sequence";
/// The provider closes an unpaid order by itself after so long.
const LIFE: Duration = Duration::from_hours(7 * 24);

/// A visit. What it changed is nothing until [`Books::commit`].
pub(super) struct Books<'l> {
    ledger: &'l Ledger,
    changes: Changes,
    sequence: Option<u64>,
    pub queued: usize,
    pub now: Timestamp,
}

impl<'l> Books<'l> {
    pub fn open(ledger: &'l Ledger, now: Timestamp) -> Self {
        Self { ledger, changes: Changes::default(), sequence: None, queued: 0, now }
    }

    /// The order as of now. That its time is over does not close it; a week does.
    pub fn order(&mut self, number: &str, mchid: &str) -> Result<Option<Order>, LedgerError> {
        let Some(mut order) = self.ledger.row::<Order>(&order_key(number, mchid))? else { return Ok(None) };
        if order.state == OrderState::NotPaid && self.now.since(order.made_at) >= LIFE {
            order.state = OrderState::Closed;
            self.put(&order);
        }
        Ok(Some(order))
    }

    /// The orders of that number, whoever's they are.
    pub fn orders(&mut self, number: &str) -> Result<Vec<Order>, LedgerError> {
        let mut orders = Vec::new();
        for (_, row) in self.ledger.rows::<Order>(&order_key(number, ""), 8)? {
            orders.extend(self.order(&row.number, &row.mchid)?);
        }
        Ok(orders)
    }

    pub fn put(&mut self, order: &Order) {
        for payment in &order.payments {
            self.changes.put(payment_key(&order.mchid, &payment.transaction_id), &order.number);
        }
        self.changes.put(order.key(), order);
    }

    /// The order that a payment is of.
    pub fn order_of(&mut self, mchid: &str, transaction_id: &str) -> Result<Option<Order>, LedgerError> {
        match self.ledger.row::<String>(&payment_key(mchid, transaction_id))? {
            Some(number) => self.order(&number, mchid),
            None => Ok(None),
        }
    }

    pub fn refund(&self, mchid: &str, number: &str) -> Result<Option<Refund>, LedgerError> {
        match self.ledger.row::<String>(&refund_number_key(mchid, number))? {
            Some(key) => self.ledger.row(&key),
            None => Ok(None),
        }
    }

    pub fn refund_at(&self, key: &str) -> Result<Option<Refund>, LedgerError> {
        self.ledger.row(key)
    }

    /// The refunds of an order, oldest first.
    pub fn refunds(&self, order: &Order) -> Result<Vec<Refund>, LedgerError> {
        let prefix = format!("refund/{}/{}/", order.mchid, order.number);
        Ok(self.ledger.rows::<Refund>(&prefix, 1024)?.into_iter().map(|(_, refund)| refund).collect())
    }

    pub fn put_refund(&mut self, refund: &Refund) {
        if !refund.number.is_empty() {
            self.changes.put(refund_number_key(&refund.mchid, &refund.number), &refund.key());
        }
        self.changes.put(refund.key(), refund);
    }

    /// Lets something fall due `wait` from now.
    pub fn queue(&mut self, wait: Duration, due: &Due) -> Result<(), LedgerError> {
        let sequence = match self.sequence {
            Some(sequence) => sequence,
            None => self.ledger.row(SEQUENCE)?.unwrap_or(0),
        };
        self.changes.put(due_key(self.now.after(wait), sequence), due);
        self.sequence = Some(sequence + 1);
        self.queued += 1;
        self.changes.put(SEQUENCE.to_owned(), &(sequence + 1));
        Ok(())
    }

    /// Removes what has fallen due.
    pub fn done(&mut self, key: String) {
        self.changes.remove(key);
    }

    /// The notice that tells of a payment.
    pub fn payment_notice(order: &Order, index: usize) -> QueuedNotice {
        let content = match order.dialect {
            Dialect::V2 { .. } => v2::of_payment(order, index),
            Dialect::V3 => serde_json::to_string(&order.told(index, false)).expect("a struct of texts and numbers"),
        };
        QueuedNotice {
            url: order.notify_url.clone(),
            mchid: order.mchid.clone(),
            event: "TRANSACTION.SUCCESS".to_owned(),
            content,
            kind: "transaction".to_owned(),
            dialect: order.dialect.clone(),
            probe: false,
            forged: false,
            tries: 0,
        }
    }

    /// The notice that tells of a refund's end.
    pub fn refund_notice(refund: &Refund) -> QueuedNotice {
        QueuedNotice {
            url: refund.notify_url.clone(),
            mchid: refund.mchid.clone(),
            event: format!("REFUND.{}", refund.state.name()),
            content: match refund.dialect {
                Dialect::V2 { .. } => v2::of_refund(refund),
                Dialect::V3 => refund.noticed().to_string(),
            },
            kind: "refund".to_owned(),
            dialect: refund.dialect.clone(),
            probe: false,
            forged: false,
            tries: 0,
        }
    }

    /// Makes it all durable.
    pub fn commit(self) -> Result<(), LedgerError> {
        self.ledger.commit(self.changes)
    }

    /// An order as tests compare it. `None`: its amounts are no money, which only a damaged file can bring about.
    pub fn row(&self, order: &Order) -> Result<Option<LedgerRow>, LedgerError> {
        let money = |fen| Money::new(fen, Currency::CNY).ok();
        let payments = order.payments.iter().map(|paid| Some((paid.transaction_id.clone(), money(paid.amount)?)));
        let mut refunds = self.refunds(order)?;
        refunds.sort_by_key(|refund| refund.made_at);
        let refunds = refunds.into_iter().map(|refund| {
            let number = Some(refund.number).filter(|number| !number.is_empty());
            Some((number, money(refund.amount)?, refund.state))
        });
        let row = || {
            Some(LedgerRow {
                number: order.number.clone(),
                mchid: order.mchid.clone(),
                amount: money(order.amount)?,
                state: order.state,
                payments: payments.collect::<Option<_>>()?,
                refunds: refunds.collect::<Option<_>>()?,
                made_at: order.made_at,
                expires_at: order.expires_at,
            })
        };
        Ok(row())
    }
}
