//! Cases of law 5: another account takes a payment over only where nothing was executed, or the channel declined before
//! a payer saw anything.

use crate::channel::{CodeManifest, Outcome};
use crate::machine::{Effect, Input};
use crate::model::{AccountId, AttemptEnd, Attention, CallKind, Fallback, RawId, Requester, SendState, Status};

use super::world::{
    ACCOUNT, LIFE, Play, VISIBLE, answer, created, declined, moving, not_executed, notified, number, open_until, paid,
    queried, refusing, returning, signing, unknown, wallet,
};

use CallKind::{Close, Create, Query};

const SECOND: AccountId = AccountId(RawId([10; 12]));
const THIRD: AccountId = AccountId(RawId([11; 12]));

/// A transaction that two more accounts may take over.
fn play(rules: CodeManifest) -> Play {
    let mut play = Play::new(rules);
    play.record.fallbacks = [SECOND, THIRD].map(|account_id| Fallback { account_id, revision: 4 }).to_vec();
    play
}

fn sent(rules: CodeManifest) -> Play {
    play(rules).at(0, Input::Submit)
}

fn of_second(outcome: Outcome) -> Input {
    answer(1, Create, 0, outcome)
}

/// Who has tried it, and who is left.
fn accounts(play: &Play) -> (Vec<AccountId>, usize) {
    (play.record.attempts.iter().map(|attempt| attempt.account_id).collect(), play.record.fallbacks.len())
}

#[test]
fn what_falls_over() {
    // From a send that was not executed, and a decline of the create; from nothing else.
    let refused = || Outcome::AccountRefused("key".to_owned());
    let closing = || sent(returning()).at(1, Input::Close(Requester::Merchant));
    let table = vec![
        ("not executed", sent(returning()).at(1, created(0, not_executed())), true),
        ("declined", sent(returning()).at(1, created(0, declined())), true),
        ("the account is refused", sent(returning()).at(1, created(0, refused())), true),
        ("not executed where a second create is refused", sent(refusing()).at(1, created(0, not_executed())), true),
        ("not executed where a create moves money", sent(moving()).at(1, created(0, not_executed())), true),
        ("not signed", play(signing()).at(0, Input::Signed(not_executed())), true),
        ("a wallet's order that is not signed", play(wallet()).at(0, Input::Signed(refused())), true),
        ("the payer's own decline", sent(moving()).at(1, created(0, declined())), false),
        (
            "the channel has it in hand",
            sent(moving()).at(1, queried(Outcome::Processing)).at(2, created(0, not_executed())),
            false,
        ),
        (
            "the channel holds it open",
            sent(returning()).at(1, queried(Outcome::Unpaid)).at(2, created(0, declined())),
            false,
        ),
        ("silence", sent(returning()).at(10, created(0, unknown())), false),
        ("declined after silence", Play::at(sent(returning()), 10, queried(declined())), false),
        (
            "not executed after silence on the same number",
            sent(returning())
                .at(10, created(0, unknown()))
                .at(VISIBLE, queried(Outcome::NotFound))
                .at(VISIBLE + 1, created(1, not_executed())),
            false,
        ),
        ("a close was asked for", closing().at(2, created(0, not_executed())), false),
        ("too late", sent(returning()).at(LIFE - 59, created(0, not_executed())), false),
        ("a payer has it", sent(returning()).at(1, created(0, open_until(600))).at(2, queried(declined())), false),
    ];
    for (name, play, falls_over) in table {
        let expected = if falls_over { vec![ACCOUNT, SECOND] } else { vec![ACCOUNT] };
        assert_eq!(accounts(&play).0, expected, "{name}: {:?}", play.record.status);
    }
}

#[test]
fn the_next_account_has_a_number_of_its_own_and_the_same_words() {
    // The intent is the frozen one, the first attempt has ended, the timeline says who takes over from whom and why.
    let play = sent(returning()).at(1, created(0, not_executed()));
    let [first, second] = play.record.attempts.as_slice() else { panic!("two attempts") };
    assert_eq!(first.ended, Some(AttemptEnd::NotSent("not sent".to_owned())));
    assert_eq!((&second.number, second.revision, &second.intent), (&number(1), 4, &first.intent));
    assert_eq!(second.sends.iter().map(|send| send.state).collect::<Vec<_>>(), [SendState::Unknown]);
    assert_eq!(play.effects, [Effect::Call { number: number(1), kind: Create, send: 0 }]);
    let Some(Ok(step)) = &play.last else { panic!("it is taken") };
    for part in [ACCOUNT.to_string(), SECOND.to_string(), "not sent".to_owned()] {
        assert!(step.note.contains(&part), "{part}: {}", step.note);
    }
    let opened = play.at(2, of_second(open_until(600)));
    assert_eq!(opened.status(), "awaiting_payer");
    assert_eq!(accounts(&opened), (vec![ACCOUNT, SECOND], 0), "nobody takes over what a payer has");
}

#[test]
fn the_last_account_is_tried_as_the_only_one_would_be() {
    // One after the other; the last is tried again, and its end is that of the payment.
    let third = |send, outcome| answer(2, Create, send, outcome);
    let play = sent(returning()).at(1, created(0, not_executed())).at(2, of_second(declined()));
    assert_eq!(accounts(&play), (vec![ACCOUNT, SECOND, THIRD], 0));
    let play = play.at(3, third(0, not_executed()));
    assert_eq!((play.status(), play.record.attempts.len()), ("submitting", 3));
    let play = play.at(4, Input::Due);
    assert_eq!(play.effects, [Effect::Call { number: number(2), kind: Create, send: 1 }]);
    let play = play.at(5, third(1, declined()));
    assert!(matches!(&play.record.status, Status::Failed { reason } if reason.starts_with("declined:")));
}

#[test]
fn silence_of_the_next_account_is_asked_about_there() {
    // Only the attempt that is on its way is queried, and it falls over no further.
    let play = sent(returning()).at(1, created(0, not_executed())).at(12, of_second(unknown()));
    let play = play.at(40, Input::Due);
    assert_eq!(play.effects, [Effect::Call { number: number(1), kind: Query, send: 0 }]);
    assert_eq!(accounts(&play), (vec![ACCOUNT, SECOND], 1));
}

#[test]
fn money_of_the_first_account_counts() {
    // A refusal that was wrong: what was paid there is booked, whoever took it over.
    let play = sent(returning()).at(1, created(0, declined())).at(2, of_second(open_until(600)));
    let play = play.at(30, queried(paid("T-1")));
    assert_eq!(play.status(), "succeeded");
}

#[test]
fn the_order_of_the_next_account_is_closed_once_the_first_was_paid() {
    // The payer holds the second order's code: it is closed, and watched to its end.
    let paid_first = || {
        let play = sent(returning()).at(1, created(0, declined())).at(2, of_second(open_until(600)));
        play.at(30, notified(paid("T-1")))
    };
    let again = || paid_first().at(31, answer(1, Close, 0, unknown())).at(32, Input::Due);
    let (close, query) = [Close, Query].map(|kind| [Effect::Call { number: number(1), kind, send: 0 }]).into();
    assert_eq!((paid_first().status(), &paid_first().effects[..]), ("succeeded", &close[..]));
    for outcome in [declined(), unknown()] {
        assert_eq!(paid_first().at(31, answer(1, Close, 0, outcome)).effects, query);
    }
    assert_eq!(again().effects, close);
    let closed = again().at(400, answer(1, Close, 0, Outcome::Closed));
    assert_eq!((closed.status(), closed.record.due_at), ("succeeded", None));
    // An order that nobody has begun to pay may be unknown as long as it can be paid.
    let mut unheard = paid_first();
    for at in [31, 33, 60, 400] {
        unheard = unheard.at(at, answer(1, Close, 0, Outcome::NotFound)).at(at + 1, Input::Due);
    }
    assert!(unheard.record.attempts[1].ended.is_none() && unheard.record.attention.is_empty());
    let at_last = unheard.at(LIFE + 60, answer(1, Close, 0, Outcome::NotFound));
    assert_eq!((at_last.record.attempts[1].ended.is_some(), at_last.record.due_at), (true, None));
    let twice = again().at(400, answer(1, Query, 0, paid("T-2")));
    assert!(twice.record.attention.contains(&Attention::Duplicate));
    assert_eq!(twice.record.due_at, None);
}

#[test]
fn signing_goes_on_after_a_crash() {
    // A second account that was to sign when the process died signs afterwards.
    let play = play(signing()).at(0, Input::Signed(not_executed()));
    assert_eq!(play.effects, [Effect::Resign { number: number(1) }]);
    let play = play.at(20, Input::Due);
    assert_eq!(play.effects, [Effect::Resign { number: number(1) }]);
    let play = play.at(21, of_second(open_until(600)));
    assert_eq!(play.status(), "awaiting_payer");
}
