//! A provider that is stopped and goes on from its file while an engine has payments open there: payers pay what they
//! got before, the engine hears of it or asks, and both sides say the same in the end. Also after new keys.

use std::sync::Arc;

use maxpay_engine::channel::{CodeManifest, RawNotification};
use maxpay_engine::model::{CallKind, Money, PayerStep, Status, TransactionId};

use crate::conformance::ear::Ear;
use crate::conformance::fault::Fault;
use crate::conformance::provider::{About, BookState, Candidate, Card, Feature, Merchant, Play, Seal};
use crate::conformance::reopening::File;
use crate::conformance::report::Sheet;

use super::world::World;
use super::{AFTERWARDS, actions, amount_of, begun, charge_of, patience, status_text};

/// Whether keys were changed before the provider was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Old,
    New,
}

impl Keys {
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "under its old keys",
            Self::New => "after new keys",
        }
    }

    fn seed(self) -> u64 {
        match self {
            Self::Old => 100,
            Self::New => 200,
        }
    }
}

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
    keys: Keys,
) -> Result<(), String> {
    let wanted = if keys == Keys::New { Feature::Rotation } else { Feature::Reopening };
    let of_it = |code: &maxpay_engine::model::ChannelCode| *code == rules.code;
    for feature in [Feature::Reopening, wanted] {
        let lack = candidate.lacks().into_iter().find(|it| it.feature == feature);
        if let Some(lack) = lack.filter(|lack| lack.code.as_ref().is_none_or(of_it)) {
            let case = format!("a provider goes on from its file in the middle of an engine's traffic {}", keys.name());
            sheet.lacking(case, lack.why);
            return Ok(());
        }
    }
    let file = File::fresh()?;
    let mut world = World::on(candidate, rules, ear, file.ledger()?, keys.seed()).await?;
    let amount = amount_of(rules)?;
    let traffic = Traffic::begun(&world, amount).await?;
    let new = if keys == Keys::New { world.provider().rotate() } else { None };
    let settings = world.provider().settings(Merchant::First);
    world.stop_provider();
    world.pass(patience(rules));
    world.start_provider(candidate, file.ledger()?)?;
    let same = world.provider().settings(Merchant::First) == settings;
    sheet.hold(case("an account's settings are as before", keys), same, || "they are others".to_owned());
    if let Some(settings) = new {
        traffic.unsaved(&world, sheet, keys).await?;
        world.save(settings).await?;
    }
    traffic.goes_on(&world, sheet, keys).await?;
    world.pass(patience(rules));
    let (after, number) = begun(&world, "Tea after", amount).await?;
    if !rules.authorize {
        world.provider().play(&number, Play::Pay)?;
    }
    // The engine dies too, and goes on from what is durable.
    world.restart()?;
    world.pass(rules.expiry_default.saturating_add(rules.grace));
    world.pass(AFTERWARDS);
    for (what, id) in traffic.paid.iter().map(|(what, id)| (*what, *id)).chain([("that was made after", after)]) {
        let wrong = wrong(&world, id, true).await?;
        sheet.hold(case(&format!("a payment {what} is paid once on both sides"), keys), wrong.is_none(), || {
            wrong.unwrap_or_default()
        });
    }
    if let Some(id) = traffic.closed {
        let wrong = wrong(&world, id, false).await?;
        sheet.hold(case("a payment whose close was under way is closed on both sides", keys), wrong.is_none(), || {
            wrong.unwrap_or_default()
        });
    }
    Ok(())
}

fn case(what: &str, keys: Keys) -> String {
    format!("a provider started anew {}: {what}", keys.name())
}

/// What is wrong with a payment that is to be paid, or closed.
async fn wrong(world: &World, id: TransactionId, paid: bool) -> Result<Option<String>, String> {
    world.hear(id).await;
    let record = world.transaction(id).await?;
    let numbers: Vec<_> = record.attempts.iter().map(|attempt| attempt.number.to_string()).collect();
    let rows: Vec<_> = world.provider().books().into_iter().filter(|row| numbers.contains(&row.number)).collect();
    let payments: Vec<_> = rows.iter().flat_map(|row| &row.payments).collect();
    let fits = if paid {
        let receipt = record.receipts.first().map(|receipt| &receipt.trade_number);
        matches!(record.status, Status::Succeeded { .. })
            && record.receipts.len() == 1
            && payments.len() == 1
            && receipt == payments.first().map(|payment| &payment.trade_number)
    } else {
        let open = rows.iter().any(|row| matches!(row.state, BookState::Open | BookState::Processing));
        matches!(record.status, Status::Closed { .. }) && payments.is_empty() && !open
    };
    let books: Vec<_> = rows.iter().map(|row| row.state).collect();
    let text = || {
        let (status, receipts) = (status_text(&record.status), record.receipts.len());
        format!("{status}, {receipts} receipts; the books {books:?} with {} payments", payments.len())
    };
    Ok((!fits).then(text))
}

/// Payments that are under way when the provider is stopped.
struct Traffic {
    /// To be paid in the end, by what was done with it.
    paid: Vec<(&'static str, TransactionId)>,
    /// To be paid after it, and told of.
    told: Option<(TransactionId, String)>,
    /// To be paid after it, and told of before new keys are saved as well.
    early: Option<(TransactionId, String)>,
    /// To be paid after it, and never told of.
    asked: Option<(TransactionId, String)>,
    /// Whether a create or a charge was executed and its answer lost.
    lost: Option<TransactionId>,
    /// The notice of a payment from before.
    notice: Option<(TransactionId, RawNotification)>,
    /// Its close was executed and the answer lost.
    closed: Option<TransactionId>,
}

impl Traffic {
    async fn begun(world: &World, amount: Money) -> Result<Self, String> {
        if world.rules.authorize { Self::charged(world, amount).await } else { Self::ordered(world, amount).await }
    }

    async fn ordered(world: &World, amount: Money) -> Result<Self, String> {
        let told = begun(world, "Tea told", amount).await?;
        let early = begun(world, "Tea early", amount).await?;
        let asked = begun(world, "Tea asked", amount).await?;
        let (before, number) = begun(world, "Tea before", amount).await?;
        world.provider().play(&number, Play::Pay)?;
        let notice = world.provider().notice(About::Order(&number), Seal::Genuine);
        let lost = if world.rules.locally_signed {
            None
        } else {
            world.way.plan("Tea lost", CallKind::Create, Fault::LostAfter, 1);
            let id = world.create("Tea lost", amount).await?;
            world.settle();
            Some(id)
        };
        let closed = if world.rules.close.is_some() {
            let (id, _) = begun(world, "Tea closed", amount).await?;
            world.way.plan("Tea closed", CallKind::Close, Fault::LostAfter, 1);
            world.close(id).await?;
            world.settle();
            Some(id)
        } else {
            None
        };
        let mut paid = vec![
            ("that was open, paid and told of", told.0),
            ("that was open, paid and told of early", early.0),
            ("that was open, paid and not told of", asked.0),
            ("that was paid before", before),
        ];
        paid.extend(lost.map(|id| ("whose create was not answered", id)));
        let notice = notice.map(|notice| (before, notice));
        Ok(Self { paid, told: Some(told), early: Some(early), asked: Some(asked), lost, notice, closed })
    }

    async fn charged(world: &World, amount: Money) -> Result<Self, String> {
        world.way.plan("Tea lost", CallKind::Authorize, Fault::LostAfter, 1);
        let (lost, _) = begun(world, "Tea lost", amount).await?;
        let undecided = world.create("Tea undecided", amount).await?;
        world.settle();
        charge_of(world, undecided, amount, Card::Undecided).await?;
        world.settle();
        let number = world.transaction(undecided).await?.attempts.last().map(|attempt| attempt.number.to_string());
        let asked = Some((undecided, number.ok_or("a charge has no attempt")?));
        let paid = vec![("whose charge was not answered", lost), ("whose charge was not decided", undecided)];
        Ok(Self { paid, told: None, early: None, asked, lost: None, notice: None, closed: None })
    }

    /// What is told under keys that are not saved yet is believed, or refused so that it comes again.
    async fn unsaved(&self, world: &World, sheet: &mut Sheet, keys: Keys) -> Result<(), String> {
        let Some((id, number)) = &self.early else { return Ok(()) };
        world.provider().play(number, Play::Pay)?;
        let Some(notice) = world.provider().notice(About::Order(number), Seal::Genuine) else { return Ok(()) };
        let reply = world.notify(notice).await;
        world.settle();
        let record = world.transaction(*id).await?;
        let paid = matches!(record.status, Status::Succeeded { .. });
        let acknowledged = world.provider().is_acknowledged(&reply.acknowledgement);
        let case = case("a notice under keys that are not saved yet is acknowledged only if it is booked", keys);
        sheet.hold(case, paid || !acknowledged, || status_text(&record.status));
        Ok(())
    }

    /// What happens to them once the provider is there again.
    async fn goes_on(&self, world: &World, sheet: &mut Sheet, keys: Keys) -> Result<(), String> {
        if let Some((id, notice)) = &self.notice {
            taken(world, sheet, *id, notice.clone(), &case("a notice from before is taken", keys)).await?;
        }
        if let Some((id, number)) = &self.told {
            for action in actions(world, *id).await? {
                let opened = world.provider().play(number, Play::Open(&action));
                let text = || format!("{opened:?}");
                sheet.hold(case("what the payer got before still opens", keys), opened.is_ok(), text);
            }
            world.provider().play(number, Play::Pay)?;
            if let Some(notice) = world.provider().notice(About::Order(number), Seal::Genuine) {
                taken(world, sheet, *id, notice, &case("a notice of now is taken", keys)).await?;
            }
        }
        if let Some((id, number)) = &self.early {
            // Where nothing had to be saved, it is paid and told of here for the first time.
            drop(world.provider().play(number, Play::Pay));
            if let Some(notice) = world.provider().notice(About::Order(number), Seal::Genuine) {
                taken(world, sheet, *id, notice, &case("a notice that was refused is taken when it comes again", keys))
                    .await?;
            }
        }
        if let Some((_, number)) = &self.asked {
            world.provider().play(number, Play::Pay)?;
        }
        if let Some(id) = self.lost {
            self.found(world, sheet, keys, id).await?;
        }
        Ok(())
    }

    /// A create whose answer was lost leads to what the payer needs, or to the knowledge that it is lost; then it is paid.
    async fn found(&self, world: &World, sheet: &mut Sheet, keys: Keys, id: TransactionId) -> Result<(), String> {
        world.pass(patience(&world.rules));
        let record = world.transaction(id).await?;
        let known = match &record.status {
            Status::AwaitingPayer { step: PayerStep::Actions(actions) } => {
                let opens = |action| world.provider().play(&id.to_string(), Play::Open(action)).is_ok();
                actions.iter().all(opens)
            }
            Status::AwaitingPayer { step: PayerStep::Lost } => true,
            Status::Created
            | Status::Submitting { .. }
            | Status::Closing
            | Status::Succeeded { .. }
            | Status::Failed { .. }
            | Status::Closed { .. } => false,
        };
        sheet
            .hold(case("a create that was not answered awaits its payer", keys), known, || status_text(&record.status));
        world.provider().play(&id.to_string(), Play::Pay)
    }
}

/// A genuine notice is acknowledged, and its payment is paid.
async fn taken(
    world: &World,
    sheet: &mut Sheet,
    id: TransactionId,
    notice: RawNotification,
    case: &str,
) -> Result<(), String> {
    let reply = world.notify(notice).await;
    world.settle();
    let record = world.transaction(id).await?;
    let taken = reply.accepted && world.provider().is_acknowledged(&reply.acknowledgement);
    let paid = matches!(record.status, Status::Succeeded { .. }) && record.receipts.len() == 1;
    sheet.hold(case, taken && paid, || format!("acknowledged: {taken}; {}", status_text(&record.status)));
    Ok(())
}
