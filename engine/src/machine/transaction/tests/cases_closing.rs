//! Cases of payments.md section 2 about expiry, the closing moment and closes; and the bill number rule.

use crate::channel::Outcome;
use crate::machine::transaction::{BillDecision, bill_after_create, bill_candidates, bill_decision, bill_needs_index};
use crate::machine::{Input, Moment};
use crate::model::{CallKind, CloseEvidence, Door, Requester, Status, Transaction};

use super::world::{
    ID, LIFE, OTHER, Play, closed, created, declined, moment, moving, new_transaction, notified, number, open_until,
    paid, queried, refusing, returning, signing, signing_without_close, timed, unknown, wall, wallet, without_close,
};

use CallKind::{Close, Query};

/// The closing moment of an order whose only send was at its making.
const MOMENT: u64 = LIFE + 60;

/// Each case: its name, what was played, the status it ends in, what the last input asked of the channel.
fn table() -> Vec<(&'static str, Play, &'static str, Vec<CallKind>)> {
    let by_merchant = || Input::Close(Requester::Merchant);
    let closing = || Play::awaiting(returning()).at(20, by_merchant());
    let closing_final = || Play::awaiting(moving()).at(20, by_merchant());
    let lasting = || Play::awaiting(without_close()).at(20, by_merchant());
    vec![
        ("close with a close operation", closing(), "closing", vec![Close]),
        ("closed by the close answer", closing().at(21, closed(Outcome::Closed)), "closed", vec![]),
        ("closed by a query", closing().at(21, queried(Outcome::Closed)), "closed", vec![]),
        (
            "closed by a notification, unasked",
            Play::awaiting(returning()).at(21, notified(Outcome::Closed)),
            "closed",
            vec![],
        ),
        ("already paid: query now", closing().at(21, closed(declined())), "closing", vec![Query]),
        ("unpaid never closes", closing().at(MOMENT + 9, queried(Outcome::Unpaid)), "closing", vec![]),
        ("declined never closes", closing().at(MOMENT + 9, queried(declined())), "closing", vec![]),
        ("declined for good fails it", closing_final().at(21, queried(declined())), "failed", vec![]),
        ("as a notification says it", closing_final().at(21, notified(declined())), "failed", vec![]),
        (
            "but not as the close's answer: query now",
            closing_final().at(21, closed(declined())),
            "closing",
            vec![Query],
        ),
        (
            "nor while its create may be on its way",
            Play::in_doubt(moving()).at(11, by_merchant()).at(12, queried(Outcome::Unpaid)).at(13, queried(declined())),
            "closing",
            vec![],
        ),
        (
            "and money after it wins",
            closing_final().at(21, queried(declined())).at(22, notified(paid("A"))),
            "succeeded",
            vec![],
        ),
        ("a close without an answer: query now", closing().at(21, closed(unknown())), "closing", vec![Query]),
        ("and no query without end", closing().at(21, closed(unknown())).at(22, queried(unknown())), "closing", vec![]),
        ("asked again by the schedule", closing().at(21, closed(unknown())).at(22, Input::Due), "closing", vec![Close]),
        ("never heard of, too early", closing().at(LIFE, closed(Outcome::NotFound)), "closing", vec![]),
        ("never heard of, after the closing moment", closing().at(MOMENT, closed(Outcome::NotFound)), "closed", vec![]),
        ("without a close operation it stays", lasting(), "awaiting_payer", vec![]),
        (
            "before the closing moment unpaid proves nothing",
            lasting().at(MOMENT - 1, queried(Outcome::Unpaid)),
            "awaiting_payer",
            vec![],
        ),
        ("at the closing moment it is asked", lasting().at(MOMENT + 1, Input::Due), "awaiting_payer", vec![Query]),
        (
            "after the closing moment unpaid closes",
            lasting().at(MOMENT + 1, queried(Outcome::Unpaid)),
            "closed",
            vec![],
        ),
        ("after the closing moment declined closes", lasting().at(MOMENT + 1, queried(declined())), "closed", vec![]),
        (
            "after the closing moment not found closes",
            lasting().at(MOMENT + 1, queried(Outcome::NotFound)),
            "closed",
            vec![],
        ),
        (
            "the provider's own time decides: not yet by it",
            lasting().at(MOMENT + 999, timed(MOMENT - 1, queried(Outcome::Unpaid))),
            "awaiting_payer",
            vec![],
        ),
        (
            "the provider's own time decides: passed by it",
            lasting().at(LIFE, timed(MOMENT, queried(Outcome::Unpaid))),
            "closed",
            vec![],
        ),
        ("silence closes nothing", lasting().at(MOMENT + 999, queried(unknown())), "awaiting_payer", vec![]),
        ("expiry asks for a close", Play::awaiting(returning()).at(LIFE, Input::Due), "closing", vec![Close]),
        (
            "expiry without a close operation waits",
            Play::awaiting(refusing()).at(LIFE, Input::Due),
            "awaiting_payer",
            vec![],
        ),
        ("expiry of a signed order", Play::awaiting(signing()).at(LIFE, Input::Due), "closing", vec![Close]),
        (
            "not found that the channel has forgotten proves nothing",
            Play::awaiting(signing_without_close()).at(LIFE, Input::Due).at(86_401, queried(Outcome::NotFound)),
            "awaiting_payer",
            vec![],
        ),
        (
            "a close while the create is out is remembered",
            Play::new(returning()).at(0, Input::Submit).at(1, by_merchant()),
            "submitting",
            vec![],
        ),
        (
            "and asked for once its order is there",
            Play::new(returning()).at(0, Input::Submit).at(1, by_merchant()).at(2, created(0, open_until(600))),
            "closing",
            vec![Close],
        ),
        (
            "a create in doubt ends after the closing moment",
            Play::in_doubt(moving()).at(LIFE, Input::Due).at(MOMENT + 1, queried(Outcome::NotFound)),
            "closed",
            vec![],
        ),
        (
            "a wallet without a charge has nothing at the channel",
            Play::awaiting(wallet()).at(9, by_merchant()),
            "closed",
            vec![],
        ),
    ]
}

#[test]
fn closing_cases() {
    // Every row about closes and expiry ends in the status it says, and asks of the channel what it says.
    for (name, play, status, calls) in table() {
        assert_eq!(play.status(), status, "{name}");
        assert_eq!(play.calls(), calls, "{name}");
        assert!(play.refusal().is_none(), "{name}");
    }
}

#[test]
fn clocks_that_jump() {
    // A jump of the wall clock makes things due and ends nothing; after a restart the clock must be confirmed first.
    let lasting = || Play::awaiting(without_close()).at(20, Input::Close(Requester::Merchant));
    let jumped = Moment { wall: wall(MOMENT + 999), alive: moment(30).alive, clock_confirmed: true };
    let play = lasting().when(jumped, Input::Due).when(jumped, queried(Outcome::Unpaid));
    assert_eq!(play.status(), "awaiting_payer");
    let restarted = Moment { wall: wall(MOMENT + 999), alive: None, clock_confirmed: false };
    let play = lasting().when(restarted, queried(Outcome::Unpaid));
    assert_eq!(play.status(), "awaiting_payer");
    let confirmed = Moment { clock_confirmed: true, ..restarted };
    let play = lasting().when(confirmed, queried(Outcome::Unpaid));
    assert_eq!(play.record.status, Status::Closed { evidence: CloseEvidence::Expired });
    let early = super::world::asked(MOMENT - 1, queried(Outcome::Unpaid));
    assert_eq!(lasting().at(MOMENT + 9, early).status(), "awaiting_payer", "asked before the closing moment");
    for (rules, clock) in [(returning(), jumped), (without_close(), jumped), (returning(), restarted)] {
        let play = Play::awaiting(rules).when(clock, Input::Due);
        assert!(play.record.close_requested.is_none() && play.calls() == [Query], "a jump closes no live order");
        let wait = play.record.due_at.map(|due| due.since(clock.wall));
        assert_eq!(wait, Some(super::world::seconds(60)), "it is looked again in a while");
        let play = play.at(MOMENT + 1_100, Input::Due);
        assert!(play.record.close_requested.is_some());
    }
    let play = lasting().when(moment(2), Input::Due);
    assert!(!play.changed() && play.effects.is_empty(), "a jump back makes nothing due early");
}

#[test]
fn the_last_send_moves_the_closing_moment() {
    // A send shortly before expiry may be taken until its shortest life is over.
    let play = Play::in_doubt(without_close()).at(LIFE - 60, queried(Outcome::NotFound));
    assert_eq!(play.calls(), [CallKind::Create]);
    let play = play.at(LIFE - 50, created(1, unknown())).at(LIFE, Input::Due);
    assert!(play.record.close_requested.is_some());
    let play = play.at(MOMENT - 1, queried(Outcome::NotFound));
    assert_eq!(play.status(), "submitting");
    let play = play.at(MOMENT, queried(Outcome::NotFound));
    assert_eq!(play.status(), "closed");
}

#[test]
fn closes_that_settle_nothing_call_a_person() {
    // After the last scheduled close an alarm, once, and one a day.
    let mut play = Play::awaiting(returning()).at(20, Input::Close(Requester::Merchant));
    for at in [30, 60, 100_000, 200_000] {
        play = play.at(at, Input::Due).at(at + 1, closed(Outcome::Unpaid));
        assert_eq!(play.status(), "closing");
    }
    assert_eq!(play.alarms.len(), 1);
    let play = play.at(200_021, Input::Due);
    assert_eq!((play.alarms.len(), play.record.due_at), (1, Some(wall(200_021 + 86_400))));
}

#[test]
fn an_order_nobody_began_to_pay_calls_nobody() {
    // Not found in answer to every close: nobody is called, it is asked at the closing moment and ends by the answer.
    let mut play = Play::awaiting(signing()).at(20, Input::Close(Requester::Merchant));
    for at in [22, 42] {
        play = play.at(at - 1, closed(Outcome::NotFound)).at(at, Input::Due);
        assert_eq!((play.calls(), play.alarms.len()), (vec![Close], 0), "{at}");
    }
    assert_eq!(play.record.due_at, Some(wall(MOMENT)));
    let play = play.at(7_001, closed(Outcome::NotFound)).at(MOMENT, Input::Due);
    assert_eq!((play.calls(), play.alarms.len()), (vec![Close], 0));
    let silent = play.at(MOMENT + 9, Input::Due).at(MOMENT + 99, Input::Due);
    assert_eq!(silent.alarms.len(), 1, "after it, silence is a matter for a person");
    let play = silent.at(MOMENT + 100, closed(Outcome::NotFound));
    assert_eq!(play.record.status, Status::Closed { evidence: CloseEvidence::Expired });
}

fn record(id: crate::model::TransactionId, door: Door, digest: u8, status: Status) -> Transaction {
    let mut record = new_transaction(&returning(), door);
    record.id = id;
    record.content_digest = [digest; 32];
    record.status = status;
    record
}

#[test]
fn bill_numbers() {
    // While one is open or paid: the same content through the same door finds it, anything else conflicts.
    use BillDecision::{Conflict, New, Reuse};
    let ended = || Status::Closed { evidence: CloseEvidence::Channel };
    let paid = || Status::Succeeded { late: false, paid_at: wall(1) };
    let one = bill_after_create(None, ID);
    let two = bill_after_create(Some(&one), OTHER);
    let none_open = crate::model::Bill { open: 0, ..one.clone() };
    let one_paid = crate::model::Bill { open: 0, first_paid: Some(ID), ..one.clone() };
    let (native, original) = (Door::Native, Door::Original);
    for (name, bill, candidates, door, digest, strict, decision) in [
        ("nothing yet", None, vec![], native, 3, true, New),
        ("same content", Some(&one), vec![record(ID, native, 3, Status::Created)], native, 3, true, Reuse(ID)),
        ("same content, paid", Some(&one_paid), vec![record(ID, native, 3, paid())], native, 3, true, Reuse(ID)),
        ("other content", Some(&one), vec![record(ID, native, 4, Status::Created)], native, 3, true, Conflict(ID)),
        ("other door", Some(&one), vec![record(ID, original, 3, Status::Created)], native, 3, true, Conflict(ID)),
        ("all ended", Some(&none_open), vec![record(ID, native, 3, ended())], native, 3, true, New),
        ("the original API, not strict", Some(&one), vec![], original, 3, false, New),
        ("the original API, strict", Some(&one), vec![record(ID, original, 3, paid())], original, 3, true, Reuse(ID)),
        (
            "the newest has ended, the first is open",
            Some(&two),
            vec![record(OTHER, original, 3, ended()), record(ID, native, 3, Status::Created)],
            native,
            3,
            true,
            Reuse(ID),
        ),
    ] {
        let candidates: Vec<&Transaction> = candidates.iter().collect();
        assert_eq!(bill_decision(bill, &candidates, door, &[digest; 32], strict), decision, "{name}");
    }
    let third = crate::model::TransactionId(crate::model::RawId([6; 12]));
    let middle = crate::model::Bill { first: ID, newest: OTHER, made: 3, open: 1, first_paid: None };
    let (first, open, last) = (
        record(ID, native, 4, ended()),
        record(third, native, 3, Status::Created),
        record(OTHER, original, 5, ended()),
    );
    let named = [&last, &first];
    assert!(bill_needs_index(&middle, &named, native, &[3; 32]), "an open one is in the middle");
    let all = [&last, &first, &open, &first];
    assert!(!bill_needs_index(&middle, &all, native, &[9; 32]));
    assert_eq!(bill_decision(Some(&middle), &all, native, &[3; 32], true), Reuse(third));
    assert_eq!(bill_decision(Some(&middle), &all, native, &[9; 32], true), Conflict(third));
    assert_eq!((two.made, two.open, two.first, two.newest), (2, 2, ID, OTHER));
    assert_eq!(bill_candidates(&two), [OTHER, ID]);
    assert_eq!(bill_candidates(&none_open), []);
}

#[test]
fn made_with_its_first_attempt() {
    // Created, due at once, its first attempt frozen under its own id; its life stays within the channel's bounds.
    let record = new_transaction(&returning(), Door::Native);
    assert_eq!((record.version, record.due_at, record.expires_at), (1, Some(wall(0)), wall(LIFE)));
    assert_eq!((record.attempts.len(), record.attempts[0].sends_made), (1, 0));
    assert_eq!((&record.attempts[0].number, record.attempts[0].intent.expires_at), (&number(0), wall(LIFE)));
}
