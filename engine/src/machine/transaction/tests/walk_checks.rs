//! What must hold of every step of the walk.

use crate::channel::{CodeManifest, Outcome};
use crate::machine::transaction::{START_MAX, bill_after_create, resume, step};
use crate::machine::{Effect, Input, Moment, Refusal, Source, Step, Told};
use crate::model::{
    AttemptNumber, CallKind, CloseEvidence, EventKind, Receipt, ReceiptState, Send, SendState, Status, Timestamp,
    Transaction,
};

use super::world::{HELD, ID, moment, open_until, paid, unknown, wall};

/// Checks one step.
pub(super) fn check_step(
    before: &Transaction,
    input: &Input,
    when: Moment,
    result: &Result<Step, Refusal>,
    rules: &CodeManifest,
    name: &str,
) {
    let told = matches!(input, Input::Told(_) | Input::Due | Input::Hint(_));
    let Ok(step) = result else {
        assert!(!told, "{name}: evidence was refused: {input:?} in {before:#?}");
        return;
    };
    let story = || format!("{name}: {input:?}\nbefore {before:#?}\nafter {step:#?}");
    let after = &step.record;
    assert_eq!(after.version, before.version + u64::from(step.changed), "{}", story());
    assert!(step.changed || after == before, "{}", story());
    assert!(step.note.chars().count() <= 300 && !step.note.is_empty(), "{}", story());
    check_due(input, when, after, &story);
    check_not_found(before, input, step, rules, &story);
    check_final_decline(before, input, step, rules, &story);
    assert!(!after.is_open() || before.is_open(), "nothing opens again: {}", story());
    let paid = |record: &Transaction| record.paid_minor().expect("in range");
    assert!(paid(after) >= paid(before), "paid decreased: {}", story());
    assert!(after.receipts.len() >= before.receipts.len(), "a receipt is lost: {}", story());
    for receipt in &after.receipts {
        assert!(receipt.reserved_minor <= receipt.amount.minor(), "{}", story());
    }
    assert!(after.attempts.iter().all(|attempt| attempt.sends.len() <= 16), "{}", story());
    check_money(before, input, step, &story);
    check_end(before, input, step, &story);
    check_sends(before, when, step, &story);
    check_repeat(input, when, step, rules, &story);
}

/// Open transactions are always due some time; one that has ended only while something is not answered.
fn check_due(input: &Input, when: Moment, after: &Transaction, story: &dyn Fn() -> String) {
    let hinted = after.attempts.iter().any(|attempt| attempt.hint.is_some());
    let paid = |number: &AttemptNumber| after.receipts.iter().any(|receipt| receipt.number == *number);
    let doubtful = matches!(after.status, Status::Succeeded { .. })
        && after.attempts.iter().any(|attempt| {
            let unrefused = |send: &crate::model::Send| matches!(send.state, SendState::Unknown | SendState::Executed);
            attempt.sends.iter().any(unrefused) && attempt.ended.is_none() && !paid(&attempt.number)
        });
    assert_eq!(after.is_open() || hinted || doubtful, after.due_at.is_some(), "due: {}", story());
    if let Input::Hint(number) = input {
        let known = after.attempts.iter().any(|attempt| attempt.number == *number);
        assert!(!known || after.due_at.is_some_and(|due| due <= when.wall), "a hint is due at once: {}", story());
    }
    let asks_later = *input != Input::Due || after.due_at.is_none_or(|due| due > when.wall);
    assert!(asks_later || after.status == Status::Created, "looking leaves nothing due at once: {}", story());
}

/// A *not found* that was asked or answered before it could be true ends and sends nothing.
fn check_not_found(before: &Transaction, input: &Input, step: &Step, rules: &CodeManifest, story: &dyn Fn() -> String) {
    let Input::Told(told) = input else { return };
    let sent = before.attempts.iter().find(|attempt| attempt.number == told.number);
    let Some(sent) = sent.and_then(|attempt| attempt.sends.last()) else { return };
    let over = may_be_out_until(sent.at, rules);
    let stale = told.asked_at.into_iter().chain(told.provider_time).any(|at| at < over);
    if told.outcome == Outcome::NotFound && stale {
        let ends = |record: &Transaction| record.attempts.iter().filter(|attempt| attempt.ended.is_some()).count();
        assert_eq!(ends(before), ends(&step.record), "believed too early: {}", story());
        let sends = |effect: &Effect| matches!(effect, Effect::Call { kind: CallKind::Create, .. });
        assert!(!step.effects.iter().any(sends), "sent again too early: {}", story());
    }
}

/// Where a decline is final, a verified one ends an order in whatever open status, once nothing of it is on its way: the
/// order of a wallet is signed here, and its charges have rules of their own.
fn check_final_decline(
    before: &Transaction,
    input: &Input,
    step: &Step,
    rules: &CodeManifest,
    story: &dyn Fn() -> String,
) {
    let Input::Told(Told { number, source, outcome: Outcome::Declined(_), .. }) = input else { return };
    let of_order = match source {
        Source::Answer { call, .. } => *call == CallKind::Query,
        Source::Notification => true,
    };
    let arrived = |send: &Send| send.state != SendState::Unknown;
    let stands = before.is_open() && before.status != Status::Created;
    let attempt = before.attempts.iter().find(|attempt| attempt.number == *number);
    let over = attempt.is_some_and(|attempt| attempt.ended.is_none() && attempt.sends.iter().all(arrived));
    if rules.decline_final && !rules.authorize && of_order && stands && over {
        let ended = step.record.attempts.iter().any(|attempt| attempt.number == *number && attempt.ended.is_some());
        assert!(ended, "a final decline ends nothing: {}", story());
    }
}

/// By then the latest start, the whole call and its way to the channel are over.
fn may_be_out_until(sent_at: Timestamp, rules: &CodeManifest) -> Timestamp {
    sent_at.after(START_MAX + rules.call_deadline)
}

fn counts(record: &Transaction) -> bool {
    record.receipts.iter().any(Receipt::counts)
}

fn check_money(before: &Transaction, input: &Input, step: &Step, story: &dyn Fn() -> String) {
    let after = &step.record;
    let succeeded = |record: &Transaction| matches!(record.status, Status::Succeeded { .. });
    assert_eq!(counts(after), succeeded(after), "money and only money succeeds: {}", story());
    if let Input::Told(Told {
        number,
        outcome: Outcome::Succeeded(paid) | Outcome::PaidThenReturned { paid, .. },
        ..
    }) = input
    {
        let ours = before.attempts.iter().any(|attempt| attempt.number == *number);
        assert_eq!(ours && paid.amount == before.amount || succeeded(before), succeeded(after), "{}", story());
        let same = |kind: EventKind| step.events.iter().filter(|event| event.kind == kind).count();
        assert!(same(EventKind::PaymentSucceeded) <= 1 && same(EventKind::PaymentDuplicate) <= 1, "{}", story());
    }
    let late = matches!(after.status, Status::Succeeded { late: true, .. });
    assert!(!late || succeeded(before) || !before.is_open(), "late comes only after an end: {}", story());
}

fn check_end(before: &Transaction, input: &Input, step: &Step, story: &dyn Fn() -> String) {
    let after = &step.record;
    let ended = before.is_open() && !after.is_open();
    assert_eq!(ended, step.bill.as_ref().is_some_and(|bill| bill.open == 0), "the bill row counts: {}", story());
    let lost = matches!(after.status, Status::Closed { .. } | Status::Failed { .. });
    if !(ended && lost) {
        return;
    }
    assert!(after.attempts.iter().all(|attempt| attempt.ended.is_some()), "every attempt ended: {}", story());
    assert!(
        !after
            .receipts
            .iter()
            .any(|receipt| { receipt.state == ReceiptState::Mismatch && !matches!(input, Input::Vouch(_)) }),
        "money that waits for a person keeps it open: {}",
        story()
    );
    assert_eq!(step.events.len(), 1, "one event tells the end: {}", story());
    let proved_idle = after.attempts.iter().all(|attempt| {
        // What is not proved about this attempt by the record itself was proved before.
        before.attempts.iter().any(|old| old.number == attempt.number && old.ended.is_some())
            || attempt.sends.iter().all(|send| send.state == SendState::NotExecuted)
    });
    match input {
        Input::Due | Input::Close(_) => assert!(proved_idle, "no timer and no command ends it: {}", story()),
        Input::Told(told) => {
            let silent = matches!(told.outcome, Outcome::Unknown(_) | Outcome::Processing | Outcome::Held(_));
            let of_query = matches!(told.source, Source::Answer { call: CallKind::Query | CallKind::Close, .. });
            let not_asked = of_query && matches!(told.outcome, Outcome::NotExecuted(_) | Outcome::AccountRefused(_));
            assert!(!silent && !not_asked, "silence ends nothing: {}", story());
            if matches!(after.status, Status::Closed { evidence: CloseEvidence::Expired }) {
                let shown = told.provider_time.is_some_and(|time| time > before.expires_at);
                let waited = step.record.ended_at.is_some_and(|ended| ended > before.expires_at);
                assert!(shown || waited, "expired before its time: {}", story());
            }
        }
        Input::Submit
        | Input::Signed(_)
        | Input::QueryNow
        | Input::Hint(_)
        | Input::Authorize { .. }
        | Input::RenewActions
        | Input::Vouch(_)
        | Input::AcceptMismatch { .. }
        | Input::AcceptLate { .. } => {}
    }
}

fn check_sends(before: &Transaction, when: Moment, step: &Step, story: &dyn Fn() -> String) {
    let after = &step.record;
    for effect in &step.effects {
        let moves = match effect {
            Effect::Call { number, kind: kind @ (CallKind::Create | CallKind::Authorize), send } => {
                let made = |record: &Transaction| {
                    record.attempts.iter().find(|attempt| attempt.number == *number).map_or(0, |one| one.sends_made)
                };
                assert!(step.changed && made(before) == *send && made(after) == send + 1, "unrecorded: {}", story());
                let newest = after.attempts.last().and_then(|attempt| attempt.sends.last());
                assert!(newest.is_some_and(|send| send.at == when.wall), "{}", story());
                assert!(*kind == CallKind::Create || *send == 0, "a charge leaves once: {}", story());
                assert!(when.wall <= before.expires_at, "too late to send: {}", story());
                true
            }
            Effect::Resign { .. } => true,
            Effect::Call { .. } => false,
            Effect::Feed(_) => panic!("only resume feeds: {}", story()),
        };
        let asked = before.close_requested.is_some() || after.close_requested.is_some();
        assert!(!(moves && asked), "sent after a close was asked for: {}", story());
    }
}

/// The same money again changes nothing.
fn check_repeat(input: &Input, when: Moment, first: &Step, rules: &CodeManifest, story: &dyn Fn() -> String) {
    let Input::Told(told) = input else { return };
    let money = matches!(told.outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. });
    if !money {
        return;
    }
    let bill = first.bill.clone().unwrap_or_else(|| bill_after_create(None, ID));
    let again = step(&first.record, &bill, input, when, rules, &HELD).expect("evidence is never refused");
    assert_eq!(again.record.receipts, first.record.receipts, "{}", story());
    let ours = told.number.transaction == first.record.id;
    assert!(!(ours && again.changed), "the same money again changed it: {}", story());
}

/// In every state a hint is due at once, the look that follows asks the channel, and its answer settles the hint. Beside
/// the walk: hints double every state.
pub(super) fn check_hint(record: &Transaction, when: Moment, rules: &CodeManifest, name: &str) {
    let bill = bill_after_create(None, ID);
    for attempt in &record.attempts {
        let number = attempt.number.clone();
        let source = Source::Answer { call: CallKind::Query, send: 0 };
        let answer = Input::Told(Told {
            number: number.clone(),
            source,
            outcome: Outcome::Unpaid,
            provider_time: None,
            asked_at: Some(when.wall),
            account_revision: None,
            digest: None,
        });
        let mut hinted = record.clone();
        for input in [Input::Hint(number.clone()), Input::Due, answer] {
            let result = step(&hinted, &bill, &input, when, rules, &HELD);
            check_step(&hinted, &input, when, &result, rules, name);
            let step = result.expect("neither evidence nor time is refused");
            let query = Effect::Call { number: number.clone(), kind: CallKind::Query, send: 0 };
            assert!(input != Input::Due || step.effects.contains(&query), "{name}: not asked: {hinted:#?}");
            hinted = step.record;
        }
        let hint = hinted.attempts.iter().find(|one| one.number == number).and_then(|one| one.hint);
        assert_eq!(hint, None, "{name}: not settled: {hinted:#?}");
    }
}

/// From every state, resume leads somewhere.
pub(super) fn check_resume(record: &Transaction, when: Moment, rules: &CodeManifest, name: &str) {
    let effects = resume(record, when, rules);
    assert!(!record.is_open() || record.due_at.is_some() || !effects.is_empty(), "{name}: stuck: {record:#?}");
    for effect in &effects {
        let allowed = match effect {
            Effect::Call { kind, .. } => *kind == CallKind::Query,
            Effect::Feed(input) => *input == Input::Due,
            Effect::Resign { .. } => false,
        };
        assert!(allowed, "{name}: resume may only ask and feed: {effect:?} in {record:#?}");
    }
}

/// A provider that is as honest as can be, and what it holds of every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    NeverHeard,
    Unpaid,
    Paid,
}

impl Provider {
    fn answer(self, kind: CallKind) -> Outcome {
        match (self, kind) {
            (_, CallKind::Create | CallKind::PayerSession) => open_until(600),
            (_, CallKind::Authorize) => unknown(),
            (Self::Paid, _) => paid("A"),
            (Self::NeverHeard, _) => Outcome::NotFound,
            (Self::Unpaid, CallKind::Close) => Outcome::Closed,
            (Self::Unpaid, _) => Outcome::Unpaid,
        }
    }
}

/// After a crash in this state, resume and the due times alone lead to an end, if the provider answers.
pub(super) fn check_leads_on(record: &Transaction, phase: u64, rules: &CodeManifest, name: &str) {
    for provider in [Provider::NeverHeard, Provider::Unpaid, Provider::Paid] {
        // A not found that comes too late proves nothing: a person must end that one.
        let forgotten = provider == Provider::NeverHeard && rules.query.truth_until.is_some();
        let for_a_person = record.receipts.iter().any(|receipt| receipt.state == ReceiptState::Mismatch);
        if !(forgotten || for_a_person) {
            let ended = lead_on(record.clone(), phase, provider, rules);
            assert!(!ended.is_open(), "{name}: {provider:?} leads to no end:\n{record:#?}\n{ended:#?}");
        }
    }
}

fn lead_on(mut record: Transaction, phase: u64, provider: Provider, rules: &CodeManifest) -> Transaction {
    let mut when = moment(phase);
    let mut effects = resume(&record, when, rules);
    for _ in 0..300 {
        if !record.is_open() {
            break;
        }
        let input = match effects.pop() {
            Some(Effect::Feed(input)) => input,
            Some(Effect::Call { number, kind, send }) => {
                let provider_time = Some(when.wall);
                let source = Source::Answer { call: kind, send };
                let (outcome, asked_at) = (provider.answer(kind), provider_time);
                let account_revision = None;
                Input::Told(Told { number, source, outcome, provider_time, asked_at, account_revision, digest: None })
            }
            Some(Effect::Resign { number }) => {
                let source = Source::Answer { call: CallKind::Create, send: 0 };
                super::world::evidence(number, source, open_until(600))
            }
            None => {
                when = later(when, record.due_at.expect("an open transaction is due some time"));
                Input::Due
            }
        };
        let bill = bill_after_create(None, ID);
        let step = step(&record, &bill, &input, when, rules, &HELD).expect("neither evidence nor time is refused");
        record = step.record;
        effects.extend(step.effects);
    }
    record
}

fn later(when: Moment, due: Timestamp) -> Moment {
    let wall_then = when.wall.max(due);
    Moment { wall: wall_then, alive: Some(wall_then.since(wall(0))), clock_confirmed: true }
}
