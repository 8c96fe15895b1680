//! The part about notifications: which prove themselves, what they prove, and what is answered to them.

use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::{Acknowledgement, Call, Fact, FactSubject, Notified, Outcome, Prepared, RawNotification};
use maxpay_engine::model::Mode;

use super::account::{Account, learn, parted};
use super::answers::{disagrees, flipped, places};
use super::desk::{Desk, Order, shortly};
use super::provider::{About, Feature, Merchant, Seal};
use super::report::Sheet;

/// Longer than any provider says that a notice counts.
const OLD: Duration = Duration::from_hours(24);

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    nonsense(desk, sheet).await;
    let order = match desk.paid(60).await {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let notice = desk.provider.notice(About::Order(&order.number), Seal::Genuine);
    let case = "a payment is told";
    let notice = match (desk.lacks(Feature::PaymentNotices), notice) {
        (Some(why), None) => return sheet.lacking(case, why),
        (Some(_), Some(_)) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => return sheet.fail(case, "there is no notice of a paid order"),
        (None, Some(notice)) => notice,
    };
    genuine(desk, sheet, &order, &notice).await;
    altered(desk, sheet, &notice).await;
    old(desk, sheet, &notice).await;
    strangers(desk, sheet).await;
    somebody_elses(desk, sheet, &order).await;
    probe(desk, sheet, &order).await;
    unmapped(desk, sheet).await;
    rotated(desk, sheet, &order).await;
}

async fn nonsense(desk: &Desk<'_>, sheet: &mut Sheet) {
    let deep = "{\"a\":".repeat(20_000);
    let bodies: [&[u8]; 8] = [b"", b"\x00\xff\xfe", b"{}", b"[]", b"a=b&c", b"%%%", b"<xml><a>", deep.as_bytes()];
    for body in bodies {
        for content_type in ["application/json", "application/x-www-form-urlencoded", "text/xml"] {
            let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
            let raw = RawNotification { headers, query: "x=%".to_owned(), body: Bytes::copy_from_slice(body) };
            let read = desk.notified(&raw, &desk.account).await;
            let refused = is_refused(desk, read.as_ref());
            sheet.hold(format!("{} bytes of nonsense as {content_type} are refused", body.len()), refused, || {
                told(read.as_ref())
            });
        }
    }
}

/// Not verified, and answered so that the provider takes it for no acknowledgement.
fn is_refused(desk: &Desk<'_>, read: Option<&Notified>) -> bool {
    match read {
        // The engine answers itself.
        None => true,
        Some(Notified::Unverified { refusal, .. }) => !desk.provider.is_acknowledged(refusal),
        Some(Notified::Verified { .. } | Notified::Hint { .. } | Notified::NeedMaterial(_)) => false,
    }
}

fn told(read: Option<&Notified>) -> String {
    match read {
        None | Some(Notified::NeedMaterial(_)) => "material is missing".to_owned(),
        Some(Notified::Verified { facts, .. }) => {
            let facts: Vec<_> = facts.iter().map(|fact| shortly(&fact.outcome)).collect();
            format!("verified: {}", facts.join(", "))
        }
        Some(Notified::Hint { number, .. }) => format!("a hint at {number}"),
        Some(Notified::Unverified { reason, refusal }) => format!("unverified ({reason}), answered {}", refusal.status),
    }
}

async fn genuine(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order, notice: &RawNotification) {
    let read = desk.notified(notice, &desk.account).await;
    let Some(Notified::Verified { facts, ack, refusal }) = &read else {
        return sheet.fail("the provider's notice of a payment is verified", told(read.as_ref()));
    };
    let of_it = |fact: &&Fact| fact.subject == FactSubject::Attempt(order.number.clone());
    let Some(fact) = facts.iter().find(of_it) else {
        return sheet.fail("the notice of a payment is about its number", format!("{facts:?}"));
    };
    let paid = matches!(&fact.outcome, Outcome::Succeeded(paid) if paid.amount == order.intent.amount
        && desk.books(&order.number).iter().flat_map(|row| &row.payments).any(|it| it.trade_number == paid.trade_number));
    sheet.hold("the notice of a payment says what was paid and under which number", paid, || shortly(&fact.outcome));
    match desk.lacks(Feature::OtherMerchantNotices) {
        Some(why) if fact.owners.is_empty() => sheet.lacking("a notice says whose it is", why),
        Some(_) | None => {
            let ours = fact.owners.iter().all(|(name, value)| !disagrees(&desk.account, name, value));
            sheet.hold("a notice says whose it is", !fact.owners.is_empty() && ours, || format!("{:?}", fact.owners));
        }
    }
    let answers: [(&str, &Acknowledgement, bool); 2] = [("acknowledgement", ack, true), ("refusal", refusal, false)];
    for (what, answer, wanted) in answers {
        let taken = desk.provider.is_acknowledged(answer);
        sheet.hold(format!("the provider takes the {what} for what it is"), taken == wanted, || format!("{answer:?}"));
    }
    let again = desk.notified(notice, &desk.account).await;
    let same = matches!(&again, Some(Notified::Verified { facts: more, .. }) if more == facts);
    sheet.hold("a notice that comes twice says the same", same, || told(again.as_ref()));
}

/// One character of the body, the query or a header is another one.
async fn altered(desk: &Desk<'_>, sheet: &mut Sheet, notice: &RawNotification) {
    let Some(Notified::Verified { facts, .. }) = desk.notified(notice, &desk.account).await else { return };
    let mut wrong = None;
    let mut look = async |raw: RawNotification, what: String| {
        if let Some(Notified::Verified { facts: others, .. }) = desk.notified(&raw, &desk.account).await
            && others != facts
        {
            wrong = Some(format!("with another {what} it says something else"));
        }
    };
    for at in places(&notice.body) {
        let raw = RawNotification { body: flipped(&notice.body, at), ..notice.clone() };
        look(raw, format!("byte {at}")).await;
    }
    for index in 0..notice.headers.len() {
        let mut raw = notice.clone();
        let (name, value) = raw.headers.remove(index);
        look(raw, name.clone()).await;
        let mut raw = notice.clone();
        raw.headers[index].1 = String::from_utf8_lossy(&flipped(value.as_bytes(), value.len() / 2)).into_owned();
        look(raw, name).await;
    }
    sheet.hold("a notice that was changed on its way says nothing else", wrong.is_none(), || wrong.unwrap_or_default());
}

async fn old(desk: &Desk<'_>, sheet: &mut Sheet, notice: &RawNotification) {
    desk.pass(OLD);
    let read = desk.notified(notice, &desk.account).await;
    let refused = is_refused(desk, read.as_ref());
    let case = "a notice of a day ago is refused";
    match desk.lacks(Feature::NoticeAge) {
        Some(why) if !refused => sheet.lacking(case, why),
        Some(_) => sheet.fail(case, "it is said to be lacking and is there"),
        None => sheet.hold(case, refused, || told(read.as_ref())),
    }
}

async fn strangers(desk: &Desk<'_>, sheet: &mut Sheet) {
    let order = if desk.rules.authorize { desk.paid(61).await } else { desk.opened(61).await.map(|(order, _)| order) };
    let order = match order {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let Some(raw) = desk.provider.notice(About::Order(&order.number), Seal::Stranger) else {
        return sheet.fail("a forged notice is refused", "the provider forges none");
    };
    let read = desk.notified(&raw, &desk.account).await;
    sheet.hold("a forged notice is refused", is_refused(desk, read.as_ref()), || told(read.as_ref()));
    if !desk.rules.authorize {
        let outcome = desk.query(&order).await;
        sheet.hold("a forged notice was a lie", !matches!(outcome, Outcome::Succeeded(_)), || shortly(&outcome));
    }
}

async fn somebody_elses(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order) {
    let case = "another merchant's notice is not taken for ours";
    let raw = desk.provider.notice(About::Order(&order.number), Seal::OtherMerchant);
    let raw = match (desk.lacks(Feature::OtherMerchantNotices), raw) {
        (Some(why), None) => return sheet.lacking(case, why),
        (Some(_), Some(_)) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => return sheet.fail(case, "the provider makes none"),
        (None, Some(raw)) => raw,
    };
    let read = desk.notified(&raw, &desk.account).await;
    let safe = match &read {
        Some(Notified::Verified { facts, .. }) => {
            facts.iter().all(|fact| fact.owners.iter().any(|(name, value)| disagrees(&desk.account, name, value)))
        }
        other => is_refused(desk, other.as_ref()),
    };
    sheet.hold(case, safe, || told(read.as_ref()));
}

async fn probe(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order) {
    let case = "the provider's test of whether we check signatures is refused";
    match (desk.lacks(Feature::Probes), desk.provider.notice(About::Order(&order.number), Seal::Probe)) {
        (Some(why), None) => sheet.lacking(case, why),
        (Some(_), Some(_)) => sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => sheet.fail(case, "the provider sends none"),
        (None, Some(raw)) => {
            let read = desk.notified(&raw, &desk.account).await;
            sheet.hold(case, is_refused(desk, read.as_ref()), || told(read.as_ref()));
        }
    }
}

/// An event that nobody has heard of settles nothing.
async fn unmapped(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "an event that no document names settles nothing";
    let order = if desk.rules.authorize { desk.paid(62).await } else { desk.opened(62).await.map(|(order, _)| order) };
    let order = match order {
        Ok(order) => order,
        Err(why) => return sheet.fail("an order can be opened", why),
    };
    let raw = match (
        desk.lacks(Feature::UnmappedNotices),
        desk.provider.notice(About::Unmapped(&order.number), Seal::Genuine),
    ) {
        (Some(why), None) => return sheet.lacking(case, why),
        (Some(_), Some(_)) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, None) => return sheet.fail(case, "the provider sends none"),
        (None, Some(raw)) => raw,
    };
    let read = desk.notified(&raw, &desk.account).await;
    let open = |outcome: &Outcome| matches!(outcome, Outcome::Unknown(_) | Outcome::Processing | Outcome::Unpaid);
    let safe = match &read {
        Some(Notified::Verified { facts, .. }) => facts.iter().all(|fact| open(&fact.outcome)),
        Some(Notified::Hint { number, .. }) => *number == order.number,
        Some(Notified::Unverified { .. }) | None => true,
        Some(Notified::NeedMaterial(_)) => false,
    };
    sheet.hold(case, safe, || told(read.as_ref()));
}

/// New keys at the provider, in the middle of traffic.
async fn rotated(desk: &Desk<'_>, sheet: &mut Sheet, order: &Order) {
    if let Some(why) = desk.lacks(Feature::Rotation) {
        return sheet.lacking("keys can be changed in the middle of traffic", why);
    }
    let about = About::Order(&order.number);
    let Some(before) = desk.provider.notice(about, Seal::Genuine) else { return };
    let old = desk.provider.settings(Merchant::First);
    let new = desk.provider.rotate().unwrap_or_else(|| old.clone());
    let Some(after) = desk.provider.notice(about, Seal::Genuine) else {
        return sheet.fail("payments are told under new keys", "there is no notice");
    };
    learn(&desk.ear, &*desk.adapter, &new);
    let (old, mut account) = (parted(&*desk.adapter, &old), parted(&*desk.adapter, &new));
    let identity = |account: &Account| {
        let secrets = account.secrets.first();
        secrets.map(|secrets| desk.adapter.validate(Mode::Test, &account.settings, secrets, desk.now()))
    };
    let same = identity(&account) == identity(&old);
    sheet.hold("new keys are the same identity", same, || format!("{:?}", identity(&account)));
    account.secrets.extend(old.secrets);
    for (what, raw) in [("new", &after), ("old", &before)] {
        let read = desk.notified(raw, &account).await;
        let verified = matches!(read, Some(Notified::Verified { .. }));
        sheet.hold(format!("a notice under the {what} key is verified"), verified, || told(read.as_ref()));
    }
    for (what, account) in [("new", &account), ("old", &desk.account)] {
        let call = Call::Query { code: desk.code() };
        let Ok(Prepared::Send(request)) = desk.prepared_as(&call, order, None, account).await else { continue };
        let Ok(reply) = desk.send(request).await else { continue };
        let outcome = desk.read_as(&call, order, &reply, account).outcome;
        let paid = matches!(outcome, Outcome::Succeeded(_)) || desk.needs_material(&call, order, &reply, account);
        let case = format!("a query under the {what} key is answered");
        match desk.lacks(Feature::OldKeys).filter(|_| what == "old") {
            Some(_) if paid => sheet.fail(case, "it is said to be lacking and is there"),
            Some(why) => {
                let open = matches!(outcome, Outcome::Unknown(_));
                sheet.hold("a query under the old key settles nothing", open, || shortly(&outcome));
                sheet.lacking(case, why);
            }
            None => sheet.hold(case, paid, || shortly(&outcome)),
        }
    }
}
