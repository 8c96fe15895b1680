//! The part about amounts: the same number of minor units on both sides, in every currency the manifest allows.

use maxpay_engine::channel::Outcome;
use maxpay_engine::model::{Currency, Money};

use super::desk::{Desk, shortly};
use super::report::Sheet;

/// Minor units that show a wrong number of decimal places, a lost zero, or a number that went through a float.
const MINOR: [u64; 10] = [1, 7, 10, 99, 100, 101, 1_000, 1_001, 123_456, 1_000_000];

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (least, most) = desk.rules.amount_minor;
    let mut index = 100;
    for currency in &desk.rules.currencies {
        for minor in MINOR.into_iter().chain([least, most]).filter(|minor| (least..=most).contains(minor)) {
            index += 1;
            one(desk, sheet, index, minor, *currency).await;
        }
    }
}

async fn one(desk: &Desk<'_>, sheet: &mut Sheet, index: u16, minor: u64, currency: Currency) {
    let case = format!("{minor} minor units of {currency}");
    let Ok(amount) = Money::new(minor, currency) else { return sheet.fail(case, "it is no amount") };
    let order = match desk.paid_of(desk.order_of(index, amount)).await {
        Ok(order) => order,
        Err(why) => return sheet.fail(format!("{case} can be paid"), why),
    };
    let rows = desk.books(&order.number);
    let paid = rows.first().and_then(|row| row.payments.first()).map(|paid| paid.amount);
    let booked = rows.first().map(|row| row.amount);
    sheet.hold(format!("{case} arrive as they are"), booked == Some(amount) && paid == Some(amount), || {
        format!("{booked:?} asked, {paid:?} paid")
    });
    let outcome = desk.query(&order).await;
    let told = matches!(&outcome, Outcome::Succeeded(paid) if paid.amount == amount);
    sheet.hold(format!("{case} come back as they are"), told, || shortly(&outcome));
}
