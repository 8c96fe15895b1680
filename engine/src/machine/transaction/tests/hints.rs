//! What is still asked when nobody waits for it: hints, and attempts of unknown outcome beside a payment.

use crate::channel::Outcome;
use crate::machine::transaction::resume;
use crate::machine::{Effect, Input, Refusal, Vouched, VouchedOutcome};
use crate::model::{Attention, CallKind, EventKind, Requester, SendState};

use super::world::{
    LIFE, Play, VISIBLE, answer, asked, charged, closed, declined, moment, not_executed, notified, number, paid,
    queried, returning, signing, unknown, wall, wallet, without_close,
};

use CallKind::Query;

fn hint() -> Input {
    Input::Hint(number(0))
}

#[test]
fn a_hint_is_followed_in_every_status() {
    // In whatever status it comes, it is due at once, the channel is asked, and its own schedule stays as it was.
    let ended = || Play::awaiting(returning()).at(20, notified(Outcome::Closed));
    let table = [
        ("submitting", Play::new(returning()).at(0, Input::Submit)),
        ("awaiting_payer", Play::awaiting(returning())),
        ("awaiting_payer", Play::awaiting(without_close()).at(20, Input::Close(Requester::Merchant))),
        ("closing", Play::awaiting(signing()).at(20, Input::Close(Requester::Merchant))),
        ("succeeded", Play::awaiting(returning()).at(20, notified(paid("A")))),
        ("failed", Play::new(returning()).at(0, Input::Submit).at(1, answer(0, CallKind::Create, 0, declined()))),
        ("closed", ended()),
    ];
    for (status, play) in table {
        let looks_at = play.record.look_at;
        let play = play.at(21, hint());
        assert!(play.changed() && play.record.due_at <= Some(wall(21)), "{status}");
        assert_eq!(resume(&play.record, moment(22), &play.rules).contains(&Effect::Feed(Input::Due)), {
            status != "submitting"
        });
        let play = play.at(22, Input::Due);
        assert!(play.calls().contains(&Query), "{status}");
        assert!(play.record.due_at > Some(wall(22)), "{status}");
        assert!(looks_at <= Some(wall(22)) || play.record.look_at == looks_at, "{status}");
        let play = play.at(23, queried(Outcome::Unpaid));
        assert_eq!((play.record.attempts[0].hint, play.status()), (None, status));
        assert_eq!(play.record.due_at, play.record.look_at, "{status}");
    }
    let play = ended().at(21, hint()).at(22, Input::Due).at(23, queried(paid("A")));
    assert_eq!(play.event_kinds(), [EventKind::PaymentClosed, EventKind::PaymentSucceededLate]);
    assert_eq!(play.record.due_at, None);
    let play = ended().at(21, Input::Hint(number(9)));
    assert!(!play.changed(), "of an attempt that was never made");
}

#[test]
fn a_hint_is_kept_until_it_is_answered() {
    // Silence, and an answer to what was asked before it, leave it; it is asked again by the schedule, then once a day.
    let mut play = Play::awaiting(returning()).at(20, notified(Outcome::Closed)).at(30, hint());
    assert_eq!(play.at(31, hint()).record.due_at, Some(wall(30)), "a second one while it waits changes nothing");
    play = Play::awaiting(returning()).at(20, notified(Outcome::Closed)).at(30, hint());
    play = play.at(31, asked(29, queried(Outcome::Closed)));
    assert!(play.record.attempts[0].hint.is_some());
    for (at, next) in [(32, 33), (40, 45), (50, 80), (90, 90 + 86_400), (100_000, 186_400)] {
        play = play.at(at, Input::Due).at(at, queried(unknown())).at(at, queried(not_executed()));
        assert_eq!(play.record.due_at, Some(wall(next)));
    }
    assert!(play.alarms.is_empty());
    let play = play.at(100_001, queried(Outcome::Closed));
    assert_eq!((play.record.due_at, play.status()), (None, "closed"));
}

#[test]
fn a_hint_and_the_schedule_do_not_disturb_each_other() {
    // Hints without end put off neither a look nor the expiry, and make no schedule run out.
    let mut play = Play::awaiting(without_close());
    for at in (2..LIFE).step_by(300) {
        play = play.at(at, hint()).at(at + 1, Input::Due).at(at + 2, queried(Outcome::Unpaid));
    }
    assert!(play.alarms.is_empty());
    let play = play.at(LIFE, hint()).at(LIFE, Input::Due);
    assert!(play.record.close_requested.is_some());
}

/// A payment under the older number while the charge is on its way.
fn paid_beside_a_charge() -> Play {
    Play::charging(wallet()).at(10, notified(paid("A")))
}

#[test]
fn an_attempt_of_unknown_outcome_is_asked_about_after_a_success() {
    // It ends by what the channel says of it, or by an operator; the status stays, a second payment is a duplicate.
    let about = |outcome| answer(1, Query, 0, outcome);
    let vouch = || {
        let (author, reason) = ("ann".to_owned(), "on the statement".to_owned());
        Input::Vouch(Vouched { number: number(1), outcome: VouchedOutcome::NotPaid, author, reason })
    };
    let table = [
        ("declined", charged(1, declined()), 11, true),
        ("not executed", charged(1, not_executed()), 11, true),
        ("no answer", charged(1, unknown()), 11, false),
        ("not found, too early", about(Outcome::NotFound), VISIBLE, false),
        ("not found", about(Outcome::NotFound), VISIBLE + 5, true),
        ("asked too early", asked(9, about(Outcome::NotFound)), VISIBLE + 5, false),
        ("closed", about(Outcome::Closed), 11, true),
        ("declined, says a query", about(declined()), VISIBLE + 5, true),
        ("processing", about(Outcome::Processing), VISIBLE + 5, false),
        ("an operator", vouch(), VISIBLE + 5, true),
    ];
    for (name, input, at, ends) in table {
        let play = paid_beside_a_charge();
        let due = play.record.due_at.expect("it is looked at");
        let play = play.at(due.since(wall(0)).as_secs() + 1, Input::Due);
        let query = Effect::Call { number: number(1), kind: Query, send: 0 };
        assert_eq!(play.effects, [query], "{name}");
        let play = play.at(at.max(due.since(wall(0)).as_secs() + 1), input);
        assert!(play.refusal().is_none(), "{name}");
        assert_eq!((play.status(), play.record.attempts[1].ended.is_some()), ("succeeded", ends), "{name}");
        assert_eq!((play.record.due_at.is_none(), play.record.in_doubt.is_none()), (ends, ends), "{name}");
        assert_eq!(play.event_kinds(), [EventKind::PaymentSucceeded], "{name}");
    }
    let play = paid_beside_a_charge().at(30, about(paid("B")));
    assert_eq!(play.record.attention, [Attention::Duplicate]);
    assert_eq!(play.record.due_at, None);
    let play = paid_beside_a_charge().at(12, vouch());
    assert!(matches!(play.refusal(), Some(Refusal::Contradicts(_))), "it is under way");
}

#[test]
fn what_stays_unknown_beside_a_success_calls_a_person() {
    // After the last scheduled look an alarm, once, and one look a day.
    let mut play = paid_beside_a_charge();
    for _ in 0..8 {
        let due = play.record.due_at.expect("it is looked at").since(wall(0)).as_secs() + 1;
        play = play.at(due, Input::Due).at(due, answer(1, Query, 0, unknown()));
    }
    assert_eq!((play.alarms.len(), play.record.attention.clone()), (1, vec![Attention::InDoubt]));
    assert_eq!(play.record.attempts[1].sends[0].state, SendState::Unknown);
    let play = play.at(700_000, answer(1, Query, 0, Outcome::Closed));
    assert_eq!((play.record.due_at, play.record.attention.len()), (None, 0));
    let plain = Play::awaiting(signing()).at(20, notified(paid("A"))).at(21, closed(Outcome::Closed));
    assert_eq!(plain.record.due_at, None, "the paid attempt itself is asked about no more");
}
