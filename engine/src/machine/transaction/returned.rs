//! Money that came in and went back without a refund of ours: by the channel, or in the provider's console.

use crate::channel::Paid;
use crate::machine::NewEvent;
use crate::model::{AlarmKind, AttemptNumber, Attention, EventKind, ExternalReturn, Money, Receipt, ReceiptState};

use super::money::{self, Telling};
use super::work::{Work, clip};

/// What the provider says went back.
pub(super) struct Figure<'a> {
    /// How much in all.
    pub(super) returned: Money,
    /// The single returns, where told.
    pub(super) refunds: &'a [(Option<String>, Option<Money>)],
    /// Who gave it back.
    pub(super) by: &'a str,
    /// Whether the provider calls it final.
    pub(super) is_final: bool,
}

/// Proof of a payment that has gone back, wholly or in part. The payment is booked; what went back beside our own
/// refunds is noted on its receipt, one figure that a later one replaces.
pub(super) fn paid_then_returned(work: &mut Work<'_>, number: &AttemptNumber, paid: &Paid, figure: &Figure<'_>) {
    let same = |receipt: &Receipt| receipt.number == *number && receipt.trade_number == paid.trade_number;
    let (index, is_new) = match money::book(work, number, paid) {
        Some(index) => (index, true),
        None => match work.record.receipts.iter().position(same) {
            Some(index) => (index, false),
            None => return,
        },
    };
    let Some(receipt) = work.record.receipts.get(index) else { return };
    let Some(rest) = rest_of(receipt, figure) else {
        if is_new {
            money::follow(work, index, Telling::Success);
        }
        work.note("what went back is explained by our own refunds");
        return;
    };
    let settled = is_certain(receipt, figure) && rest > 0;
    if is_new {
        money::follow(work, index, if settled { Telling::Success } else { Telling::Withheld });
    }
    if note_return(work, index, rest, figure) {
        tell(work, index, rest, figure, settled);
    } else if !is_new {
        work.note("told of a return that is noted already");
    }
}

/// Whether the figure says for good what of this receipt went back.
fn is_certain(receipt: &Receipt, figure: &Figure<'_>) -> bool {
    figure.is_final && figure.returned.currency() == receipt.amount.currency()
}

/// What went back beside our own refunds, in minor units of the receipt's currency. `None`: our refunds explain it.
fn rest_of(receipt: &Receipt, figure: &Figure<'_>) -> Option<u64> {
    if figure.returned.currency() != receipt.amount.currency() {
        // How much of this payment that is cannot be told: all of it is kept from refunds.
        return Some(receipt.amount.minor());
    }
    // A return that is not final reserves the whole receipt: that is no refund of ours.
    let reserved_here = receipt.returned.as_ref().is_some_and(|noted| !noted.is_final);
    let ours = if reserved_here { 0 } else { receipt.reserved_minor }.saturating_add(receipt.refunded_minor);
    if figure.returned.is_zero() {
        // How much is not told (some providers say only that): any refund of ours, in whatever state, explains it.
        return (ours == 0).then_some(0);
    }
    let rest = figure.returned.minor().saturating_sub(ours);
    (rest > 0).then_some(rest)
}

/// Notes the figure on the receipt. Whether it says anything new.
fn note_return(work: &mut Work<'_>, index: usize, rest: u64, figure: &Figure<'_>) -> bool {
    let at = work.now();
    let Some(receipt) = work.record.receipts.get_mut(index) else { return false };
    let certain = is_certain(receipt, figure);
    if let Some(noted) = &receipt.returned {
        // Final figures are sums that only grow; a stale notice takes nothing back.
        let stale = noted.is_final && (!certain || noted.amount_minor >= rest);
        let same = noted.is_final == certain && noted.amount_minor == rest;
        if stale || same {
            return false;
        }
    }
    let was_reserving = receipt.returned.as_ref().is_some_and(|noted| !noted.is_final);
    if !certain {
        receipt.reserved_minor = receipt.amount.minor().saturating_sub(receipt.refunded_minor);
    } else if was_reserving {
        receipt.reserved_minor = 0;
    }
    let key = match figure.refunds {
        [(Some(single), _)] => single.clone(),
        [] | [(None, _)] | [_, _, ..] => "returned".to_owned(),
    };
    receipt.returned = Some(ExternalReturn { key, amount_minor: rest, by: clip(figure.by), is_final: certain, at });
    let over = receipt.amount.minor() < rest.saturating_add(receipt.refunded_minor);
    if over && work.flag(Attention::OverRefunded) {
        let text = format!("more was given back than was paid: {}, by {}", figure.returned, clip(figure.by));
        work.alarm(AlarmKind::OverRefunded, &text);
    }
    true
}

fn tell(work: &mut Work<'_>, index: usize, rest: u64, figure: &Figure<'_>, settled: bool) {
    let Some(receipt) = work.record.receipts.get(index) else { return };
    let trade_number = receipt.trade_number.clone();
    let mismatch = receipt.state == ReceiptState::Mismatch;
    let moved = Money::new(rest, receipt.amount.currency()).ok();
    let certain = is_certain(receipt, figure);
    let text = format!(
        "{} of {} went back, by {}, {}",
        figure.returned,
        receipt.amount,
        figure.by,
        if certain { "final" } else { "not final" }
    );
    work.note(text.clone());
    if !settled || mismatch {
        work.flag(Attention::Returned);
        work.alarm(AlarmKind::Returned, &text);
    }
    let event = NewEvent {
        kind: EventKind::PaymentReturned,
        trade_number: Some(trade_number),
        moved,
        reason: Some(clip(&text)),
    };
    work.publish(event);
}
