//! Cases of payments.md section 4 in which money moves, and what people decide about it.

use crate::channel::Outcome;
use crate::machine::transaction::AppPolicy;
use crate::machine::{Input, Refusal, Vouched, VouchedOutcome};
use crate::model::{
    AlarmKind, Attention, Currency, Door, EventKind, LatePolicy, Money, ReceiptState, Requester, Status,
};

use super::world::{
    ID, OTHER, Play, closed, created, notified, number, open_until, paid, payment, queried, returned, returning,
    unknown, without_close, yuan,
};

use EventKind::{
    PaymentClosed, PaymentDuplicate, PaymentMismatch, PaymentReturned, PaymentSucceeded, PaymentSucceededLate,
};

fn mismatched() -> Outcome {
    Outcome::Succeeded(payment("M", yuan(999)))
}

fn closed_play() -> Play {
    Play::awaiting(returning()).at(100, Input::Close(Requester::Merchant)).at(101, closed(Outcome::Closed))
}

fn accept(trade: &str) -> Input {
    Input::AcceptMismatch { trade_number: trade.to_owned(), author: "ann".to_owned(), reason: "agreed".to_owned() }
}

fn vouch(outcome: VouchedOutcome) -> Input {
    Input::Vouch(Vouched {
        number: number(0),
        outcome,
        author: "ann".to_owned(),
        reason: "on the statement".to_owned(),
    })
}

/// A case: its name, what was played, the status it ends in, the events it published, what is flagged.
type Row = (&'static str, Play, &'static str, Vec<EventKind>, Vec<Attention>);

fn table() -> Vec<Row> {
    let late = vec![PaymentClosed, PaymentSucceededLate];
    vec![
        ("paid", Play::awaiting(returning()).at(20, notified(paid("A"))), "succeeded", vec![PaymentSucceeded], vec![]),
        (
            "notification before our own call returned; the late answer changes nothing",
            Play::new(returning())
                .at(0, Input::Submit)
                .at(1, notified(paid("A")))
                .at(2, created(0, open_until(600)))
                .at(3, queried(paid("A"))),
            "succeeded",
            vec![PaymentSucceeded],
            vec![],
        ),
        (
            "close races payment: paid first",
            Play::awaiting(returning())
                .at(100, Input::Close(Requester::Merchant))
                .at(101, notified(paid("A")))
                .at(102, closed(Outcome::Closed)),
            "succeeded",
            vec![PaymentSucceeded],
            vec![],
        ),
        (
            "close races payment: closed first",
            closed_play().at(102, notified(paid("A"))),
            "succeeded",
            late.clone(),
            vec![Attention::LateSuccess],
        ),
        (
            "late success of a transaction made by the original API is published as a success too",
            Play::through(returning(), Door::Original)
                .at(0, Input::Submit)
                .at(1, created(0, open_until(600)))
                .at(2, notified(Outcome::Closed))
                .at(3, notified(paid("A"))),
            "succeeded",
            vec![PaymentClosed, PaymentSucceededLate, PaymentSucceeded],
            vec![Attention::LateSuccess],
        ),
        (
            "a held late success is published when an operator accepts it, once",
            closed_play()
                .at(102, notified(paid("A")))
                .at(103, Input::AcceptLate { author: "ann".to_owned(), reason: "deliver".to_owned() })
                .at(104, Input::AcceptLate { author: "ann".to_owned(), reason: "deliver".to_owned() }),
            "succeeded",
            vec![PaymentClosed, PaymentSucceededLate, PaymentSucceeded],
            vec![],
        ),
        (
            "the same receipt again changes nothing, a new one is a duplicate",
            Play::awaiting(returning())
                .at(20, notified(paid("A")))
                .at(21, queried(paid("A")))
                .at(22, queried(paid("B"))),
            "succeeded",
            vec![PaymentSucceeded, PaymentDuplicate],
            vec![Attention::Duplicate],
        ),
        (
            "money of another amount waits for a person",
            Play::awaiting(returning()).at(20, notified(mismatched())).at(21, notified(mismatched())),
            "awaiting_payer",
            vec![PaymentMismatch],
            vec![Attention::Mismatch],
        ),
        (
            "with such money the channel's closed moves no status",
            Play::awaiting(returning())
                .at(20, notified(mismatched()))
                .at(30, Input::Close(Requester::Merchant))
                .at(31, closed(Outcome::Closed)),
            "closing",
            vec![PaymentMismatch],
            vec![Attention::Mismatch],
        ),
        (
            "an operator accepts it",
            Play::awaiting(returning()).at(20, notified(mismatched())).at(30, accept("M")).at(31, accept("M")),
            "succeeded",
            vec![PaymentMismatch, PaymentSucceeded],
            vec![],
        ),
        (
            "a second payment accepted is a duplicate",
            Play::awaiting(returning()).at(20, notified(mismatched())).at(21, notified(paid("A"))).at(30, accept("M")),
            "succeeded",
            vec![PaymentMismatch, PaymentSucceeded, PaymentDuplicate],
            vec![Attention::Duplicate],
        ),
        (
            "paid, then returned for good: a success whose return is told",
            Play::awaiting(returning()).at(20, queried(returned("A", 400, true))),
            "succeeded",
            vec![PaymentSucceeded, PaymentReturned],
            vec![],
        ),
        (
            "paid, then returned, not final: only the return is told",
            Play::awaiting(returning())
                .at(20, queried(returned("A", 400, false)))
                .at(21, queried(returned("A", 400, false))),
            "succeeded",
            vec![PaymentReturned],
            vec![Attention::Returned],
        ),
        (
            "paid and returned for good after it was closed: by the late rule",
            closed_play().at(200, queried(returned("A", 1_000, true))),
            "succeeded",
            vec![PaymentClosed, PaymentSucceededLate, PaymentReturned],
            vec![Attention::LateSuccess],
        ),
        (
            "an operator vouches for a payment that nobody told",
            Play::in_doubt(returning())
                .at(300, vouch(VouchedOutcome::Paid { trade_number: "A".to_owned(), amount: yuan(1_000) })),
            "succeeded",
            vec![PaymentSucceeded],
            vec![],
        ),
        (
            "an operator vouches that it was not paid",
            Play::in_doubt(returning()).at(300, vouch(VouchedOutcome::NotPaid)),
            "closed",
            vec![PaymentClosed],
            vec![],
        ),
        (
            "another transaction's evidence changes nothing",
            Play::awaiting(returning()).at(20, stranger()),
            "awaiting_payer",
            vec![],
            vec![],
        ),
    ]
}

fn stranger() -> Input {
    let Input::Told(mut told) = notified(paid("A")) else { unreachable!("it was told") };
    told.number.transaction = OTHER;
    Input::Told(told)
}

#[test]
fn money_cases() {
    // Every row of section 4 that moves money ends in the status, the events and the flags that it says.
    for (name, play, status, events, flags) in table() {
        assert_eq!(play.status(), status, "{name}");
        assert_eq!(play.event_kinds(), events, "{name}");
        assert_eq!(play.record.attention, flags, "{name}");
    }
}

#[test]
fn contradicting_figures_are_told() {
    // A payment that is booked, told with another amount: an alarm and a note; what is booked stays.
    let play = Play::awaiting(returning()).at(20, notified(paid("A")));
    let record = play.record.clone();
    for told in [
        Outcome::Succeeded(payment("A", yuan(60))),
        Outcome::PaidThenReturned {
            paid: payment("A", yuan(60)),
            returned: yuan(0),
            refunds: Vec::new(),
            by: "x".to_owned(),
            is_final: false,
        },
    ] {
        let receipts = &record.receipts;
        let play =
            Play { alarms: Vec::new(), record: record.clone(), ..Play::awaiting(returning()) }.at(21, queried(told));
        assert_eq!(play.alarms.len(), play.alarms.iter().filter(|alarm| alarm.kind != AlarmKind::WrongOwner).count());
        assert_eq!(play.alarms[0].kind, AlarmKind::Mismatch);
        assert!(play.alarms[0].text.contains("booked as 10.00 CNY and is now told as 0.60 CNY"));
        assert_eq!((play.record.receipts[0].amount, play.status()), (receipts[0].amount, "succeeded"));
    }
}

#[test]
fn an_accepted_amount_is_told_as_what_was_paid() {
    // Events about money of another amount carry it, also the success that an operator makes of it.
    let play = Play::awaiting(returning()).at(20, notified(mismatched())).at(30, accept("M"));
    let moved: Vec<_> = play.events.iter().map(|event| (event.kind, event.moved)).collect();
    assert_eq!(moved, [(PaymentMismatch, Some(yuan(999))), (PaymentSucceeded, Some(yuan(999)))]);
    let plain = Play::awaiting(returning()).at(20, notified(paid("A")));
    assert_eq!(plain.events[0].moved, None);
    let back = Play::awaiting(returning()).at(20, queried(returned("A", 400, true)));
    assert_eq!(back.events[1].moved, Some(yuan(400)));
}

#[test]
fn what_was_held_back_decides_and_not_todays_policy() {
    // A late success that was published is not published again when it is accepted, and a held one is, whatever the
    // policy says by then.
    let accepted = || Input::AcceptLate { author: "ann".to_owned(), reason: "deliver".to_owned() };
    for (then, now, successes) in [
        (LatePolicy::Publish, LatePolicy::Hold, 1),
        (LatePolicy::Publish, LatePolicy::Publish, 1),
        (LatePolicy::Hold, LatePolicy::Publish, 1),
        (LatePolicy::Hold, LatePolicy::Hold, 1),
    ] {
        let mut play = closed_play();
        play.policy = AppPolicy { late_policy: then };
        let mut play = play.at(102, notified(paid("A")));
        assert_eq!(play.record.success_held, then == LatePolicy::Hold);
        play.policy = AppPolicy { late_policy: now };
        let play = play.at(103, accepted()).at(104, accepted());
        let told = play.event_kinds().iter().filter(|kind| **kind == PaymentSucceeded).count();
        assert_eq!((told, play.record.success_held), (successes, false), "{then:?} {now:?}");
    }
}

#[test]
fn late_policies() {
    // What a late success publishes besides `payment.succeeded_late` follows the app's policy and the door.
    for (policy, door, publishes) in [
        (LatePolicy::ByDoor, Door::Native, false),
        (LatePolicy::ByDoor, Door::Original, true),
        (LatePolicy::Publish, Door::Native, true),
        (LatePolicy::Publish, Door::Original, true),
        (LatePolicy::Hold, Door::Native, false),
        (LatePolicy::Hold, Door::Original, false),
    ] {
        let late_policy = AppPolicy { late_policy: policy };
        assert_eq!(late_policy.publishes_late(door), publishes, "{policy:?} {door:?}");
    }
}

#[test]
fn second_success_of_a_bill() {
    // The later success of one bill number names the earlier, publishes both facts, and leaves the row's first paid.
    let mut play = Play::awaiting(returning());
    play.bill.first_paid = Some(OTHER);
    let play = play.at(20, notified(paid("A")));
    assert_eq!(play.record.duplicate_of, Some(OTHER));
    assert_eq!(play.event_kinds(), [PaymentSucceeded, PaymentDuplicate]);
    assert_eq!((play.bill.first_paid, play.bill.open), (Some(OTHER), 0));
    let first = Play::awaiting(returning()).at(20, notified(paid("A")));
    assert_eq!((first.record.duplicate_of, first.bill.first_paid), (None, Some(ID)));
}

#[test]
fn returns_on_a_receipt() {
    // A later figure replaces an earlier one; what is not final reserves the whole receipt; a stale one adds nothing.
    let play = Play::awaiting(returning()).at(20, queried(returned("A", 400, false)));
    assert_eq!(play.record.receipts[0].reserved_minor, 1_000);
    let play = play.at(30, queried(returned("A", 500, true)));
    let receipt = &play.record.receipts[0];
    assert_eq!((receipt.reserved_minor, receipt.returned_minor()), (0, 500));
    assert_eq!(receipt.returned.as_ref().map(|returned| returned.key.as_str()), Some("returned"));
    let play = play.at(40, queried(returned("A", 400, true)));
    assert!(!play.changed());
    let play = play.at(50, queried(returned("A", 1_500, true)));
    assert!(play.record.attention.contains(&Attention::OverRefunded));
    let over = |play: &Play| play.alarms.iter().filter(|alarm| alarm.kind == AlarmKind::OverRefunded).count();
    assert_eq!(over(&play), 1);
    let play = play.at(51, queried(returned("A", 1_600, true)));
    assert_eq!(over(&play), 1);
    let play = Play { record: Play::awaiting(returning()).at(20, queried(returned("A", 500, true))).record, ..play };
    let play = play.at(50, queried(returned("A", 1_500, true)));
    assert_eq!(play.record.refunded_minor(), Some(1_500));
}

#[test]
fn a_return_of_nobody_knows_how_much_is_explained_by_any_refund_of_ours() {
    // Without one a person must look and the whole receipt is reserved; with one, under way or done, nothing is booked.
    let told = || queried(returned("A", 0, false));
    let play = Play::awaiting(returning()).at(20, told());
    assert_eq!((play.record.receipts[0].reserved_minor, play.event_kinds()), (1_000, [PaymentReturned].into()));
    let paid_before = Play::awaiting(returning()).at(20, notified(paid("A"))).record;
    for (reserved, refunded) in [(300, 0), (0, 300), (0, 1_000)] {
        let mut play = Play { record: paid_before.clone(), ..Play::awaiting(returning()) };
        let receipt = &mut play.record.receipts[0];
        (receipt.reserved_minor, receipt.refunded_minor) = (reserved, refunded);
        let (before, play) = (play.record.receipts.clone(), play.at(21, told()));
        assert!(play.record.receipts == before && play.record.attention.is_empty() && play.alarms.is_empty());
    }
}

#[test]
fn a_return_in_another_currency_is_not_settled() {
    // However final the provider calls it: only the return is told, a person must look, the whole receipt is reserved.
    let dollars = Money::new(100, "USD".parse::<Currency>().expect("a currency")).expect("small");
    let Outcome::PaidThenReturned { paid, refunds, by, .. } = returned("A", 0, true) else { unreachable!("it is one") };
    let back = Outcome::PaidThenReturned { paid, returned: dollars, refunds, by, is_final: true };
    let play = Play::awaiting(returning()).at(20, queried(back));
    assert_eq!(play.event_kinds(), [PaymentReturned]);
    assert_eq!(play.record.attention, [Attention::Returned]);
    assert_eq!((play.alarms.len(), play.record.receipts[0].reserved_minor), (1, 1_000));
}

#[test]
fn money_under_a_number_that_was_never_given() {
    // It waits for a person, flagged and with an alarm; accepted, it is the payment.
    let input = super::world::answer(77, crate::model::CallKind::Query, 0, paid("A"));
    let play = Play::awaiting(returning()).at(20, input.clone()).at(21, input);
    assert_eq!((play.status(), play.record.receipts[0].state), ("awaiting_payer", ReceiptState::Mismatch));
    assert_eq!(play.event_kinds(), [PaymentMismatch]);
    let kinds: Vec<_> = play.alarms.iter().map(|alarm| alarm.kind).collect();
    assert_eq!(kinds, [AlarmKind::WrongOwner, AlarmKind::Mismatch]);
    let play = play.at(30, accept("A"));
    assert_eq!((play.status(), play.event_kinds().len()), ("succeeded", 2));
}

#[test]
fn returns_that_our_refunds_explain() {
    // What our own refunds gave back books nothing.
    let mut play = Play::awaiting(returning()).at(20, queried(paid("A")));
    play.record.receipts[0].refunded_minor = 300;
    play.record.receipts[0].reserved_minor = 100;
    let play = play.at(30, queried(returned("A", 400, true)));
    assert!(!play.changed());
    let play = play.at(40, queried(returned("A", 450, true)));
    assert_eq!(play.record.receipts[0].returned_minor(), 50);
}

#[test]
fn another_currency_is_in_no_sum() {
    // Money of another currency that an operator accepts makes it paid, and is added to nothing.
    let dollars = Money::new(1_000, "USD".parse::<Currency>().expect("a currency")).expect("small");
    let play = Play::awaiting(returning()).at(20, notified(Outcome::Succeeded(payment("M", dollars))));
    assert_eq!(play.record.receipts[0].state, ReceiptState::Mismatch);
    let play = play.at(30, accept("M"));
    assert!(matches!(play.record.status, Status::Succeeded { late: false, .. }));
    assert_eq!(play.record.paid_minor(), Some(0));
}

#[test]
fn operators_are_refused_what_contradicts() {
    // Without money an operator's word never changes *succeeded*; what the record does not hold is named.
    let play = Play::awaiting(returning()).at(20, notified(paid("A"))).at(30, vouch(VouchedOutcome::NotPaid));
    assert!(matches!(play.refusal(), Some(Refusal::Contradicts(_))));
    let play = play.at(31, accept("X"));
    assert!(matches!(play.refusal(), Some(Refusal::Unknown(_))));
    let play = Play::awaiting(returning()).at(20, notified(mismatched())).at(30, vouch(VouchedOutcome::NotPaid));
    assert!(matches!(play.refusal(), Some(Refusal::Contradicts(_))));
    let play = Play::new(returning()).at(0, Input::Submit).at(1, vouch(VouchedOutcome::NotPaid));
    assert!(matches!(play.refusal(), Some(Refusal::Contradicts(_))), "its create is under way");
}

#[test]
fn mismatch_keeps_asking_the_channel_to_close() {
    // Expiry asks for a close with money of another amount on hand; its answer moves nothing, a person is waited for.
    for rules in [returning(), without_close()] {
        let play =
            Play::awaiting(rules).at(20, notified(mismatched())).at(7_201, Input::Due).at(7_202, queried(unknown()));
        assert!(play.record.close_requested.is_some());
        let play = play.at(9_000, notified(Outcome::Closed)).at(200_000, Input::Due);
        assert!(play.record.is_open());
        assert!(play.record.due_at.is_some());
    }
}
