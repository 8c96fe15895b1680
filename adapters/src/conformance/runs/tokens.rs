//! Tokens at the engine's door: one that the payer gave for another amount is refused before the provider is asked.

use std::sync::Arc;

use maxpay_engine::channel::CodeManifest;
use maxpay_engine::model::Status;

use crate::conformance::ear::Ear;
use crate::conformance::orders::twice;
use crate::conformance::provider::{Candidate, Card, Feature};
use crate::conformance::report::Sheet;

use super::world::World;
use super::{amount_of, charge, status_text};

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let case = "a token for another amount is refused before anything is asked";
    if let Some(lack) = candidate.lacks().into_iter().find(|lack| lack.feature == Feature::TokenAmount) {
        sheet.lacking(case, lack.why);
        return Ok(());
    }
    let world = World::new(candidate, rules, ear).await?;
    let amount = amount_of(rules)?;
    let id = world.create("Tea", amount).await?;
    world.settle();
    let token = world.provider().token(twice(amount), Card::Approve).ok_or("the provider gives no token")?;
    ear.learn_whole("a payer's token", token.expose_text().unwrap_or_default());
    let (_, asked) = world.way.counts();
    let charged = world.charge(id, token).await;
    world.settle();
    let silent = world.way.counts().1 == asked && world.provider().books().is_empty();
    sheet.hold(case, charged.is_err() && silent, || format!("{charged:?}; asked: {}", !silent));
    let record = world.transaction(id).await?;
    let awaits = matches!(record.status, Status::AwaitingPayer { .. });
    sheet.hold("a token for another amount leaves the payment as it was", awaits, || status_text(&record.status));
    charge(&world, id, amount).await.map_err(|why| format!("a good token is not taken after it: {why}"))?;
    world.settle();
    let record = world.transaction(id).await?;
    let paid = matches!(record.status, Status::Succeeded { .. });
    sheet.hold("after a token for another amount a good one is charged", paid, || status_text(&record.status));
    Ok(())
}
