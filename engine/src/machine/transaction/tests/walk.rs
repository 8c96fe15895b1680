//! Every reachable state × every input, over channels of every kind.

use std::collections::{BTreeSet, VecDeque};

use crate::channel::{CodeManifest, Outcome};
use crate::machine::transaction::{bill_after_create, step};
use crate::machine::{Input, Moment, Source, Told, Vouched, VouchedOutcome};
use crate::model::{
    AttemptNumber, CallKind, Currency, Door, Fallback, Money, PayerStep, Requester, SendState, Status, Transaction,
};

use super::walk_checks::{check_hint, check_leads_on, check_resume, check_step};
use super::world::{
    ACCOUNT, HELD, ID, VISIBLE, declined, every_channel, moment, new_transaction, not_executed, number, open_until,
    paid, payment, returned, returning, seconds, signing, token, unknown, wall, yuan,
};

/// Seconds after the making: soon, after the visibility delay, after expiry, after the
/// closing moment, and long after.
pub(super) const PHASES: [u64; 5] = [1, 30, 7_201, 11_000, 200_000];

/// What the process knows of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clocks {
    /// It made the transaction.
    Alive,
    /// It was restarted, and no provider has confirmed its clock.
    Restarted,
}

impl Clocks {
    fn at(self, seconds: u64) -> Moment {
        match self {
            Self::Alive => moment(seconds),
            Self::Restarted => Moment { wall: wall(seconds), alive: None, clock_confirmed: false },
        }
    }
}

#[test]
fn every_reachable_state_of_an_order_takes_every_input() {
    // Whatever comes when: no panic, no refused evidence, no end without proof, no lost money, no send unrecorded.
    walk_all(|rules| !rules.authorize);
}

#[test]
fn every_reachable_state_of_a_wallet_takes_every_input() {
    // As for orders, with charges by token and several attempts.
    walk_all(|rules| rules.authorize);
}

#[test]
fn every_reachable_state_of_an_order_that_falls_over_takes_every_input() {
    // The same for an order that another account may take over, while it may.
    let mut visited = 0;
    for (name, rules) in [("returning", returning()), ("signing", signing())] {
        let mut first = new_transaction(&rules, Door::Native);
        first.fallbacks = vec![Fallback { account_id: ACCOUNT, revision: 2 }];
        visited += walk_from(name, first, &rules, Clocks::Alive, 1);
    }
    assert!(visited > 100, "the walk came only to {visited} states");
}

fn walk_all(chosen: fn(&CodeManifest) -> bool) {
    let mut visited = 0;
    for (name, rules) in every_channel().into_iter().filter(|(_, rules)| chosen(rules)) {
        visited += walk(name, &rules, Clocks::Alive);
        // Clocks matter where time alone can prove an end.
        if rules.close.is_none() {
            visited += walk(name, &rules, Clocks::Restarted);
        }
    }
    assert!(visited > 1_000, "the walk came only to {visited} states");
}

/// Walks one channel breadth first. How many states it came to.
fn walk(name: &str, rules: &CodeManifest, clocks: Clocks) -> usize {
    walk_from(name, new_transaction(rules, Door::Native), rules, clocks, PHASES.len())
}

/// The same from a record on, as far as a phase.
fn walk_from(name: &str, first: Transaction, rules: &CodeManifest, clocks: Clocks, phases: usize) -> usize {
    let mut seen = BTreeSet::from([abstracted(&first, 0)]);
    let mut queue = VecDeque::from([(0_usize, first)]);
    while let Some((phase, record)) = queue.pop_front() {
        let when = clocks.at(PHASES[phase]);
        check_resume(&record, when, rules, name);
        check_hint(&record, when, rules, name);
        if record.is_open() {
            check_leads_on(&record, PHASES[phase], rules, name);
        }
        let mut reached = Vec::new();
        for input in inputs(&record, PHASES[phase]) {
            let bill = bill_after_create(None, ID);
            let result = step(&record, &bill, &input, when, rules, &HELD);
            check_step(&record, &input, when, &result, rules, name);
            if let Ok(step) = result {
                reached.push((phase, step.record));
            }
        }
        if phase + 1 < phases {
            reached.push((phase + 1, record));
        }
        for (phase, record) in reached {
            if record.attempts.len() <= 2 && record.receipts.len() <= 2 && seen.insert(abstracted(&record, phase)) {
                queue.push_back((phase, record));
            }
        }
    }
    seen.len()
}

/// What distinguishes records to the machine at a phase, coarse enough for the walk to end.
fn abstracted(record: &Transaction, phase: usize) -> String {
    use std::fmt::Write;
    let mut text = match &record.status {
        Status::AwaitingPayer { step } => format!("awaiting {}", *step == PayerStep::Lost),
        status @ (Status::Created
        | Status::Submitting { .. }
        | Status::Closing
        | Status::Succeeded { .. }
        | Status::Failed { .. }
        | Status::Closed { .. }) => status.name().to_owned(),
    };
    for receipt in &record.receipts {
        let back = receipt.returned.as_ref().map(|returned| returned.is_final);
        write!(text, " ({} {:?} {back:?})", receipt.trade_number, receipt.state).expect("to memory");
    }
    if !record.is_open() && record.due_at.is_none() {
        return text;
    }
    write!(text, " {phase} {} {}", record.close_requested.is_some(), record.in_doubt.is_some()).expect("to memory");
    for attempt in &record.attempts {
        let any = |state| attempt.sends.iter().any(|send| send.state == state);
        let fresh = attempt.sends.last().is_some_and(|send| send.at.after(seconds(VISIBLE)) > wall(PHASES[phase]));
        let ended = attempt.ended.as_ref().map(std::mem::discriminant);
        let states = (any(SendState::Unknown) || any(SendState::Executed), any(SendState::NotExecuted));
        let tries = attempt.sends.len().min(2);
        let doubtful = any(SendState::Unknown) && record.status.name() == "succeeded";
        let rest = (attempt.looks > 0, doubtful);
        write!(text, " [{tries} {states:?} {fresh} {rest:?} {ended:?}]").expect("to memory");
    }
    write!(text, " {}", record.due_at.is_some_and(|due| due <= wall(PHASES[phase]))).expect("to memory");
    text
}

/// A representative of every input.
fn inputs(record: &Transaction, now: u64) -> Vec<Input> {
    let who = || "ann".to_owned();
    let mut all = vec![
        Input::Submit,
        Input::Signed(open_until(600)),
        Input::Signed(not_executed()),
        Input::Signed(unknown()),
        Input::Close(Requester::Merchant),
        Input::QueryNow,
        token(u8::try_from(record.attempts.len()).unwrap_or(u8::MAX)),
        Input::RenewActions,
        Input::Due,
        Input::AcceptMismatch { trade_number: "M".to_owned(), author: who(), reason: who() },
        Input::AcceptLate { author: who(), reason: who() },
    ];
    for attempt in &record.attempts {
        let newest_send = attempt.sends_made.saturating_sub(1);
        let answered = if attempt.number.index == 0 { CallKind::Create } else { CallKind::Authorize };
        for outcome in outcomes() {
            for (call, send) in [(answered, newest_send), (CallKind::Query, 0), (CallKind::Close, 0)] {
                all.push(told(&attempt.number, Source::Answer { call, send }, outcome.clone(), (None, Some(now))));
            }
            all.push(told(&attempt.number, Source::Notification, outcome.clone(), (None, None)));
            let query = Source::Answer { call: CallKind::Query, send: 0 };
            all.push(told(&attempt.number, query, outcome, (Some(now), Some(now))));
        }
        let query = Source::Answer { call: CallKind::Query, send: 0 };
        for times in [(Some(now), None), (Some(0), Some(now)), (None, Some(0)), (None, None)] {
            all.push(told(&attempt.number, query, Outcome::NotFound, times));
        }
        for outcome in [
            VouchedOutcome::NotPaid,
            VouchedOutcome::Paid { trade_number: "A".to_owned(), amount: payment("A", yuan(1_000)).amount },
        ] {
            all.push(Input::Vouch(Vouched { number: attempt.number.clone(), outcome, author: who(), reason: who() }));
        }
    }
    all.push(told(&number(200), Source::Notification, paid("A"), (None, None)));
    all.push(told(&number(200), Source::Notification, Outcome::Closed, (None, None)));
    let stranger = AttemptNumber { transaction: super::world::OTHER, index: 0 };
    all.push(told(&stranger, Source::Notification, paid("A"), (None, None)));
    all
}

/// `times`: the provider's own, and when it was asked.
fn told(number: &AttemptNumber, source: Source, outcome: Outcome, times: (Option<u64>, Option<u64>)) -> Input {
    let (provider_time, asked_at) = (times.0.map(wall), times.1.map(wall));
    let number = number.clone();
    Input::Told(Told { number, source, outcome, provider_time, asked_at, account_revision: Some(1), digest: None })
}

fn outcomes() -> Vec<Outcome> {
    let dollars = Money::new(1_000, "USD".parse::<Currency>().expect("a currency")).expect("small");
    vec![
        open_until(600),
        paid("A"),
        paid("B"),
        Outcome::Succeeded(payment("M", dollars)),
        declined(),
        Outcome::Closed,
        Outcome::NotFound,
        Outcome::Unpaid,
        not_executed(),
        Outcome::AccountRefused("key".to_owned()),
        Outcome::Processing,
        Outcome::Held("review".to_owned()),
        returned("A", 1_000, true),
        returned("A", 400, false),
        unknown(),
    ]
}
