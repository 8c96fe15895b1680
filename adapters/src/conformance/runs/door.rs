//! What the engine's own door keeps of a manifest: what a code does not take is refused, by the name of its field, before
//! the provider is asked anything. Providers are laxer, or answer when it is too late to say it to whoever asks.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::Error;
use maxpay_engine::api::CreateTransaction;
use maxpay_engine::channel::{CodeManifest, PayerInput};
use maxpay_engine::model::{Currency, Money};

use crate::conformance::ear::Ear;
use crate::conformance::provider::Candidate;
use crate::conformance::report::Sheet;

use super::amount_of;
use super::world::World;

const SECOND: Duration = Duration::from_secs(1);

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let world = World::new(candidate, rules, ear).await?;
    let grouped = world.engine().group(rules.group);
    let found = grouped.contains(&rules.code) && !rules.group.is_empty();
    sheet.hold("it is found by its group", found, || format!("{:?} holds {grouped:?}", rules.group));
    let good = world.request("Tea", amount_of(rules)?)?;
    for (index, (what, field, mut request)) in wrong(rules, &good).into_iter().enumerate() {
        request.bill_num = format!("Tea-{index}").parse().map_err(|_| "no bill number")?;
        let (asked, booked) = (world.way.counts().1, world.provider().books().len());
        let taken = world.begin(request).await;
        world.settle();
        let named = matches!(&taken, Err(Error::Invalid { fields }) if fields.iter().any(|it| it.field == field));
        let silent = world.way.counts().1 == asked && world.provider().books().len() == booked;
        sheet.hold(format!("{what} is refused by the engine, and nothing is asked"), named && silent, || {
            format!("{taken:?}; asked: {}", !silent)
        });
    }
    let taken = world.begin(good).await;
    sheet.hold("what is as it should be is taken after all that", taken.is_ok(), || format!("{taken:?}"));
    Ok(())
}

/// Requests that are wrong in one thing each, and the field that is to be named.
fn wrong(rules: &CodeManifest, good: &CreateTransaction) -> Vec<(String, &'static str, CreateTransaction)> {
    let of = |money: Money| CreateTransaction { amount: money, ..good.clone() };
    let within = |timeout| CreateTransaction { timeout: Some(timeout), ..good.clone() };
    let (least, most) = rules.amount_minor;
    let minor = |minor: Option<u64>| minor.and_then(|minor| Money::new(minor, good.amount.currency()).ok());
    let (shortest, longest) = rules.expiry;
    let mut wrong: Vec<_> = rules.needs.iter().map(|input| without(*input, good)).collect();
    if let Some(money) = minor(least.checked_sub(1)) {
        wrong.push(("less than its smallest amount".to_owned(), "amount", of(money)));
    }
    if let Some(money) = minor(most.checked_add(1)) {
        wrong.push(("more than its largest amount".to_owned(), "amount", of(money)));
    }
    let others = ["CNY", "JPY", "KWD", "EUR"].iter().filter_map(|code| code.parse::<Currency>().ok());
    if let Some(other) = others.into_iter().find(|currency| !rules.currencies.contains(currency))
        && let Ok(money) = Money::new(good.amount.minor(), other)
    {
        wrong.push(("a currency that it does not take".to_owned(), "currency", of(money)));
    }
    let subject = "a".repeat(rules.subject_bytes_max.saturating_add(1));
    wrong.push(("too long a subject".to_owned(), "subject", CreateTransaction { subject, ..good.clone() }));
    wrong.push(("too short a life".to_owned(), "timeout", within(shortest.saturating_sub(SECOND))));
    wrong.push(("too long a life".to_owned(), "timeout", within(longest.saturating_add(SECOND))));
    wrong
}

fn without(input: PayerInput, good: &CreateTransaction) -> (String, &'static str, CreateTransaction) {
    let mut request = good.clone();
    let field = match input {
        PayerInput::Openid => {
            request.payer.openid = None;
            "payer.openid"
        }
        PayerInput::ClientIp => {
            request.payer.client_ip = None;
            "payer.client_ip"
        }
        PayerInput::H5Type => {
            request.payer.h5_type = None;
            "payer.h5_type"
        }
        PayerInput::ReturnUrl => {
            request.return_url = None;
            "return_url"
        }
    };
    (format!("an order without {input:?}"), field, request)
}
