//! An answer about another order, genuine in every byte, in the place of the one that was asked for: it settles nothing.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::CodeManifest;
use maxpay_engine::model::{CallKind, Status, TransactionId};

use crate::conformance::ear::Ear;
use crate::conformance::fault::Fault;
use crate::conformance::provider::{Candidate, Play};
use crate::conformance::report::Sheet;

use super::world::World;
use super::{AFTERWARDS, amount_of, begun, charge, patience, status_text};

const PAID: &str = "Tea that is paid";
const OTHER: &str = "Tea that is not";

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let world = World::new(candidate, rules, ear).await?;
    let amount = amount_of(rules)?;
    if rules.authorize {
        world.way.plan(PAID, CallKind::Authorize, Fault::LostAfter, 1);
        world.way.plan(OTHER, CallKind::Authorize, Fault::LostBefore, 1);
    }
    world.way.swap_queries(PAID, OTHER);
    let (paid, number) = begun(&world, PAID, amount).await?;
    let (other, other_number) = begun(&world, OTHER, amount).await?;
    if !rules.authorize {
        world.provider().play(&number, Play::Pay)?;
    }
    // Two looks at either.
    let looks: Duration = rules.query.awaiting_schedule.iter().take(2).sum();
    world.pass(patience(rules).max(looks.saturating_add(Duration::from_mins(1))));
    let swapped = world.way.swapped();
    let record = world.transaction(other).await?;
    let case = "the answer about another order settles nothing";
    let settled = matches!(record.status, Status::Succeeded { .. } | Status::Closed { .. } | Status::Failed { .. });
    if swapped == 0 {
        sheet.not_examined(case, "no query came while it was played");
    } else {
        sheet.hold(case, !settled && record.receipts.is_empty(), || status_text(&record.status));
    }
    world.way.swap_queries("", "");
    if rules.authorize {
        world.pass(patience(rules));
        if matches!(world.transaction(other).await?.status, Status::AwaitingPayer { .. }) {
            charge(&world, other, amount).await?;
        }
    } else {
        world.provider().play(&other_number, Play::Pay)?;
    }
    world.pass(AFTERWARDS);
    ended(&world, sheet, paid, other).await
}

/// Both are paid, each by its own payment.
async fn ended(world: &World, sheet: &mut Sheet, paid: TransactionId, other: TransactionId) -> Result<(), String> {
    for (what, id) in [("the order whose answer it was", paid), ("the order that got another's answer", other)] {
        let record = world.transaction(id).await?;
        let paid = matches!(record.status, Status::Succeeded { .. }) && record.receipts.len() == 1;
        sheet.hold(format!("{what} is known as paid in the end, once"), paid, || status_text(&record.status));
    }
    Ok(())
}
