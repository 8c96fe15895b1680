//! The part about answers: what one that is cut, changed, unsigned, forged or somebody else's may prove, which is
//! nothing.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Answer, Call, Outcome, Prepared};
use serde_json::Value;

use crate::simulator::{How, Rule, When};

use super::account::{Account, parted};
use super::desk::{Desk, Order, shortly};
use super::provider::{Card, Feature, Merchant};
use super::report::Sheet;

/// So many places of an answer are changed, spread over it.
const PLACES_MAX: usize = 48;

/// A genuine answer.
struct Sample {
    name: &'static str,
    call: Call,
    order: Order,
    reply: HttpReply,
    answer: Answer,
}

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let samples = samples(desk, sheet).await;
    for sample in &samples {
        mangled(desk, sheet, sample).await;
        changed(desk, sheet, sample).await;
        headers(desk, sheet, sample).await;
        somebody_elses(desk, sheet, sample).await;
        for other in samples.iter().filter(|other| other.name != sample.name) {
            mixed_up(desk, sheet, sample, other).await;
        }
    }
    at_the_door(desk, sheet).await;
    signers_faults(desk, sheet).await;
}

async fn samples(desk: &Desk<'_>, sheet: &mut Sheet) -> Vec<Sample> {
    let mut samples = Vec::new();
    let query = || Call::Query { code: desk.code() };
    let mut wanted: Vec<(&'static str, Call, Order)> = vec![("query of nothing", query(), desk.order(40))];
    if desk.rules.authorize {
        match desk.charge(desk.order(41), Card::Approve) {
            Ok((call, order)) => wanted.push(("charge", call, order)),
            Err(why) => sheet.fail("a token can be charged", why),
        }
    } else {
        let order = desk.order(42);
        wanted.push(("create", desk.create_call(&order), order));
        match desk.opened(43).await {
            Ok((order, _)) => {
                wanted.push(("query", query(), order.clone()));
                if desk.rules.close.is_some() {
                    wanted.push(("close", Call::Close { code: desk.code() }, order));
                }
            }
            Err(why) => sheet.fail("an order can be opened", why),
        }
    }
    match desk.paid(44).await {
        Ok(order) => wanted.push(("query of a paid order", query(), order)),
        Err(why) => sheet.fail("an order can be paid", why),
    }
    for (name, call, order) in wanted {
        let Some(request) = desk.request(&call, &order).await else { continue };
        match desk.send(request).await {
            Ok(reply) => {
                let answer = desk.read(&call, &order, &reply).await;
                samples.push(Sample { name, call, order, reply, answer });
            }
            Err(failure) => sheet.fail(format!("the provider answers a {name}"), failure.to_string()),
        }
    }
    samples
}

/// Answers that no provider gives.
async fn mangled(desk: &Desk<'_>, sheet: &mut Sheet, sample: &Sample) {
    let html = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";
    let with =
        |status: u16, body: &[u8]| HttpReply { status, body: Bytes::copy_from_slice(body), ..sample.reply.clone() };
    let bare = |status: u16, body: &[u8]| {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        HttpReply { status, headers, body: Bytes::copy_from_slice(body) }
    };
    let deep = "[".repeat(20_000);
    let mut table = vec![
        ("HTML", bare(200, html)),
        ("an empty body", bare(200, b"")),
        ("control characters", bare(200, b"\x00\x01\x02\xff\xfe")),
        ("an empty object", bare(200, b"{}")),
        ("a list", bare(200, b"[]")),
        ("deep nesting", bare(200, deep.as_bytes())),
        ("an XML bomb", bare(200, b"<!DOCTYPE a [<!ENTITY b \"cccc\">]><xml>&b;&b;</xml>")),
    ];
    for status in [400, 403, 404, 409, 429, 500, 502, 503, 504] {
        table.push(("a gateway's own page", bare(status, html)));
    }
    for status in [500, 502, 503] {
        table.push(("its body under a failing status", with(status, &sample.reply.body)));
    }
    let len = sample.reply.body.len();
    for at in [len / 4, len / 2, len * 3 / 4, len.saturating_sub(1)] {
        table.push(("its body, cut", with(sample.reply.status, &sample.reply.body[..at])));
    }
    for (what, reply) in table {
        let read = desk.read(&sample.call, &sample.order, &reply).await;
        let proves = !matches!(read.outcome, Outcome::Unknown(_)) && (reply.body != sample.reply.body || len > 0);
        // A line break at the end may be missing.
        let same = what == "its body, cut" && read == sample.answer;
        sheet.hold(
            format!("{}: {what} ({}, {} bytes) proves nothing", sample.name, reply.status, reply.body.len()),
            !proves || same,
            || shortly(&read.outcome),
        );
    }
}

/// One character of the body is another one.
async fn changed(desk: &Desk<'_>, sheet: &mut Sheet, sample: &Sample) {
    if let Some(why) = desk.lacks(Feature::SignedAnswers) {
        return sheet.lacking(format!("{}: a changed answer proves nothing", sample.name), why);
    }
    let mut wrong = None;
    for at in places(&sample.reply.body) {
        let reply = HttpReply { body: flipped(&sample.reply.body, at), ..sample.reply.clone() };
        let read = desk.read(&sample.call, &sample.order, &reply).await;
        if read != sample.answer && !matches!(read.outcome, Outcome::Unknown(_)) && !listed(desk, &read.outcome) {
            wrong = Some(format!("with byte {at} changed it came to {}", shortly(&read.outcome)));
        }
    }
    sheet.hold(format!("{}: a changed answer proves nothing", sample.name), wrong.is_none(), || {
        wrong.unwrap_or_default()
    });
}

/// A header is missing, or says something else.
async fn headers(desk: &Desk<'_>, sheet: &mut Sheet, sample: &Sample) {
    let mut wrong = None;
    for index in 0..sample.reply.headers.len() {
        let mut without = sample.reply.clone();
        let (name, value) = without.headers.remove(index);
        let mut other = sample.reply.clone();
        let middle = value.len() / 2;
        other.headers[index].1 = String::from_utf8_lossy(&flipped(value.as_bytes(), middle)).into_owned();
        for reply in [without, other] {
            let read = desk.read(&sample.call, &sample.order, &reply).await;
            if read != sample.answer && !matches!(read.outcome, Outcome::Unknown(_)) && !listed(desk, &read.outcome) {
                wrong = Some(format!("with another {name} it came to {}", shortly(&read.outcome)));
            }
        }
    }
    sheet.hold(format!("{}: no header changes what is proved", sample.name), wrong.is_none(), || {
        wrong.unwrap_or_default()
    });
}

/// The answer about another order, and to another merchant.
async fn somebody_elses(desk: &Desk<'_>, sheet: &mut Sheet, sample: &Sample) {
    let proves = !matches!(sample.answer.outcome, Outcome::Unknown(_));
    if !proves {
        return;
    }
    let other = Order { number: desk.order(49).number, ..sample.order.clone() };
    let read = desk.read(&sample.call, &other, &sample.reply).await;
    let told = read.number.as_deref() == Some(&*sample.order.number);
    let case = format!("{}: read as the answer about another order, it shows that it is not", sample.name);
    let refused = matches!(read.outcome, Outcome::Unknown(_));
    // What was found under a number is told with it.
    let is_found = matches!(sample.call, Call::Query { .. }) && sample.answer.outcome != Outcome::NotFound;
    let silent = desk.lacks(Feature::AnswerEcho).filter(|_| !is_found);
    match silent {
        Some(why) if !told && !refused => sheet.lacking(case, why),
        Some(_) | None => {
            sheet.hold(case, told || refused, || format!("{:?}; {}", read.number, shortly(&read.outcome)));
        }
    }
    let settings = desk.provider.settings(Merchant::Other);
    let account = parted(&*desk.adapter, &settings);
    // With the first merchant's keys, so that only what the answer says can tell.
    let foreign = Account { settings: account.settings, secrets: desk.provider_secrets() };
    let answer = desk.read_as(&sample.call, &sample.order, &sample.reply, &foreign);
    let told = answer.owners.iter().any(|(name, value)| disagrees(&foreign, name, value));
    let refused = matches!(answer.outcome, Outcome::Unknown(_));
    let case = format!("{}: read for another merchant, it shows whose it is", sample.name);
    match desk.lacks(Feature::AnswerOwner).or(silent) {
        Some(why) if !told && !refused => sheet.lacking(case, why),
        Some(_) | None => sheet.hold(case, told || refused, || shortly(&answer.outcome)),
    }
}

pub(super) fn disagrees(account: &Account, name: &str, value: &str) -> bool {
    match account.settings.get(name) {
        Some(Value::String(ours)) => !ours.is_empty() && ours != value,
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            let ours = other.to_string();
            ours != value
        }
        Some(Value::Null) | None => false,
    }
}

/// The answer to one operation, read as the answer to another.
async fn mixed_up(desk: &Desk<'_>, sheet: &mut Sheet, sample: &Sample, other: &Sample) {
    let read = desk.read(&sample.call, &other.order, &other.reply).await;
    let (name, genuine) = (read.outcome.name(), other.answer.outcome.name());
    let safe = name == "unknown" || name == genuine || (genuine == "awaiting_payer" && name == "unpaid");
    // That an order is open, said to a close, is that it is not closed.
    let open = matches!(genuine, "unpaid" | "awaiting_payer" | "processing");
    let safe = safe || (open && matches!(name, "unpaid" | "processing" | "declined"));
    sheet.hold(format!("the answer to a {}, read as one to a {}, says no more", other.name, sample.name), safe, || {
        format!("{} became {}", shortly(&other.answer.outcome), shortly(&read.outcome))
    });
}

/// What the provider refuses because it does not know us.
async fn at_the_door(desk: &Desk<'_>, sheet: &mut Sheet) {
    let foreign = parted(&*desk.adapter, &desk.provider.settings(Merchant::Other));
    let account = Account { settings: desk.account.settings.clone(), secrets: foreign.secrets };
    let order = desk.order(48);
    for (name, call) in [("create", desk.create_call(&order)), ("query", Call::Query { code: desk.code() })] {
        let Ok(Prepared::Send(request)) = desk.prepared_as(&call, &order, None, &account).await else { continue };
        let Ok(reply) = desk.send(request).await else { continue };
        let read = desk.read(&call, &order, &reply).await;
        let safe = matches!(read.outcome, Outcome::Unknown(_) | Outcome::AccountRefused(_) | Outcome::NotExecuted(_));
        sheet.hold(format!("a {name} under a wrong key is refused at the door"), safe, || shortly(&read.outcome));
        let mut unsigned = desk.read_without_keys(&call, &order, &reply).name() == read.outcome.name();
        for at in places(&reply.body) {
            let other = HttpReply { body: flipped(&reply.body, at), ..reply.clone() };
            let again = desk.read(&call, &order, &other).await;
            unsigned |= !matches!(again.outcome, Outcome::Unknown(_)) && again.outcome.name() == read.outcome.name();
        }
        let may = !unsigned || listed(desk, &read.outcome) || matches!(read.outcome, Outcome::Unknown(_));
        sheet.hold(format!("the unsigned refusal of a {name} is in the manifest"), may, || {
            format!("it proves {} and is not listed", shortly(&read.outcome))
        });
        let rows = desk.books(&order.number).len();
        sheet.hold(format!("a {name} under a wrong key does nothing"), rows == 0, || format!("{rows} orders"));
    }
}

/// Faults that only the signer can make.
async fn signers_faults(desk: &Desk<'_>, sheet: &mut Sheet) {
    let faults = [
        ("an unsigned answer", How::Unsigned, When::AfterExecution, Some(Feature::SignedAnswers)),
        ("an answer under a foreign key", How::Forged, When::AfterExecution, Some(Feature::SignedAnswers)),
        ("a busy provider", How::Busy, When::BeforeExecution, Some(Feature::Busy)),
    ];
    for (index, (what, how, when, feature)) in (50_u16..).zip(faults) {
        for (name, kind) in [("create", 0), ("query", 1), ("close", 2), ("charge", 3)] {
            let Some((call, order)) = faulty_call(desk, index * 8 + kind, kind).await else { continue };
            let case = format!("{what} to a {name} proves no more than it may");
            if let Some(why) = feature.and_then(|feature| desk.lacks(feature)) {
                sheet.lacking(case, why);
                continue;
            }
            let before = desk.provider.books();
            let number = Some(order.number.clone());
            desk.provider.faults().add(Rule { call: None, number, when, how, times: 1 });
            let read = desk.ask(&call, &order).await;
            desk.provider.faults().clear();
            let refused = how == How::Busy && matches!(read.outcome, Outcome::NotExecuted(_));
            let safe = refused || matches!(read.outcome, Outcome::Unknown(_)) || listed(desk, &read.outcome);
            sheet.hold(case, safe, || shortly(&read.outcome));
            if how == How::Busy {
                let untouched = desk.provider.books() == before;
                sheet
                    .hold(format!("{what} has done nothing at a {name}"), untouched, || "the books changed".to_owned());
            }
        }
    }
}

/// A call that leaves. `None`: the code has none of that kind.
async fn faulty_call(desk: &Desk<'_>, index: u16, kind: u16) -> Option<(Call, Order)> {
    let code = desk.code();
    match kind {
        0 if !desk.rules.locally_signed => {
            let order = desk.order(index);
            Some((desk.create_call(&order), order))
        }
        1 => Some((Call::Query { code }, desk.paid(index).await.ok()?)),
        2 if desk.rules.close.is_some() && !desk.rules.authorize => {
            Some((Call::Close { code }, desk.opened(index).await.ok()?.0))
        }
        3 if desk.rules.authorize => desk.charge(desk.order(index), Card::Approve).ok(),
        _ => None,
    }
}

fn listed(desk: &Desk<'_>, outcome: &Outcome) -> bool {
    desk.adapter.manifest().unsigned.iter().any(|answer| answer.proves == outcome.name())
}

/// Places of letters and digits, spread over the bytes.
pub(super) fn places(bytes: &[u8]) -> Vec<usize> {
    let all: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_alphanumeric()).collect();
    let step = all.len().div_ceil(PLACES_MAX).max(1);
    all.into_iter().step_by(step).collect()
}

/// The same bytes with another character at a place.
pub(super) fn flipped(bytes: &[u8], at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = match *byte {
            b'9' => b'8',
            digit @ b'0'..=b'8' => digit + 1,
            b'z' | b'Z' => b'b',
            letter if letter.is_ascii_alphabetic() => letter + 1,
            _ => b'x',
        };
    }
    Bytes::from(bytes)
}
