//! Cases of payments.md section 2 "Sending again", and of section 4 about crashes before an outcome.

use crate::channel::{CodeManifest, Outcome};
use crate::machine::transaction::resume;
use crate::machine::{Effect, Input, Refusal};
use crate::model::{Attention, CallKind, CloseEvidence, PayerStep, Requester, SendState, Status};

use super::world::{
    LIFE, OVER, Play, VISIBLE, asked, closed, created, declined, moment, moving, not_executed, notified, open_until,
    queried, refusing, returning, signing, timed, unknown, without_close,
};

use CallKind::{Close, Create, Query};

/// Each case: its name, what was played, the status it ends in, what the last input asked of the channel.
fn table() -> Vec<(&'static str, Play, &'static str, Vec<CallKind>)> {
    let plain = |rules: CodeManifest| Play::new(rules).at(0, Input::Submit);
    let refused = || Outcome::AccountRefused("key".to_owned());
    vec![
        ("submit", plain(returning()), "submitting", vec![Create]),
        ("opened", plain(returning()).at(1, created(0, open_until(600))), "awaiting_payer", vec![]),
        ("no answer to the create: query", plain(returning()).at(12, Input::Due), "submitting", vec![Query]),
        ("silence is not failure", Play::in_doubt(returning()), "submitting", vec![]),
        ("crash in created, in time", Play::new(returning()).at(5, Input::Due), "submitting", vec![Create]),
        ("crash in created, too late", Play::new(returning()).at(LIFE - 59, Input::Due), "closed", vec![]),
        (
            "not found too early permits nothing",
            Play::in_doubt(returning()).at(VISIBLE - 1, queried(Outcome::NotFound)),
            "submitting",
            vec![],
        ),
        (
            "not found that was asked while the create could still leave",
            Play::in_doubt(returning()).at(VISIBLE + 9, asked(VISIBLE - 1, queried(Outcome::NotFound))),
            "submitting",
            vec![],
        ),
        (
            "not found that the provider told too early, by its own time",
            Play::in_doubt(returning()).at(VISIBLE + 9, timed(VISIBLE - 1, queried(Outcome::NotFound))),
            "submitting",
            vec![],
        ),
        (
            "not found of which nobody knows when it was asked",
            Play::in_doubt(returning()).at(VISIBLE + 9, notified(Outcome::NotFound)),
            "submitting",
            vec![],
        ),
        (
            "not found, believed: the frozen call is sent again",
            Play::in_doubt(returning()).at(VISIBLE, queried(Outcome::NotFound)),
            "submitting",
            vec![Create],
        ),
        (
            "not found, believed, on a channel that refuses a second create: sent again",
            Play::in_doubt(refusing()).at(VISIBLE, queried(Outcome::NotFound)),
            "submitting",
            vec![Create],
        ),
        (
            "not found where the create moves money: only query",
            Play::in_doubt(moving()).at(VISIBLE, queried(Outcome::NotFound)),
            "submitting",
            vec![],
        ),
        (
            "not found after a close was asked for: close instead",
            Play::in_doubt(returning())
                .at(10, Input::Close(Requester::Merchant))
                .at(VISIBLE, queried(Outcome::NotFound)),
            "closing",
            vec![Close],
        ),
        (
            "not found too late to send",
            Play::in_doubt(returning()).at(LIFE - 59, queried(Outcome::NotFound)),
            "submitting",
            vec![],
        ),
        (
            "unpaid proves arrival: sent again for the payer action",
            Play::in_doubt(returning()).at(OVER, queried(Outcome::Unpaid)),
            "submitting",
            vec![Create],
        ),
        (
            "unpaid while the create is on its way: its answer is awaited",
            plain(returning()).at(2, queried(Outcome::Unpaid)),
            "submitting",
            vec![],
        ),
        (
            "unpaid where a second create is refused: the action is lost",
            Play::in_doubt(refusing()).at(OVER, queried(Outcome::Unpaid)),
            "awaiting_payer",
            vec![],
        ),
        (
            "no outcome within the visibility delay where a second create is refused: the action is lost",
            Play::in_doubt(refusing()).at(11, Input::Due).at(VISIBLE, Input::Due),
            "awaiting_payer",
            vec![Query],
        ),
        (
            "unpaid after a close was asked for: close",
            Play::in_doubt(returning()).at(10, Input::Close(Requester::Merchant)).at(OVER, queried(Outcome::Unpaid)),
            "closing",
            vec![Close],
        ),
        ("declined", plain(returning()).at(1, created(0, declined())), "failed", vec![]),
        (
            "declined on a later send while the first is unknown: query",
            Play::in_doubt(returning()).at(VISIBLE, queried(Outcome::NotFound)).at(VISIBLE + 1, created(1, declined())),
            "submitting",
            vec![Query],
        ),
        ("not executed: tried again", plain(returning()).at(1, created(0, not_executed())), "submitting", vec![]),
        (
            "not executed: tried again when the wait is over",
            plain(returning()).at(1, created(0, not_executed())).at(2, Input::Due),
            "submitting",
            vec![Create],
        ),
        (
            "not executed N times: failed",
            plain(returning())
                .at(1, created(0, not_executed()))
                .at(2, Input::Due)
                .at(3, created(1, not_executed()))
                .at(8, Input::Due)
                .at(9, created(2, not_executed())),
            "failed",
            vec![],
        ),
        (
            "not executed after an unknown send: query",
            Play::in_doubt(returning())
                .at(VISIBLE, queried(Outcome::NotFound))
                .at(VISIBLE + 1, created(1, not_executed())),
            "submitting",
            vec![Query],
        ),
        (
            "not executed after a close was asked for: closed",
            plain(returning()).at(1, Input::Close(Requester::Merchant)).at(2, created(0, not_executed())),
            "closed",
            vec![],
        ),
        ("the account is refused", plain(returning()).at(1, created(0, refused())), "failed", vec![]),
        ("processing", plain(returning()).at(1, created(0, Outcome::Processing)), "submitting", vec![]),
        ("held", plain(returning()).at(1, created(0, Outcome::Held("review".to_owned()))), "submitting", vec![]),
        (
            "a query that was not executed ends nothing",
            Play::in_doubt(returning()).at(11, queried(not_executed())),
            "submitting",
            vec![],
        ),
        (
            "a decline of an order is no end where it is not final",
            Play::awaiting(returning()).at(9, queried(declined())),
            "awaiting_payer",
            vec![],
        ),
        (
            "a decline of an order is its end where it is final",
            Play::awaiting(moving()).at(90, queried(declined())),
            "failed",
            vec![],
        ),
        (
            "a refused renewal ends nothing",
            Play::awaiting(returning()).at(700, Input::RenewActions).at(701, created(1, declined())),
            "awaiting_payer",
            vec![Query],
        ),
    ]
}

#[test]
fn sending_cases() {
    // Every row of "Sending again" ends in the status it says, and asks of the channel what it says.
    for (name, play, status, calls) in table() {
        assert_eq!(play.status(), status, "{name}");
        assert_eq!(play.calls(), calls, "{name}");
        assert!(play.refusal().is_none(), "{name}");
    }
}

#[test]
fn what_a_send_left_in_the_record() {
    // Each send stands in the record with what became of it, and the first word about it stays.
    let play =
        Play::in_doubt(returning()).at(VISIBLE, queried(Outcome::NotFound)).at(VISIBLE + 1, created(1, declined()));
    let states = |play: &Play| play.record.attempts[0].sends.iter().map(|send| send.state).collect::<Vec<_>>();
    assert_eq!(states(&play), [SendState::Unknown, SendState::Declined]);
    let play = play.at(VISIBLE + 2, created(0, open_until(600)));
    assert_eq!(states(&play), [SendState::Executed, SendState::Declined]);
    assert_eq!(play.status(), "awaiting_payer");
    let play = play.at(VISIBLE + 3, created(0, not_executed()));
    assert_eq!(states(&play), [SendState::Executed, SendState::Declined]);
    assert_eq!(play.status(), "awaiting_payer");
}

#[test]
fn doubt_is_shown_and_then_a_person_is_called() {
    // In doubt from the first missing answer on; after the last scheduled look an alarm, once, and one look a day.
    let play = Play::new(returning()).at(0, Input::Submit);
    assert!(play.record.in_doubt.is_none(), "its answer is still on the way");
    let mut play = play.at(10, created(0, unknown()));
    assert!(play.record.in_doubt.is_some());
    let mut at = 11;
    for _ in 0..3 {
        play = play.at(at, Input::Due);
        assert_eq!(play.calls(), [Query]);
        assert!(play.alarms.is_empty());
        at += 40;
    }
    play = play.at(at, Input::Due).at(at + 90_000, Input::Due);
    assert_eq!(play.alarms.len(), 1);
    assert_eq!(play.record.attention, [Attention::InDoubt]);
    assert_eq!(play.record.due_at, Some(super::world::wall(at + 90_000 + 86_400)));
    let play = play.at(at + 90_001, created(0, open_until(600)));
    assert!(play.record.in_doubt.is_none() && play.record.attention.is_empty());
}

#[test]
fn refused_account_pauses_its_sends() {
    // Refused at the door: not executed, without retry; the account's sends pause and a person is told.
    let refused = Outcome::AccountRefused("key".to_owned());
    let play = Play::new(returning()).at(0, Input::Submit).at(1, created(0, refused.clone()));
    let pauses = |play: &Play| matches!(&play.last, Some(Ok(step)) if step.pauses_account.is_some());
    assert!(pauses(&play) && play.alarms.len() == 1);
    assert!(matches!(&play.record.status, Status::Failed { reason } if reason.starts_with("not_sent:")));
    let play = Play::awaiting(returning()).at(20, queried(refused));
    assert!(pauses(&play));
    assert_eq!(play.status(), "awaiting_payer");
    assert!(play.record.due_at >= Some(super::world::wall(20 + 3_600)), "queries slow down");
}

#[test]
fn lost_action() {
    // A lost payer action is told as such; the late answer still brings it.
    let play = Play::in_doubt(refusing()).at(OVER, queried(Outcome::Unpaid));
    assert_eq!(play.record.status, Status::AwaitingPayer { step: PayerStep::Lost });
    assert!(play.record.in_doubt.is_none(), "only the payer is awaited");
    let play = play.at(OVER + 1, created(0, open_until(600)));
    assert!(matches!(&play.record.status, Status::AwaitingPayer { step: PayerStep::Actions(_) }));
}

#[test]
fn actions_are_renewed_by_their_rule() {
    // Past their time, and only then, where the channel gives them again; never with a close asked for.
    let play = Play::awaiting(returning()).at(599, Input::RenewActions);
    assert!(!play.changed() && play.effects.is_empty());
    let play = play.at(601, Input::RenewActions);
    assert_eq!(play.calls(), [Create]);
    assert_eq!(play.record.attempts[0].sends_made, 2);
    let play = play.at(602, Input::RenewActions);
    assert!(play.effects.is_empty(), "one is on its way");
    let play = play.at(603, created(1, open_until(1_200))).at(604, Input::RenewActions);
    assert!(play.effects.is_empty());
    let play = Play::awaiting(signing()).at(601, Input::RenewActions);
    assert!(play.resigns() && !play.changed());
    let play = Play::awaiting(refusing()).at(601, Input::RenewActions);
    assert!(play.effects.is_empty());
    let asked = Play::awaiting(without_close()).at(9, Input::Close(Requester::Merchant)).at(601, Input::RenewActions);
    assert!(asked.effects.is_empty());
}

#[test]
fn crashes_before_an_outcome() {
    // After a crash a create is asked about and never sent again straight away; what is due is fed in.
    let play = Play::new(returning());
    assert_eq!(resume(&play.record, moment(5), &play.rules), [Effect::Feed(Input::Due)]);
    let play = Play::new(returning()).at(0, Input::Submit);
    let query = Effect::Call { number: super::world::number(0), kind: Query, send: 0 };
    assert_eq!(resume(&play.record, moment(100), &play.rules), std::slice::from_ref(&query));
    let play = Play::awaiting(returning());
    assert_eq!(resume(&play.record, moment(2), &play.rules), []);
    assert_eq!(resume(&play.record, moment(100), &play.rules), [Effect::Feed(Input::Due)]);
    let play = play.at(20, Input::Close(Requester::Merchant));
    assert_eq!(resume(&play.record, moment(100), &play.rules), [query, Effect::Feed(Input::Due)]);
    let play = play.at(30, closed(Outcome::Closed));
    assert_eq!(resume(&play.record, moment(100), &play.rules), []);
}

#[test]
fn commands_that_do_not_fit() {
    // A command that does not fit its status, or comes too late, is refused and changes nothing.
    let play = Play::new(returning()).at(LIFE - 59, Input::Submit);
    assert_eq!(play.refusal(), Some(&Refusal::TooLate));
    let play = Play::awaiting(returning()).at(5, Input::Submit);
    assert_eq!(play.refusal(), Some(&Refusal::Status("awaiting_payer")));
    let play = Play::new(returning()).at(5, Input::QueryNow);
    assert_eq!(play.refusal(), Some(&Refusal::Status("created")));
    let play = play.at(6, Input::Close(Requester::Merchant));
    assert_eq!(play.record.status, Status::Closed { evidence: CloseEvidence::NeverSent });
    let play = play.at(7, Input::Close(Requester::Merchant));
    assert_eq!(play.refusal(), Some(&Refusal::Ended("closed")));
}

#[test]
fn signed_here() {
    // One step from created to awaiting; a crash before it signs again; nothing is ever sent by us.
    let play = Play::new(signing()).at(0, Input::Signed(open_until(600)));
    assert_eq!((play.status(), play.effects.len()), ("awaiting_payer", 0));
    let play = Play::new(signing()).at(5, Input::Due);
    assert!(play.resigns() && play.status() == "created");
    let play = play.at(6, created(0, open_until(600)));
    assert_eq!(play.status(), "awaiting_payer");
    let play = Play::new(signing()).at(0, Input::Signed(not_executed()));
    assert_eq!(play.status(), "failed");
}

#[test]
fn the_same_evidence_again_changes_nothing() {
    // A repeat commits nothing.
    let play = Play::awaiting(returning()).at(20, notified(Outcome::Unpaid)).at(21, notified(Outcome::Unpaid));
    assert!(!play.changed());
    let play = play.at(22, created(0, open_until(600)));
    let play = play.at(23, created(0, open_until(600)));
    assert!(!play.changed());
}
