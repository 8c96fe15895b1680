//! The part about a provider that is stopped and started anew on its file: what was, is as before. Simulators that forget
//! prove nothing of a crash.

use maxpay_engine::channel::{Call, Notified, Outcome, RawNotification, RefundKind};
use maxpay_engine::model::NamedAction;
use tempfile::TempDir;

use crate::simulator::Ledger;

use super::desk::{Desk, Order, shortly};
use super::orders::twice;
use super::provider::{About, BookOrder, Card, Feature, Merchant, Play, Seal};
use super::refunds::{Payment, call, numbered, payment, refunds_of, settled};
use super::report::Sheet;

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a provider goes on from its file";
    if let Some(why) = desk.lacks(Feature::Reopening) {
        return sheet.lacking(case, why);
    }
    let no_file = |why| format!("no file can be made for it: {why}");
    let file = match File::fresh() {
        Ok(file) => file,
        Err(why) => return sheet.not_examined(case, no_file(why)),
    };
    let before = match file.ledger() {
        Ok(ledger) => Desk::on(desk.candidate, &desk.rules, &desk.ear, ledger),
        Err(why) => return sheet.not_examined(case, no_file(why)),
    };
    let before = match before {
        Ok(desk) => desk,
        Err(why) => return sheet.fail(case, why),
    };
    let past = match Past::made(&before).await {
        Ok(past) => past,
        Err(why) => return sheet.fail(case, why),
    };
    let desk = match before.reopened(|| file.ledger()) {
        Ok(desk) => desk,
        Err(why) => return sheet.fail(case, why),
    };
    sheet.hold(case, true, String::new);
    past.still_stands(&desk, sheet);
    past.orders(&desk, sheet).await;
    past.refund(&desk, sheet).await;
    past.charge(&desk, sheet).await;
}

/// What was before the provider was stopped.
struct Past {
    settings: serde_json::Map<String, serde_json::Value>,
    books: Vec<BookOrder>,
    falls_due: Option<maxpay_engine::model::Timestamp>,
    open: Option<(Order, Vec<NamedAction>)>,
    closed: Option<Order>,
    paid: Order,
    notice: Option<RawNotification>,
    /// A refund that is under way, and its payment.
    refund: Option<(Payment, Order)>,
    /// A charge that is not decided.
    charge: Option<(Call, Order)>,
}

impl Past {
    async fn made(desk: &Desk<'_>) -> Result<Self, String> {
        let charges = desk.rules.authorize;
        let open = if charges { None } else { Some(desk.opened(240).await?) };
        let closed = match &desk.rules.close {
            Some(_) if !charges => {
                let (order, _) = desk.opened(241).await?;
                desk.ask(&Call::Close { code: desk.code() }, &order).await;
                Some(order)
            }
            Some(_) | None => None,
        };
        let paid = desk.paid(242).await?;
        let charge = if charges {
            let (call, order) = desk.charge(desk.order(243), Card::Undecided)?;
            desk.ask(&call, &order).await;
            Some((call, order))
        } else {
            None
        };
        let refund = if desk.rules.refund.is_some() {
            let payment = payment(desk, 244).await?;
            let refund = numbered(desk, &payment, 1);
            let asked = call(desk, RefundKind::Refund, payment.order.intent.amount);
            desk.ask_about(&asked, &refund, Some(payment.original())).await;
            Some((payment, refund))
        } else {
            None
        };
        Ok(Self {
            settings: desk.provider.settings(Merchant::First),
            books: desk.provider.books(),
            falls_due: desk.provider.falls_due(),
            notice: desk.provider.notice(About::Order(&paid.number), Seal::Genuine),
            open,
            closed,
            paid,
            refund,
            charge,
        })
    }

    /// Before anything is asked of it.
    fn still_stands(&self, desk: &Desk<'_>, sheet: &mut Sheet) {
        let books = desk.provider.books();
        sheet.hold("started anew, it has the same books", books == self.books, || {
            format!("{} orders became {}: {books:?}", self.books.len(), books.len())
        });
        let same = desk.provider.settings(Merchant::First) == self.settings;
        sheet.hold("started anew, it has the same keys", same, || "an account's settings are others".to_owned());
        let case = "started anew, what waits there waits still";
        let falls_due = desk.provider.falls_due();
        match self.falls_due {
            Some(_) => {
                sheet.hold(case, falls_due == self.falls_due, || format!("{:?} became {falls_due:?}", self.falls_due));
            }
            None => sheet.not_examined(case, "nothing waits there, or the simulator does not say"),
        }
    }

    async fn orders(&self, desk: &Desk<'_>, sheet: &mut Sheet) {
        let outcome = desk.query(&self.paid).await;
        let told = matches!(&outcome, Outcome::Succeeded(paid) if paid.amount == self.paid.intent.amount);
        sheet.hold("started anew, it tells of a payment from before", told, || shortly(&outcome));
        if let Some(notice) = &self.notice {
            let after = desk.provider.notice(About::Order(&self.paid.number), Seal::Genuine);
            for (which, notice) in [("from before", Some(notice)), ("of now", after.as_ref())] {
                let read = match notice {
                    Some(notice) => desk.notified(notice, &desk.account).await,
                    None => None,
                };
                let verified = matches!(read, Some(Notified::Verified { .. }));
                sheet.hold(format!("started anew, a notice {which} is verified"), verified, || "it is not".to_owned());
            }
        }
        if let Some(closed) = &self.closed {
            let outcome = desk.query(closed).await;
            let told = matches!(outcome, Outcome::Closed | Outcome::NotFound);
            sheet.hold("started anew, what was closed is closed", told, || shortly(&outcome));
            let paid = desk.provider.play(&closed.number, Play::Pay);
            sheet.hold("started anew, what was closed cannot be paid", paid.is_err(), || "it was".to_owned());
        }
        if let Some((open, actions)) = &self.open {
            still_open(desk, sheet, open, actions).await;
        }
    }

    async fn refund(&self, desk: &Desk<'_>, sheet: &mut Sheet) {
        let Some((payment, refund)) = &self.refund else { return };
        let amount = payment.order.intent.amount;
        let asked = call(desk, RefundKind::Refund, amount);
        let again = desk.ask_about(&asked, refund, Some(payment.original())).await.outcome;
        let told = settled(desk, RefundKind::Refund, amount, refund, payment).await;
        let rows = refunds_of(desk, payment);
        let once = rows.len() == 1 && rows[0].is_done && matches!(told, Outcome::Succeeded(_));
        sheet.hold("started anew, a refund from before is done once, also if it is sent again", once, || {
            format!("{}, then {}; {rows:?}", shortly(&again), shortly(&told))
        });
    }

    async fn charge(&self, desk: &Desk<'_>, sheet: &mut Sheet) {
        let Some((call, order)) = &self.charge else { return };
        let other = Order { intent: order.intent.clone(), ..desk.order(245) };
        let elsewhere = desk.ask(call, &other).await.outcome;
        let taken = desk.books(&other.number).iter().any(|row| !row.payments.is_empty());
        sheet.hold("started anew, it knows a token that it has seen", !taken, || shortly(&elsewhere));
        let again = desk.ask(call, order).await.outcome;
        let paid = desk.provider.play(&order.number, Play::Pay);
        let told = desk.query(order).await;
        let rows = desk.books(&order.number);
        let once = rows.len() == 1 && rows[0].payments.len() == 1 && matches!(told, Outcome::Succeeded(_));
        sheet.hold("started anew, a charge from before is decided, and taken once", once, || {
            format!("{}, {paid:?}, then {}; {rows:?}", shortly(&again), shortly(&told))
        });
    }
}

/// An order from before is one order still, whatever is sent again, and can be paid.
async fn still_open(desk: &Desk<'_>, sheet: &mut Sheet, open: &Order, actions: &[NamedAction]) {
    let before = desk.books(&open.number);
    let mut other = open.clone();
    other.intent.amount = twice(open.intent.amount);
    for order in [open, &other] {
        desk.ask(&desk.create_call(order), order).await;
    }
    let same = desk.books(&open.number) == before && before.len() == 1;
    sheet.hold("started anew, a create from before is the same order, whatever its words", same, || {
        format!("{before:?} became {:?}", desk.books(&open.number))
    });
    let opened = actions.iter().all(|action| desk.provider.play(&open.number, Play::Open(action)).is_ok());
    sheet.hold("started anew, it takes what the payer got before", opened, || "it does not".to_owned());
    let paid = desk.provider.play(&open.number, Play::Pay);
    let outcome = desk.query(open).await;
    let told = paid.is_ok() && matches!(outcome, Outcome::Succeeded(_));
    sheet.hold("started anew, an order from before can be paid", told, || format!("{paid:?}; {}", shortly(&outcome)));
}

/// A folder of its own for the file, which is gone when the exam is over.
pub(super) struct File(TempDir);

impl File {
    pub fn fresh() -> Result<Self, String> {
        tempfile::tempdir().map(Self).map_err(|why| why.to_string())
    }

    pub fn ledger(&self) -> Result<Ledger, String> {
        Ledger::open(&self.0.path().join("ledger.redb")).map_err(|why| why.to_string())
    }
}
