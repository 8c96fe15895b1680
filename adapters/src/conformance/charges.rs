//! The part about codes that are charged by a payer's token: sessions, tokens, and that each is charged once.

use maxpay_engine::channel::{Call, Outcome, Prepared};
use maxpay_engine::model::{Money, PayerAction};
use maxpay_engine::secrets::Secret;

use super::desk::{Desk, Order, shortly};
use super::fault::Fault;
use super::orders::twice;
use super::provider::{BookState, Card, Feature};
use super::report::Sheet;

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    refuses_nonsense(desk, sheet);
    if !desk.rules.authorize {
        return;
    }
    session(desk, sheet).await;
    sessions_struck(desk, sheet).await;
    tokens(desk, sheet);
    amounts(desk, sheet);
    for (index, card, wanted) in [(31, Card::Approve, "succeeded"), (32, Card::Decline, "declined")] {
        charge(desk, sheet, index, card, wanted).await;
    }
    undecided(desk, sheet).await;
    once(desk, sheet).await;
    unheard_of(desk, sheet).await;
}

fn refuses_nonsense(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(30);
    for nonsense in ["", "{}", "null", "[1]", "no token at all: 4111-1111-1111-1111"] {
        let token = Secret::from_text(nonsense);
        let verified = desk.with_context(5, (Some(&order), None), &desk.account, |context| {
            desk.adapter.verify_token(&desk.rules.code, &order.intent, &token, context)
        });
        let (case, safe) = match &verified {
            Ok(_) => ("nonsense is no token", false),
            Err(why) => ("nonsense is no token, and is not repeated", !why.is_empty() && !why.contains("4111")),
        };
        sheet.hold(format!("{case} ({} bytes)", nonsense.len()), safe, || format!("{verified:?}"));
    }
}

async fn session(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(33);
    let call = |url: Option<&str>| Call::PayerSession { code: desk.code(), validation_url: url.map(ToOwned::to_owned) };
    let given = desk.ask(&call(desk.provider.validation_url().as_deref()), &order).await.outcome;
    let has_session = |action: &PayerAction| matches!(action, PayerAction::WalletSession { session: Some(_) });
    let fetched = matches!(&given, Outcome::AwaitingPayer(actions) if actions.iter().any(|it| has_session(&it.action)));
    sheet.hold("a wallet session can be fetched", fetched, || shortly(&given));
    for foreign in ["https://evil.example.net/session", "http://127.0.0.1:22/", "https://a@evil.example.net/x", "ftp:x"]
    {
        let prepared = desk.prepared(&call(Some(foreign)), &order, None).await;
        let goes = matches!(&prepared, Ok(Prepared::Send(request)) if request.url.as_str().starts_with(foreign)
            || request.url.host_str().is_some_and(|host| foreign.contains(host)));
        sheet.hold(format!("no session is fetched from {foreign}"), !goes, || "it is asked".to_owned());
    }
    sheet.hold("a session leaves nothing in the books", desk.books(&order.number).is_empty(), || "an order".to_owned());
}

/// What is not a session is not told as one, whatever happens on the way.
async fn sessions_struck(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(29);
    let call = Call::PayerSession { code: desk.code(), validation_url: desk.provider.validation_url() };
    for fault in Fault::ALL {
        let whole = match fault {
            Fault::Late | Fault::Duplicated => true,
            // A session is the wallet's own, and carries no proof that we could look at.
            Fault::Changed | Fault::Signer(_) => continue,
            Fault::NotSent
            | Fault::LostBefore
            | Fault::LostAfter
            | Fault::StatusBefore(_)
            | Fault::StatusAfter(_)
            | Fault::Html
            | Fault::Cut
            | Fault::CrashBefore
            | Fault::CrashAfter => false,
        };
        let case = format!("wallet session × {}", fault.name());
        match desk.ask_struck(&call, &order, None, fault).await {
            Ok(told) => {
                let fetched = matches!(told, Outcome::AwaitingPayer(_));
                let safe = fetched || matches!(told, Outcome::Unknown(_) | Outcome::NotExecuted(_));
                sheet.hold(case, safe && (whole || !fetched), || shortly(&told));
            }
            Err(why) => sheet.fail(case, why),
        }
    }
}

fn tokens(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(34);
    let Some(token) = desk.provider.token(order.intent.amount, Card::Approve) else {
        return sheet.fail("the provider gives tokens", "it gives none");
    };
    let Some(other) = desk.provider.token(order.intent.amount, Card::Approve) else {
        return sheet.fail("the provider gives tokens", "it gives one only");
    };
    let verify = |token: &Secret| {
        desk.with_context(5, (Some(&order), None), &desk.account, |context| {
            desk.adapter.verify_token(&desk.rules.code, &order.intent, token, context)
        })
    };
    let first = verify(&token);
    sheet.hold("a good token is taken", first.is_ok(), || format!("{first:?}"));
    sheet.hold("a token is the same at every look", verify(&token) == first, || "it is not".to_owned());
    let second = verify(&other);
    let differ = matches!((&first, &second), (Ok(a), Ok(b)) if a.once_key != b.once_key && a.digest != b.digest);
    sheet.hold("two tokens have two once-keys", differ, || format!("{first:?} and {second:?}"));
}

/// A token for another amount than the payment's is refused before anything is asked.
fn amounts(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(39);
    let amount = order.intent.amount;
    let other = desk.rules.currencies.iter().find(|currency| **currency != amount.currency());
    let in_other = other.and_then(|currency| Money::new(amount.minor(), *currency).ok());
    for (case, agreed) in [
        ("a token for another amount is refused", Some(twice(amount))),
        ("a token for the same number of another currency is refused", in_other),
    ] {
        let Some(agreed) = agreed.filter(|agreed| *agreed != amount) else {
            sheet.not_examined(case, "the manifest allows no other");
            continue;
        };
        let Some(token) = desk.provider.token(agreed, Card::Approve) else {
            sheet.fail(case, "the provider gives no token");
            continue;
        };
        let verified = desk.with_context(5, (Some(&order), None), &desk.account, |context| {
            desk.adapter.verify_token(&desk.rules.code, &order.intent, &token, context)
        });
        match (desk.lacks(Feature::TokenAmount), verified) {
            (Some(why), Ok(_)) => sheet.lacking(case, why),
            (Some(_), Err(_)) => sheet.fail(case, "it is said to be lacking and is there"),
            (None, Ok(_)) => sheet.fail(case, "it is taken"),
            (None, Err(why)) => sheet.hold(case, !why.is_empty(), || "nobody is told why".to_owned()),
        }
    }
}

async fn charge(desk: &Desk<'_>, sheet: &mut Sheet, index: u16, card: Card, wanted: &str) {
    let (call, order) = match desk.charge(desk.order(index), card) {
        Ok(charge) => charge,
        Err(why) => return sheet.fail("a token can be charged", why),
    };
    let outcome = desk.ask(&call, &order).await.outcome;
    let fits = outcome.name() == wanted || outcome == Outcome::Processing;
    sheet.hold(format!("a card that comes to {wanted} is told so"), fits, || shortly(&outcome));
    let asked = desk.query(&order).await;
    sheet.hold(format!("a query of it says {wanted}"), asked.name() == wanted, || shortly(&asked));
    agrees(desk, sheet, &order, &asked);
    let again = desk.ask(&call, &order).await.outcome;
    let paid = desk.books(&order.number).iter().map(|row| row.payments.len()).sum::<usize>();
    sheet.hold(format!("a charge sent again ({wanted}) is one charge"), paid <= 1, || {
        format!("{paid} payments; {}", shortly(&again))
    });
    let changed = wanted == "succeeded" && matches!(again, Outcome::NotExecuted(_) | Outcome::NotFound);
    sheet.hold("a charge sent again does not deny the first", !changed, || shortly(&again));
}

fn agrees(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order, outcome: &Outcome) {
    let rows = desk.books(&order.number);
    let paid = rows.iter().any(|row| row.state == BookState::Paid);
    let told = matches!(outcome, Outcome::Succeeded(paid) if paid.amount == order.intent.amount);
    sheet.hold("what is told of a charge is in the books", paid == told, || format!("{}; {rows:?}", shortly(outcome)));
}

async fn undecided(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (call, order) = match desk.charge(desk.order(35), Card::Undecided) {
        Ok(charge) => charge,
        Err(why) => return sheet.fail("a token can be charged", why),
    };
    let outcome = desk.ask(&call, &order).await.outcome;
    let open = matches!(outcome, Outcome::Processing | Outcome::Unknown(_));
    sheet.hold("a charge that is not decided is told as processing", open, || shortly(&outcome));
    let asked = desk.query(&order).await;
    let open = matches!(asked, Outcome::Processing | Outcome::Unknown(_) | Outcome::Succeeded(_));
    sheet.hold("a query of it does not deny it", open, || shortly(&asked));
}

/// A token under another number is refused by the provider, not charged twice.
async fn once(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (first, order) = match desk.charge(desk.order(36), Card::Approve) {
        Ok(charge) => charge,
        Err(why) => return sheet.fail("a token can be charged", why),
    };
    let charged = desk.ask(&first, &order).await.outcome;
    let other = Order { intent: order.intent.clone(), ..desk.order(37) };
    let again = desk.ask(&first, &other).await.outcome;
    let twice = matches!(charged, Outcome::Succeeded(_)) && matches!(again, Outcome::Succeeded(_));
    sheet.hold("one token is not charged under two numbers", !twice, || shortly(&again));
}

async fn unheard_of(desk: &Desk<'_>, sheet: &mut Sheet) {
    let outcome = desk.query(&desk.order(38)).await;
    sheet.hold("an unknown number is not found", outcome == Outcome::NotFound, || shortly(&outcome));
}
