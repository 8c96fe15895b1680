use std::collections::BTreeSet;
use std::time::Duration;

use super::super::schedule::ORIGINAL;
use super::*;
use crate::model::{AppId, DeliveryId, EventId, EventKind, Mode, RawId, SubscriptionId, TransactionId};

const TRY_TOOK: Duration = Duration::from_millis(1_234);

#[test]
fn a_dead_target_gets_eleven_tries_with_the_original_gaps() {
    // Each gap is counted from the end of the try before; after the eleventh failure it is exhausted.
    let schedule = Schedule::default();
    let mut delivery = due(start());
    let (mut now, mut gaps) = (start(), Vec::new());
    loop {
        let ended = now.after(TRY_TOOK);
        delivery = step(&delivery, ended_try(false, 500, now), ended, &schedule).expect("a try is always recorded");
        let DeliveryState::Due { at } = delivery.state else { break };
        gaps.push(at.since(ended));
        now = at;
    }
    assert_eq!(delivery.state, DeliveryState::Exhausted);
    assert_eq!(gaps, ORIGINAL);
    assert_eq!(delivery.tries.iter().map(|ended| ended.number).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
}

#[test]
fn every_state_takes_every_input() {
    // The whole table: what each input makes of each state, for a delivery with one scheduled try behind it.
    use DeliveryRefusal::{NotExhausted, Unchanged};
    let now = start().after(Duration::from_secs(10));
    let (at, later) = (start(), start().after(Duration::from_hours(1)));
    let (is_due, delivered) = (DeliveryState::Due { at: later }, DeliveryState::Delivered { at });
    let held = DeliveryState::Held { due_at: later };
    let (exhausted, cancelled) = (DeliveryState::Exhausted, DeliveryState::Cancelled);
    let ended_at = now.after(TRY_TOOK);
    let taken = DeliveryState::Delivered { at: ended_at };
    let again = DeliveryState::Due { at: ended_at.after(ORIGINAL[1]) };
    let held_again = DeliveryState::Held { due_at: ended_at.after(ORIGINAL[1]) };
    let states = [is_due, held, delivered, exhausted, cancelled];
    let table: [(DeliveryInput, [Result<DeliveryState, DeliveryRefusal>; 5]); 8] = [
        (ended_try(false, 200, now), [Ok(taken), Ok(taken), Ok(delivered), Ok(taken), Ok(taken)]),
        (ended_try(false, 204, now), [Ok(again), Ok(held_again), Ok(delivered), Ok(exhausted), Ok(cancelled)]),
        (ended_try(true, 200, now), [Ok(taken), Ok(taken), Ok(delivered), Ok(taken), Ok(taken)]),
        (ended_try(true, 500, now), [Ok(is_due), Ok(held), Ok(delivered), Ok(exhausted), Ok(cancelled)]),
        (DeliveryInput::Hold, [Ok(held), Err(Unchanged), Err(Unchanged), Err(Unchanged), Err(Unchanged)]),
        (DeliveryInput::Release, [Err(Unchanged), Ok(is_due), Err(Unchanged), Err(Unchanged), Err(Unchanged)]),
        (DeliveryInput::Cancel, [Ok(cancelled), Ok(cancelled), Err(Unchanged), Err(Unchanged), Err(Unchanged)]),
        (
            DeliveryInput::Resume,
            [
                Err(NotExhausted),
                Err(NotExhausted),
                Err(NotExhausted),
                Ok(DeliveryState::Due { at: now }),
                Err(NotExhausted),
            ],
        ),
    ];
    for (input, expected) in table {
        for (state, expected) in states.into_iter().zip(expected) {
            let mut before = due(start());
            before.state = state;
            before.tries_done = 1;
            before.tries.push(one_try(1, false, start()));
            let after = step(&before, input.clone(), now, &Schedule::default());
            assert_eq!(after.map(|after| after.state), expected, "{state:?} {input:?}");
        }
    }
}

#[test]
fn the_last_failure_exhausts_a_held_one_too() {
    // A delivery that was held while its last try was under way has no tries left when that fails.
    let mut delivery = due(start());
    delivery.tries_done = 10;
    delivery.state = DeliveryState::Held { due_at: start() };
    let after = step(&delivery, ended_try(false, 500, start()), start(), &Schedule::default()).expect("recorded");
    assert_eq!(after.state, DeliveryState::Exhausted);
}

#[test]
fn a_resumed_delivery_gets_the_whole_schedule_again() {
    // After resuming, eleven more tries; the numbers go on and the first try is kept.
    let schedule = Schedule::default();
    let mut delivery = due(start());
    for round in 0_u32..4 {
        for _ in 0..11 {
            assert!(matches!(delivery.state, DeliveryState::Due { .. }), "round {round}");
            delivery = step(&delivery, ended_try(false, 500, start()), start(), &schedule).expect("recorded");
        }
        assert_eq!(delivery.state, DeliveryState::Exhausted, "round {round}");
        delivery = step(&delivery, DeliveryInput::Resume, start(), &schedule).expect("exhausted");
    }
    assert_eq!(delivery.tries.len(), TRIES_KEPT);
    let numbers: Vec<u32> = delivery.tries.iter().map(|kept| kept.number).collect();
    assert_eq!(numbers[..2], [1, 14]);
    assert_eq!(numbers.last(), Some(&44));
}

#[test]
fn holding_shortens_no_gap() {
    // Released before its gap is over, it is due when the gap is over; released after that, at once.
    let schedule = Schedule::default();
    let failed = step(&due(start()), ended_try(false, 500, start()), start(), &schedule).expect("recorded");
    let gap_over = start().after(TRY_TOOK).after(ORIGINAL[0]);
    let held = step(&failed, DeliveryInput::Hold, start(), &schedule).expect("due");
    for (released_at, due_at) in [(start(), gap_over), (gap_over.after(TRY_TOOK), gap_over.after(TRY_TOOK))] {
        let released = step(&held, DeliveryInput::Release, released_at, &schedule).expect("held");
        assert_eq!(released.state, DeliveryState::Due { at: due_at });
    }
    // Not even after so many resends that the scheduled try is kept no more.
    let mut resent = held;
    for _ in 0..2 * TRIES_KEPT {
        resent = step(&resent, ended_try(true, 500, start()), start(), &schedule).expect("recorded");
    }
    let mut other = resent.clone();
    other.tries.clear();
    for held in [resent, other] {
        let released = step(&held, DeliveryInput::Release, start(), &schedule).expect("held");
        assert_eq!(released.state, DeliveryState::Due { at: gap_over });
    }
}

#[test]
fn a_walk_of_any_inputs_keeps_the_invariants() {
    // From every state that can be reached in eight steps on a short schedule: versions rise by one, tries are
    // counted, bounded and in order, no try comes early, and what is delivered stays delivered.
    let schedule = Schedule::new(vec![Duration::from_secs(5), Duration::from_secs(50)]).expect("two gaps");
    let mut frontier = vec![(due(start()), start())];
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let mut next = Vec::new();
        for (delivery, now) in &frontier {
            for input in inputs(*now) {
                let Ok(after) = step(delivery, input.clone(), *now, &schedule) else { continue };
                check(delivery, &input, &after, *now, &schedule);
                if seen.insert(format!("{:?} {} {}", after.state, after.tries_done, after.tries.len())) {
                    next.push((after, now.after(Duration::from_secs(7))));
                }
            }
        }
        frontier = next;
    }
    assert!(seen.len() > 50, "the walk reaches the states: {}", seen.len());
}

fn check(before: &Delivery, input: &DeliveryInput, after: &Delivery, now: Timestamp, schedule: &Schedule) {
    let what = format!("{before:?}\n{input:?}\n{after:?}");
    assert_eq!(after.version, before.version + 1, "{what}");
    assert!(after.tries.windows(2).all(|pair| pair[0].number < pair[1].number), "{what}");
    let is_try = matches!(input, DeliveryInput::TryEnded { .. });
    assert_eq!(after.tries.len(), before.tries.len() + usize::from(is_try), "{what}");
    if let DeliveryState::Delivered { .. } = before.state {
        assert_eq!(after.state, before.state, "{what}");
    }
    let DeliveryState::Due { at } = after.state else { return };
    let scheduled = after.tries.iter().rev().find(|ended| !ended.resend);
    if let (Some(gap), Some(ended)) = (schedule.gap_after(after.tries_done), scheduled) {
        assert!(at >= ended.ended_at.after(gap), "{what}");
    }
    if matches!(input, DeliveryInput::Release | DeliveryInput::Resume) {
        assert!(at >= now, "{what}");
    }
}

fn inputs(now: Timestamp) -> Vec<DeliveryInput> {
    let mut inputs = vec![DeliveryInput::Hold, DeliveryInput::Release, DeliveryInput::Cancel, DeliveryInput::Resume];
    for (resend, status) in [(false, 200), (false, 500), (true, 200), (true, 500)] {
        inputs.push(ended_try(resend, status, now));
    }
    inputs
}

fn ended_try(resend: bool, status: u16, started_at: Timestamp) -> DeliveryInput {
    let result = TryResult::Answered { status, excerpt: String::new() };
    DeliveryInput::TryEnded { resend, started_at, ended_at: started_at.after(TRY_TOOK), result }
}

fn one_try(number: u32, resend: bool, ended_at: Timestamp) -> DeliveryTry {
    let result = TryResult::NoAnswer { reason: "refused".into() };
    DeliveryTry { number, resend, started_at: ended_at, ended_at, result }
}

fn due(at: Timestamp) -> Delivery {
    let id = RawId([7; 12]);
    Delivery {
        id: DeliveryId(id),
        app_id: AppId(id),
        mode: Mode::Test,
        version: 1,
        subscription_id: SubscriptionId(id),
        event_id: EventId(id),
        event_at: (1, 0),
        kind: EventKind::PaymentSucceeded,
        transaction_id: TransactionId(id),
        created_at: at,
        state: DeliveryState::Due { at },
        tries_done: 0,
        tries: Vec::new(),
    }
}

fn start() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}
