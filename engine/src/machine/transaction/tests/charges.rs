//! Charges by a payer's token (payments.md section 2 "Charges by token").

use crate::channel::Outcome;
use crate::machine::transaction::resume;
use crate::machine::{Effect, Input, Refusal};
use crate::model::{CallKind, CloseEvidence, PayerAction, PayerStep, Requester, Status};

use super::world::{
    LIFE, Play, answer, charged, declined, final_wallet, moment, not_executed, notified, number, open_until, paid,
    returning, token, unknown, wallet,
};

use CallKind::{Authorize, PayerSession, Query};

fn about_charge(outcome: Outcome) -> Input {
    answer(1, Query, 0, outcome)
}

/// Each case: its name, what was played, the status it ends in, what the last input asked of the channel.
fn table() -> Vec<(&'static str, Play, &'static str, Vec<CallKind>)> {
    let charging = || Play::charging(wallet());
    let asked = || charging().at(6, Input::Close(Requester::Merchant));
    vec![
        ("charge", charging(), "submitting", vec![Authorize]),
        ("charged", charging().at(6, charged(1, paid("A"))), "succeeded", vec![]),
        ("declined: a fresh token may follow", charging().at(6, charged(1, declined())), "awaiting_payer", vec![]),
        ("declined by a query", charging().at(60, about_charge(declined())), "awaiting_payer", vec![]),
        ("a fresh token", charging().at(6, charged(1, declined())).at(7, token(2)), "submitting", vec![Authorize]),
        ("not executed: not tried again", charging().at(6, charged(1, not_executed())), "awaiting_payer", vec![]),
        ("no answer: query, never sent again", charging().at(60, Input::Due), "submitting", vec![Query]),
        ("not found too early", charging().at(8, about_charge(Outcome::NotFound)), "submitting", vec![]),
        ("not found, believed", charging().at(60, about_charge(Outcome::NotFound)), "awaiting_payer", vec![]),
        ("unknown", charging().at(6, charged(1, unknown())), "submitting", vec![]),
        ("processing", charging().at(6, charged(1, Outcome::Processing)), "submitting", vec![]),
        ("expiry does not apply", charging().at(LIFE + 1, Input::Due), "submitting", vec![Query]),
        ("final decline", Play::charging(final_wallet()).at(6, charged(1, declined())), "failed", vec![]),
        ("final decline after a close was asked for", final_asked(), "closed", vec![]),
        ("a close is remembered", asked(), "submitting", vec![]),
        ("and goes on when the charge has ended", asked().at(7, charged(1, declined())), "closed", vec![]),
        ("money wins over the close", asked().at(7, charged(1, paid("A"))), "succeeded", vec![]),
        ("late money", asked().at(7, charged(1, declined())).at(8, notified(paid("A"))), "succeeded", vec![]),
        (
            "an older attempt's word moves nothing",
            charging().at(60, answer(0, Query, 0, declined())),
            "submitting",
            vec![],
        ),
        ("a new session", Play::awaiting(wallet()).at(601, Input::RenewActions), "awaiting_payer", vec![PayerSession]),
    ]
}

fn final_asked() -> Play {
    Play::charging(final_wallet()).at(6, Input::Close(Requester::Merchant)).at(7, charged(1, declined()))
}

#[test]
fn charge_cases() {
    // Every row about charges ends in the status it says, and asks of the channel what it says.
    for (name, play, status, calls) in table() {
        assert_eq!(play.status(), status, "{name}");
        assert_eq!(play.calls(), calls, "{name}");
        assert!(play.refusal().is_none(), "{name}");
    }
}

#[test]
fn a_token_is_charged_once() {
    // The charge's own number, its send and the token's once-key are in the same step; a known token is named.
    let play = Play::charging(wallet());
    let Some(Ok(step)) = &play.last else { panic!("taken") };
    assert_eq!(step.claims_once, Some([1; 32]));
    assert_eq!(step.effects, [Effect::Call { number: number(1), kind: Authorize, send: 0 }]);
    assert_eq!(play.record.attempts[1].sends_made, 1);
    assert_eq!(play.record.attempts[1].intent.token, Some(([1; 32], [1; 32])));
    assert_eq!(
        resume(&play.record, moment(9), &play.rules),
        [Effect::Call { number: number(1), kind: Query, send: 0 }]
    );
    let play = play.at(7, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::TokenKnown));
    let play = play.at(8, token(2));
    assert_eq!(play.refusal(), Some(&Refusal::Status("submitting")));
    let play = play.at(9, charged(1, paid("A"))).at(10, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::TokenKnown), "it answers as it is now");
}

#[test]
fn when_a_token_is_refused() {
    // Only while the payer is awaited, without a close, in time, and where the channel charges tokens.
    let play = Play::awaiting(returning()).at(9, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::Unsupported));
    let play = Play::awaiting(wallet()).at(LIFE - 60, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::TooLate));
    let play = Play::new(wallet()).at(1, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::Status("created")));
    let mut play = Play::awaiting(wallet());
    play.rules.authorize = true;
    play.rules.locally_signed = false;
    play.record.attempts[0].sends_made = 1;
    let play = play.at(9, Input::Close(Requester::Merchant)).at(10, token(1));
    assert_eq!(play.refusal(), Some(&Refusal::CloseRequested));
}

#[test]
fn after_a_declined_charge_the_wallet_opens_again() {
    // The payer's device needs a new session; a close then ends it, because nothing stands at the channel.
    let play = Play::charging(wallet()).at(6, charged(1, declined()));
    let Status::AwaitingPayer { step: PayerStep::Actions(actions) } = &play.record.status else { panic!("awaiting") };
    assert_eq!(actions[0].action, PayerAction::WalletSession { session: None });
    let play = play.at(7, answer(0, PayerSession, 0, open_until(900))).at(8, Input::Close(Requester::Merchant));
    assert_eq!(play.record.status, Status::Closed { evidence: CloseEvidence::AttemptsEnded });
}

#[test]
fn attempts_are_bounded() {
    // With 64 the next token is refused, and the record with the longest texts leaves most of a commit to what comes.
    let mut play = Play::awaiting(wallet());
    play.record.attempts[0].intent.return_url = Some(format!("https://a.example/{}", "r".repeat(2_030)));
    play.record.attempts[0].intent.show_url = Some(format!("https://a.example/{}", "s".repeat(2_030)));
    play.record.attempts[0].intent.subject = "x".repeat(256);
    for index in 1..=63_u8 {
        play = play.at(5, token(index)).at(5, charged(index, declined()));
    }
    assert_eq!(play.record.attempts.len(), 64);
    assert!(crate::store::codec::payload(&play.record).len() < crate::store::admission::BATCH_BYTES_MAX / 2);
    let play = play.at(6, token(0));
    assert_eq!(play.refusal(), Some(&Refusal::AttemptsUsedUp));
}
