//! The part about claims that an order's life alone does not show: bounds at their ends, how late a create may leave, how
//! long what the payer got is usable and an order is known, and what is claimed of accounts.

use std::sync::PoisonError;
use std::time::Duration;

use maxpay_engine::channel::http::{HttpRequest, SendLimits};
use maxpay_engine::channel::{Call, Interpreted, Outcome, PayerInput, Prepared, Recreate, Step};
use maxpay_engine::model::{NamedAction, Timestamp};

use super::account::{Account, parted};
use super::desk::{BODY_MAX, Desk, Order, shortly};
use super::fault::{Fault, struck};
use super::orders::{GRAIN, ends_when_asked};
use super::provider::{Merchant, Play};
use super::report::Sheet;

/// A stamp of then is one that no provider takes now.
const STALE: Duration = Duration::from_hours(24);
/// How long an order must be known where the manifest sets no end to that: longer than an engine asks about one.
const KNOWN: Duration = Duration::from_hours(40 * 24);

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    subjects(desk, sheet).await;
    lives(desk, sheet).await;
    sent_late(desk, sheet).await;
    inputs(desk, sheet).await;
    if !desk.rules.authorize {
        actions_live(desk, sheet).await;
    }
    unsigned(desk, sheet).await;
    material(desk, sheet).await;
    known(desk, sheet).await;
    material_struck(desk, sheet).await;
}

/// The longest subject arrives, in letters of one byte and of three.
async fn subjects(desk: &Desk<'_>, sheet: &mut Sheet) {
    let most = desk.rules.subject_bytes_max;
    for (index, subject) in (110_u16..).zip(["a".repeat(most), "茶".repeat(most / 3)]) {
        let mut order = desk.order(index);
        let case = format!("a subject of {} bytes is taken", subject.len());
        order.intent.subject = subject;
        let paid = desk.paid_of(order).await;
        sheet.hold(case, paid.is_ok(), || paid.err().unwrap_or_default());
    }
}

/// Orders of the shortest and of the longest life are taken, and end when they should.
async fn lives(desk: &Desk<'_>, sheet: &mut Sheet) {
    let (shortest, longest) = desk.rules.expiry;
    for (index, name, life) in [(112, "shortest", shortest), (113, "longest", longest)] {
        let mut order = desk.order(index);
        order.intent.expires_at = desk.now().after(life);
        match desk.paid_of(order).await {
            Ok(order) => {
                ends_when_asked(desk, sheet, &order, &format!("an order of the {name} life ends when it says"));
            }
            Err(why) => sheet.fail(format!("an order of the {name} life is taken"), why),
        }
    }
}

/// A create that leaves as late as it may is an order that still ends when its intent says.
async fn sent_late(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = desk.order(114);
    desk.pass(desk.rules.expiry_default.saturating_sub(desk.rules.min_life));
    let case = "a create that leaves min_life before its expiry is taken";
    let sent = if desk.rules.authorize {
        desk.paid_of(order).await
    } else {
        desk.opened_of(order).await.map(|(order, _)| order)
    };
    let order = match sent {
        Ok(order) => order,
        Err(why) => return sheet.fail(case, why),
    };
    sheet.hold(case, true, String::new);
    ends_when_asked(desk, sheet, &order, "a create that leaves min_life before its expiry ends when it says");
    if !desk.rules.authorize {
        desk.pass(desk.rules.min_life.saturating_add(desk.rules.grace).saturating_add(GRAIN));
        let paid = desk.provider.play(&order.number, Play::Pay);
        sheet.hold("what was ordered late cannot be paid late", paid.is_err(), || "it was".to_owned());
    }
}

/// What must be known of the payer, and nothing else.
async fn inputs(desk: &Desk<'_>, sheet: &mut Sheet) {
    let needs = &desk.rules.needs;
    if !needs.contains(&PayerInput::ReturnUrl) {
        let mut order = desk.order(115);
        order.intent.return_url = None;
        let paid = desk.paid_of(order).await;
        sheet
            .hold("an order is taken with nothing but what is needed", paid.is_ok(), || paid.err().unwrap_or_default());
    }
    for (index, input) in (116_u16..).zip(needs) {
        let mut order = desk.order(index);
        match input {
            PayerInput::Openid => order.intent.payer.openid = None,
            PayerInput::ClientIp => order.intent.payer.client_ip = None,
            PayerInput::H5Type => order.intent.payer.h5_type = None,
            PayerInput::ReturnUrl => order.intent.return_url = None,
        }
        // Where the provider takes it all the same, the engine is who asks for it: see the part with an engine.
        if desk.opened_of(order).await.is_err() {
            sheet.hold(format!("the provider refuses an order without {input:?}"), true, String::new);
        }
    }
}

/// What the payer got works as long as it says, and no longer than its order.
async fn actions_live(desk: &Desk<'_>, sheet: &mut Sheet) {
    let mut order = desk.order(120);
    let ends_at = desk.now().after(desk.rules.expiry.1);
    order.intent.expires_at = ends_at;
    let made_at = desk.now();
    let (order, actions) = match desk.opened_of(order).await {
        Ok(opened) => opened,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let until = match desk.rules.action_lifetime {
        None => ends_at,
        Some(life) => ends_at.min(made_at.after(life)),
    };
    let says = |action: &NamedAction| match action.usable_until {
        Some(at) => at <= until && at.after(GRAIN) >= until,
        None => desk.rules.action_lifetime.is_none(),
    };
    sheet.hold(
        "what the payer gets says how long it is usable, as the manifest does",
        actions.iter().all(says),
        || {
            let said: Vec<_> = actions.iter().map(|action| action.usable_until).collect();
            format!("{said:?} instead of {until}")
        },
    );
    desk.pass(until.before(GRAIN).since(desk.now()));
    let usable = |action: &NamedAction| desk.provider.play(&order.number, Play::Open(action));
    let opened: Vec<_> = actions.iter().map(usable).collect();
    let case = "what the payer got opens a minute before its end";
    sheet.hold(case, opened.iter().all(Result::is_ok), || format!("{opened:?}"));
    if desk.rules.action_lifetime.is_some() && until < ends_at {
        renewed(desk, sheet, &order, &actions).await;
    } else {
        let paid = desk.provider.play(&order.number, Play::Pay);
        sheet.hold("what the payer got pays a minute before its end", paid.is_ok(), || format!("{paid:?}"));
    }
}

/// Past its end it is made anew by the same create, and works again.
async fn renewed(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order, old: &[NamedAction]) {
    desk.pass(GRAIN * 2);
    let works = |actions: &[NamedAction]| match actions.first() {
        Some(action) => desk
            .provider
            .play(&order.number, Play::Open(action))
            .and_then(|()| desk.provider.play(&order.number, Play::Pay)),
        None => Err("there is none".to_owned()),
    };
    let case = "what the payer got ends when it says";
    if works(old).is_ok() {
        return sheet.not_examined(case, "the simulator lets the payer pay by it longer");
    }
    sheet.hold(case, true, String::new);
    if !matches!(desk.rules.recreate, Recreate::Resign | Recreate::ReturnsAction) {
        return;
    }
    let again = desk.ask(&desk.create_call(order), order).await.outcome;
    let case = "what has ended is made anew by the same create";
    let Outcome::AwaitingPayer(actions) = &again else { return sheet.fail(case, shortly(&again)) };
    let paid = works(actions);
    sheet.hold(case, paid.is_ok(), || format!("{paid:?}"));
}

/// Each unsigned answer that the manifest lists is one that the provider gives.
async fn unsigned(desk: &Desk<'_>, sheet: &mut Sheet) {
    let listed = &desk.adapter.manifest().unsigned;
    if listed.is_empty() {
        return;
    }
    let mut seen = Vec::new();
    let order = desk.order(121);
    let foreign = parted(&*desk.adapter, &desk.provider.settings(Merchant::Other));
    let wrong = Account { settings: desk.account.settings.clone(), secrets: foreign.secrets };
    let calls = [Call::Query { code: desk.code() }, desk.create_call(&order)];
    let mut requests = Vec::new();
    for call in &calls {
        let under_a_wrong_key = desk.prepared_as(call, &order, None, &wrong).await;
        requests.push((call, under_a_wrong_key, desk.prepared(call, &order, None).await));
    }
    for (call, wrong, _) in &requests {
        seen.extend(told_without_keys(desk, call, &order, wrong).await);
    }
    desk.pass(STALE);
    for (call, _, stale) in &requests {
        seen.extend(told_without_keys(desk, call, &order, stale).await);
    }
    for answer in listed {
        let case = format!("an unsigned answer proves {}: {}", answer.proves, answer.answer);
        if seen.contains(&answer.proves) {
            sheet.hold(case, true, String::new);
        } else {
            sheet.not_examined(case, "neither a wrong key nor a stamp of yesterday brings the simulator to it");
        }
    }
}

/// What the answer to a request proves to somebody who has no key.
async fn told_without_keys(
    desk: &Desk<'_>,
    call: &Call,
    order: &Order,
    prepared: &Result<Prepared, String>,
) -> Option<&'static str> {
    let Ok(Prepared::Send(request)) = prepared else { return None };
    let reply = desk.send(request.clone()).await.ok()?;
    Some(desk.read_without_keys(call, order, &reply).name())
}

/// Material that is kept for a while can be fetched anew, and verifies as long as it is kept.
async fn material(desk: &Desk<'_>, sheet: &mut Sheet) {
    let Some(kept) = desk.adapter.manifest().material_kept else { return };
    let order = match desk.paid(122).await {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    desk.pass(kept);
    let query = Call::Query { code: desk.code() };
    if let Some(request) = desk.request(&query, &order).await
        && let Ok(reply) = desk.send(request).await
    {
        let old = !desk.needs_material(&query, &order, &reply, &desk.account);
        sheet.hold("material verifies as long as it is kept", old, || "an answer needs other material".to_owned());
    }
    let case = "material that grew old is fetched anew";
    let about = (None, None);
    let prepared = desk.with_context(4, about, &desk.account, |it| desk.adapter.prepare(&Call::Maintain, it));
    let Prepared::Send(request) = prepared else { return sheet.fail(case, "nothing is sent for it") };
    if desk.material.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return sheet.not_examined(case, "the account of this kind needs no material");
    }
    match desk.send(request).await {
        Ok(reply) => {
            let read = desk.with_context(4, about, &desk.account, |context| {
                desk.adapter.interpret(&Call::Maintain, Step(0), &reply, context)
            });
            let learned = matches!(read, Interpreted::Learned(_) | Interpreted::Next { .. });
            sheet.hold(case, learned, || "the answer to it teaches nothing".to_owned());
        }
        Err(why) => sheet.fail(case, why.to_string()),
    }
}

/// The request for material that is missing once the provider has changed its keys. `None`: none is ever missing.
async fn missing(desk: &Desk<'_>) -> Option<HttpRequest> {
    let order = desk.paid(124).await.ok()?;
    desk.provider.rotate();
    let query = Call::Query { code: desk.code() };
    let reply = desk.send(desk.request(&query, &order).await?).await.ok()?;
    let read = desk.with_context(2, (Some(&order), None), &desk.account, |context| {
        desk.adapter.interpret(&query, Step(0), &reply, context)
    });
    if let Interpreted::NeedMaterial(request) = read { Some(request) } else { None }
}

/// No fault on the way makes material of what is none.
async fn material_struck(desk: &Desk<'_>, sheet: &mut Sheet) {
    let about = (None, None);
    let Some(request) = missing(desk).await else { return };
    for fault in Fault::ALL.into_iter().filter(|fault| fault.exists(desk.candidate, &desk.rules.code)) {
        let request = request.clone();
        let limits = SendLimits { deadline: desk.rules.call_deadline, body_max: BODY_MAX };
        let reply = struck(&*desk.provider, "", request, limits, fault).await;
        desk.provider.faults().clear();
        let Ok(reply) = reply else { continue };
        let read = desk.with_context(4, about, &desk.account, |context| {
            desk.adapter.interpret(&Call::Maintain, Step(0), &reply, context)
        });
        let whole = matches!(fault, Fault::Late | Fault::Duplicated);
        let learned = matches!(read, Interpreted::Learned(_));
        sheet.hold(format!("material × {}", fault.name()), learned == whole, || format!("learned: {learned}"));
    }
}

/// A payment is known as long as *not found* means something.
async fn known(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = match desk.paid(123).await {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let span = desk.rules.query.truth_until.map_or(KNOWN, |until| until.saturating_sub(GRAIN));
    desk.pass(span);
    let outcome = desk.query(&order).await;
    let told = matches!(outcome, Outcome::Succeeded(_));
    sheet.hold(format!("a payment is known {} days later", days(span)), told, || shortly(&outcome));
}

pub(super) fn days(span: Duration) -> u64 {
    Timestamp::from_millis(0).after(span).seconds().div_ceil(24 * 3_600)
}
