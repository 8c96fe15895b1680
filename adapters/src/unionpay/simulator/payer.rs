//! What a payer, or a fault of UnionPay's, does to a payment.

use std::time::Duration;

use crate::simulator::{Changes, LedgerError};

use super::Simulator;
use super::order::{Due, Order, OrderState};

/// What happens to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCommand {
    /// The payer opens the cashier.
    Open,
    /// The payer pays what was asked.
    Pay,
    /// The payer pays so many fen instead.
    PayOther(u64),
    /// The payer's bank declines; another try is possible.
    Decline,
    /// Money is taken after the payment's time-out: response code 42, and it goes back.
    PayLate,
    /// The payer pays; the notice comes so many milliseconds later.
    NotifyLate(u64),
    /// The payer pays; the notice comes twice.
    NotifyTwice,
    /// The payer pays; no notice ever.
    NotifyNever,
}

impl PayerCommand {
    /// How long after a payment each of its notices comes.
    fn told_after(self) -> Vec<Duration> {
        match self {
            Self::Open | Self::Pay | Self::PayOther(_) | Self::Decline | Self::PayLate => vec![Duration::ZERO],
            Self::NotifyLate(after_ms) => vec![Duration::from_millis(after_ms)],
            Self::NotifyTwice => vec![Duration::ZERO, Duration::from_secs(1)],
            Self::NotifyNever => Vec::new(),
        }
    }
}

/// Why a command was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// Nobody has heard of the number. A form is known once the payer opened it.
    #[error("UnionPay does not know order {0}: a form must be opened first")]
    UnknownNumber(String),
    /// More than one merchant has an order of that number.
    #[error("more than one merchant has an order {0}")]
    Ambiguous(String),
    /// The payment's state or time does not allow it.
    #[error("the payment is over or paid, or not over yet: it cannot be done")]
    State,
    /// What the payer brings is refused.
    #[error("{0}")]
    Refused(&'static str),
    /// The books do not answer. It may have been done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Simulator {
    /// Does something to the payment of that number. What was done is durable when this returns; notices leave with the
    /// next tick.
    ///
    /// # Errors
    /// [`PayerError`].
    pub fn payer(&self, number: &str, command: PayerCommand) -> Result<Order, PayerError> {
        let _visit = self.enter();
        let now = self.now();
        let mut order = self.payment(number)?;
        let waits = order.state == OrderState::Open && !order.is_expired(now);
        let mut changes = Changes::default();
        match command {
            // Whatever its state: the cashier says what there is to say.
            PayerCommand::Open if order.state != OrderState::Open => return Ok(order),
            PayerCommand::Open => order.opened = true,
            PayerCommand::Pay | PayerCommand::NotifyLate(_) | PayerCommand::NotifyTwice | PayerCommand::NotifyNever
                if waits =>
            {
                order.paid = Some(order.amount);
            }
            PayerCommand::PayOther(minor) if waits && minor > 0 => order.paid = Some(minor),
            PayerCommand::Decline if waits => order.declined = Some("64".to_owned()),
            PayerCommand::PayLate if order.state == OrderState::Open && order.is_expired(now) => {
                order.paid = Some(order.amount);
            }
            PayerCommand::Pay
            | PayerCommand::PayOther(_)
            | PayerCommand::Decline
            | PayerCommand::PayLate
            | PayerCommand::NotifyLate(_)
            | PayerCommand::NotifyTwice
            | PayerCommand::NotifyNever => {
                return Err(PayerError::State);
            }
        }
        if order.paid.is_some() {
            order.state = if waits { OrderState::Done } else { OrderState::DoneTooLate };
            order.decided_at = Some(now);
            // Payments are told of on success only.
            for wait in command.told_after().into_iter().filter(|_| waits) {
                self.queue(&mut changes, now.after(wait), &Due::Notice { key: order.key(), tries: 0 })?;
            }
        }
        changes.put(order.key(), &order);
        self.ledger.commit(changes)?;
        Ok(order)
    }

    fn payment(&self, number: &str) -> Result<Order, PayerError> {
        let mut rows = self.ledger.rows::<Order>(&super::order::order_key("", number), 8)?;
        match rows.pop() {
            Some((_, order)) if rows.is_empty() && order.is_payment() => Ok(order),
            Some(_) if !rows.is_empty() => Err(PayerError::Ambiguous(number.to_owned())),
            Some(_) | None => Err(PayerError::UnknownNumber(number.to_owned())),
        }
    }
}
