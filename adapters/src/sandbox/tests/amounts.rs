use super::*;
use crate::sandbox::simulator::Magic;

/// What a magic amount comes to: answer of the create, answer of a query right after it, notices within two minutes
/// by what they prove, payments in the books at the end.
struct Row(Magic, &'static str, &'static str, &'static [&'static str], &'static [u64]);

const AMOUNTS: [Row; 15] = [
    Row(Magic::PayNow, "awaiting_payer", "succeeded", &["succeeded"], &[990_001]),
    Row(Magic::PayLater, "awaiting_payer", "unpaid", &["succeeded"], &[990_002]),
    Row(Magic::NeverPay, "awaiting_payer", "unpaid", &[], &[]),
    Row(Magic::Decline, "declined", "declined", &[], &[]),
    Row(Magic::ErrorThenPaid, "unknown", "succeeded", &["succeeded"], &[990_005]),
    Row(Magic::GarbageThenPaid, "unknown", "succeeded", &["succeeded"], &[990_006]),
    Row(Magic::PayTwice, "awaiting_payer", "succeeded", &["succeeded", "succeeded"], &[990_007, 990_007]),
    Row(Magic::NotifyLate, "awaiting_payer", "succeeded", &["succeeded"], &[990_008]),
    Row(Magic::NotifyTwice, "awaiting_payer", "succeeded", &["succeeded", "succeeded"], &[990_009]),
    Row(Magic::NotifyForged, "awaiting_payer", "unpaid", &["unverified"], &[]),
    Row(Magic::NotifyNever, "awaiting_payer", "succeeded", &[], &[990_011]),
    Row(Magic::AnswerLost, "unknown", "unpaid", &[], &[]),
    Row(Magic::NotifyWrongOwner, "awaiting_payer", "succeeded", &["succeeded"], &[990_013]),
    Row(Magic::PayOtherAmount, "awaiting_payer", "succeeded", &["succeeded"], &[990_013]),
    Row(Magic::PaidThenReturned, "awaiting_payer", "succeeded", &["succeeded", "paid_then_returned"], &[990_015]),
];

#[tokio::test]
async fn every_magic_amount_does_what_it_says() {
    // At a create: what is answered, what a query says, which notices come, what the books hold.
    assert_eq!(AMOUNTS.map(|row| row.0), Magic::ALL);
    for Row(magic, created, queried, notices, payments) in AMOUNTS {
        let world = World::new();
        assert_eq!(world.create("wx_native", magic.amount_minor()).await.outcome.name(), created, "{magic:?}");
        assert_eq!(world.query("wx_native").await.name(), queried, "{magic:?}");
        assert_eq!(names(&world.pass(Duration::from_mins(2)).await), notices, "{magic:?}");
        let rows = world.simulator.ledger().expect("the books");
        let paid: Vec<u64> = rows[0].payments.iter().map(|payment| payment.amount.minor()).collect();
        assert_eq!(paid, payments, "{magic:?}");
    }
}

#[tokio::test]
async fn magic_amounts_work_where_no_create_is_sent() {
    // A locally signed order meets its amount when the payer opens it; a decline there lets the payer try again.
    for Row(magic, _, queried, notices, payments) in AMOUNTS {
        let world = World::new();
        assert_eq!(world.create("ali_app", magic.amount_minor()).await.outcome.name(), "awaiting_payer");
        let queried = if magic == Magic::Decline { "unpaid" } else { queried };
        assert_eq!(world.query("ali_app").await.name(), queried, "{magic:?}");
        assert_eq!(names(&world.pass(Duration::from_mins(2)).await), notices, "{magic:?}");
        let rows = world.simulator.ledger().expect("the books");
        assert_eq!(rows[0].payments.len(), payments.len(), "{magic:?}");
    }
}

#[tokio::test]
async fn magic_amounts_work_on_charges() {
    // A charge ends paid, declined or undecided, whatever its card would do.
    for Row(magic, created, _, _, _) in AMOUNTS {
        let world = World::new();
        let (answered, later) = match (magic, created) {
            (Magic::PayLater, _) => ("processing", "succeeded"),
            (Magic::NeverPay, _) => ("processing", "processing"),
            (Magic::Decline | Magic::NotifyForged, _) => ("declined", "declined"),
            (Magic::PaidThenReturned, _) => ("succeeded", "paid_then_returned"),
            (_, "unknown") => ("unknown", "succeeded"),
            (_, _) => ("succeeded", "succeeded"),
        };
        let card = if answered == "declined" { "approve" } else { "decline" };
        assert_eq!(world.charge(magic.amount_minor(), &token('a', card)).await.name(), answered, "{magic:?}");
        world.pass(Duration::from_mins(2)).await;
        assert_eq!(world.query("apple_pay").await.name(), later, "{magic:?}");
    }
}

#[tokio::test]
async fn what_never_is_decided_ends_with_its_time() {
    // A charge that stays undecided is closed at its expiry, so nothing waits for ever.
    let world = World::new();
    assert_eq!(world.charge(990_003, &token('a', "approve")).await, Outcome::Processing);
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(world.query("apple_pay").await, Outcome::Closed);
}

#[tokio::test]
async fn amounts_keep_their_currency() {
    // The amount vectors: minor units and currency go to the provider and come back as they are.
    for (currency, minor, text) in [
        ("CNY", 1, "0.01 CNY"),
        ("CNY", 1999, "19.99 CNY"),
        ("JPY", 500, "500 JPY"),
        ("KWD", 1234, "1.234 KWD"),
        ("USD", 100, "1.00 USD"),
    ] {
        let world = World::new();
        let created = world.call(&creation("wx_native", minor, currency)).await;
        assert_eq!(created.outcome.name(), "awaiting_payer", "{text}");
        world.pay(PayerCommand::Pay);
        let Outcome::Succeeded(paid) = world.query("wx_native").await else { panic!("{text} is paid") };
        assert_eq!(paid.amount.to_string(), text);
        let Some(Notified::Verified { facts, .. }) = world.pass(Duration::ZERO).await.pop() else { panic!("a notice") };
        assert_eq!(facts[0].outcome, Outcome::Succeeded(paid));
    }
    let world = World::new();
    assert_eq!(world.call(&creation("wx_app", 1, "JPY")).await.outcome.name(), "declined", "CNY only");
    assert_eq!(world.call(&creation("ali_app", 1, "JPY")).await.outcome.name(), "not_executed", "CNY only");
}

#[tokio::test]
async fn an_answer_for_another_amount_is_not_believed() {
    // The echoed amount is compared with the intent's.
    let world = World::new();
    let (one, two) = (creation("wx_native", 1, "CNY"), creation("wx_native", 2, "CNY"));
    let reply = world.carry(world.request(&one)).await.expect("an answer");
    assert_eq!(world.read(&one, &reply).outcome.name(), "awaiting_payer");
    assert_eq!(world.read(&two, &reply).outcome.name(), "unknown");
}
