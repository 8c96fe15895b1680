//! New keys in the middle of an engine's traffic, from one moment to the next: what was made before is told after, and
//! nothing of it is lost or refused for good.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, RawNotification};
use maxpay_engine::model::{CallKind, Money, Status, TransactionId};

use crate::conformance::answers::{flipped, places};
use crate::conformance::ear::Ear;
use crate::conformance::fault::Fault;
use crate::conformance::provider::{About, Candidate, Feature, Play, Seal};
use crate::conformance::report::Sheet;

use super::world::World;
use super::{AFTERWARDS, amount_of, begun, patience, status_text};

/// No provider repeats a notice sooner than this.
const FIRST_REPETITION: Duration = Duration::from_secs(15);
/// Repetitions of a notice that nobody can verify.
const REPETITIONS: u32 = 20;
/// Requests for new keys that those may cause at most.
const FETCHES_MAX: usize = 5;

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let of_it = |code: &maxpay_engine::model::ChannelCode| *code == rules.code;
    let lack = candidate.lacks().into_iter().find(|it| it.feature == Feature::Rotation);
    if let Some(lack) = lack.filter(|lack| lack.code.as_ref().is_none_or(of_it)) {
        sheet.lacking("keys can be changed in the middle of an engine's traffic", lack.why);
        return Ok(());
    }
    let mut world = World::new(candidate, rules, ear).await?;
    let traffic = Traffic::begun(&world, amount_of(rules)?).await?;
    let late = world.provider().notice(About::Order(&traffic.before.1), Seal::Genuine);
    let new = world.provider().rotate();
    if let Some(notice) = late {
        let reply = world.notify(notice).await;
        world.settle();
        let kept = reply.accepted && is_paid(&world, traffic.before.0).await?;
        sheet.hold("a notice from before new keys is taken after", kept, || "it is not".to_owned());
    }
    if let Some(settings) = new {
        unsaved(&world, sheet, &traffic.told).await?;
        world.save(settings).await?;
    }
    told(&world, sheet, &traffic.told).await?;
    anybodys(&world, sheet, &traffic.told.1).await;
    asked(&world, sheet, &traffic).await?;
    world.restart()?;
    anew(&world, sheet, amount_of(rules)?).await
}

type Begun = (TransactionId, String);

/// Payments that were made under the old keys.
struct Traffic {
    /// Paid, and its notice is on its way.
    before: Begun,
    /// Told of under the new keys.
    told: Begun,
    /// Never told of.
    asked: Begun,
}

impl Traffic {
    async fn begun(world: &World, amount: Money) -> Result<Self, String> {
        if world.rules.authorize {
            world.way.plan("Tea asked", CallKind::Authorize, Fault::LostAfter, 1);
        }
        let before = begun(world, "Tea before", amount).await?;
        let told = begun(world, "Tea told", amount).await?;
        let asked = begun(world, "Tea asked", amount).await?;
        if !world.rules.authorize {
            world.provider().play(&before.1, Play::Pay)?;
        }
        Ok(Self { before, told, asked })
    }
}

async fn is_paid(world: &World, id: TransactionId) -> Result<bool, String> {
    let record = world.transaction(id).await?;
    Ok(matches!(record.status, Status::Succeeded { .. }) && record.receipts.len() == 1)
}

/// A notice under keys that were not saved yet is taken as what it says, or refused so that it comes again.
async fn unsaved(world: &World, sheet: &mut Sheet, (id, number): &Begun) -> Result<(), String> {
    let Some(notice) = world.provider().notice(About::Order(number), Seal::Stranger) else { return Ok(()) };
    let before = world.transaction(*id).await?;
    let reply = world.notify(notice).await;
    world.settle();
    let after = world.transaction(*id).await?;
    let same = after.status == before.status && after.receipts == before.receipts;
    let refused = !world.provider().is_acknowledged(&reply.acknowledgement) && same;
    sheet.hold("a forged notice is refused while new keys are not saved yet", refused, || status_text(&after.status));
    Ok(())
}

/// A notice under the new key is taken at once, or when it is repeated for the first time, for a bounded price.
async fn told(world: &World, sheet: &mut Sheet, (id, number): &Begun) -> Result<(), String> {
    if !world.rules.authorize {
        world.provider().play(number, Play::Pay)?;
    }
    let mut tries = 0;
    let before = world.way.fetched();
    let mut taken = false;
    while !taken && tries < REPETITIONS {
        let Some(notice) = world.provider().notice(About::Order(number), Seal::Genuine) else { return Ok(()) };
        let reply = world.notify(notice).await;
        world.settle();
        taken = reply.accepted && world.provider().is_acknowledged(&reply.acknowledgement);
        tries += 1;
        if !taken {
            world.pass(FIRST_REPETITION);
        }
    }
    let paid = is_paid(world, *id).await?;
    sheet.hold("a notice under a new key is taken by its first repetition", taken && paid && tries <= 2, || {
        format!("taken: {taken}, after {tries} tries; paid: {paid}")
    });
    let fetched = world.way.fetched() - before;
    sheet
        .hold("new keys are fetched for it a few times at most", fetched <= FETCHES_MAX, || format!("{fetched} times"));
    Ok(())
}

/// Notices that anybody could have made cost no more than that.
async fn anybodys(world: &World, sheet: &mut Sheet, number: &str) {
    let Some(genuine) = world.provider().notice(About::Order(number), Seal::Genuine) else { return };
    let before = world.way.fetched();
    for _ in 0..3 {
        for at in 0..genuine.headers.len() {
            let mut raw = genuine.clone();
            let value = raw.headers[at].1.clone();
            raw.headers[at].1 = String::from_utf8_lossy(&flipped(value.as_bytes(), value.len() / 2)).into_owned();
            world.notify(raw).await;
        }
        for at in places(&genuine.body).into_iter().step_by(8) {
            world.notify(RawNotification { body: flipped(&genuine.body, at), ..genuine.clone() }).await;
        }
    }
    world.settle();
    let fetched = world.way.fetched() - before;
    let case = "notices that anybody could have made cause few requests";
    sheet.hold(case, fetched <= FETCHES_MAX, || format!("{fetched} requests"));
}

/// A payment that nobody tells of is found by asking, under the new keys too.
async fn asked(world: &World, sheet: &mut Sheet, traffic: &Traffic) -> Result<(), String> {
    let (id, number) = &traffic.asked;
    if !world.rules.authorize {
        world.provider().play(number, Play::Pay)?;
    }
    world.pass(patience(&world.rules));
    if !is_paid(world, *id).await? {
        world.pass(AFTERWARDS);
    }
    for (what, id) in [("that nobody told of", id), ("that was told of under new keys", &traffic.told.0)] {
        let record = world.transaction(*id).await?;
        let paid = matches!(record.status, Status::Succeeded { .. }) && record.receipts.len() == 1;
        sheet.hold(format!("a payment {what} is known in the end, once"), paid, || status_text(&record.status));
    }
    Ok(())
}

/// New payments go on under the new keys, in an engine that was started after them.
async fn anew(world: &World, sheet: &mut Sheet, amount: Money) -> Result<(), String> {
    let case = "a payment after new keys, in an engine started anew";
    let (id, number) = match begun(world, "Tea after", amount).await {
        Ok(begun) => begun,
        Err(why) => {
            sheet.fail(case, why);
            return Ok(());
        }
    };
    if !world.rules.authorize {
        world.provider().play(&number, Play::Pay)?;
    }
    world.pass(AFTERWARDS);
    let record = world.transaction(id).await?;
    let paid = matches!(record.status, Status::Succeeded { .. });
    sheet.hold(case, paid, || status_text(&record.status));
    Ok(())
}
