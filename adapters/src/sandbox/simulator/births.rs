//! What happens to an order when the provider first learns of it: what its amount chooses, or what the token's card does.

use std::time::Duration;

use maxpay_engine::model::ChannelCode;

use crate::simulator::{How, LedgerError};

use super::super::codes;
use super::super::wire::Card;
use super::books::{Books, Telling};
use super::magic::Magic;
use super::order::{Due, Order, OrderState};

/// An order is born: what its amount chooses happens. Gives the fault of the answer.
pub(super) fn begin(books: &mut Books<'_>, order: &mut Order) -> Result<Option<How>, LedgerError> {
    let amount = order.amount;
    books.put(order);
    let late = Telling::Late(Magic::NOTIFY_LATE);
    let Some(magic) = Magic::of(amount) else { return Ok(None) };
    match magic {
        Magic::NeverPay => {}
        Magic::PayNow => books.pay(order, amount, Telling::Once)?,
        Magic::PayLater => later(books, order, Magic::LATER, false)?,
        Magic::Decline => decline(books, order),
        Magic::ErrorThenPaid => {
            books.pay(order, amount, late)?;
            return Ok(Some(How::Status(500)));
        }
        Magic::GarbageThenPaid => {
            books.pay(order, amount, late)?;
            return Ok(Some(How::Garbage));
        }
        Magic::PayTwice => {
            books.pay(order, amount, Telling::Once)?;
            later(books, order, Duration::from_secs(1), true)?;
        }
        Magic::NotifyLate => books.pay(order, amount, late)?,
        Magic::NotifyTwice => books.pay(order, amount, Telling::Twice)?,
        Magic::NotifyForged => books.tell(order, 0, Telling::Forged)?,
        Magic::NotifyNever => books.pay(order, amount, Telling::Never)?,
        Magic::AnswerLost => return Ok(Some(How::Lost)),
        Magic::NotifyWrongOwner => books.pay(order, amount, Telling::WrongOwner)?,
        Magic::PayOtherAmount => books.pay(order, amount - 1, Telling::Once)?,
        Magic::PaidThenReturned => {
            books.pay(order, amount, Telling::Once)?;
            let (merchant_id, number) = (order.merchant_id.clone(), order.number.clone());
            books.queue(Magic::LATER, &Due::Return { merchant_id, number })?;
        }
    }
    Ok(None)
}

/// A token is charged: what the amount chooses happens, else what the token's card does.
pub(super) fn charge(books: &mut Books<'_>, order: &mut Order, card: Card) -> Result<Option<How>, LedgerError> {
    let amount = order.amount;
    let decided = match (Magic::of(amount), card) {
        (Some(Magic::NeverPay | Magic::PayLater), _) | (None, Card::Processing) => OrderState::Processing,
        (Some(Magic::NotifyForged), _) | (None, Card::Decline) => OrderState::Declined,
        (Some(Magic::AnswerLost), _) | (None, Card::Approve) => OrderState::Paid,
        (Some(_), _) => OrderState::Open,
    };
    match decided {
        OrderState::Processing => {
            order.state = OrderState::Processing;
            books.put(order);
            if Magic::of(amount) != Some(Magic::NeverPay) {
                later(books, order, Magic::LATER, false)?;
            }
            Ok(None)
        }
        OrderState::Declined => {
            decline(books, order);
            if Magic::of(amount) == Some(Magic::NotifyForged) {
                books.tell(order, 0, Telling::Forged)?;
            }
            Ok(None)
        }
        OrderState::Paid => {
            books.pay(order, amount, Telling::Once)?;
            Ok((Magic::of(amount) == Some(Magic::AnswerLost)).then_some(How::Lost))
        }
        OrderState::Open | OrderState::Closed => begin(books, order),
    }
}

/// The payer's bank declines. Where the channel lets the payer try again, the order stays open.
pub(super) fn decline(books: &mut Books<'_>, order: &mut Order) {
    let manifest = codes::manifest();
    let rules = order.channel.parse::<ChannelCode>().ok().and_then(|code| manifest.code(&code).cloned());
    if rules.is_some_and(|rules| rules.decline_final || rules.authorize) {
        order.state = OrderState::Declined;
        books.put(order);
    }
}

fn later(books: &mut Books<'_>, order: &Order, wait: Duration, again: bool) -> Result<(), LedgerError> {
    let (merchant_id, number) = (order.merchant_id.clone(), order.number.clone());
    books.queue(wait, &Due::Pay { merchant_id, number, again })
}
