//! The part with an engine: every operation with the way broken at every place, with and without a crash, until the
//! engine must have come to the truth; then both sides' books are compared.

pub(super) mod door;
mod judge;
pub(super) mod pace;
pub(super) mod reopened;
pub(super) mod rotated;
pub(super) mod swapped;
pub(super) mod tokens;
mod way;
mod world;

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::CodeManifest;
use maxpay_engine::model::{CallKind, Money, NamedAction, PayerStep, Status, TransactionId};

use super::ear::Ear;
use super::fault::Fault;
use super::provider::{About, Candidate, Card, Play, Seal};
use super::report::Sheet;

use world::World;

/// Longer than any schedule of looks waits after an expiry.
const AFTERWARDS: Duration = Duration::from_hours(30);

/// What is done with a payment, and which of its calls is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// Its create is struck; whoever gets a payer action pays.
    Create,
    /// Its create is struck, and it is paid at once, whatever became of the answer.
    CreateAndPay,
    /// It is paid silently, and the query that is to find that is struck.
    Query,
    /// It is closed, and the close is struck.
    Close,
    /// It is paid silently and then closed, and the close is struck.
    CloseOfPaid,
    /// Its charge is struck.
    Charge,
    /// The answer to its charge is lost, and the query that is to find what became of it is struck.
    QueryOfCharge,
    /// Nobody pays it.
    Nothing,
}

impl Errand {
    fn struck(self) -> CallKind {
        match self {
            Self::Create | Self::CreateAndPay | Self::Nothing => CallKind::Create,
            Self::Query | Self::QueryOfCharge => CallKind::Query,
            Self::Close | Self::CloseOfPaid => CallKind::Close,
            Self::Charge => CallKind::Authorize,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateAndPay => "create of what is paid at once",
            Self::Query => "query of what was paid",
            Self::Close => "close",
            Self::CloseOfPaid => "close of what was paid",
            Self::Charge => "charge",
            Self::QueryOfCharge => "query of what was charged",
            Self::Nothing => "left alone",
        }
    }

    fn exists(self, rules: &CodeManifest) -> bool {
        match self {
            Self::Create | Self::CreateAndPay => !rules.locally_signed,
            Self::Query => !rules.authorize,
            Self::Close | Self::CloseOfPaid => rules.close.is_some() && !rules.authorize,
            Self::Charge | Self::QueryOfCharge => rules.authorize,
            Self::Nothing => true,
        }
    }
}

/// One payment of a run.
struct Case {
    errand: Errand,
    fault: Fault,
    subject: String,
    id: Option<TransactionId>,
    /// Whether money was moved, as the exam knows.
    is_paid: bool,
}

impl Case {
    fn text(&self, crash: bool) -> String {
        let crash = if crash { ", then the engine is started anew" } else { "" };
        match self.errand {
            Errand::Nothing => format!("{}{crash}", self.errand.name()),
            Errand::Create
            | Errand::CreateAndPay
            | Errand::Query
            | Errand::Close
            | Errand::CloseOfPaid
            | Errand::Charge
            | Errand::QueryOfCharge => format!("{} × {}{crash}", self.errand.name(), self.fault.name()),
        }
    }
}

pub(super) async fn examine(candidate: &dyn Candidate, rules: &CodeManifest, ear: &Arc<Ear>, sheet: &mut Sheet) {
    for crash in [false, true] {
        let ran = run(candidate, rules, ear, sheet, crash).await;
        if let Err(why) = ran {
            sheet.fail(format!("a run {} a crash comes to its end", if crash { "with" } else { "without" }), why);
        }
    }
    if let Err(why) = told(candidate, rules, ear, sheet).await {
        sheet.fail("a run with notifications comes to its end", why);
    }
    if let Err(why) = door::examine(candidate, rules, ear, sheet).await {
        sheet.fail("a run with requests that are not taken comes to its end", why);
    }
    if let Err(why) = pace::examine(candidate, rules, ear, sheet).await {
        sheet.fail("a run in which nothing is answered comes to its end", why);
    }
    if let Err(why) = rotated::examine(candidate, rules, ear, sheet).await {
        sheet.fail("a run with new keys comes to its end", why);
    }
    for keys in [reopened::Keys::Old, reopened::Keys::New] {
        if let Err(why) = reopened::examine(candidate, rules, ear, sheet, keys).await {
            sheet.fail(format!("a run with a provider that is started anew {} comes to its end", keys.name()), why);
        }
    }
    if let Err(why) = swapped::examine(candidate, rules, ear, sheet).await {
        sheet.fail("a run with another order's answers comes to its end", why);
    }
    if rules.authorize
        && let Err(why) = tokens::examine(candidate, rules, ear, sheet).await
    {
        sheet.fail("a run with a token for another amount comes to its end", why);
    }
}

fn cases(rules: &CodeManifest, exists: impl Fn(Fault) -> bool, crash: bool) -> Vec<Case> {
    let errands = [
        Errand::Create,
        Errand::CreateAndPay,
        Errand::Query,
        Errand::Close,
        Errand::CloseOfPaid,
        Errand::Charge,
        Errand::QueryOfCharge,
    ];
    let crashes = if crash { Fault::CRASHES.to_vec() } else { Vec::new() };
    let mut cases = Vec::new();
    for errand in errands.into_iter().filter(|errand| errand.exists(rules)) {
        for fault in Fault::ALL.into_iter().chain(crashes.iter().copied()).filter(|fault| exists(*fault)) {
            let subject = format!("Tea {}", cases.len());
            cases.push(Case { errand, fault, subject, id: None, is_paid: false });
        }
    }
    let subject = format!("Tea {}", cases.len());
    cases.push(Case { errand: Errand::Nothing, fault: Fault::Late, subject, id: None, is_paid: false });
    cases
}

/// All cases in one engine, so that they disturb one another as payments do.
async fn run(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
    crash: bool,
) -> Result<(), String> {
    let mut world = World::new(candidate, rules, ear).await?;
    let exists = |fault: Fault| fault.exists(candidate, &rules.code);
    let mut cases = cases(rules, exists, crash);
    let amount = amount_of(rules)?;
    for case in &mut cases {
        if matches!(case.errand, Errand::Create | Errand::CreateAndPay) {
            world.way.plan(&case.subject, CallKind::Create, case.fault, 1);
        }
        case.id = Some(world.create(&case.subject, amount).await?);
    }
    world.settle();
    for case in cases.iter_mut().filter(|case| case.errand == Errand::CreateAndPay) {
        let number = case.id.map(|id| id.to_string()).unwrap_or_default();
        case.is_paid = world.provider().play(&number, Play::Pay).is_ok();
    }
    if crash {
        world.restart()?;
        world.settle();
    }
    world.pass(patience(rules));
    for case in &mut cases {
        errand(&world, case, amount).await?;
    }
    world.settle();
    if crash {
        world.restart()?;
        world.settle();
    }
    world.pass(patience(rules));
    charge_again(&world, &mut cases, amount).await?;
    world.way.clear();
    world.pass(rules.expiry_default.saturating_add(rules.grace));
    world.pass(AFTERWARDS);
    for case in &cases {
        judge::agree(&world, case, sheet, crash).await?;
    }
    judge::nothing_else(&world, &cases, sheet, crash).await;
    Ok(())
}

/// How long an engine may take to find out what became of a call.
fn patience(rules: &CodeManifest) -> Duration {
    rules.query.truth_from.saturating_add(rules.call_deadline).saturating_add(Duration::from_mins(3))
}

fn amount_of(rules: &CodeManifest) -> Result<Money, String> {
    let currency = rules.currencies.first().copied().ok_or("no currency")?;
    Money::new(1_234.clamp(rules.amount_minor.0, rules.amount_minor.1), currency).map_err(|why| why.to_string())
}

/// What the payer's device has of a transaction.
async fn actions(world: &World, id: TransactionId) -> Result<Vec<NamedAction>, String> {
    Ok(match world.transaction(id).await?.status {
        Status::AwaitingPayer { step: PayerStep::Actions(actions) } => actions,
        Status::AwaitingPayer { step: PayerStep::Lost }
        | Status::Created
        | Status::Submitting { .. }
        | Status::Closing
        | Status::Succeeded { .. }
        | Status::Failed { .. }
        | Status::Closed { .. } => Vec::new(),
    })
}

async fn errand(world: &World, case: &mut Case, amount: Money) -> Result<(), String> {
    let Some(id) = case.id else { return Ok(()) };
    let number = id.to_string();
    if matches!(case.errand, Errand::Charge | Errand::QueryOfCharge) {
        let fault = if case.errand == Errand::Charge { case.fault } else { Fault::LostAfter };
        world.way.plan(&case.subject, CallKind::Authorize, fault, 1);
        if case.errand == Errand::QueryOfCharge {
            // The first ones come before an answer counts, because the charge may be on its way still.
            world.way.plan(&case.subject, CallKind::Query, case.fault, 4);
        }
        return charge(world, id, amount).await;
    }
    let actions = actions(world, id).await?;
    let Some(action) = actions.first() else { return Ok(()) };
    if world.rules.authorize {
        return Ok(());
    }
    world.provider().play(&number, Play::Open(action)).map_err(|why| format!("a payer action does not open: {why}"))?;
    let times = if case.errand == Errand::Query { 2 } else { 1 };
    if !matches!(case.errand, Errand::Create | Errand::CreateAndPay | Errand::Nothing) {
        world.way.plan(&case.subject, case.errand.struck(), case.fault, times);
    }
    if matches!(case.errand, Errand::Create | Errand::Query | Errand::CloseOfPaid) {
        world.provider().play(&number, Play::Pay).map_err(|why| format!("an open order cannot be paid: {why}"))?;
        case.is_paid = true;
    }
    if matches!(case.errand, Errand::Close | Errand::CloseOfPaid) {
        // It may have been found paid meanwhile, and then it is not closed.
        drop(world.close(id).await);
    }
    Ok(())
}

/// Whoever awaits its payer still after a charge gets a fresh token.
async fn charge_again(world: &World, cases: &mut [Case], amount: Money) -> Result<(), String> {
    for case in cases.iter_mut().filter(|case| matches!(case.errand, Errand::Charge | Errand::QueryOfCharge)) {
        let Some(id) = case.id else { continue };
        if matches!(world.transaction(id).await?.status, Status::AwaitingPayer { .. }) {
            charge(world, id, amount).await.map_err(|why| format!("a second token is not taken: {why}"))?;
        }
        case.is_paid = true;
    }
    world.settle();
    Ok(())
}

/// A payment whose payer is at the provider, or that is charged, and its number there.
async fn begun(world: &World, subject: &str, amount: Money) -> Result<(TransactionId, String), String> {
    let id = world.create(subject, amount).await?;
    world.settle();
    if world.rules.authorize {
        charge(world, id, amount).await?;
        world.settle();
    } else {
        let actions = actions(world, id).await?;
        let action = actions.first().ok_or("a create gave no payer action")?;
        world.provider().play(&id.to_string(), Play::Open(action))?;
    }
    let record = world.transaction(id).await?;
    let number = record.attempts.last().map(|attempt| attempt.number.to_string());
    Ok((id, number.ok_or("a transaction has no attempt")?))
}

/// Charges a fresh token.
async fn charge(world: &World, id: TransactionId, amount: Money) -> Result<(), String> {
    charge_of(world, id, amount, Card::Approve).await
}

/// The same of a card that does something else.
async fn charge_of(world: &World, id: TransactionId, amount: Money, card: Card) -> Result<(), String> {
    let token = world.provider().token(amount, card).ok_or("the provider gives no token")?;
    world.ear.learn_whole("a payer's token", token.expose_text().unwrap_or_default());
    world.charge(id, token).await
}

/// Notifications at the engine's door: taken once, refused, and kept where they have no home.
async fn told(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let mut world = World::new(candidate, rules, ear).await?;
    let amount = amount_of(rules)?;
    let mut numbers = Vec::new();
    for subject in ["Tea one", "Tea two"] {
        numbers.push(begun(&world, subject, amount).await?);
    }
    let [(first, number), (second, other)] = &numbers[..] else { return Err("two payments were made".to_owned()) };
    judge::liars(&world, sheet, (*second, other)).await?;
    if !rules.authorize {
        world.provider().play(number, Play::Pay)?;
        world.provider().play(other, Play::Pay)?;
    }
    let Some(notice) = world.provider().notice(About::Order(number), Seal::Genuine) else {
        // Whether it may lack them is examined with the notifications themselves.
        return Ok(());
    };
    judge::taken_once(&mut world, sheet, *first, notice).await?;
    judge::homeless(&mut world, sheet, other).await
}

/// An outcome is nothing an engine shows; a status is.
fn status_text(status: &Status) -> String {
    match status {
        Status::Failed { reason } => format!("failed ({reason})"),
        Status::Closed { evidence } => format!("closed ({evidence:?})"),
        Status::Succeeded { late, .. } => format!("succeeded{}", if *late { ", late" } else { "" }),
        Status::Created | Status::Submitting { .. } | Status::AwaitingPayer { .. } | Status::Closing => {
            status.name().to_owned()
        }
    }
}
