//! The part about requests as bytes: the same input gives the same ones, they go where they may, and what is said in
//! them depends on what was asked.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::channel::{Answer, Call, Outcome, Prepared, RefundKind};
use maxpay_engine::model::{NamedAction, PayerAction};
use serde_json::Value;

use super::desk::{Desk, Order};
use super::orders::twice;
use super::provider::Card;
use super::refunds::{Payment, call, numbered, question};
use super::report::Sheet;

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(20);
    let mut calls = vec![
        ("create", desk.create_call(&order)),
        ("query", Call::Query { code: desk.code() }),
        ("close", Call::Close { code: desk.code() }),
    ];
    let charged = desk.rules.authorize.then(|| desk.charge(desk.order(20), Card::Approve));
    match charged {
        Some(Ok((call, _))) => calls.push(("charge", call)),
        Some(Err(why)) => sheet.fail("a token can be charged", why),
        None => {}
    }
    for (name, call) in &calls {
        same(desk, sheet, name, call, &order).await;
        depends_on_number(desk, sheet, name, call, &order).await;
    }
    backs(desk, sheet).await;
    if !desk.rules.authorize {
        depends_on_words(desk, sheet).await;
    }
}

/// Refunds, voids and their queries: the same bytes for the same words, others for another number or another payment, and
/// for another amount where one is given back.
async fn backs(desk: &Desk<'_>, sheet: &mut Sheet) {
    let payment = |index: u16| Payment { order: desk.order(index), trade_number: format!("{index:028}") };
    let (one, other) = (payment(23), payment(24));
    let (refund, next) = (numbered(desk, &one, 1), numbered(desk, &one, 2));
    let (amount, more) = (desk.amount(), twice(desk.amount()));
    let kinds = [
        ("refund", RefundKind::Refund, desk.rules.refund.is_some()),
        ("void", RefundKind::Void, desk.rules.void.is_some()),
    ];
    for (name, kind, _) in kinds.into_iter().filter(|(_, _, exists)| *exists) {
        for (name, call, asks_more) in [
            (name.to_owned(), call(desk, kind, amount), Some(call(desk, kind, more))),
            (format!("query of a {name}"), question(desk, kind, amount), None),
        ] {
            let Some(first) = sent(desk, &call, &refund, &one).await else {
                sheet.fail(format!("a {name} is sent"), "it is not");
                continue;
            };
            let same = sent(desk, &call, &refund, &one).await.is_some_and(|again| bytes_of(&again) == bytes_of(&first));
            sheet.hold(format!("the same {name} gives the same bytes"), same, || "they differ".to_owned());
            goes_where_it_may(desk, sheet, &name, &first);
            let mut others = vec![("number", sent(desk, &call, &next, &one).await)];
            if let Some(asks_more) = &asks_more {
                others.push(("payment", sent(desk, &call, &refund, &other).await));
                others.push(("amount", sent(desk, asks_more, &refund, &one).await));
            }
            for (word, other) in others {
                let differs = other.is_none_or(|other| bytes_of(&other) != bytes_of(&first));
                sheet.hold(format!("a {name} says its {word}"), differs, || {
                    "another one gives the same bytes".to_owned()
                });
            }
        }
    }
}

async fn sent(desk: &Desk<'_>, call: &Call, refund: &Order, payment: &Payment) -> Option<HttpRequest> {
    match desk.prepared(call, refund, Some(payment.original())).await {
        Ok(Prepared::Send(request)) => Some(request),
        Ok(Prepared::Done(_) | Prepared::Unsupported | Prepared::NeedMaterial(_)) | Err(_) => None,
    }
}

/// What a call comes to, as text that can be compared.
async fn written(desk: &Desk<'_>, call: &Call, order: &Order) -> Option<String> {
    match desk.prepared(call, order, None).await {
        Ok(Prepared::Send(request)) => Some(bytes_of(&request)),
        Ok(Prepared::Done(Answer { outcome: Outcome::AwaitingPayer(actions), .. })) => Some(format!("{actions:?}")),
        Ok(Prepared::Done(answer)) => Some(format!("{answer:?}")),
        Ok(Prepared::Unsupported | Prepared::NeedMaterial(_)) | Err(_) => None,
    }
}

async fn same(desk: &Desk<'_>, sheet: &mut Sheet, name: &str, call: &Call, order: &Order) {
    let Some(first) = written(desk, call, order).await else { return };
    let again = written(desk, call, order).await;
    sheet.hold(format!("the same {name} gives the same bytes"), again.as_deref() == Some(first.as_str()), || {
        "they differ although time, entropy, account and words are the same".to_owned()
    });
    let Some(request) = desk.request(call, order).await else { return };
    goes_where_it_may(desk, sheet, name, &request);
}

fn goes_where_it_may(desk: &Desk<'_>, sheet: &mut Sheet, name: &str, request: &HttpRequest) {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let manifest = desk.adapter.manifest();
    let may = if manifest.fixed_hosts.is_empty() {
        settings_name(desk, &host)
    } else {
        manifest.fixed_hosts.contains(&host) || settings_name(desk, &host)
    };
    sheet
        .hold(format!("a {name} goes to a host of the manifest or the settings"), may, || format!("it goes to {host}"));
    let carries = request.url.username().is_empty() && request.url.password().is_none();
    sheet.hold(format!("a {name} has no credentials in its address"), carries, || "it has".to_owned());
}

fn settings_name(desk: &Desk<'_>, host: &str) -> bool {
    let texts = desk.account.settings.values().filter_map(Value::as_str);
    !host.is_empty() && texts.into_iter().any(|text| text.contains(host))
}

async fn depends_on_number(desk: &Desk<'_>, sheet: &mut Sheet, name: &str, call: &Call, order: &Order) {
    let first = written(desk, call, order).await;
    // A create that only fetches a wallet session says nothing of the order.
    if first.is_none() || (name == "create" && desk.rules.authorize) {
        return;
    }
    let other = Order { number: desk.order(21).number, ..order.clone() };
    let second = written(desk, call, &other).await;
    sheet.hold(format!("a {name} says which number it is about"), first != second, || {
        "two numbers give the same bytes".to_owned()
    });
}

async fn depends_on_words(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(22);
    let first = written(desk, &desk.create_call(&order), &order).await;
    let mut changed: Vec<(&str, Order)> = Vec::new();
    for word in ["amount", "subject", "expiry"] {
        let mut other = order.clone();
        match word {
            "amount" => other.intent.amount = twice(order.intent.amount),
            "subject" => "Coffee".clone_into(&mut other.intent.subject),
            _ => other.intent.expires_at = order.intent.expires_at.after(std::time::Duration::from_mins(7)),
        }
        changed.push((word, other));
    }
    for (word, other) in changed {
        let second = written(desk, &desk.create_call(&other), &other).await;
        sheet.hold(format!("a create says its {word}"), first != second, || {
            "another one gives the same bytes".to_owned()
        });
    }
    let mut hostile = order.clone();
    HOSTILE.clone_into(&mut hostile.intent.subject);
    hostile.intent.return_url = Some("https://shop.example.com/back?a=1&b=\"><script>".to_owned());
    let answer = desk.prepared(&desk.create_call(&hostile), &hostile, None).await;
    let Ok(Prepared::Done(Answer { outcome: Outcome::AwaitingPayer(actions), .. })) = answer else { return };
    let open = actions.iter().any(has_tag);
    sheet.hold("what a merchant writes is escaped in pages", !open, || "a page holds a foreign tag".to_owned());
}

/// A subject that breaks what does not escape it.
const HOSTILE: &str = "</script><script>alert(1)</script>&\"'<";

fn has_tag(named: &NamedAction) -> bool {
    match &named.action {
        PayerAction::Form { html } => html.contains("<script>alert(1)") || html.contains("\"><script>"),
        PayerAction::AppOrder { .. }
        | PayerAction::Prepay { .. }
        | PayerAction::Redirect { .. }
        | PayerAction::QrText { .. }
        | PayerAction::WalletSession { .. } => false,
    }
}

fn bytes_of(request: &HttpRequest) -> String {
    format!("{} {} {:?} {:?}", request.method, request.url, request.headers, request.body)
}
