use super::*;
use crate::machine::{Vouched, VouchedOutcome};
use crate::store::samples::sample_inbox;
use crate::store::{RowKey, keys, records};

#[tokio::test]
async fn alarms_are_raised_counted_listed_and_acknowledged() {
    // Counted once they are durable and once only; the first person to acknowledge one stays.
    let world = World::new();
    let (engine, alarms) = (&world.engine, &world.engine.inner().alarms);
    let mut batch = Batch::default();
    let first = alarms.raise(&mut batch, AlarmKind::Mismatch, "t-1", "another amount");
    alarms.raise(&mut batch, AlarmKind::InDoubt, "t-2", &"long ".repeat(200));
    assert!(alarms.raised().is_empty());
    world.commit(batch).await;
    let counted = [(AlarmKind::InDoubt, 1), (AlarmKind::Mismatch, 1)];
    assert_eq!(alarms.raised().into_iter().collect::<Vec<_>>(), counted);

    let open = AlarmFilter { open_only: true };
    let list = async |filter| engine.alarms(filter, page(10, true)).await.expect("a read").items;
    let all = list(open).await;
    assert_eq!(all.iter().map(|alarm| alarm.subject.as_str()).collect::<Vec<_>>(), ["t-2", "t-1"]);
    assert_eq!(all[0].text.len(), 500);
    assert_eq!(refused(engine.acknowledge_alarm(first, "", None).await), "author");
    let seen = engine.acknowledge_alarm(first, "ann", None).await.expect("it is there");
    assert_eq!(seen.acknowledged, Some(("ann".to_owned(), engine.now())));
    assert_eq!(engine.acknowledge_alarm(first, "bob", None).await.expect("still there"), seen);
    assert_eq!((list(open).await.len(), list(AlarmFilter::default()).await.len()), (1, 2));
    assert_eq!(alarms.raised().into_iter().collect::<Vec<_>>(), counted);
    assert_eq!(refused(engine.acknowledge_alarm(AlarmId(RawId([1; 12])), "ann", None).await), "not_found");
}

#[tokio::test]
async fn a_discarded_notification_leaves_a_trace() {
    // It is gone from the inbox, and an acknowledged alarm tells who did it and why.
    let world = World::new();
    let engine = &world.engine;
    let item = sample_inbox();
    let mut batch = Batch::default();
    batch.put_record(keys::inbox(item.id), &item);
    world.commit(batch).await;
    assert_eq!(engine.inbox(page(10, false)).await.expect("a read").items, std::slice::from_ref(&item));
    assert_eq!(refused(engine.discard_inbox(item.id, "ann", " ", None).await), "reason");
    engine.discard_inbox(item.id, "ann", "a test of the bank's", None).await.expect("it is there");
    assert!(engine.inbox(page(10, false)).await.expect("a read").items.is_empty());
    assert_eq!(refused(engine.discard_inbox(item.id, "ann", "again", None).await), "not_found");
    let trace = engine.alarms(AlarmFilter::default(), page(10, false)).await.expect("a read").items.remove(0);
    assert_eq!(
        (trace.subject, trace.acknowledged.map(|(author, _)| author)),
        (item.id.to_string(), Some("ann".to_owned()))
    );
    assert!(trace.text.contains("a test of the bank's") && trace.text.contains(&item.number), "{}", trace.text);
}

#[tokio::test]
async fn a_repeated_command_finds_what_the_first_one_did() {
    // Also where the object is gone, or nothing was left to do: the key is kept, and another body under it is refused.
    let world = World::new();
    let engine = &world.engine;
    let item = sample_inbox();
    let mut batch = Batch::default();
    let alarm = engine.inner().alarms.raise(&mut batch, AlarmKind::Mismatch, "t-1", "another amount");
    batch.put_record(keys::inbox(item.id), &item);
    world.commit(batch).await;
    let discard = |body| engine.discard_inbox(item.id, "ann", "a test", Some(idem(operator(), "discard", "k", body)));
    discard(1).await.expect("it is there");
    discard(1).await.expect("it was there");
    assert_eq!(refused(discard(2).await), "idempotency_mismatch");
    assert_eq!(engine.alarms(AlarmFilter::default(), page(10, false)).await.expect("a read").items.len(), 2);
    let apply = |body| engine.apply_inbox(item.id, Some(idem(operator(), "apply", "k", body)));
    assert_eq!(refused(apply(1).await), "not_found");
    let seen = engine.acknowledge_alarm(alarm, "ann", None).await.expect("it is there");
    let see = |body| engine.acknowledge_alarm(alarm, "bob", Some(idem(operator(), "see", "k", body)));
    assert_eq!((see(1).await, see(1).await), (Ok(seen.clone()), Ok(seen)));
    assert_eq!(refused(see(2).await), "idempotency_mismatch");
    let elsewhere = AlarmId(RawId([1; 12]));
    let other = engine.acknowledge_alarm(elsewhere, "bob", Some(idem(operator(), "see", "k", 1))).await;
    assert_eq!(refused(other), "not_found");
}

#[tokio::test]
async fn what_is_set_aside_is_listed_in_pages() {
    // Rows of all tables, in the order of their ids; one whose note does not decode is left out.
    let world = World::new();
    let engine = &world.engine;
    let transaction = |byte| keys::transaction(TransactionId(RawId([byte; 12])));
    let subscription = keys::subscription(SubscriptionId(RawId([2; 12])));
    let rows: [(RowKey, &str); 4] = [
        (transaction(3), "transaction"),
        (subscription, "subscription"),
        (transaction(1), "transaction"),
        (transaction(2), "transaction"),
    ];
    for (row, _) in &rows {
        let alarm = engine.inner().ids.next();
        world.commit(records::set_aside(row, "it killed its actor twice", alarm, engine.now())).await;
    }
    for (newest_first, expected) in [(false, ["010101", "020202", "030303"]), (true, ["030303", "020202", "010101"])] {
        let (mut request, mut seen) = (page(1, newest_first), Vec::new());
        loop {
            let answer = engine.set_aside(request).await.expect("a read");
            seen.extend(answer.items.iter().map(|it| (it.id[..6].to_owned(), it.kind)));
            let Some(next) = answer.next else { break };
            request.after = Some(next);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        let mut found: Vec<_> = seen.iter().map(|(id, _)| id.as_str()).collect();
        found.dedup();
        assert_eq!(found, expected);
        assert_eq!(seen.iter().filter(|(_, kind)| *kind == "subscription").count(), 1);
    }
    let reason = engine.set_aside(page(10, false)).await.expect("a read").items.remove(0).reason;
    assert_eq!(reason, "it killed its actor twice");
}

#[tokio::test]
async fn what_an_operator_tells_is_bounded() {
    // The provider's number, the author and the reason have a length and no control characters; each is named.
    let world = World::new();
    let id = TransactionId(RawId([7; RawId::LEN]));
    let amount = Money::new(100, Currency::CNY).expect("small");
    let long = "1".repeat(129);
    for (trade_number, author, reason, wrong) in [
        (long.as_str(), "ann", "asked", "channel_trade_number"),
        (" ", "ann", "asked", "channel_trade_number"),
        ("a\0b", "ann", "asked", "channel_trade_number"),
        ("1", "a\nb", "asked", "author"),
        ("1", "ann", "", "reason"),
    ] {
        let outcome = VouchedOutcome::Paid { trade_number: trade_number.to_owned(), amount };
        let number = AttemptNumber { transaction: id, index: 0 };
        let vouched = Vouched { number, outcome, author: author.to_owned(), reason: reason.to_owned() };
        assert_eq!(refused(world.engine.vouch(id, vouched, None).await), wrong);
        assert_eq!(refused(world.engine.accept_mismatch(id, trade_number, author, reason, None).await), wrong);
    }
}
