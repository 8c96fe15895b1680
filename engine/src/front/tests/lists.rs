use super::*;
use crate::store::keys;
use crate::store::samples::{sample_delivery, sample_receipt, sample_transaction, sample_transition, yuan};

/// Makes transactions a second apart; `shape` may change the one of that number.
async fn pay(world: &World, scope: Scope, count: usize, shape: impl Fn(usize, &mut Transaction)) -> Vec<Transaction> {
    let mut made = Vec::new();
    for at in 0..count {
        world.clock.advance(Duration::from_secs(1));
        let mut transaction = Transaction {
            id: world.engine.inner().ids.next(),
            app_id: scope.app_id,
            mode: scope.mode,
            bill_num: format!("bill-{at}").parse().expect("a bill number"),
            channel: "bank_app".parse().expect("a code"),
            created_at: world.engine.now(),
            attention: Vec::new(),
            ..sample_transaction()
        };
        shape(at, &mut transaction);
        let mut batch = Batch::default();
        batch.put_transaction(None, &transaction);
        world.commit(batch).await;
        made.push(transaction);
    }
    made
}

fn ids(transactions: &[Transaction]) -> Vec<TransactionId> {
    transactions.iter().map(|it| it.id).collect()
}

fn succeeded() -> Status {
    Status::Succeeded { late: false, paid_at: Timestamp::from_millis(0) }
}

#[tokio::test]
async fn pages_show_everything_once_while_commits_go_on() {
    // Walking in either direction: what was there at the start comes once and in order; what comes later, if at all, is
    // newer.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let before = ids(&pay(&world, scope, 23, |_, _| {}).await);
    pay(&world, Scope { mode: Mode::Test, ..scope }, 5, |_, _| {}).await;
    for newest_first in [false, true] {
        let mut seen = Vec::new();
        let mut request = page(5, newest_first);
        loop {
            let answer = world.engine.transactions(scope, TransactionFilter::default(), request).await.expect("a read");
            assert!(answer.items.len() <= 5);
            seen.extend(ids(&answer.items));
            pay(&world, scope, 1, |_, _| {}).await;
            match answer.next {
                Some(next) if seen.len() < 100 => request.after = Some(next),
                _ => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        if newest_first {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "in order");
        sorted.dedup();
        assert_eq!(sorted.len(), seen.len(), "once");
        assert!(before.iter().all(|id| seen.contains(id)), "everything");
        assert!(newest_first || seen.len() > before.len(), "a commit before a page is on it");
    }
}

#[tokio::test]
async fn large_objects_end_a_page_early() {
    // A page by cursor ends before its bytes do harm, and the next ones hold the rest. The original's records, which know
    // no cursor, come whole or are refused; as many as its console asks for always come.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let extras = format!("\"{}\"", "x".repeat(16 * 1024 - 2));
    let made = ids(&pay(&world, scope, 150, |_, it| it.extras = Some(extras.clone())).await);
    let (mut seen, mut request) = (Vec::new(), page(100, false));
    loop {
        let answer = world.engine.transactions(scope, TransactionFilter::default(), request).await.expect("a read");
        assert!(answer.items.len() <= 62, "{} in a page", answer.items.len());
        seen.extend(ids(&answer.items));
        request.after = answer.next;
        if request.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    let records = async |limit| {
        let filter = TransactionFilter::default();
        world.engine.records(scope, RecordsQuery { filter, skip: 0, limit, newest_first: false }).await
    };
    assert_eq!(ids(&records(101).await.expect("a page of the console")), made[..101]);
    let refused = records(1_000).await;
    assert!(matches!(&refused, Err(Error::LimitReached(why)) if why.contains("fewer")), "{refused:?}");
}

#[tokio::test]
async fn every_filter_must_hold() {
    // Status, channel, bill number, times at both ends inclusive, attention; alone and together.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let made = pay(&world, scope, 12, |at, it| {
        if at % 2 == 0 {
            it.channel = "bank_web".parse().expect("a code");
        }
        if at % 3 == 0 {
            it.status = Status::Closing;
        }
        if at >= 10 {
            it.bill_num = "bill-1".parse().expect("a bill number");
            it.attention = vec![Attention::Mismatch];
        }
    })
    .await;
    let none = TransactionFilter::default;
    let web = || Some(vec!["bank_web".parse().expect("a code")]);
    let bill = |text: &str| Some(text.parse().expect("a bill number"));
    let table: [(TransactionFilter, Vec<usize>); 9] = [
        (none(), (0..12).collect()),
        (TransactionFilter { status: Some("closing".to_owned()), ..none() }, vec![0, 3, 6, 9]),
        (TransactionFilter { channels: web(), ..none() }, vec![0, 2, 4, 6, 8, 10]),
        (TransactionFilter { bill_num: bill("bill-1"), ..none() }, vec![1, 10, 11]),
        (TransactionFilter { bill_num: bill("bill-"), ..none() }, vec![]),
        (
            TransactionFilter {
                created_from: Some(made[3].created_at),
                created_to: Some(made[5].created_at),
                ..none()
            },
            vec![3, 4, 5],
        ),
        (TransactionFilter { needs_attention: Some(true), ..none() }, vec![10, 11]),
        (TransactionFilter { needs_attention: Some(false), channels: web(), ..none() }, vec![0, 2, 4, 6, 8]),
        (
            TransactionFilter {
                bill_num: bill("bill-1"),
                channels: web(),
                created_from: Some(made[2].created_at),
                ..none()
            },
            vec![10],
        ),
    ];
    for (filter, expected) in table {
        let found = world.engine.transactions(scope, filter.clone(), page(100, false)).await.expect("a read");
        let expected: Vec<_> = expected.into_iter().map(|at| made[at].id).collect();
        assert_eq!(ids(&found.items), expected, "{filter:?}");
        assert_eq!(found.next, None);
    }
    let wrong = TransactionFilter { status: Some("success".to_owned()), ..none() };
    assert_eq!(refused(world.engine.transactions(scope, wrong, page(10, false)).await), "status");
}

#[tokio::test]
async fn a_page_looks_at_10000_rows_at_most() {
    // A filter that nothing passes gives empty pages with a cursor until the end; records of the original API look on.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let mut batch = Batch::default();
    let mut last = None;
    for at in 0..10_500 {
        let mut it = Transaction { app_id: scope.app_id, mode: scope.mode, ..sample_transaction() };
        it.id = world.engine.inner().ids.next();
        it.created_at = world.engine.now();
        batch.put_transaction(None, &it);
        last = Some(it.id);
        if at % 100 == 99 {
            world.commit(std::mem::take(&mut batch)).await;
        }
    }
    let filter = TransactionFilter { status: Some("closing".to_owned()), ..TransactionFilter::default() };
    let first = world.engine.transactions(scope, filter.clone(), page(10, false)).await.expect("a read");
    assert!(first.items.is_empty() && first.next.is_some());
    let second = PageRequest { after: first.next, ..page(10, false) };
    let second = world.engine.transactions(scope, filter, second).await.expect("a read");
    assert!(second.items.is_empty() && second.next.is_none());
    let query = RecordsQuery { skip: 10_000, limit: 1_000, ..RecordsQuery::default() };
    let records = world.engine.records(scope, query).await.expect("a read");
    assert_eq!((records.len(), records.last().map(|it| it.id)), (500, last));
}

#[tokio::test]
async fn records_speak_the_original_statuses_and_count_pages() {
    // created is all that was never paid; refund is all given back; skip and limit count what passes the filter.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let paid = |refunded_minor| {
        let receipt = Receipt {
            amount: yuan(1999),
            state: ReceiptState::Counted,
            refunded_minor,
            returned: None,
            ..sample_receipt()
        };
        (succeeded(), vec![receipt])
    };
    let shapes = |at: usize| match at {
        0 => (Status::Created, Vec::new()),
        1 => paid(0),
        2 => paid(1998),
        3 => paid(1999),
        4 => (Status::Failed { reason: "declined".to_owned() }, Vec::new()),
        5 => (Status::Closed { evidence: CloseEvidence::Channel }, Vec::new()),
        _ => (Status::Closing, Vec::new()),
    };
    let made = pay(&world, scope, 7, |at, it| (it.status, it.receipts) = shapes(at)).await;
    let query = |status: Option<&str>, skip, limit, newest_first| RecordsQuery {
        filter: TransactionFilter { status: status.map(str::to_owned), ..TransactionFilter::default() },
        skip,
        limit,
        newest_first,
    };
    let table: [(RecordsQuery, &[usize]); 7] = [
        (query(None, 0, 100, false), &[0, 1, 2, 3, 4, 5, 6]),
        (query(None, 2, 3, true), &[4, 3, 2]),
        (query(Some("created"), 0, 100, false), &[0, 4, 5, 6]),
        (query(Some("created"), 1, 2, false), &[4, 5]),
        (query(Some("success"), 0, 100, true), &[2, 1]),
        (query(Some("refund"), 0, 1, false), &[3]),
        (query(Some("refund"), 1, 1, false), &[]),
    ];
    for (query, expected) in table {
        let found = world.engine.records(scope, query.clone()).await.expect("a read");
        let expected: Vec<_> = expected.iter().map(|at| made[*at].id).collect();
        assert_eq!(ids(&found), expected, "{query:?}");
    }
    let table = [
        ("status", query(Some("succeeded"), 0, 1, false)),
        ("skip", query(None, 10_001, 1, false)),
        ("limit", query(None, 0, 0, false)),
        ("limit", query(None, 0, 1_001, false)),
    ];
    for (field, query) in table {
        assert_eq!(refused(world.engine.records(scope, query).await), field);
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_app_subscription_transaction_and_state() {
    // Within the app and mode alone.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let other = Scope { mode: Mode::Test, ..scope };
    let subscribe = async |scope| {
        let made = world.engine.create_subscription(scope, create_subscription("https://shop.example"), None).await;
        made.expect("good").subscription.id
    };
    let subscriptions = [subscribe(scope).await, subscribe(scope).await, subscribe(other).await];
    let transactions = ids(&pay(&world, scope, 2, |_, _| {}).await);
    let mut made = Vec::new();
    for at in 0..6_usize {
        let world_of = if at == 5 { other.mode } else { scope.mode };
        let delivery = Delivery {
            id: world.engine.inner().ids.next(),
            app_id: scope.app_id,
            mode: world_of,
            subscription_id: if at == 5 { subscriptions[2] } else { subscriptions[at % 2] },
            transaction_id: transactions[usize::from(at > 2)],
            state: if at == 4 {
                DeliveryState::Exhausted
            } else {
                DeliveryState::Held { due_at: sample_delivery().created_at }
            },
            ..sample_delivery()
        };
        let mut batch = Batch::default();
        batch.put_delivery(None, &delivery);
        world.commit(batch).await;
        made.push(delivery.id);
    }
    let none = DeliveryFilter::default;
    let table: [(DeliveryFilter, &[usize]); 6] = [
        (none(), &[0, 1, 2, 3, 4]),
        (DeliveryFilter { subscription_id: Some(subscriptions[0]), ..none() }, &[0, 2, 4]),
        (DeliveryFilter { subscription_id: Some(subscriptions[2]), ..none() }, &[]),
        (DeliveryFilter { transaction_id: Some(transactions[1]), ..none() }, &[3, 4]),
        (DeliveryFilter { state: Some("exhausted".to_owned()), ..none() }, &[4]),
        (DeliveryFilter { state: Some("held".to_owned()), subscription_id: Some(subscriptions[1]), ..none() }, &[1, 3]),
    ];
    for (filter, expected) in table {
        let found = world.engine.deliveries(scope, filter.clone(), page(100, false)).await.expect("a read");
        let expected: Vec<_> = expected.iter().map(|at| made[*at]).collect();
        assert_eq!(found.items.iter().map(|it| it.id).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let wrong = DeliveryFilter { state: Some("sent".to_owned()), ..none() };
    assert_eq!(refused(world.engine.deliveries(scope, wrong, page(10, false)).await), "state");
    assert_eq!(world.engine.delivery(scope, made[0]).await.expect("it is there").id, made[0]);
    assert_eq!(refused(world.engine.delivery(scope, made[5]).await), "not_found");
}

#[tokio::test]
async fn a_timeline_is_read_in_parts_by_its_owner() {
    // After a number, at most so many, oldest first; nobody else's.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    let id = pay(&world, scope, 1, |_, _| {}).await[0].id;
    let mut batch = Batch::default();
    for number in 1..=300 {
        let transition = Transition { number, ..sample_transition() };
        batch.put_record(keys::transition(id.0, number), &transition);
    }
    world.commit(batch).await;
    let numbers = async |after, limit| {
        let steps = world.engine.timeline(scope, id, after, limit).await.expect("a read");
        steps.iter().map(|step| step.transition.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 3).await, [1, 2, 3]);
    assert_eq!(numbers(255, 2).await, [256, 257]);
    assert_eq!(numbers(298, 100).await, [299, 300]);
    assert_eq!(numbers(0, 1_000).await.len(), 100);
    assert!(numbers(u32::MAX, 1).await.is_empty());
    let other = Scope { mode: Mode::Test, ..scope };
    assert_eq!(refused(world.engine.timeline(other, id, 0, 10).await), "not_found");
    assert_eq!(world.engine.transaction_for_operator(id).await.expect("it is there").id, id);
}

#[tokio::test]
async fn apps_accounts_and_subscriptions_are_walked() {
    // Page by page, in either direction, all of them once.
    let world = World::new();
    let scope = world.scope(Mode::Live).await;
    for _ in 0..6 {
        world.app().await;
        world.engine.create_account(scope, create_account("bank", good_settings()), None).await.expect("good");
        let request = create_subscription("https://shop.example");
        world.engine.create_subscription(scope, request, None).await.expect("good");
    }
    for newest_first in [false, true] {
        let (mut counts, mut after) = ([0; 3], [None; 3]);
        for _ in 0..4 {
            let request = |at: usize| PageRequest { after: after[at], ..page(2, newest_first) };
            let apps = world.engine.apps(request(0)).await.expect("a read");
            let accounts = world.engine.accounts(scope, request(1)).await.expect("a read");
            let subscriptions = world.engine.subscriptions(scope, request(2)).await.expect("a read");
            let sizes = [apps.items.len(), accounts.items.len(), subscriptions.items.len()];
            let next = [apps.next, accounts.next, subscriptions.next];
            for at in 0..3 {
                if counts[at] == 0 || after[at].is_some() {
                    counts[at] += sizes[at];
                    after[at] = next[at];
                }
            }
        }
        assert_eq!((counts, after), ([7, 6, 6], [None; 3]), "newest first: {newest_first}");
    }
}
