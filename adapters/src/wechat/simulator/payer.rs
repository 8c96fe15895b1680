//! What a payer, the provider's console, or a fault of the provider does to an order.

use std::time::Duration;

use crate::simulator::LedgerError;
use crate::simulator::words::Word;

use super::Simulator;
use super::books::Books;
use super::rows::{Dialect, Due, LedgerRow, Order, OrderState, RefundState};
use super::rules;

/// How long the newest handle of an H5 order opens it.
const H5_LIFE: Duration = Duration::from_mins(5);
/// The same of other orders.
const PREPAY_LIFE: Duration = Duration::from_hours(2);

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCommand {
    /// The payer opens the cashier with the newest handle and enters the password.
    Begin,
    /// The payer pays.
    Pay,
    /// The payer gives up while paying.
    Cancel,
    /// The payer pays this many fen instead of what was asked.
    PayOther(u64),
    /// Money is taken although the order has ended at the provider: the provider's own fault.
    PayLate,
    /// Pays; the notice comes so many milliseconds later.
    NotifyLate(u64),
    /// Pays, or was paid; the notice comes twice.
    NotifyTwice,
    /// Pays; no notice ever.
    NotifyNever,
    /// A notice under a key that is not the provider's says that it was paid.
    NotifyForged,
    /// The provider tests whether signatures are checked.
    Probe,
    /// What was paid first goes back wholly in the console.
    Refund,
    /// The order is closed in the console.
    Close,
}

/// What people can do.
pub(super) const WORDS: [Word<PayerCommand>; 12] = [
    Word::just("begin", PayerCommand::Begin, "open the cashier: from now on somebody is paying"),
    Word::just("pay", PayerCommand::Pay, "pay what is asked"),
    Word::just("cancel", PayerCommand::Cancel, "give up while paying"),
    Word::with("pay_other", "amount_minor", PayerCommand::PayOther, "pay so many fen instead"),
    Word::just("pay_late", PayerCommand::PayLate, "take money although the order has ended: the provider's own fault"),
    Word::just("refund", PayerCommand::Refund, "give all of it back in the console"),
    Word::just("close", PayerCommand::Close, "close the order in the console"),
    Word::with("notify_late", "after_ms", PayerCommand::NotifyLate, "pay; the notice comes so many milliseconds later"),
    Word::just("notify_twice", PayerCommand::NotifyTwice, "pay; the notice comes twice"),
    Word::just("notify_never", PayerCommand::NotifyNever, "pay; no notice ever"),
    Word::just("notify_forged", PayerCommand::NotifyForged, "do not pay; a forged notice says so"),
    Word::just("probe", PayerCommand::Probe, "test whether signatures are checked"),
];

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerReport {
    /// The order after it.
    pub row: Option<LedgerRow>,
    /// How many notices and other things it queued.
    pub queued: usize,
}

/// Why a command was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// The provider does not know the number.
    #[error("WeChat Pay does not know order {0}")]
    UnknownNumber(String),
    /// More than one merchant has an order of that number.
    #[error("more than one merchant has an order {0}")]
    Ambiguous(String),
    /// Its state, or the time, does not allow it.
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
        let Some(mut order) = orders.pop() else { return Err(PayerError::UnknownNumber(number.to_owned())) };
        act(&mut books, &mut order, command)?;
        let (row, queued) = (books.row(&order)?, books.queued);
        books.commit()?;
        Ok(PayerReport { row, queued })
    }
}

/// When the notice of a payment comes.
#[derive(Clone, Copy)]
enum Told {
    After(Duration),
    Twice,
    Never,
}

fn act(books: &mut Books<'_>, order: &mut Order, command: PayerCommand) -> Result<(), PayerError> {
    let amount = order.amount;
    let now = Told::After(Duration::ZERO);
    match command {
        PayerCommand::Begin => {
            can_pay(books, order)?;
            order.state = OrderState::Paying;
            books.put(order);
        }
        PayerCommand::Pay => pay(books, order, amount, now)?,
        PayerCommand::Cancel if order.state == OrderState::Paying => {
            order.state = OrderState::NotPaid;
            books.put(order);
        }
        PayerCommand::Cancel => return Err(PayerError::Refused("nobody is paying it")),
        PayerCommand::PayOther(0) => return Err(PayerError::Refused("nothing cannot be paid")),
        PayerCommand::PayOther(fen) => pay(books, order, fen, now)?,
        PayerCommand::PayLate => take(books, order, amount, now)?,
        PayerCommand::NotifyLate(after_ms) => {
            pay(books, order, amount, Told::After(Duration::from_millis(after_ms)))?;
        }
        PayerCommand::NotifyTwice if order.state == OrderState::Paid => tell(books, order, Told::Twice)?,
        PayerCommand::NotifyTwice => pay(books, order, amount, Told::Twice)?,
        PayerCommand::NotifyNever => pay(books, order, amount, Told::Never)?,
        PayerCommand::Probe if order.dialect != Dialect::V3 => {
            return Err(PayerError::Refused("this dialect has no such test"));
        }
        PayerCommand::NotifyForged | PayerCommand::Probe => {
            // It says paid whatever the books say.
            let mut lie = order.clone();
            if lie.payments.is_empty() {
                lie.pay(amount, books.now);
            }
            let mut notice = Books::payment_notice(&lie, 0);
            notice.forged = command == PayerCommand::NotifyForged;
            notice.probe = command == PayerCommand::Probe;
            books.queue(Duration::ZERO, &Due::Notice(Box::new(notice)))?;
        }
        PayerCommand::Refund => give_back(books, order)?,
        PayerCommand::Close if order.state == OrderState::NotPaid => {
            order.state = OrderState::Closed;
            books.put(order);
        }
        PayerCommand::Close => return Err(PayerError::Refused("the order has ended, or somebody is paying it")),
    }
    Ok(())
}

/// Whether the payer can pay: the order is open, in time, and its newest handle still opens it.
fn can_pay(books: &Books<'_>, order: &Order) -> Result<(), PayerError> {
    let life = if order.kind == "h5" { H5_LIFE } else { PREPAY_LIFE };
    match order.state {
        OrderState::NotPaid if books.now >= order.expires_at => Err(PayerError::Refused("the order has expired")),
        OrderState::NotPaid if books.now.since(order.handle_at) > life => {
            Err(PayerError::Refused("what the payer holds has expired: it must be ordered again"))
        }
        OrderState::NotPaid | OrderState::Paying => Ok(()),
        OrderState::Paid | OrderState::Closed => Err(PayerError::Refused("the order has ended")),
    }
}

fn pay(books: &mut Books<'_>, order: &mut Order, fen: u64, told: Told) -> Result<(), PayerError> {
    can_pay(books, order)?;
    take(books, order, fen, told)
}

fn take(books: &mut Books<'_>, order: &mut Order, fen: u64, told: Told) -> Result<(), PayerError> {
    order.pay(fen, books.now);
    books.put(order);
    tell(books, order, told)
}

fn tell(books: &mut Books<'_>, order: &Order, told: Told) -> Result<(), PayerError> {
    let notice = Box::new(Books::payment_notice(order, order.payments.len().saturating_sub(1)));
    match told {
        Told::After(wait) => books.queue(wait, &Due::Notice(notice))?,
        Told::Twice => {
            books.queue(Duration::ZERO, &Due::Notice(notice.clone()))?;
            books.queue(Duration::from_secs(1), &Due::Notice(notice))?;
        }
        Told::Never => {}
    }
    Ok(())
}

/// What is left of the first payment goes back.
fn give_back(books: &mut Books<'_>, order: &mut Order) -> Result<(), PayerError> {
    let Some(first) = order.payments.first().cloned() else { return Err(PayerError::Refused("nothing was paid")) };
    let refunds = books.refunds(order)?;
    let of_it = refunds.iter().filter(|refund| refund.state != RefundState::Closed);
    let before: u64 =
        of_it.filter(|refund| refund.transaction_id == first.transaction_id).map(|refund| refund.amount).sum();
    let rest = first.amount.saturating_sub(before);
    if rest == 0 {
        return Err(PayerError::Refused("it was given back before"));
    }
    Ok(rules::give_back(books, order, (first.transaction_id, first.amount), rest)?)
}
