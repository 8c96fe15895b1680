//! What a payer, the provider's console, or a fault of the provider does to an order.

use std::str::FromStr;
use std::time::Duration;

use crate::simulator::{How, LedgerError, Rule, When};

use super::Simulator;
use super::births::decline;
use super::books::{Books, Telling};
use super::order::{LedgerRow, Order, OrderState};

/// What happens to an order. Its text form (as the server's payer route takes it) is the variant in lower case with
/// `_`, and after a `:` its number, where it has one: `pay`, `notify_late:60000`, `pay_other:5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCommand {
    /// The payer pays.
    Pay,
    /// Money is taken although the order has ended at the provider: the provider's own fault.
    PayLate,
    /// The payer pays twice, under two trade numbers.
    PayTwice,
    /// The payer pays this many minor units instead of what was asked.
    PayOther(u64),
    /// The payer's bank declines.
    Decline,
    /// The order is closed in the provider's console; a notification says so.
    Close,
    /// Everything paid first is given back in the provider's console; a notification says so.
    Refund,
    /// Pays, if it is open; the notification comes so many milliseconds later.
    NotifyLate(u64),
    /// Pays, if it is open; the notification comes twice.
    NotifyTwice,
    /// Does not pay; a forged notification says that it was.
    NotifyForged,
    /// Pays, if it is open; no notification ever.
    NotifyNever,
    /// Pays, if it is open; the notification names another merchant.
    NotifyWrongOwner,
    /// Pays, if it is open; the notification says one minor unit more than the books.
    NotifyWrongAmount,
    /// The next call about the number is executed and its answer lost. The order need not exist yet.
    LoseReply,
    /// Pays; the next call about the number is executed and answered with an unsigned 500.
    UnknownThenPaid,
    /// Pays; the next call about the number is executed and answered with garbage.
    GarbageThenPaid,
}

/// A text is no payer command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a payer command is one of pay, pay_late, pay_twice, pay_other:<minor units>, decline, close, refund, \
     notify_late:<milliseconds>, notify_twice, notify_forged, notify_never, notify_wrong_owner, notify_wrong_amount, \
     lose_reply, unknown_then_paid, garbage_then_paid"
)]
pub struct PayerCommandError;

impl FromStr for PayerCommand {
    type Err = PayerCommandError;

    fn from_str(text: &str) -> Result<Self, PayerCommandError> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse().map_err(|_| PayerCommandError)?)),
            None => (text, None),
        };
        Ok(match (name, number) {
            ("pay", None) => Self::Pay,
            ("pay_late", None) => Self::PayLate,
            ("pay_twice", None) => Self::PayTwice,
            ("pay_other", Some(minor)) => Self::PayOther(minor),
            ("decline", None) => Self::Decline,
            ("close", None) => Self::Close,
            ("refund", None) => Self::Refund,
            ("notify_late", Some(after_ms)) => Self::NotifyLate(after_ms),
            ("notify_twice", None) => Self::NotifyTwice,
            ("notify_forged", None) => Self::NotifyForged,
            ("notify_never", None) => Self::NotifyNever,
            ("notify_wrong_owner", None) => Self::NotifyWrongOwner,
            ("notify_wrong_amount", None) => Self::NotifyWrongAmount,
            ("lose_reply", None) => Self::LoseReply,
            ("unknown_then_paid", None) => Self::UnknownThenPaid,
            ("garbage_then_paid", None) => Self::GarbageThenPaid,
            _ => return Err(PayerCommandError),
        })
    }
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerReport {
    /// The order after it; `None`: the provider does not know the number (yet).
    pub row: Option<LedgerRow>,
    /// How many notices it queued.
    pub notices: usize,
}

/// Why a command was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// The provider does not know the number. A locally signed order is known once the payer opened it.
    #[error("the sandbox does not know order {0}: a locally signed order must be opened first")]
    UnknownNumber(String),
    /// More than one merchant has an order of that number.
    #[error("more than one merchant has an order {0}")]
    Ambiguous(String),
    /// The order's state does not allow it.
    #[error("the order is {0}, which does not allow it")]
    State(&'static str),
    /// What the payer brings is refused.
    #[error("{0}")]
    Refused(&'static str),
    /// The books do not answer. It may have been done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Simulator {
    /// Does something to the order of that number. What was done is durable when this returns; notices leave with the
    /// next tick.
    ///
    /// # Errors
    /// [`PayerError`].
    pub fn payer(&self, number: &str, command: PayerCommand) -> Result<PayerReport, PayerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let mut orders = books.orders(number)?;
        if orders.len() > 1 {
            return Err(PayerError::Ambiguous(number.to_owned()));
        }
        let Some(mut order) = orders.pop() else {
            if command == PayerCommand::LoseReply {
                self.plan(number, How::Lost)?;
                return Ok(PayerReport { row: None, notices: 0 });
            }
            return Err(PayerError::UnknownNumber(number.to_owned()));
        };
        self.act(&mut books, &mut order, command)?;
        let report = PayerReport { row: order.row(), notices: books.queued() };
        self.leave(books)?;
        Ok(report)
    }

    /// Opens the locally signed order that the payer brings, where `order_text` has one, then does the command.
    ///
    /// # Errors
    /// [`PayerError`]; the order may have been opened although the command was refused.
    pub fn payer_with(
        &self,
        number: &str,
        order_text: Option<&str>,
        command: PayerCommand,
    ) -> Result<PayerReport, PayerError> {
        if let Some(text) = order_text
            && self.open_order(text)? != number
        {
            return Err(PayerError::Refused("the order text is of another number"));
        }
        self.payer(number, command)
    }

    fn act(&self, books: &mut Books<'_>, order: &mut Order, command: PayerCommand) -> Result<(), PayerError> {
        let amount = order.amount;
        match command {
            PayerCommand::Pay => pay_open(books, order, amount, Telling::Once)?,
            PayerCommand::PayLate => books.pay(order, amount, Telling::Once)?,
            PayerCommand::PayTwice => {
                pay_open(books, order, amount, Telling::Once)?;
                books.pay(order, amount, Telling::Once)?;
            }
            PayerCommand::PayOther(minor) if minor > 0 => pay_open(books, order, minor, Telling::Once)?,
            PayerCommand::PayOther(_) => return Err(PayerError::Refused("nothing cannot be paid")),
            PayerCommand::Decline => {
                must_wait(books, order)?;
                decline(books, order);
            }
            PayerCommand::Close => {
                must_wait(books, order)?;
                order.state = OrderState::Closed;
                books.put(order);
                books.tell(order, 0, Telling::Once)?;
            }
            PayerCommand::Refund => give_back(books, order)?,
            PayerCommand::NotifyLate(after_ms) => {
                pay_or_tell(books, order, Telling::Late(Duration::from_millis(after_ms)))?;
            }
            PayerCommand::NotifyTwice => pay_or_tell(books, order, Telling::Twice)?,
            PayerCommand::NotifyForged => books.tell(order, 0, Telling::Forged)?,
            PayerCommand::NotifyNever => pay_or_tell(books, order, Telling::Never)?,
            PayerCommand::NotifyWrongOwner => pay_or_tell(books, order, Telling::WrongOwner)?,
            PayerCommand::NotifyWrongAmount => pay_or_tell(books, order, Telling::WrongAmount)?,
            PayerCommand::LoseReply => self.plan(&order.number, How::Lost)?,
            PayerCommand::UnknownThenPaid => {
                pay_open(books, order, amount, Telling::Never)?;
                self.plan(&order.number, How::Status(500))?;
            }
            PayerCommand::GarbageThenPaid => {
                pay_open(books, order, amount, Telling::Never)?;
                self.plan(&order.number, How::Garbage)?;
            }
        }
        Ok(())
    }

    fn plan(&self, number: &str, how: How) -> Result<(), PayerError> {
        let number = Some(number.to_owned());
        let rule = Rule { call: None, number, when: When::AfterExecution, how, times: 1 };
        if self.faults.add(rule) { Ok(()) } else { Err(PayerError::Refused("too many faults are planned")) }
    }
}

/// Gives back what was paid first, all of it.
pub(super) fn give_back(books: &mut Books<'_>, order: &mut Order) -> Result<(), PayerError> {
    let Some(first) = order.payments.first() else { return Err(PayerError::State(order.state.name())) };
    if order.returned > 0 {
        return Err(PayerError::Refused("it was given back before"));
    }
    order.returned = first.amount;
    books.put(order);
    books.tell(order, 0, Telling::Once)?;
    Ok(())
}

fn must_wait(books: &Books<'_>, order: &Order) -> Result<(), PayerError> {
    match order.state {
        OrderState::Open | OrderState::Processing if order.is_expired(books.now) => Err(PayerError::State("expired")),
        OrderState::Open | OrderState::Processing => Ok(()),
        OrderState::Paid | OrderState::Closed | OrderState::Declined => Err(PayerError::State(order.state.name())),
    }
}

fn pay_open(books: &mut Books<'_>, order: &mut Order, amount: u64, telling: Telling) -> Result<(), PayerError> {
    must_wait(books, order)?;
    if order.is_stale(books.now) {
        return Err(PayerError::Refused("the payer's address has ended: the order is created again for another one"));
    }
    books.pay(order, amount, telling)?;
    Ok(())
}

fn pay_or_tell(books: &mut Books<'_>, order: &mut Order, telling: Telling) -> Result<(), PayerError> {
    if order.state == OrderState::Paid {
        books.tell(order, 0, telling)?;
        return Ok(());
    }
    pay_open(books, order, order.amount, telling)
}
