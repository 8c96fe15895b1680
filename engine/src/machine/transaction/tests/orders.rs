//! Any order and any repetition of the same evidence gives the same final money.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::channel::Outcome;
use crate::machine::Input;
use crate::model::{Attention, CallKind, EventKind, ReceiptState, Requester};

use super::world::{
    Play, answer, closed, created, declined, every_channel, notified, number, open_until, paid, payment, queried,
    returned, timed, unknown, yuan,
};

/// What money a play ends with, whatever came first.
#[derive(Debug, PartialEq, Eq)]
struct Money {
    paid: Option<u64>,
    receipts: BTreeSet<(String, String, bool)>,
    duplicates: usize,
    duplicate_events: usize,
    mismatch_events: usize,
    flags: BTreeSet<Attention>,
}

/// Inputs that bring no money.
fn noise() -> Vec<Input> {
    vec![
        created(0, open_until(600)),
        created(0, unknown()),
        created(0, declined()),
        created(0, Outcome::NotExecuted("not sent".to_owned())),
        queried(Outcome::Unpaid),
        queried(Outcome::NotFound),
        timed(50_000, queried(Outcome::NotFound)),
        queried(declined()),
        closed(Outcome::Closed),
        closed(declined()),
        notified(Outcome::Closed),
        Input::Close(Requester::Merchant),
        Input::RenewActions,
        Input::QueryNow,
        Input::Due,
        Input::Due,
    ]
}

/// Inputs that bring money.
fn money() -> Vec<Input> {
    vec![
        notified(paid("A")),
        queried(paid("A")),
        closed(paid("A")),
        notified(paid("B")),
        queried(Outcome::Succeeded(payment("M", yuan(999)))),
        notified(returned("A", 1_000, true)),
        notified(returned("B", 300, true)),
    ]
}

/// The final money of a play: everything of `money` whose place is in `chosen`, in some order, with noise between.
fn play(channel: usize, chosen: &BTreeSet<usize>, order: &[(bool, usize)]) -> Money {
    let (_, rules) = every_channel().swap_remove(channel);
    let first = if rules.locally_signed { Input::Signed(open_until(600)) } else { Input::Submit };
    let mut play = Play::new(rules).at(0, first);
    let mut at = 1;
    for (is_money, place) in order {
        let all = if *is_money { money() } else { noise() };
        let place = place % all.len();
        if !is_money || chosen.contains(&place) {
            play = play.at(at, all[place].clone());
            at += 997;
        }
    }
    for place in chosen {
        play = play.at(at, money()[*place].clone());
    }
    let receipts = play.record.receipts.iter();
    Money {
        paid: play.record.paid_minor(),
        receipts: receipts
            .clone()
            .map(|one| {
                let back = one.returned.as_ref().map(|returned| (returned.amount_minor, returned.is_final));
                let counted = one.state != ReceiptState::Mismatch;
                (one.number.to_string(), format!("{} {} {back:?}", one.trade_number, one.amount), counted)
            })
            .collect(),
        duplicates: receipts.filter(|one| one.state == ReceiptState::Duplicate).count(),
        duplicate_events: count(&play, EventKind::PaymentDuplicate),
        mismatch_events: count(&play, EventKind::PaymentMismatch),
        // A success before or after the end differs by nature; whether it is late is not part of the money.
        flags: play
            .record
            .attention
            .iter()
            .copied()
            .filter(|flag| !matches!(flag, Attention::LateSuccess | Attention::InDoubt))
            .collect(),
    }
}

fn count(play: &Play, kind: EventKind) -> usize {
    play.events.iter().filter(|event| event.kind == kind).count()
}

#[test]
fn any_order_of_evidence_gives_the_same_money() {
    // Notifications, answers, closes, expiry and doubled notices in any order: same paid, same receipts, same flags.
    let seed: u64 = std::env::var("MAXPAY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let chosen = proptest::collection::btree_set(0..money().len(), 0..=money().len());
    let orders = vec((any::<bool>(), 0..100_usize), 0..24);
    let strategy = (0..every_channel().len(), chosen, orders);
    let outcome = runner.run(&strategy, |(channel, chosen, order)| {
        let plain = play(channel, &chosen, &[]);
        prop_assert_eq!(play(channel, &chosen, &order), plain);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!(
            "{failure}\nrepeat it with: MAXPAY_SEED={seed} cargo test -p maxpay-engine --lib \
             any_order_of_evidence_gives_the_same_money"
        );
    }
}

#[test]
fn money_on_any_attempt_is_money() {
    // A payment under an older number is booked like any other; under one that was never made a person must look.
    for index in [0, 1] {
        let play = Play::charging(super::world::wallet()).at(20, answer(index, CallKind::Query, 0, paid("A")));
        assert_eq!(play.status(), "succeeded");
        assert_eq!(play.record.receipts[0].number, number(index));
    }
    let play = Play::charging(super::world::wallet()).at(20, answer(77, CallKind::Query, 0, paid("A")));
    assert_eq!((play.status(), play.record.receipts[0].state), ("submitting", ReceiptState::Mismatch));
    assert_eq!(play.record.attention, [Attention::Mismatch]);
}
