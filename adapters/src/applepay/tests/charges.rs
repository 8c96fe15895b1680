//! Charges, queries, voids and refunds against the sandbox acquirer.

use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Adapter, Call, Context, Outcome, Prepared, RefundIntent, RefundKind, Subject};
use maxpay_engine::model::CallKind;
use serde_json::{Value, json};

use super::{MERCHANT, NUMBER, World, charging, code, money, original};
use crate::applepay::acquirer::wire::{self, Signed};
use crate::applepay::simulator::{PayerCard, PayerCommand, RowState, TokenVersion, TokenWish};
use crate::simulator::{How, Rule, When};
use maxpay_engine::clock::Clock;
use maxpay_engine::secrets::Secret;

fn wish(card: PayerCard) -> TokenWish {
    TokenWish { card, ..TokenWish::of(money(100)) }
}

fn refunding(minor: u64) -> Call {
    Call::Refund { code: code(), refund: RefundIntent { amount: money(minor), reason: Some("returned".to_owned()) } }
}

fn about<'a>(world: &'a World, number: &'a str, trade_number: &'a str) -> Context<'a> {
    let context = world.context();
    let subject = context.subject.map(|subject| Subject { number, ..subject });
    Context { subject, original: Some(original(trade_number)), ..context }
}

#[tokio::test]
async fn what_the_card_does_is_what_comes_of_it() {
    // Paid, declined, undecided, or paid with the answer lost: then the query knows.
    for version in [TokenVersion::Ec, TokenVersion::Rsa] {
        let world = World::new();
        assert_eq!(world.query().await, Outcome::NotFound);
        let token = world.token(&TokenWish { version, ..wish(PayerCard::Approve) });
        let Outcome::Succeeded(paid) = world.charge(&token).await else { panic!("paid") };
        assert_eq!(paid.amount, money(100));
        assert_eq!(world.query().await, Outcome::Succeeded(paid.clone()));
        assert_eq!(world.charge(&token).await, Outcome::Succeeded(paid), "the same charge again is the same charge");
        assert_eq!(world.simulator.ledger().expect("books")[0].payments.len(), 1);
    }
    let world = World::new();
    assert!(matches!(world.charge(&world.token(&wish(PayerCard::Decline))).await, Outcome::Declined(_)));
    assert!(matches!(world.query().await, Outcome::Declined(_)));
    let world = World::new();
    assert_eq!(world.charge(&world.token(&wish(PayerCard::Undecided))).await, Outcome::Processing);
    world.simulator.payer(NUMBER, PayerCommand::Approve).expect("approved");
    assert!(matches!(world.query().await, Outcome::Succeeded(_)));
    let world = World::new();
    assert!(matches!(world.charge(&world.token(&wish(PayerCard::AnswerLost))).await, Outcome::Unknown(_)));
    assert!(matches!(world.query().await, Outcome::Succeeded(_)));
}

#[tokio::test]
async fn a_token_is_charged_once_at_the_acquirer_too() {
    // Under a second number its cryptogram is used: refused, whatever the engine did.
    let mut world = World::new();
    let token = world.token(&wish(PayerCard::Approve));
    assert!(matches!(world.charge(&token).await, Outcome::Succeeded(_)));
    world.number = "66f0a1b2c3d4e5f60718293002";
    assert!(matches!(world.charge(&token).await, Outcome::Declined(_)));
    assert_eq!(world.simulator.ledger().expect("books").len(), 1);
}

#[test]
fn what_the_acquirer_is_sent() {
    // Card data with cryptogram and ECI, or the token as it came; amount, number and expiry of the intent.
    let mut world = World::new();
    let token = world.token(&wish(PayerCard::Approve));
    let body = |world: &World| -> Value {
        let Prepared::Send(request) = world.adapter.prepare(&charging(&token), &world.context()) else {
            panic!("sent")
        };
        assert_eq!(request.url.as_str(), "http://applepay.invalid/acquirer/v1/charges");
        serde_json::from_slice(&request.body).expect("JSON")
    };
    let sent = body(&world);
    let mut wanted = json!({
        "merchant_id": "acq_com_example_shop", "number": NUMBER, "numbered_at": "2026-11-22T23:51:48.000Z",
        "amount": 100, "currency": "USD", "subject": "it will be ok! \"支付\" & more",
        "expires_at": "2026-11-23T01:51:48.118Z", "wallet": "apple_pay", "network": "Visa",
        "card": {
            "number": "4761120010000492", "expires": "491231", "eci": "7",
            "cryptogram": sent["card"]["cryptogram"],
        },
    });
    for time in ["numbered_at", "expires_at"] {
        wanted[time] = sent[time].clone();
    }
    assert_eq!(sent, wanted);
    assert!(sent["card"]["cryptogram"].as_str().is_some_and(|text| text.starts_with("AkNyeXB0b2dyYW0")));
    world.set("charge_with", "token");
    let sent = body(&world);
    assert_eq!(sent.get("card"), None);
    assert_eq!(sent["token"].as_str(), token.expose_text());
}

#[tokio::test]
async fn money_goes_back_in_parts_and_never_twice() {
    // Parts up to the whole; the same number again changes nothing; beyond the whole is refused; a query tells.
    let world = World::new();
    let Outcome::Succeeded(paid) = world.charge(&world.token(&wish(PayerCard::Approve))).await else { panic!("paid") };
    let first = about(&world, "66f0a1b2c3d4e5f607182930r001", &paid.trade_number);
    for _ in 0..2 {
        let Outcome::Succeeded(back) = world.call_in(&refunding(60), &first).await.outcome else { panic!("refunded") };
        assert_eq!(back.amount, money(60));
    }
    let query = Call::QueryRefund {
        code: code(),
        kind: RefundKind::Refund,
        refund: RefundIntent { amount: money(60), reason: None },
    };
    assert!(matches!(world.call_in(&query, &first).await.outcome, Outcome::Succeeded(_)));
    let conflict = world.call_in(&refunding(30), &first).await.outcome;
    assert!(matches!(conflict, Outcome::Unknown(_)), "the number stands for other words");
    let second = about(&world, "66f0a1b2c3d4e5f607182930r002", &paid.trade_number);
    assert_eq!(world.call_in(&query, &second).await.outcome, Outcome::NotFound);
    assert!(matches!(world.call_in(&refunding(41), &second).await.outcome, Outcome::Declined(_)));
    let third = about(&world, "66f0a1b2c3d4e5f607182930r003", &paid.trade_number);
    assert!(matches!(world.call_in(&refunding(40), &third).await.outcome, Outcome::Succeeded(_)));
    let row = &world.simulator.ledger().expect("books")[0];
    assert_eq!(row.refunds.iter().map(|back| back.amount.minor()).sum::<u64>(), 100);
    assert!(matches!(world.query().await, Outcome::Succeeded(_)), "our own refunds show on their own numbers alone");
}

#[tokio::test]
async fn a_void_is_of_the_day() {
    // The whole, on the day of the payment until its cut-off; afterwards it is declined, and a refund goes.
    let void = Call::Void { code: code(), refund: RefundIntent { amount: money(100), reason: None } };
    let query = Call::QueryRefund {
        code: code(),
        kind: RefundKind::Void,
        refund: RefundIntent { amount: money(100), reason: None },
    };
    for (wait, is_voided) in [(Duration::ZERO, true), (Duration::from_hours(24), false)] {
        let world = World::new();
        // It is 20:05 UTC.
        let Outcome::Succeeded(paid) = world.charge(&world.token(&wish(PayerCard::Approve))).await else {
            panic!("paid")
        };
        world.clock.advance(wait);
        let context = about(&world, "66f0a1b2c3d4e5f607182930r001", &paid.trade_number);
        let voided = world.call_in(&void, &context).await.outcome;
        assert_eq!(matches!(voided, Outcome::Succeeded(_)), is_voided, "{}", voided.name());
        assert_eq!(matches!(world.call_in(&query, &context).await.outcome, Outcome::Succeeded(_)), is_voided);
        let refund = about(&world, "66f0a1b2c3d4e5f607182930r00101", &paid.trade_number);
        assert_ne!(matches!(world.call_in(&refunding(100), &refund).await.outcome, Outcome::Succeeded(_)), is_voided);
    }
}

#[tokio::test]
async fn money_returned_in_the_console_is_told() {
    // The query says paid and returned, with whose number and how much.
    let world = World::new();
    world.charge(&world.token(&wish(PayerCard::Approve))).await;
    world.simulator.payer(NUMBER, PayerCommand::Return).expect("returned");
    let Outcome::PaidThenReturned { paid, returned, refunds, is_final, .. } = world.query().await else {
        panic!("returned")
    };
    assert_eq!((paid.amount, returned, refunds.len(), is_final), (money(100), money(100), 1, true));
    assert!(world.simulator.payer(NUMBER, PayerCommand::Return).is_err());
}

#[tokio::test]
async fn faults_strike_before_or_after_the_execution() {
    // What is seen of a charge under each fault, and whether it was executed.
    let late = How::Late(Duration::from_secs(16));
    let (before, after) = (When::BeforeExecution, When::AfterExecution);
    let table = [
        (before, How::NotSent, "not_executed", false),
        (before, How::Busy, "not_executed", false),
        (before, How::Lost, "unknown", false),
        (before, How::Status(502), "unknown", false),
        (before, How::Garbage, "unknown", false),
        (after, How::Lost, "unknown", true),
        (after, How::Status(500), "unknown", true),
        (after, How::Garbage, "unknown", true),
        (after, How::Unsigned, "unknown", true),
        (after, How::Forged, "unknown", true),
        (after, How::Duplicated, "succeeded", true),
        (after, late, "unknown", true),
    ];
    for (when, how, wanted, executed) in table {
        let world = World::new();
        let rule = Rule { call: Some(CallKind::Authorize), number: None, when, how, times: 1 };
        assert!(world.simulator.faults().add(rule));
        let token = world.token(&wish(PayerCard::Approve));
        let call = charging(&token);
        let charged = tokio::join!(world.call(&call), async { world.clock.advance(Duration::from_secs(20)) }).0;
        assert_eq!(charged.outcome.name(), wanted, "{when:?} {how:?}");
        let books = world.simulator.ledger().expect("books");
        assert_eq!(books.iter().any(|row| row.state == RowState::Done), executed, "{when:?} {how:?}");
        assert_eq!(matches!(world.query().await, Outcome::Succeeded(_)), executed, "{when:?} {how:?}");
    }
}

#[test]
fn every_answer_proves_what_it_may() {
    // The acquirer's states by the call that is answered; what is not signed, stale or somebody else's proves nothing.
    let world = World::new();
    let refund = || RefundIntent { amount: money(100), reason: None };
    let charge = charging(&world.token(&wish(PayerCard::Approve)));
    let query = Call::Query { code: code() };
    let back = Call::Refund { code: code(), refund: refund() };
    let asked = Call::QueryRefund { code: code(), kind: RefundKind::Refund, refund: refund() };
    // State; then what it proves to a charge, a query, a refund, a query of one.
    let table = [
        ("approved", ["succeeded", "succeeded", "succeeded", "succeeded"]),
        ("declined", ["declined", "declined", "declined", "declined"]),
        ("processing", ["processing", "processing", "processing", "processing"]),
        ("held", ["unknown", "unknown", "held", "held"]),
        ("not_found", ["unknown", "not_found", "unknown", "not_found"]),
        ("conflict", ["unknown", "unknown", "unknown", "unknown"]),
        ("busy", ["not_executed", "not_executed", "not_executed", "not_executed"]),
        ("invalid", ["declined", "unknown", "declined", "unknown"]),
        ("seized", ["unknown", "unknown", "unknown", "unknown"]),
    ];
    let calls = [(&charge, wire::CHARGE), (&query, wire::QUERY), (&back, wire::REFUND), (&asked, wire::QUERY_REFUND)];
    for (state, wanted) in table {
        for ((call, path), wanted) in calls.iter().zip(wanted) {
            let mut body = json!({ "merchant_id": "acq_com_example_shop", "number": NUMBER, "state": state });
            if state == "approved" {
                body["trade_number"] = "1".into();
                body["amount"] = 100.into();
                body["currency"] = "USD".into();
            }
            let answer = world.read(call, &signed(&world, path, 200, &body));
            assert_eq!(answer.outcome.name(), wanted, "{state} to {path}");
            if state != "seized" {
                assert_eq!(answer.number.as_deref(), Some(NUMBER));
                assert_eq!(answer.owners, [("acquirer_merchant_id", "acq_com_example_shop".to_owned())]);
            }
        }
    }
    let more = json!({ "merchant_id": "acq_com_example_shop", "number": NUMBER, "state": "approved", "trade_number": "1",
        "amount": 101, "currency": "USD" });
    for (call, path) in [(&back, wire::REFUND), (&asked, wire::QUERY_REFUND)] {
        let outcome = world.read(call, &signed(&world, path, 200, &more)).outcome;
        assert_eq!(outcome.name(), "unknown", "another amount went back: {path}");
    }
    let approved = json!({ "merchant_id": "a", "number": NUMBER, "state": "approved" });
    let outcome = world.read(&query, &signed(&world, wire::QUERY, 200, &approved)).outcome;
    assert_eq!(outcome.name(), "unknown", "money without an amount");
    let mut declined = json!({ "merchant_id": "a", "number": NUMBER, "state": "declined", "trade_number": "1" });
    let outcome = world.read(&query, &signed(&world, wire::QUERY, 200, &declined)).outcome;
    assert_eq!(outcome.name(), "unknown", "declined with a sign of money");
    declined["trade_number"] = Value::Null;
    let elsewhere = signed(&world, wire::CHARGE, 200, &declined);
    assert_eq!(world.read(&query, &elsewhere).outcome.name(), "unknown", "an answer to another path");
    let mut old = signed(&world, wire::QUERY, 200, &declined);
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(world.read(&query, &old).outcome.name(), "unknown", "too old");
    old.headers.clear();
    assert_eq!(world.read(&query, &old).outcome.name(), "unknown", "unsigned");
}

#[test]
fn the_door_says_no_without_a_signature() {
    // Only these 401 prove anything; every other unsigned answer proves nothing.
    let world = World::new();
    let query = Call::Query { code: code() };
    let table = [
        (401, "{\"error\":\"unknown_merchant\"}", "account_refused"),
        (401, "{\"error\":\"bad_signature\"}", "account_refused"),
        (401, "{\"error\":\"stale_signature\"}", "not_executed"),
        (401, "{\"error\":\"other\"}", "unknown"),
        (403, "{\"error\":\"bad_signature\"}", "unknown"),
        (200, "{}", "unknown"),
        (503, "busy", "unknown"),
    ];
    for (status, body, wanted) in table {
        let reply = HttpReply { status, headers: Vec::new(), body: body.into() };
        assert_eq!(world.read(&query, &reply).outcome.name(), wanted, "{status} {body}");
    }
}

#[tokio::test]
async fn the_acquirer_looks_at_signatures() {
    // Another secret, a clock that is off: refused at the door, and nothing is executed.
    let mut world = World::new();
    let token = world.token(&wish(PayerCard::Approve));
    let right = world.secrets[0].0.insert("acquirer_secret".to_owned(), Secret::from_text(&"x".repeat(32)));
    assert!(matches!(world.charge(&token).await, Outcome::AccountRefused(_)));
    world.secrets[0].0.insert("acquirer_secret".to_owned(), right.expect("there was one"));
    let Prepared::Send(request) = world.adapter.prepare(&charging(&token), &world.context()) else { panic!("sent") };
    world.clock.advance(Duration::from_mins(6));
    let reply = world.carry(request).await.expect("an answer");
    assert!(matches!(world.read(&charging(&token), &reply).outcome, Outcome::NotExecuted(_)));
    assert!(world.simulator.ledger().expect("books").is_empty());
}

fn signed(world: &World, path: &str, status: u16, body: &Value) -> HttpReply {
    let secret = world.simulator.settings(MERCHANT).expect("enrolled");
    let secret = Secret::from_text(secret["acquirer_secret"].as_str().expect("a text"));
    let body = body.to_string();
    let signature = wire::sign(&secret, Signed::Reply(path, status), world.clock.now().wall, body.as_bytes());
    HttpReply { status, headers: vec![(wire::SIGNATURE_HEADER.to_owned(), signature)], body: body.into() }
}
