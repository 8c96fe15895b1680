//! How often an engine asks, how often it sends what was not sent, and how long it waits for an answer: what a manifest
//! says of that, held against the moments at which an engine's calls leave while nobody answers them.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, Recreate};
use maxpay_engine::model::{Attention, CallKind, Status, Timestamp, TransactionId};

use crate::conformance::ear::Ear;
use crate::conformance::fault::Fault;
use crate::conformance::provider::Candidate;
use crate::conformance::report::Sheet;

use super::world::World;
use super::{amount_of, begun, charge, status_text};

const DAY: Duration = Duration::from_hours(24);
/// Looks of all payments together at most: far more than any schedule has before its last wait.
const LOOKS_MAX: usize = 2_000;
/// How much longer than its deadline a call may take to end.
const END_GRACE: Duration = Duration::from_secs(2);

const AWAITED: &str = "Tea that nobody pays";
const DOUBTFUL: &str = "Tea in doubt";
const CLOSING: &str = "Tea to be closed";
const UNSENT: &str = "Tea that is not sent";
const SLOW: &str = "Tea that comes late";
const SILENT: &str = "Tea that comes too late";

pub async fn examine(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let world = World::new(candidate, rules, ear).await?;
    deadline(&world, sheet, rules).await?;
    let payments = Payments::begun(&world, rules).await?;
    payments.run_out(&world, rules).await?;
    if !rules.authorize {
        payments.awaited(&world, sheet, rules).await?;
    }
    payments.doubtful(&world, sheet, rules).await?;
    payments.closing(&world, sheet, rules).await?;
    payments.unsent(&world, sheet, rules).await?;
    if rules.refund.is_some() {
        sheet.not_examined("a refund is asked about as refund.query.schedule says", "no engine sends refunds yet");
    }
    Ok(())
}

/// The call that moves a payment on: the only one that may take long.
fn struck(rules: &CodeManifest) -> CallKind {
    match (rules.authorize, rules.locally_signed) {
        (true, _) => CallKind::Authorize,
        (false, true) => CallKind::Query,
        (false, false) => CallKind::Create,
    }
}

/// Payments about which nothing is answered.
struct Payments {
    began_at: Timestamp,
    awaited: TransactionId,
    /// Its create or charge is lost, and whatever is asked about it.
    doubtful: TransactionId,
    closing: Option<TransactionId>,
    /// Its create or charge never leaves.
    unsent: TransactionId,
}

impl Payments {
    async fn begun(world: &World, rules: &CodeManifest) -> Result<Self, String> {
        let amount = amount_of(rules)?;
        let began_at = world.now();
        let awaited = world.create(AWAITED, amount).await?;
        world.way.plan(DOUBTFUL, struck(rules), Fault::LostBefore, 1);
        world.way.plan(DOUBTFUL, CallKind::Query, Fault::LostBefore, u32::MAX);
        let mut request = world.request(DOUBTFUL, amount)?;
        if !ends_in_doubt(rules) {
            // Expiry is a look too.
            request.timeout = Some(rules.expiry.1);
        }
        let doubtful = world.begin(request).await.map_err(|why| why.to_string())?;
        world.way.plan(UNSENT, struck(rules), Fault::NotSent, u32::MAX);
        let unsent = world.create(UNSENT, amount).await?;
        world.settle();
        if rules.authorize {
            charge(world, doubtful, amount).await?;
            charge(world, unsent, amount).await?;
        }
        for kind in [CallKind::Close, CallKind::Query] {
            world.way.plan(CLOSING, kind, Fault::LostBefore, u32::MAX);
        }
        let closing = if rules.close.is_some() && !rules.authorize {
            let (id, _) = begun(world, CLOSING, amount).await?;
            world.close(id).await?;
            Some(id)
        } else {
            None
        };
        world.settle();
        Ok(Self { began_at, awaited, doubtful, closing, unsent })
    }

    /// From one due time to the next, until every schedule is used up.
    async fn run_out(&self, world: &World, rules: &CodeManifest) -> Result<(), String> {
        let closes = rules.close.as_ref().map_or(Duration::ZERO, |close| close.schedule.iter().sum());
        let longest = rules.query.schedule.iter().sum::<Duration>().max(closes);
        let ends_at = self.began_at.after(longest).after(rules.expiry_default).after(rules.grace).after(DAY * 3);
        for _ in 0..LOOKS_MAX {
            let mut next = ends_at;
            for id in [self.awaited, self.doubtful, self.unsent].into_iter().chain(self.closing) {
                let due = world.transaction(id).await?.due_at;
                next = due.filter(|due| *due > world.now()).map_or(next, |due| due.min(next));
            }
            if next >= ends_at {
                return Ok(());
            }
            world.pass_to(next);
        }
        Err("an engine looks all the time".to_owned())
    }

    /// While only the payer is awaited.
    async fn awaited(&self, world: &World, sheet: &mut Sheet, rules: &CodeManifest) -> Result<(), String> {
        let record = world.transaction(self.awaited).await?;
        let waits = &rules.query.awaiting_schedule;
        let mut wanted = Vec::new();
        let mut at = self.began_at;
        for index in 0..LOOKS_MAX {
            let Some(wait) = waits.get(index).or(waits.last()) else { break };
            at = at.after(*wait);
            if at >= record.expires_at {
                break;
            }
            wanted.push(at);
        }
        let seen = moments(world, AWAITED, CallKind::Query, |at| at < record.expires_at);
        let case = "while only the payer is awaited, it is asked as awaiting_schedule says";
        sheet.hold(case, seen == wanted, || told(&gaps(self.began_at, &seen), &gaps(self.began_at, &wanted)));
        Ok(())
    }

    /// While an answer is missing.
    async fn doubtful(&self, world: &World, sheet: &mut Sheet, rules: &CodeManifest) -> Result<(), String> {
        let case = "while an answer is missing, it is asked as query.schedule says, and then a person is told";
        let record = world.transaction(self.doubtful).await?;
        let late = ends_in_doubt(rules);
        if late && rules.close.is_some() {
            sheet.not_examined(case, "no create of it is in doubt for long, and a close ends it");
            return Ok(());
        }
        let looks = |at| if late { at >= record.expires_at.after(rules.grace) } else { at < record.expires_at };
        let seen = moments(world, DOUBTFUL, CallKind::Query, looks);
        let life = rules.query.schedule.iter().sum::<Duration>().saturating_add(DAY * 2);
        if late || self.began_at.after(life) < record.expires_at {
            used_up(sheet, case, &rules.query.schedule, &seen, &record.attention);
        } else {
            let case = "while an answer is missing, it is asked as query.schedule says, as long as the order lives";
            begun_with(sheet, case, &rules.query.schedule, &seen);
        }
        Ok(())
    }

    /// While a close is not confirmed.
    async fn closing(&self, world: &World, sheet: &mut Sheet, rules: &CodeManifest) -> Result<(), String> {
        let (Some(id), Some(close)) = (self.closing, &rules.close) else { return Ok(()) };
        let record = world.transaction(id).await?;
        // It begins anew at the closing moment, when the answers begin to mean something else.
        let moment = record.expires_at.after(rules.grace);
        let before = moments(world, CLOSING, CallKind::Close, |at| at < moment);
        let case = "while a close is not confirmed, it is asked as close.schedule says";
        begun_with(sheet, case, &close.schedule, &before);
        let seen = moments(world, CLOSING, CallKind::Close, |at| at >= moment);
        let case = "after the closing moment, close.schedule begins anew, and then a person is told";
        used_up(sheet, case, &close.schedule, &seen, &record.attention);
        Ok(())
    }

    /// What was not executed is tried so often, and no more.
    async fn unsent(&self, world: &World, sheet: &mut Sheet, rules: &CodeManifest) -> Result<(), String> {
        let record = world.transaction(self.unsent).await?;
        if rules.locally_signed && !rules.authorize {
            let case = "a create that was not executed is tried not_executed_max times";
            sheet.not_examined(case, "a create is signed here, and nothing is sent");
            return Ok(());
        }
        let numbers: Vec<_> = record.attempts.iter().map(|attempt| attempt.number.to_string()).collect();
        let booked = world.provider().books().iter().any(|row| numbers.contains(&row.number));
        let seen = moments(world, UNSENT, struck(rules), |_| true);
        if rules.authorize {
            let open = !matches!(record.status, Status::Succeeded { .. } | Status::Failed { .. });
            let case = "a charge that was not executed is not tried again by itself";
            sheet.hold(case, seen.len() == 1 && open && !booked, || {
                format!("{} charges; {}", seen.len(), status_text(&record.status))
            });
            return Ok(());
        }
        let failed = matches!(record.status, Status::Failed { .. }) && !booked;
        let count = usize::try_from(rules.not_executed_max).unwrap_or(usize::MAX);
        let case = format!("a create that was not executed is tried {} times, and fails", rules.not_executed_max);
        sheet.hold(case, seen.len() == count && failed, || {
            format!("{} times; {}; in the books: {booked}", seen.len(), status_text(&record.status))
        });
        Ok(())
    }
}

/// What is refused a second time, and what is signed here, is in doubt only when its time is over.
fn ends_in_doubt(rules: &CodeManifest) -> bool {
    !rules.authorize && (rules.locally_signed || rules.recreate == Recreate::Refused)
}

/// The first waits of a schedule, in order.
fn begun_with(sheet: &mut Sheet, case: &str, schedule: &[Duration], seen: &[Timestamp]) {
    let waits = waits_of(seen);
    let fits = !waits.is_empty() && waits.iter().zip(schedule).all(|(seen, wanted)| seen == wanted);
    sheet.hold(case, fits, || told(&waits, schedule));
}

/// Every wait of a schedule, in order, then a person is told and it is asked once a day.
fn used_up(sheet: &mut Sheet, case: &str, schedule: &[Duration], seen: &[Timestamp], attention: &[Attention]) {
    let waits = waits_of(seen);
    let wanted: Vec<_> = schedule.iter().copied().chain([DAY]).collect();
    let told_of = attention.contains(&Attention::InDoubt);
    let fits = waits.len() >= wanted.len() && waits.iter().zip(&wanted).all(|(seen, wanted)| seen == wanted) && told_of;
    sheet.hold(case, fits, || format!("{}; a person is told: {told_of}", told(&waits, &wanted)));
}

/// An answer counts until the deadline, and is not waited for after it.
async fn deadline(world: &World, sheet: &mut Sheet, rules: &CodeManifest) -> Result<(), String> {
    let case = "an answer counts until call_deadline, and is not waited for after it";
    let kind = struck(rules);
    if kind == CallKind::Query && rules.query.awaiting_schedule.is_empty() {
        sheet.not_examined(case, "nothing is sent unless something is wrong");
        return Ok(());
    }
    let second = Duration::from_secs(1);
    let late = rules.call_deadline.saturating_sub(second);
    let [slow, _] = under_way(world, [(SLOW, late), (SILENT, DAY)]).await?;
    let began_at = world.way.sent(SLOW, kind).first().map(|sent| sent.at).ok_or("nothing was sent")?;
    let told_at_most = world.way.sent(SLOW, kind).iter().all(|sent| sent.deadline <= rules.call_deadline);
    world.pass_to(began_at.after(late));
    let waited_for = world.way.counts().0 == 1;
    let answered = has_answer(world, slow).await?;
    world.pass_to(began_at.after(rules.call_deadline).after(END_GRACE));
    let let_be = world.way.counts().0 == 0;
    sheet.hold(case, told_at_most && answered && waited_for && let_be, || {
        format!(
            "the client is told so: {told_at_most}; one that came before counted: {answered}; was waited for until then: \
             {waited_for}; was let be then: {let_be}"
        )
    });
    Ok(())
}

/// Two payments whose calls are answered so much later, both under way.
async fn under_way(world: &World, waits: [(&str, Duration); 2]) -> Result<[TransactionId; 2], String> {
    let (kind, amount) = (struck(&world.rules), amount_of(&world.rules)?);
    let mut ids = Vec::new();
    for (subject, wait) in waits {
        world.way.hold(subject, kind, wait);
        ids.push(world.create(subject, amount).await?);
    }
    world.settle();
    if kind == CallKind::Authorize {
        for id in &ids {
            charge(world, *id, amount).await?;
        }
        world.settle();
    }
    if let Some(first) = world.rules.query.awaiting_schedule.first().filter(|_| kind == CallKind::Query) {
        world.pass_to(world.now().after(*first));
    }
    <[TransactionId; 2]>::try_from(ids).map_err(|_| "two payments were made".to_owned())
}

/// Whether the engine was told something of it.
async fn has_answer(world: &World, id: TransactionId) -> Result<bool, String> {
    let record = world.transaction(id).await?;
    let last = record.attempts.last().and_then(|attempt| attempt.last_outcome.as_ref());
    Ok(last.is_some_and(|last| last.text != "unknown" && !last.text.starts_with("unknown:")))
}

fn moments(world: &World, subject: &str, kind: CallKind, fits: impl Fn(Timestamp) -> bool) -> Vec<Timestamp> {
    world.way.sent(subject, kind).into_iter().map(|sent| sent.at).filter(|at| fits(*at)).collect()
}

fn waits_of(moments: &[Timestamp]) -> Vec<Duration> {
    moments.windows(2).map(|two| two[1].since(two[0])).collect()
}

fn gaps(from: Timestamp, moments: &[Timestamp]) -> Vec<Duration> {
    waits_of(&std::iter::once(from).chain(moments.iter().copied()).collect::<Vec<_>>())
}

fn told(seen: &[Duration], wanted: &[Duration]) -> String {
    format!("after {seen:?} instead of {wanted:?}")
}
