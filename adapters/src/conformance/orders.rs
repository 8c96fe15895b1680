//! The part about an order's life: what the manifest claims of creates, queries and closes, held against the books.

use std::time::Duration;

use maxpay_engine::channel::{Call, CodeManifest, Outcome, Prepared, Recreate};
use maxpay_engine::model::{Money, NamedAction};

use super::desk::{Desk, Order, shortly};
use super::provider::{BookState, Feature, Play};
use super::report::Sheet;

/// How much earlier than asked an order may end at the provider: the grain of its clock.
pub(super) const GRAIN: Duration = Duration::from_mins(1);

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    exists(desk, sheet).await;
    if desk.rules.authorize {
        // Its orders are charges, which have a part of their own.
        return;
    }
    open(desk, sheet).await;
    sent_again(desk, sheet).await;
    other_words(desk, sheet).await;
    paid(desk, sheet).await;
    closed(desk, sheet).await;
    declined(desk, sheet).await;
    unusual_money(desk, sheet).await;
    unheard_of(desk, sheet).await;
    expired(desk, sheet).await;
}

/// Which operations there are.
async fn exists(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(1);
    let code = || desk.code();
    let CodeManifest { close, locally_signed, .. } = &desk.rules;
    let created = desk.prepared(&desk.create_call(&order), &order, None).await;
    let done = matches!(created, Ok(Prepared::Done(_)));
    sheet.hold("a create is signed here if and only if the manifest says so", done == *locally_signed, || {
        format!("locally_signed is {locally_signed}, a create is {}", if done { "answered here" } else { "sent" })
    });
    let closes = matches!(desk.prepared(&Call::Close { code: code() }, &order, None).await, Ok(Prepared::Send(_)));
    sheet.hold("there is a close if and only if the manifest says so", closes == close.is_some(), || {
        format!("the manifest says {}, the adapter {closes}", close.is_some())
    });
    let query = matches!(desk.prepared(&Call::Query { code: code() }, &order, None).await, Ok(Prepared::Send(_)));
    sheet.hold("a query is sent", query, || "it is not".to_owned());
}

async fn open(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(10);
    let answer = desk.ask(&desk.create_call(&order), &order).await;
    let Outcome::AwaitingPayer(actions) = &answer.outcome else {
        return sheet.fail("a create gives what the payer needs", shortly(&answer.outcome));
    };
    sheet.hold("a create gives what the payer needs", !actions.is_empty(), || "nothing".to_owned());
    let named = answer.number.as_deref().is_none_or(|number| number == order.number);
    sheet.hold("the answer names the number that was asked", named, || format!("{:?}", answer.number));
    let shown = desk.adapter.shown(&desk.rules.code, &order.number, actions);
    sheet.hold("the original API is shown something", !shown.is_empty(), || "nothing".to_owned());
    for action in actions {
        let opened = desk.provider.play(&order.number, Play::Open(action));
        sheet.hold(format!("the provider takes the payer action {}", action.name), opened.is_ok(), || {
            format!("{opened:?}")
        });
    }
    in_the_books(desk, sheet, &order);
    desk.pass(desk.rules.query.truth_from);
    let outcome = desk.query(&order).await;
    let is_open = matches!(outcome, Outcome::Unpaid | Outcome::Processing | Outcome::AwaitingPayer(_));
    sheet.hold("an open order is known and not paid once truth_from has passed", is_open, || shortly(&outcome));
}

fn in_the_books(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order) {
    let rows = desk.books(&order.number);
    sheet.hold("the order is in the books once, under its number", rows.len() == 1, || {
        let all: Vec<_> = desk.provider.books().into_iter().map(|row| row.number).collect();
        format!("{} times; the books have {all:?}", rows.len())
    });
    let Some(row) = rows.first() else { return };
    sheet.hold("the order is of the amount that was asked", row.amount == order.intent.amount, || {
        format!("{} instead of {}", row.amount, order.intent.amount)
    });
    ends_when_asked(desk, sheet, order, "the order ends when the intent says, not later");
}

/// What the books have of an order's end is what its intent says.
pub(super) fn ends_when_asked(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order, case: &str) {
    let rows = desk.books(&order.number);
    let Some(row) = rows.first() else { return sheet.fail(case, "there is no such order") };
    match (desk.lacks(Feature::Expiry), row.expires_at) {
        (Some(why), None) => sheet.lacking(case, why),
        (Some(_), Some(_)) => sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => sheet.fail(case, "the order never ends"),
        (None, Some(at)) => {
            let asked = order.intent.expires_at;
            let fits = at.after(GRAIN) >= asked && at <= asked.after(desk.rules.grace);
            sheet.hold(case, fits, || format!("it ends at {at} instead of {asked}"));
        }
    }
}

/// What the manifest claims of a second send.
async fn sent_again(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (order, first) = match desk.opened(11).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let ends_at = desk.books(&order.number).first().and_then(|row| row.expires_at);
    desk.pass(Duration::from_secs(20));
    let again = desk.ask(&desk.create_call(&order), &order).await.outcome;
    let claim = format!("sent again, a create does what {:?} claims", desk.rules.recreate);
    match (desk.rules.recreate, &again) {
        (Recreate::Resign | Recreate::ReturnsAction, Outcome::AwaitingPayer(actions)) => {
            sheet.hold(claim, !actions.is_empty(), || "it gives no payer action".to_owned());
            for action in actions.iter().chain(&first) {
                let opened = desk.provider.play(&order.number, Play::Open(action));
                sheet.hold("the payer action still opens", opened.is_ok(), || format!("{opened:?}"));
            }
        }
        (Recreate::Refused, outcome) => {
            let refused = !matches!(outcome, Outcome::AwaitingPayer(_) | Outcome::Closed | Outcome::NotExecuted(_));
            sheet.hold(claim, refused, || shortly(outcome));
        }
        (Recreate::Never, _) => sheet.hold(claim, true, String::new),
        (Recreate::Resign | Recreate::ReturnsAction, outcome) => sheet.fail(claim, shortly(outcome)),
    }
    let rows = desk.books(&order.number);
    sheet.hold("sent again, it is one order still", rows.len() == 1, || format!("{} orders", rows.len()));
    let same = rows.first().is_some_and(|row| row.expires_at == ends_at);
    sheet.hold("sent again, it ends when it did", same, || format!("{ends_at:?} became another time"));
}

/// The same number with other words is never another order.
async fn other_words(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (order, _) = match desk.opened(12).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let mut other = order.clone();
    other.intent.amount = twice(order.intent.amount);
    let answer = desk.ask(&desk.create_call(&other), &other).await;
    let unpaid = !matches!(answer.outcome, Outcome::Succeeded(_) | Outcome::Closed | Outcome::NotExecuted(_));
    sheet.hold("the same number with other words proves neither money nor its absence", unpaid, || {
        shortly(&answer.outcome)
    });
    if let Outcome::AwaitingPayer(actions) = &answer.outcome {
        let opens = |action: &NamedAction| desk.provider.play(&order.number, Play::Open(action)).is_ok();
        sheet.hold("the same number with other words opens nothing", !actions.iter().any(opens), || {
            "the provider takes the payer action".to_owned()
        });
    }
    let rows = desk.books(&order.number);
    let same = rows.len() == 1 && rows[0].amount == order.intent.amount;
    sheet.hold("the same number stays the order it was", same, || format!("{rows:?}"));
}

async fn paid(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = match desk.paid(13).await {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let outcome = desk.query(&order).await;
    let rows = desk.books(&order.number);
    let trade = rows.first().and_then(|row| row.payments.first()).map(|paid| paid.trade_number.clone());
    let Outcome::Succeeded(receipt) = &outcome else {
        return sheet.fail("a paid order is told as paid", shortly(&outcome));
    };
    sheet.hold("a paid order is told with what was paid", receipt.amount == order.intent.amount, || shortly(&outcome));
    sheet.hold(
        "a paid order is told with the provider's number",
        Some(&receipt.trade_number) == trade.as_ref(),
        || format!("{} instead of {trade:?}", receipt.trade_number),
    );
    let again = desk.ask(&desk.create_call(&order), &order).await.outcome;
    // Where a second send is refused whatever became of the first, *unpaid* is how its arrival is told.
    let arrived = desk.rules.recreate == Recreate::Refused && again == Outcome::Unpaid;
    let safe =
        arrived || !matches!(again, Outcome::Closed | Outcome::NotFound | Outcome::NotExecuted(_) | Outcome::Unpaid);
    sheet.hold("a create of a paid order does not say that it is unpaid", safe, || shortly(&again));
    if desk.rules.close.is_some() {
        let closed = desk.ask(&Call::Close { code: desk.code() }, &order).await.outcome;
        let safe = !matches!(closed, Outcome::Closed | Outcome::NotFound | Outcome::Unpaid);
        sheet.hold("a close of a paid order never says closed", safe, || shortly(&closed));
        let state = desk.books(&order.number).first().map(|row| row.state);
        sheet.hold("a close of a paid order leaves it paid", state == Some(BookState::Paid), || format!("{state:?}"));
    }
    let again = desk.query(&order).await;
    sheet.hold("asked again, it says the same", again == outcome, || shortly(&again));
}

async fn closed(desk: &Desk<'_>, sheet: &mut Sheet) {
    if desk.rules.close.is_none() {
        return;
    }
    let (order, _) = match desk.opened(14).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let outcome = desk.ask(&Call::Close { code: desk.code() }, &order).await.outcome;
    sheet.hold("a close of an open order closes it", outcome == Outcome::Closed, || shortly(&outcome));
    let state = desk.books(&order.number).first().map(|row| row.state);
    sheet.hold("the books have it closed", state == Some(BookState::Closed), || format!("{state:?}"));
    let outcome = desk.query(&order).await;
    let told = matches!(outcome, Outcome::Closed | Outcome::NotFound);
    sheet.hold("a query of a closed order says so", told, || shortly(&outcome));
    let paid = desk.provider.play(&order.number, Play::Pay);
    sheet.hold("a closed order cannot be paid", paid.is_err(), || "it was".to_owned());
    let again = desk.ask(&Call::Close { code: desk.code() }, &order).await.outcome;
    // A close that is declined was not taken: the engine asks what became of the order.
    let safe = !matches!(again, Outcome::Succeeded(_));
    sheet.hold("a second close changes nothing", safe, || shortly(&again));
    late_money(desk, sheet, &order).await;
}

/// Money that comes after the end is told as money.
async fn late_money(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order) {
    let case = "money after a close is told as paid";
    let late = desk.provider.play(&order.number, Play::PayLate);
    match (desk.lacks(Feature::PayLate), late) {
        (Some(why), Err(_)) => sheet.lacking(case, why),
        (Some(_), Ok(())) => sheet.fail(case, "it is said to be lacking and is there"),
        (None, Err(why)) => sheet.fail(case, why),
        (None, Ok(())) => {
            let outcome = desk.query(order).await;
            sheet.hold(case, matches!(outcome, Outcome::Succeeded(_)), || shortly(&outcome));
            let closed = desk.ask(&Call::Close { code: desk.code() }, order).await.outcome;
            sheet.hold("a close after late money never says closed", closed != Outcome::Closed, || shortly(&closed));
        }
    }
}

async fn declined(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a decline is final if and only if the manifest says so";
    let (order, _) = match desk.opened(15).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    match (desk.lacks(Feature::Decline), desk.provider.play(&order.number, Play::Decline)) {
        (Some(why), Err(_)) => return sheet.lacking(case, why),
        (Some(_), Ok(())) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, Err(why)) => return sheet.fail(case, why),
        (None, Ok(())) => {}
    }
    let outcome = desk.query(&order).await;
    let tells = matches!(outcome, Outcome::Declined(_));
    let safe = tells || matches!(outcome, Outcome::Unpaid | Outcome::Processing | Outcome::AwaitingPayer(_));
    sheet.hold("a declined order is told as declined or unpaid", safe, || shortly(&outcome));
    let paid = desk.provider.play(&order.number, Play::Pay).is_ok();
    let is_final = desk.rules.decline_final;
    sheet.hold(case, if is_final { tells && !paid } else { paid }, || {
        format!("decline_final is {is_final}; then: {}; paid after it: {paid}", shortly(&outcome))
    });
    if paid {
        let outcome = desk.query(&order).await;
        sheet.hold("paid after a decline is paid", matches!(outcome, Outcome::Succeeded(_)), || shortly(&outcome));
    }
}

/// Another amount, and money that went back.
async fn unusual_money(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "another amount is told as it was paid";
    match desk.opened(16).await {
        Ok((order, _)) => {
            let other = twice(order.intent.amount);
            match (desk.lacks(Feature::PayOther), desk.provider.play(&order.number, Play::PayOther(other))) {
                (Some(why), Err(_)) => sheet.lacking(case, why),
                (Some(_), Ok(())) => sheet.fail(case, "it is said to be lacking and is there"),
                (None, Err(why)) => sheet.fail(case, why),
                (None, Ok(())) => {
                    let outcome = desk.query(&order).await;
                    let told = matches!(&outcome, Outcome::Succeeded(paid) if paid.amount == other);
                    sheet.hold(case, told, || shortly(&outcome));
                }
            }
        }
        Err(why) => sheet.fail("an order can be opened", why),
    }
    let case = "money that went back in the console is told as paid, then returned";
    match desk.paid(17).await {
        Ok(order) => match (desk.lacks(Feature::Return), desk.provider.play(&order.number, Play::Return)) {
            (Some(why), Err(_)) => sheet.lacking(case, why),
            (Some(_), Ok(())) => sheet.fail(case, "it is said to be lacking and is there"),
            (None, Err(why)) => sheet.fail(case, why),
            (None, Ok(())) => {
                let outcome = desk.query(&order).await;
                // A dialect whose query does not tell of returns says *paid*, which is true as well.
                let told = matches!(outcome, Outcome::PaidThenReturned { .. } | Outcome::Succeeded(_));
                sheet.hold(case, told, || shortly(&outcome));
            }
        },
        Err(why) => sheet.fail("an order can be paid", why),
    }
}

/// A number that the provider has never heard of.
async fn unheard_of(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(18);
    let outcome = desk.query(&order).await;
    sheet.hold("an unknown number is not found", outcome == Outcome::NotFound, || shortly(&outcome));
    if desk.rules.close.is_some() {
        let outcome = desk.ask(&Call::Close { code: desk.code() }, &order).await.outcome;
        let safe = matches!(outcome, Outcome::NotFound | Outcome::Unknown(_));
        sheet.hold("a close of an unknown number proves nothing but that", safe, || shortly(&outcome));
    }
}

/// After its time an order takes no money, and nothing that is told of it says that it could.
async fn expired(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (order, _) = match desk.opened(19).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    desk.pass(order.intent.expires_at.since(desk.now()).saturating_add(desk.rules.grace).saturating_add(GRAIN));
    let paid = desk.provider.play(&order.number, Play::Pay);
    sheet.hold("after its expiry and grace an order cannot be paid", paid.is_err(), || "it was".to_owned());
    let outcome = desk.query(&order).await;
    let told = matches!(
        outcome,
        Outcome::Closed | Outcome::NotFound | Outcome::Unpaid | Outcome::Declined(_) | Outcome::AwaitingPayer(_)
    );
    sheet.hold("an expired order is told as closed, not found or unpaid", told, || shortly(&outcome));
}

/// Twice as much, or the same where that leaves the range.
pub(super) fn twice(amount: Money) -> Money {
    amount.checked_add(amount).unwrap_or(amount)
}
