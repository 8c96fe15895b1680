//! The part about money that goes back: what the manifest claims of refunds and voids, held against the books.

use std::time::Duration;

use maxpay_engine::channel::{
    Answer, Call, FactSubject, Notified, Original, Outcome, Prepared, QueryRules, RefundIntent, RefundKind,
};
use maxpay_engine::model::Money;

use crate::simulator::{How, Rule, When};

use super::desk::{Desk, Order, shortly};
use super::provider::{About, BookRefund, Feature, Seal};
use super::report::Sheet;

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    exist(desk, sheet).await;
    if desk.rules.refund.is_some() {
        for index in [70, 80] {
            give_back(desk, sheet, index, RefundKind::Refund).await;
        }
        more_than_paid(desk, sheet).await;
        lost(desk, sheet).await;
        told(desk, sheet).await;
        anothers(desk, sheet).await;
    }
    if desk.rules.void.is_some() {
        give_back(desk, sheet, 90, RefundKind::Void).await;
    }
}

/// A payment, and the provider's number for it.
pub(super) struct Payment {
    pub order: Order,
    pub trade_number: String,
}

impl Payment {
    pub fn original(&self) -> Original<'_> {
        Original {
            number: &self.order.number,
            numbered_at: self.order.numbered_at,
            trade_number: &self.trade_number,
            total: self.order.intent.amount,
        }
    }
}

pub(super) async fn payment(desk: &Desk<'_>, index: u16) -> Result<Payment, String> {
    payment_of(desk, desk.order(index)).await
}

/// The same of a given order.
pub(super) async fn payment_of(desk: &Desk<'_>, order: Order) -> Result<Payment, String> {
    let order = desk.paid_of(order).await?;
    let trade =
        desk.books(&order.number).first().and_then(|row| row.payments.first()).map(|it| it.trade_number.clone());
    Ok(Payment { order, trade_number: trade.ok_or("the payment is not in the books")? })
}

/// A refund's own number, and when it was given.
pub(super) fn numbered(desk: &Desk<'_>, payment: &Payment, count: u16) -> Order {
    let number = format!("{}r{count:03}", payment.order.number);
    Order { number, numbered_at: desk.now(), intent: payment.order.intent.clone() }
}

pub(super) fn call(desk: &Desk<'_>, kind: RefundKind, amount: Money) -> Call {
    let refund = RefundIntent { amount, reason: Some("The tea was cold".to_owned()) };
    match kind {
        RefundKind::Void => Call::Void { code: desk.code(), refund },
        RefundKind::Refund => Call::Refund { code: desk.code(), refund },
    }
}

pub(super) fn question(desk: &Desk<'_>, kind: RefundKind, amount: Money) -> Call {
    let refund = RefundIntent { amount, reason: Some("The tea was cold".to_owned()) };
    Call::QueryRefund { code: desk.code(), kind, refund }
}

async fn exist(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(69);
    let payment = Payment { order, trade_number: "1".repeat(28) };
    let refund = numbered(desk, &payment, 1);
    let amount = desk.amount();
    let table = [
        ("refund", call(desk, RefundKind::Refund, amount), desk.rules.refund.is_some()),
        ("void", call(desk, RefundKind::Void, amount), desk.rules.void.is_some()),
    ];
    for (name, call, claimed) in table {
        let prepared = desk.prepared(&call, &refund, Some(payment.original())).await;
        let there = matches!(prepared, Ok(Prepared::Send(_)));
        sheet.hold(format!("there is a {name} if and only if the manifest says so"), there == claimed, || {
            format!("the manifest says {claimed}, the adapter {there}")
        });
    }
}

/// Money goes back once, however often it is asked, and both sides say the same.
async fn give_back(desk: &Desk<'_>, sheet: &mut Sheet, index: u16, kind: RefundKind) {
    let name = if kind == RefundKind::Void { "void" } else { "refund" };
    let payment = match payment(desk, index).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let total = payment.order.intent.amount;
    let partial = kind == RefundKind::Refund && index != 80 && desk.rules.refund.as_ref().is_some_and(|it| it.partial);
    let amount = if partial { Money::new(total.minor() / 2, total.currency()).unwrap_or(total) } else { total };
    let what = format!("{name} of {amount}");
    let refund = numbered(desk, &payment, 1);
    let unasked = desk.ask_about(&question(desk, kind, amount), &refund, Some(payment.original())).await.outcome;
    let safe = matches!(unasked, Outcome::NotFound | Outcome::Unknown(_));
    sheet.hold(format!("{what}: before it was asked it is not found"), safe, || shortly(&unasked));
    let asked = call(desk, kind, amount);
    let answer = desk.ask_about(&asked, &refund, Some(payment.original())).await;
    let taken = matches!(answer.outcome, Outcome::Succeeded(_) | Outcome::Processing);
    sheet.hold(format!("{what}: it is taken"), taken, || shortly(&answer.outcome));
    let again = desk.ask_about(&asked, &refund, Some(payment.original())).await;
    let safe =
        !matches!(again.outcome, Outcome::Declined(_) | Outcome::NotFound | Outcome::NotExecuted(_) | Outcome::Closed);
    sheet.hold(format!("{what}: sent again it is neither refused nor denied"), safe, || shortly(&again.outcome));
    let settled = settled(desk, kind, amount, &refund, &payment).await;
    let done = matches!(&settled, Outcome::Succeeded(paid) if paid.amount == amount);
    sheet.hold(format!("{what}: it is told as done, with what went back"), done, || shortly(&settled));
    let rows = refunds_of(desk, &payment);
    let once = rows.len() == 1 && rows[0].amount == amount && rows[0].number.as_deref() == Some(&*refund.number);
    sheet.hold(format!("{what}: it is in the books once"), once, || format!("{rows:?}"));
    let outcome = desk.query(&payment.order).await;
    let safe = !matches!(outcome, Outcome::Closed | Outcome::NotFound | Outcome::Unpaid | Outcome::Declined(_));
    sheet.hold(format!("{what}: the payment is told as a payment still"), safe, || shortly(&outcome));
}

pub(super) fn refunds_of(desk: &Desk<'_>, payment: &Payment) -> Vec<BookRefund> {
    desk.books(&payment.order.number).into_iter().flat_map(|row| row.refunds).collect()
}

/// Asks until it is decided, on the manifest's own schedule.
pub(super) async fn settled(
    desk: &Desk<'_>,
    kind: RefundKind,
    amount: Money,
    refund: &Order,
    payment: &Payment,
) -> Outcome {
    let rules: &QueryRules = desk.rules.refund.as_ref().map_or(&desk.rules.query, |refund| &refund.query);
    let mut outcome = Outcome::Processing;
    for wait in std::iter::once(&rules.truth_from).chain(&rules.schedule) {
        desk.pass(*wait);
        let Answer { outcome: told, .. } =
            desk.ask_about(&question(desk, kind, amount), refund, Some(payment.original())).await;
        let open = matches!(told, Outcome::Processing | Outcome::Unknown(_) | Outcome::NotFound);
        outcome = told;
        if !open {
            break;
        }
    }
    outcome
}

/// More than what is left never goes back, and is not told as if it did.
async fn more_than_paid(desk: &Desk<'_>, sheet: &mut Sheet) {
    let payment = match payment(desk, 71).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let total = payment.order.intent.amount;
    let min_gap = desk.rules.refund.as_ref().map_or(Duration::ZERO, |refund| refund.min_gap);
    for count in 1..=2 {
        let refund = numbered(desk, &payment, count);
        let asked = call(desk, RefundKind::Refund, total);
        desk.ask_about(&asked, &refund, Some(payment.original())).await;
        desk.pass(min_gap.saturating_add(Duration::from_secs(1)));
    }
    let second = numbered(desk, &payment, 2);
    let told = settled(desk, RefundKind::Refund, total, &second, &payment).await;
    sheet.hold("a refund of more than is left is not told as done", !matches!(told, Outcome::Succeeded(_)), || {
        shortly(&told)
    });
    let back = refunds_of(desk, &payment).iter().map(|row| row.amount.minor()).sum::<u64>();
    sheet.hold("no more goes back than was paid", back <= total.minor(), || format!("{back} minor units"));
}

/// A refund whose answer is lost is found by its number.
async fn lost(desk: &Desk<'_>, sheet: &mut Sheet) {
    let payment = match payment(desk, 72).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let (refund, amount) = (numbered(desk, &payment, 1), payment.order.intent.amount);
    let asked = call(desk, RefundKind::Refund, amount);
    if let Ok(Prepared::Send(request)) = desk.prepared(&asked, &refund, Some(payment.original())).await {
        // It arrives, and nobody reads the answer.
        drop(desk.send(request).await);
    }
    let told = settled(desk, RefundKind::Refund, amount, &refund, &payment).await;
    sheet.hold("a refund whose answer was lost is found", matches!(told, Outcome::Succeeded(_)), || shortly(&told));
    if desk.lacks(Feature::SignedAnswers).is_none() {
        let payment = match self::payment(desk, 73).await {
            Ok(payment) => payment,
            Err(why) => return sheet.fail("an order can be paid", why),
        };
        let refund = numbered(desk, &payment, 1);
        for how in [How::Unsigned, How::Forged] {
            let rule = Rule { call: None, number: None, when: When::AfterExecution, how, times: 1 };
            desk.provider.faults().add(rule);
            let read = desk.ask_about(&asked, &refund, Some(payment.original())).await;
            desk.provider.faults().clear();
            let safe = matches!(read.outcome, Outcome::Unknown(_));
            sheet.hold(format!("a refund's answer that is {how:?} proves nothing"), safe, || shortly(&read.outcome));
        }
    }
}

/// The answer to one refund is not the answer to another one of the same payment.
async fn anothers(desk: &Desk<'_>, sheet: &mut Sheet) {
    let payment = match payment(desk, 75).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let (refund, other) = (numbered(desk, &payment, 1), numbered(desk, &payment, 2));
    let amount = payment.order.intent.amount;
    let asked = call(desk, RefundKind::Refund, amount);
    for (name, call) in [("refund", asked), ("query of a refund", question(desk, RefundKind::Refund, amount))] {
        let Ok(Prepared::Send(request)) = desk.prepared(&call, &refund, Some(payment.original())).await else { return };
        let Ok(reply) = desk.send(request).await else { return };
        let read = desk.read_about(&call, &other, Some(payment.original()), &reply).await;
        let case = format!("the answer to a {name}, read as one about another refund, shows that it is not");
        let told = read.number.as_deref().is_some_and(|number| number != other.number);
        let open = matches!(read.outcome, Outcome::Unknown(_) | Outcome::Processing);
        match desk.lacks(Feature::AnswerEcho).filter(|_| name == "refund") {
            Some(why) if !told && !open => sheet.lacking(case, why),
            Some(_) | None => {
                sheet.hold(case, told || open, || format!("{:?}; {}", read.number, shortly(&read.outcome)));
            }
        }
        let wait = desk.rules.refund.as_ref().map_or(Duration::ZERO, |rules| rules.query.truth_from);
        desk.pass(wait);
    }
}

async fn told(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a refund is told";
    let payment = match payment(desk, 74).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let (refund, amount) = (numbered(desk, &payment, 1), payment.order.intent.amount);
    let asked = call(desk, RefundKind::Refund, amount);
    desk.ask_about(&asked, &refund, Some(payment.original())).await;
    settled(desk, RefundKind::Refund, amount, &refund, &payment).await;
    let raw = match (
        desk.lacks(Feature::RefundNotices),
        desk.provider.notice(About::Refund(&refund.number), Seal::Genuine),
    ) {
        (Some(why), None) => return sheet.lacking(case, why),
        (Some(_), Some(_)) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => return sheet.fail(case, "there is no notice of a refund that is done"),
        (None, Some(raw)) => raw,
    };
    let read = desk.notified(&raw, &desk.account).await;
    let fits = match &read {
        Some(Notified::Verified { facts, .. }) => {
            facts.iter().any(|fact| fact.subject == FactSubject::Refund(refund.number.clone()))
                || facts.iter().any(|fact| matches!(fact.outcome, Outcome::PaidThenReturned { .. }))
        }
        Some(Notified::Hint { number, .. }) => *number == refund.number || *number == payment.order.number,
        Some(Notified::NeedMaterial(_) | Notified::Unverified { .. }) | None => false,
    };
    sheet.hold(case, fits, || match &read {
        Some(Notified::Unverified { reason, .. }) => reason.clone(),
        Some(Notified::Verified { facts, .. }) => format!("{facts:?}"),
        Some(Notified::Hint { number, .. }) => number.clone(),
        Some(Notified::NeedMaterial(_)) | None => "material is missing".to_owned(),
    });
}
