use super::*;
use crate::wechat::simulator::{RefundPlan, RefundState};
use maxpay_engine::channel::FactSubject;

/// A world in which an order of 100 fen was paid.
async fn paid() -> World {
    let world = World::with_public_key();
    world.create("wx_native", 100).await;
    world.pay(PayerCommand::NotifyNever);
    // Notices come under a platform certificate.
    assert_eq!(world.learn(world.request(&Call::Maintain)).await, None);
    world
}

fn booked(world: &World) -> Vec<RefundState> {
    let rows = world.simulator.ledger().expect("the books");
    rows[0].refunds.iter().map(|(_, _, state)| *state).collect()
}

#[tokio::test]
async fn a_refund_is_accepted_then_decided() {
    // PROCESSING first, then what it came to, told by query and by notice; the same number refunds once.
    let table = [(RefundState::Success, "succeeded"), (RefundState::Abnormal, "held"), (RefundState::Closed, "closed")];
    for (ends, wanted) in table {
        let world = paid().await;
        world.simulator.plan_refund(RefundPlan::Ends(ends));
        assert_eq!(world.call(&refund_query(30)).await.outcome, Outcome::NotFound);
        let answer = world.call(&refund(30)).await;
        assert_eq!((answer.outcome.name(), answer.number.as_deref()), ("processing", Some(REFUND)));
        assert_eq!(world.call(&refund(30)).await.outcome, Outcome::Processing, "the same number again");
        assert_eq!(world.call(&refund_query(30)).await.outcome, Outcome::Processing);
        let notified = world.pass(Duration::from_mins(1)).await;
        assert_eq!(names(&notified), [wanted]);
        let Notified::Verified { facts, .. } = &notified[0] else { panic!("verified") };
        assert_eq!(facts[0].subject, FactSubject::Refund(REFUND.to_owned()));
        let told = world.call(&refund_query(30)).await.outcome;
        assert_eq!(told.name(), wanted);
        assert_eq!(facts[0].outcome, told, "notice and answer say the same");
        if let Outcome::Succeeded(back) = told {
            assert!(back.amount == yuan(30) && back.trade_number.starts_with("50"), "{back:?}");
        }
        assert_eq!(booked(&world), [ends]);
        assert!(matches!(world.query().await, Outcome::PaidThenReturned { is_final: false, .. }));
    }
}

#[tokio::test]
async fn a_refund_that_was_accepted_may_look_refused() {
    // 429 proves nothing: once it was accepted, once it was not; the query under its number tells.
    let world = paid().await;
    world.simulator.plan_refund(RefundPlan::AcceptedAs429);
    assert!(matches!(world.call(&refund(30)).await.outcome, Outcome::Unknown(_)));
    assert_eq!(world.call(&refund_query(30)).await.outcome, Outcome::Processing);
    let world = paid().await;
    world.simulator.plan_refund(RefundPlan::Refused429);
    assert!(matches!(world.call(&refund(30)).await.outcome, Outcome::Unknown(_)));
    assert_eq!(world.call(&refund_query(30)).await.outcome, Outcome::NotFound);
    assert_eq!(world.call(&refund(30)).await.outcome, Outcome::Processing, "the same number again");
}

#[tokio::test]
async fn a_small_balance_holds_a_refund() {
    // NOT_ENOUGH keeps it; the same number is accepted once there is money.
    let world = paid().await;
    world.simulator.plan_refund(RefundPlan::NotEnough);
    assert!(matches!(world.call(&refund(30)).await.outcome, Outcome::Held(_)));
    assert_eq!(world.call(&refund(30)).await.outcome, Outcome::Processing);
    assert_eq!(booked(&world).len(), 1);
}

#[tokio::test]
async fn a_refund_too_much_is_declined_and_one_too_soon_is_not() {
    // More than was paid is a refusal for good; a second one within a minute only has to wait.
    let world = paid().await;
    assert!(matches!(world.call(&refund(101)).await.outcome, Outcome::Declined(_)));
    world.pay(PayerCommand::Refund);
    world.clock.advance(Duration::from_secs(30));
    assert!(matches!(world.call(&refund(1)).await.outcome, Outcome::Declined(_)), "all of it went back");
    let world = paid().await;
    assert_eq!(world.call(&refund(30)).await.outcome, Outcome::Processing);
    let second = Call::Refund { code: channel("wx_native"), refund: RefundIntent { amount: yuan(10), reason: None } };
    let (trade_number, total) = world.paid().expect("paid");
    let send = |world: &World| {
        let original = Original { number: NUMBER, numbered_at: world.now(), trade_number: &trade_number, total };
        world.with("66f0a1b2c3d4e5f607182930r001", Some(original), |context| {
            let Prepared::Send(request) = world.adapter.prepare(&second, context) else { panic!("it is sent") };
            request
        })
    };
    let reply = world.carry(send(&world)).await.expect("an answer");
    assert_eq!(reply.status, 429);
    assert!(matches!(world.read(&second, &reply).await.outcome, Outcome::Unknown(_)), "never declined");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.carry(send(&world)).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn an_answer_about_another_payment_proves_nothing() {
    // What a refund's answer names is compared with what was asked: payment, order, total and amount.
    let world = paid().await;
    let reply = world.carry(world.request(&refund(30))).await.expect("an answer");
    assert_eq!(world.read(&refund(30), &reply).await.outcome, Outcome::Processing);
    assert!(matches!(world.read(&refund(31), &reply).await.outcome, Outcome::Unknown(_)));
    let (trade_number, total) = world.paid().expect("paid");
    let others = [
        (NUMBER, "4200000000", total),
        ("another-order", trade_number.as_str(), total),
        (NUMBER, trade_number.as_str(), yuan(99)),
    ];
    for (number, trade_number, total) in others {
        let original = Original { number, numbered_at: world.now(), trade_number, total };
        let read = world
            .with(REFUND, Some(original), |context| world.adapter.interpret(&refund(30), Step(0), &reply, context));
        let Interpreted::Done(answer) = read else { panic!("it answers") };
        assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{number} {trade_number} {total}");
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    // At most 80 bytes of UTF-8, the same every time.
    let world = World::with_public_key();
    let call = Call::Refund {
        code: channel("wx_native"),
        refund: RefundIntent { amount: yuan(30), reason: Some("退款".repeat(40)) },
    };
    let original = Original { number: NUMBER, numbered_at: world.now(), trade_number: "42", total: yuan(100) };
    let prepared = world.with(REFUND, Some(original), |context| world.adapter.prepare(&call, context));
    let Prepared::Send(request) = prepared else { panic!("it is sent") };
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(body["reason"].as_str().map(str::len), Some(78));
    assert_eq!(body["amount"], json!({ "refund": 30, "total": 100, "currency": "CNY" }));
    assert_eq!((&body["transaction_id"], &body["out_refund_no"]), (&json!("42"), &json!(REFUND)));
}
