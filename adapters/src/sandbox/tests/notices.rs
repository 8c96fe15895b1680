use super::*;
use crate::sandbox::simulator::{PayerCommandError, PayerError};
use crate::sandbox::wire::{self, Signed};

#[tokio::test]
async fn payer_commands_do_what_they_say() {
    // On an open order: what notices prove within two minutes, and what a query says after them.
    let table: [(PayerCommand, &[&str], &str); 13] = [
        (PayerCommand::Pay, &["succeeded"], "succeeded"),
        (PayerCommand::PayLate, &["succeeded"], "succeeded"),
        (PayerCommand::PayTwice, &["succeeded", "succeeded"], "succeeded"),
        (PayerCommand::PayOther(7), &["succeeded"], "succeeded"),
        (PayerCommand::Decline, &[], "declined"),
        (PayerCommand::Close, &["closed"], "closed"),
        (PayerCommand::NotifyLate(60_000), &["succeeded"], "succeeded"),
        (PayerCommand::NotifyTwice, &["succeeded", "succeeded"], "succeeded"),
        (PayerCommand::NotifyForged, &["unverified"], "unpaid"),
        (PayerCommand::NotifyNever, &[], "succeeded"),
        (PayerCommand::NotifyWrongOwner, &["succeeded"], "succeeded"),
        (PayerCommand::NotifyWrongAmount, &["succeeded"], "succeeded"),
        (PayerCommand::LoseReply, &[], "unknown"),
    ];
    for (command, notices, queried) in table {
        let world = World::new();
        world.create("wx_native", 1).await;
        world.pay(command);
        assert_eq!(names(&world.pass(Duration::from_mins(2)).await), notices, "{command:?}");
        assert_eq!(world.query("wx_native").await.name(), queried, "{command:?}");
    }
    for command in [PayerCommand::UnknownThenPaid, PayerCommand::GarbageThenPaid] {
        let world = World::new();
        world.create("wx_native", 1).await;
        world.pay(command);
        assert_eq!(world.query("wx_native").await.name(), "unknown", "{command:?}");
        assert_eq!(world.query("wx_native").await.name(), "succeeded", "{command:?}");
    }
}

#[tokio::test]
async fn a_console_refund_is_told_once() {
    // Given back: the notice and every later query say paid, then returned; nothing is given back twice.
    let world = World::new();
    world.create("wx_native", 5).await;
    assert!(matches!(world.simulator.payer(NUMBER, PayerCommand::Refund), Err(PayerError::State("open"))));
    world.pay(PayerCommand::Pay);
    world.pay(PayerCommand::Refund);
    // The payment's own notice was written before the refund, so it says paid.
    assert_eq!(names(&world.pass(Duration::ZERO).await), ["succeeded", "paid_then_returned"]);
    let Outcome::PaidThenReturned { paid, returned, refunds, is_final, .. } = world.query("wx_native").await else {
        panic!("it was given back")
    };
    assert_eq!((paid.amount, refunds[0].1, is_final), (returned, Some(returned), true));
    assert!(world.simulator.payer(NUMBER, PayerCommand::Refund).is_err());
}

#[tokio::test]
async fn a_notice_is_repeated_until_it_is_acknowledged() {
    // Unacknowledged notices come again on the provider's schedule, freshly signed, then stop.
    let world = World::new();
    world.create("wx_native", 1).await;
    world.inbox.lock().expect("no panic").1 = 2;
    world.pay(PayerCommand::Pay);
    assert_eq!(names(&world.pass(Duration::ZERO).await), ["succeeded"]);
    assert_eq!(names(&world.pass(Duration::from_secs(14)).await), [""; 0]);
    assert_eq!(names(&world.pass(Duration::from_secs(1)).await), ["succeeded"]);
    assert_eq!(world.pass(Duration::from_secs(15)).await.len(), 1);
    assert!(world.pass(Duration::from_hours(48)).await.is_empty());
    assert_eq!(world.simulator.next_due().expect("the books"), None);
    let world = World::new();
    world.create("wx_native", 1).await;
    world.inbox.lock().expect("no panic").1 = usize::MAX;
    world.pay(PayerCommand::Pay);
    assert_eq!(world.pass(Duration::from_hours(48)).await.len(), 16, "one try and fifteen repeats");
    assert_eq!(world.simulator.next_due().expect("the books"), None, "then the provider gives up");
}

#[tokio::test]
async fn notices_prove_themselves_or_nothing() {
    // A changed, replayed or unsigned notice changes nothing; a request or an answer is no notice.
    let world = World::new();
    world.create("wx_native", 1).await;
    world.pay(PayerCommand::Pay);
    world.simulator.tick(world.clock.now().wall).await.expect("the books");
    let good = world.inbox.lock().expect("no panic").0.remove(0);
    let Notified::Verified { facts, ack, refusal } = world.notified(&good) else { panic!("it is genuine") };
    assert_eq!(facts[0].owners, [("merchant_id", MERCHANT.to_owned())]);
    assert_eq!((ack.status, &ack.body[..], refusal.status), (200, &b"success"[..], 503));
    let mut tampered = good.clone();
    tampered.body =
        String::from_utf8(good.body.to_vec()).expect("JSON").replace("\"amount\":1,", "\"amount\":2,").into();
    assert!(tampered.body != good.body);
    let mut unsigned = good.clone();
    unsigned.headers.truncate(1);
    let call = Call::Query { code: channel("wx_native") };
    let reply = world.carry(world.request(&call)).await.expect("an answer");
    let answer = Notice { url: NOTIFY_URL.to_owned(), headers: reply.headers, body: reply.body };
    for (what, notice) in [("tampered", &tampered), ("unsigned", &unsigned), ("an answer", &answer)] {
        assert_eq!(names(&[world.notified(notice)]), ["unverified"], "{what}");
    }
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(names(&[world.notified(&good)]), ["unverified"], "replayed too late");
}

#[test]
fn a_signed_notice_that_cannot_be_read_is_a_hint() {
    // It proves who speaks and not what was paid: the channel is asked, and the notice is not taken for a fact.
    let world = World::new();
    let payment =
        serde_json::json!({ "trade_number": "T1", "amount": 5, "currency": "CNY", "paid_at": "2026-11-22T08:15:30Z" });
    let returned = serde_json::json!({ "refund_number": "R1", "amount": u64::MAX, "by": "console" });
    let table = [
        (serde_json::json!({ "state": "paid" }), "hint"),
        (
            serde_json::json!({ "state": "paid", "payment": { "trade_number": "T1", "amount": u64::MAX, "currency": "CNY", "paid_at": "2026-11-22T08:15:30Z" } }),
            "hint",
        ),
        (
            serde_json::json!({ "state": "paid", "payment": { "trade_number": "T1", "amount": 5, "currency": "fen", "paid_at": "2026-11-22T08:15:30Z" } }),
            "hint",
        ),
        (serde_json::json!({ "state": "paid", "payment": payment, "returned": returned }), "hint"),
        (serde_json::json!({ "state": "closed", "payment": payment }), "hint"),
        (serde_json::json!({ "state": "paid", "payment": payment }), "succeeded"),
    ];
    for (mut body, read) in table {
        body["merchant_id"] = MERCHANT.into();
        body["number"] = NUMBER.into();
        let body = serde_json::to_vec(&body).expect("JSON");
        let at = world.clock.now().wall;
        let signature = wire::sign(&Secret::from_text(SECRET), Signed::Notice, at, &body);
        let headers = vec![(wire::SIGNATURE_HEADER.to_owned(), signature)];
        let notice = Notice { url: NOTIFY_URL.to_owned(), headers, body: body.into() };
        let notified = world.notified(&notice);
        let number = match &notified {
            Notified::Hint { number, .. } => Some(number.as_str()),
            Notified::Verified { .. } | Notified::NeedMaterial(_) | Notified::Unverified { .. } => None,
        };
        assert_eq!(number.is_some(), read == "hint");
        assert!(number.is_none_or(|number| number == NUMBER));
        assert_eq!(names(&[notified]), [read]);
    }
}

#[tokio::test]
async fn the_loop_runs_by_its_clock_and_stops() {
    // A payment that was put off happens when the clock says so, without anybody ticking.
    let world = World::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(Arc::clone(&world.simulator).run(async move {
        let _ = stopped.await;
    }));
    world.create("wx_native", 990_002).await;
    for _ in 0..8 {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(world.query("wx_native").await.name(), "succeeded");
    stop.send(()).expect("it listens");
    running.await.expect("it ended");
    assert_eq!(world.inbox.lock().expect("no panic").0.len(), 1);
}

#[test]
fn commands_read_from_text() {
    // The text form of every command; anything else is refused with the list.
    let table = [
        ("pay", PayerCommand::Pay),
        ("pay_late", PayerCommand::PayLate),
        ("pay_twice", PayerCommand::PayTwice),
        ("pay_other:5", PayerCommand::PayOther(5)),
        ("decline", PayerCommand::Decline),
        ("close", PayerCommand::Close),
        ("refund", PayerCommand::Refund),
        ("notify_late:60000", PayerCommand::NotifyLate(60_000)),
        ("notify_twice", PayerCommand::NotifyTwice),
        ("notify_forged", PayerCommand::NotifyForged),
        ("notify_never", PayerCommand::NotifyNever),
        ("notify_wrong_owner", PayerCommand::NotifyWrongOwner),
        ("notify_wrong_amount", PayerCommand::NotifyWrongAmount),
        ("lose_reply", PayerCommand::LoseReply),
        ("unknown_then_paid", PayerCommand::UnknownThenPaid),
        ("garbage_then_paid", PayerCommand::GarbageThenPaid),
    ];
    for (text, command) in table {
        assert_eq!(text.parse(), Ok(command));
    }
    for text in ["", "Pay", "pay:1", "pay_other", "notify_late:-1", "notify_late:x"] {
        assert_eq!(text.parse::<PayerCommand>(), Err(PayerCommandError), "{text}");
    }
}
