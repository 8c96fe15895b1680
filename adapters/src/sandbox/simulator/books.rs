//! One visit to the provider's books: reads rows, collects changes, commits them together.

use std::time::Duration;

use maxpay_engine::model::Timestamp;

use crate::simulator::{Changes, Ledger, LedgerError, due_key};

use super::order::{Due, Order, OrderState, QueuedNotice, order_key};

const SEQUENCE: &str = "meta/sequence";

/// A visit. What it changed is nothing until [`Books::commit`].
pub(super) struct Books<'l> {
    ledger: &'l Ledger,
    changes: Changes,
    sequence: Option<u64>,
    queued: usize,
    pub now: Timestamp,
}

/// How an order is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    Once,
    Late(Duration),
    Twice,
    Forged,
    Never,
    WrongOwner,
    /// One minor unit more than the books say.
    WrongAmount,
}

impl<'l> Books<'l> {
    pub fn open(ledger: &'l Ledger, now: Timestamp) -> Self {
        Self { ledger, changes: Changes::default(), sequence: None, queued: 0, now }
    }

    /// The order as of now: one whose time is over is closed, unless its channel knows no close.
    pub fn order(&mut self, number: &str, merchant_id: &str) -> Result<Option<Order>, LedgerError> {
        let Some(mut order) = self.ledger.row::<Order>(&order_key(number, merchant_id))? else { return Ok(None) };
        let waits = matches!(order.state, OrderState::Open | OrderState::Processing);
        if waits && order.is_expired(self.now) && order.channel != "unipay_web" {
            order.state = OrderState::Closed;
            self.put(&order);
        }
        Ok(Some(order))
    }

    /// The orders of that number, whoever's they are.
    pub fn orders(&mut self, number: &str) -> Result<Vec<Order>, LedgerError> {
        let rows = self.ledger.rows::<Order>(&order_key(number, ""), 8)?;
        let mut orders = Vec::new();
        for (_, row) in rows {
            orders.extend(self.order(&row.number, &row.merchant_id)?);
        }
        Ok(orders)
    }

    pub fn put(&mut self, order: &Order) {
        self.changes.put(order.key(), order);
    }

    /// The number that a wallet token was charged under.
    pub fn token(&self, merchant_id: &str, transaction_id: &str) -> Result<Option<String>, LedgerError> {
        self.ledger.row(&format!("token/{merchant_id}/{transaction_id}"))
    }

    pub fn put_token(&mut self, merchant_id: &str, transaction_id: &str, number: &str) {
        self.changes.put(format!("token/{merchant_id}/{transaction_id}"), &number);
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

    /// How many things were queued on this visit.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Queues the notices that tell of the order's payment of that index, or of its end.
    pub fn tell(&mut self, order: &Order, index: usize, telling: Telling) -> Result<(), LedgerError> {
        let mut notice = Box::new(QueuedNotice {
            url: order.notify_url.clone(),
            merchant_id: order.merchant_id.clone(),
            body: order.told(index),
            forged: false,
            tries: 0,
        });
        match telling {
            Telling::Once => self.queue(Duration::ZERO, &Due::Notice(notice)),
            Telling::Late(wait) => self.queue(wait, &Due::Notice(notice)),
            Telling::Twice => {
                self.queue(Duration::ZERO, &Due::Notice(notice.clone()))?;
                self.queue(Duration::from_secs(1), &Due::Notice(notice))
            }
            Telling::Forged => {
                // It says paid whatever the books say: that is what a forger wants believed.
                let mut lie = order.clone();
                if lie.payments.is_empty() {
                    lie.pay(lie.amount, self.now);
                }
                notice.body = lie.told(0);
                notice.forged = true;
                self.queue(Duration::ZERO, &Due::Notice(notice))
            }
            Telling::Never => Ok(()),
            Telling::WrongOwner => {
                "somebody-else".clone_into(&mut notice.body.merchant_id);
                self.queue(Duration::ZERO, &Due::Notice(notice))
            }
            Telling::WrongAmount => {
                if let Some(payment) = &mut notice.body.payment {
                    payment.amount = payment.amount.saturating_add(1);
                }
                self.queue(Duration::ZERO, &Due::Notice(notice))
            }
        }
    }

    /// Books a payment of `amount` and tells of it.
    pub fn pay(&mut self, order: &mut Order, amount: u64, telling: Telling) -> Result<(), LedgerError> {
        order.pay(amount, self.now);
        self.put(order);
        self.tell(order, order.payments.len() - 1, telling)
    }

    /// Makes it all durable.
    pub fn commit(self) -> Result<(), LedgerError> {
        self.ledger.commit(self.changes)
    }
}
