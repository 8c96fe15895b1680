//! The provider's rules about numbers that come again, and about money that goes back, whatever dialect they come in.

use std::time::Duration;

use maxpay_engine::model::Timestamp;

use crate::parts::digest::digits;
use crate::simulator::LedgerError;

use super::books::Books;
use super::rows::{Dialect, Due, Order, OrderState, Refund, RefundState};
use super::{RefundPlan, Simulator};

/// Between two refunds of one order.
const REFUND_GAP: Duration = Duration::from_mins(1);
const REFUNDS_MAX: usize = 50;
/// How long after a payment refunds are taken.
const REFUND_WINDOW: Duration = Duration::from_hours(365 * 24);
/// How long a refund is under way.
const REFUND_TAKES: Duration = Duration::from_secs(3);
/// A time_expire sooner than this is moved.
const LIFE_MIN: Duration = Duration::from_mins(1);

/// An order as it is asked for.
pub(super) struct Wanted<'a> {
    pub mchid: &'a str,
    pub appid: &'a str,
    pub number: &'a str,
    /// `app`, `jsapi`, `native` or `h5`.
    pub kind: &'a str,
    /// Fen.
    pub amount: u64,
    pub notify_url: &'a str,
    pub expires_at: Timestamp,
    /// Tells whether it says the same as one before.
    pub content: String,
    pub dialect: Dialect,
}

/// Why an order is not taken.
pub(super) enum Unordered {
    /// The number was paid.
    Paid,
    /// The number was closed.
    Closed,
    /// The number stands for an order of other words.
    Other,
}

/// Orders, or orders again: each time the payer gets another handle.
pub(super) fn order(books: &mut Books<'_>, wanted: Wanted<'_>) -> Result<Result<Order, Unordered>, LedgerError> {
    let mut order = match books.order(wanted.number, wanted.mchid)? {
        Some(before) if before.state == OrderState::Paid => return Ok(Err(Unordered::Paid)),
        Some(before) if before.state == OrderState::Closed => return Ok(Err(Unordered::Closed)),
        Some(before) if before.content != wanted.content => return Ok(Err(Unordered::Other)),
        Some(before) => before,
        None => Order {
            mchid: wanted.mchid.to_owned(),
            appid: wanted.appid.to_owned(),
            number: wanted.number.to_owned(),
            kind: wanted.kind.to_owned(),
            amount: wanted.amount,
            notify_url: wanted.notify_url.to_owned(),
            made_at: books.now,
            // What is too soon is moved without a word.
            expires_at: wanted.expires_at.max(books.now.after(LIFE_MIN)),
            content: wanted.content,
            state: OrderState::NotPaid,
            payments: Vec::new(),
            ordered: 0,
            handle_at: books.now,
            refunded_at: None,
            dialect: wanted.dialect,
        },
    };
    order.ordered += 1;
    order.handle_at = books.now;
    books.put(&order);
    Ok(Ok(order))
}

/// A refund as it is asked for.
pub(super) struct WantedRefund<'a> {
    pub number: &'a str,
    pub transaction_id: &'a str,
    /// Fen that were paid, as the merchant says.
    pub total: u64,
    /// Fen that go back.
    pub amount: u64,
    pub notify_url: &'a str,
    /// Tells whether it says the same as one before.
    pub content: String,
    pub dialect: Dialect,
}

/// Why a refund is not taken, or is not told as taken.
pub(super) enum Unrefunded {
    /// The number stands for a refund of other words.
    Other,
    /// There is no such payment.
    NoPayment,
    /// Another amount was paid than it says.
    OtherTotal,
    /// More would go back than is left.
    TooMuch {
        /// Fen.
        left: u64,
    },
    /// It is too long ago.
    TooLate,
    /// There are as many refunds of it as there may be.
    TooOften,
    /// The one before was less than a minute ago.
    TooSoon,
    /// The merchant's balance is too small: it may be asked again under the same number.
    NotEnough,
    /// Too much is asked at once; it may have been taken all the same.
    Busy,
}

impl Simulator {
    /// Takes a refund, or tells of the one that was taken before.
    pub(super) fn refund(
        &self,
        books: &mut Books<'_>,
        mchid: &str,
        wanted: WantedRefund<'_>,
    ) -> Result<Result<Refund, Unrefunded>, LedgerError> {
        if let Some(before) = books.refund(mchid, wanted.number)? {
            return Ok(if before.content == wanted.content { Ok(before) } else { Err(Unrefunded::Other) });
        }
        let Some(mut order) = books.order_of(mchid, wanted.transaction_id)? else {
            return Ok(Err(Unrefunded::NoPayment));
        };
        let paid = order.payments.iter().find(|paid| paid.transaction_id == wanted.transaction_id).cloned();
        let Some(paid) = paid else { return Ok(Err(Unrefunded::NoPayment)) };
        let refunds = books.refunds(&order)?;
        let of_it = refunds
            .iter()
            .filter(|refund| refund.transaction_id == wanted.transaction_id && refund.state != RefundState::Closed);
        let before: u64 = of_it.map(|refund| refund.amount).sum();
        if wanted.total != paid.amount {
            return Ok(Err(Unrefunded::OtherTotal));
        }
        if before.saturating_add(wanted.amount) > paid.amount {
            return Ok(Err(Unrefunded::TooMuch { left: paid.amount.saturating_sub(before) }));
        }
        if books.now.since(paid.at) > REFUND_WINDOW {
            return Ok(Err(Unrefunded::TooLate));
        }
        if refunds.len() >= REFUNDS_MAX {
            return Ok(Err(Unrefunded::TooOften));
        }
        if order.refunded_at.is_some_and(|at| books.now.since(at) < REFUND_GAP) {
            return Ok(Err(Unrefunded::TooSoon));
        }
        let plan = self.refund_plans.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
        let ends = match plan {
            None | Some(RefundPlan::AcceptedAs429) => RefundState::Success,
            Some(RefundPlan::Ends(state)) => state,
            Some(RefundPlan::NotEnough) => return Ok(Err(Unrefunded::NotEnough)),
            Some(RefundPlan::Refused429) => return Ok(Err(Unrefunded::Busy)),
        };
        let refund = accept(books, &mut order, wanted, (paid.transaction_id, paid.amount), ends)?;
        Ok(if plan == Some(RefundPlan::AcceptedAs429) { Err(Unrefunded::Busy) } else { Ok(refund) })
    }
}

/// Books a refund that is under way. `paid`: of which payment, and of how much.
fn accept(
    books: &mut Books<'_>,
    order: &mut Order,
    wanted: WantedRefund<'_>,
    (transaction_id, total): (String, u64),
    ends: RefundState,
) -> Result<Refund, LedgerError> {
    let refund = Refund {
        mchid: order.mchid.clone(),
        appid: order.appid.clone(),
        number: wanted.number.to_owned(),
        order: order.number.clone(),
        id: next_id(books, order)?,
        transaction_id,
        amount: wanted.amount,
        total,
        notify_url: wanted.notify_url.to_owned(),
        content: wanted.content,
        state: RefundState::Processing,
        ends,
        made_at: books.now,
        done_at: None,
        dialect: wanted.dialect,
    };
    order.refunded_at = Some(books.now);
    books.put(order);
    books.put_refund(&refund);
    if ends != RefundState::Processing {
        books.queue(REFUND_TAKES, &Due::Settle { key: refund.key() })?;
    }
    Ok(refund)
}

/// Books what the console gives back of a payment: it has a number of the provider's own and no notify address.
pub(super) fn give_back(
    books: &mut Books<'_>,
    order: &mut Order,
    (transaction_id, total): (String, u64),
    amount: u64,
) -> Result<(), LedgerError> {
    let refund = Refund {
        mchid: order.mchid.clone(),
        appid: order.appid.clone(),
        number: String::new(),
        order: order.number.clone(),
        id: next_id(books, order)?,
        transaction_id,
        amount,
        total,
        notify_url: String::new(),
        content: String::new(),
        state: RefundState::Success,
        ends: RefundState::Success,
        made_at: books.now,
        done_at: Some(books.now),
        dialect: order.dialect.clone(),
    };
    order.refunded_at = Some(books.now);
    books.put(order);
    books.put_refund(&refund);
    Ok(())
}

/// In the order they were made, by key.
fn next_id(books: &Books<'_>, order: &Order) -> Result<String, LedgerError> {
    let count = books.refunds(order)?.len();
    Ok(format!("5030{count:04}{}", digits(order.handle().as_bytes(), 20)))
}
