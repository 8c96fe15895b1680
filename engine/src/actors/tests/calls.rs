//! Calls that start late, answers that come at a bad moment, and rows beside a record that are damaged.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;

use super::deliveries::{pay, subscribe};
use super::script::LOCAL;
use super::supervision::{due, send};
use super::world::World;
use crate::Error;
use crate::actors::transaction::What;
use crate::api::{CreateTransaction, PageRequest, Scope, TransactionFilter};
use crate::channel::http::SendFailure;
use crate::front::SlowStore;
use crate::model::{AppId, RawId, SendState, TransactionId};
use crate::store::memory::Failure;
use crate::store::{Batch, Put, RowKey, Scan, Store, Table, keys};

const PAGE: PageRequest = PageRequest { after: None, limit: 10, newest_first: false };

fn due_rows(world: &World) -> usize {
    world.store.scan(&Scan::prefix(Table::Due, &[], 100)).expect("it is open").rows.len()
}

async fn never_left(world: &World, id: TransactionId) {
    let came_home = async || {
        let record = world.engine.inner().transaction_row(id).await.expect("it is there");
        record.attempts[0].sends[0].state == SendState::NotExecuted
    };
    world.until("it comes home", came_home).await;
    assert!(!world.provider.log().contains(&format!("create/{id}")));
}

#[tokio::test]
async fn a_create_that_waited_too_long_never_leaves() {
    // Behind 32 calls that hang, or in an adapter that takes its time: what has not left in time is not executed.
    let world = World::new().await;
    world.provider.hold();
    let bills: Vec<String> = (0..32).map(|index| format!("bill-{index}")).collect();
    futures_util::future::join_all(bills.iter().map(|bill| world.create_only(bill))).await;
    world.within(world.provider.asked("create", 32)).await;
    let behind = world.create_only("behind").await.expect("created").transaction.id;
    world.clock.advance(Duration::from_secs(6));
    world.provider.release();
    never_left(&world, behind).await;

    world.script.gate.close();
    let slow = world.create_only("slow").await.expect("created").transaction.id;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(6));
    world.script.gate.open();
    never_left(&world, slow).await;
}

#[tokio::test]
async fn an_answer_outlives_a_fenced_store() {
    // It comes while nothing can be kept, and is kept once that works again, without being asked for again.
    let world = World::new().await;
    let id = about_to_be_paid(&world).await;
    world.store.fail_next_commits(0, Failure::Lost);
    assert!(world.create_only("bill-2").await.is_err());
    world.provider.release();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    world.engine.reopen().await.expect("it opens");
    world.status(id, "succeeded").await;
    assert_eq!(world.provider.count("query"), 1);
}

#[tokio::test]
async fn an_answer_for_a_record_that_is_set_aside_waits_in_the_inbox() {
    // Nothing verified is dropped; when the record returns, the channel is asked again and the item goes.
    let world = World::new().await;
    let id = about_to_be_paid(&world).await;
    for _ in 0..2 {
        drop(world.within(send(&world.engine, id, What::Panic)).await);
    }
    world.provider.release();
    let waits = async || world.engine.inbox(PAGE).await.is_ok_and(|list| list.items.len() == 1);
    world.until("it is in the inbox", waits).await;
    let listed = async || !world.engine.set_aside(PAGE).await.expect("a list").items.is_empty();
    world.until("it is listed", listed).await;
    world.engine.retry_set_aside("transaction", &id.to_string(), None).await.expect("retried");
    world.status(id, "succeeded").await;
    assert!(world.engine.inbox(PAGE).await.expect("a list").items.is_empty());
}

#[tokio::test]
async fn a_retried_record_keeps_its_due_time() {
    // Its row goes while it is set aside; the retry brings the record's own back, so that its schedule goes on.
    let world = World::new().await;
    world.provider.fails("create", SendFailure::Unknown("reset".to_owned()));
    world.provider.answers("query", &["silence", "paid"]);
    let id = world.create_only("bill-1").await.expect("created").transaction.id;
    let doubt = async || world.engine.transaction(world.scope, id).await.is_ok_and(|it| it.in_doubt.is_some());
    world.until("it is in doubt", doubt).await;
    for _ in 0..2 {
        drop(world.within(send(&world.engine, id, What::Panic)).await);
    }
    let listed = async || !world.engine.set_aside(PAGE).await.expect("a list").items.is_empty();
    world.until("it is listed", listed).await;
    let advance = || world.clock.advance(Duration::from_secs(5));
    let gone = async || {
        advance();
        due_rows(&world) == 0
    };
    world.until("its row is gone", gone).await;
    world.engine.retry_set_aside("transaction", &id.to_string(), None).await.expect("retried");
    world.within(world.provider.asked("query", 1)).await;
    let paid = async || {
        advance();
        world.engine.transaction(world.scope, id).await.is_ok_and(|it| it.status.name() == "succeeded")
    };
    world.until("it is asked about again", paid).await;
}

#[tokio::test]
async fn a_full_pool_fails_no_payment() {
    // When nothing can be signed now the command is refused, and nothing was made.
    let world = World::new().await;
    let request = |bill| CreateTransaction { channel: LOCAL.parse().expect("a code"), ..world.request(bill) };
    let create = |bill| world.engine.create_transaction(world.scope, request(bill), None);
    create("before").await.expect("created");
    world.script.gate.close();
    let reader = world.engine.inner().reader.clone();
    for _ in 0..8_192 {
        let gate = world.script.gate.clone();
        // It goes on where it may block, whoever waits for it.
        drop(reader.run(move |_| gate.pass()).now_or_never());
    }
    assert_eq!(reader.run(|_| ()).await, Err(Error::Busy));
    let refused = create("bill-1").await.map(|made| made.transaction.status);
    world.script.gate.open();
    assert_eq!(refused, Err(Error::Busy));
    world.until("there is room again", async || reader.run(|_| ()).await.is_ok()).await;
    assert!(create("bill-1").await.expect("created").first);
}

#[tokio::test]
async fn an_answer_that_meets_a_full_pool_is_read_after_all() {
    // What the provider said is at hand: it counts as soon as there is room, and is never taken for silence.
    let world = World::new().await;
    world.provider.answers("create", &["await"]);
    world.provider.hold();
    let request = world.request("bill-1");
    let created = world.engine.create_transaction(world.scope, request, None);
    let mut created = std::pin::pin!(created);
    assert!(created.as_mut().now_or_never().is_none());
    world.within(world.provider.asked("create", 1)).await;
    world.script.gate.close();
    let reader = world.engine.inner().reader.clone();
    let block = || {
        let gate = world.script.gate.clone();
        reader.run(move |_| gate.pass()).now_or_never()
    };
    while block().is_none() {}
    world.provider.release();
    // Nothing tells that it was turned away once, so it has the time for it.
    assert!(tokio::time::timeout(Duration::from_millis(50), created.as_mut()).await.is_err());
    world.script.gate.open();
    let made = world.within(created).await.expect("created").transaction;
    let outcomes: Vec<_> = made.attempts[0].sends.iter().map(|send| send.state).collect();
    assert_eq!((made.status.name(), outcomes), ("awaiting_payer", vec![SendState::Executed]));
}

#[tokio::test]
async fn lists_stop_no_payment() {
    // More lists than there are threads hang; what another app creates is made and its answer read meanwhile.
    let store = Arc::new(SlowStore::new());
    let world = World::on(store.clone()).await;
    let let_go = Arc::new(OnceLock::new());
    store.lists_wait_for.set(Arc::clone(&let_go)).expect("once");
    let other = Scope { app_id: AppId(RawId([1; 12])), ..world.scope };
    let list = |_| Box::pin(world.engine.transactions(other, TransactionFilter::default(), PAGE));
    let mut lists: Vec<_> = (0..200).map(list).collect();
    assert!(lists.iter_mut().all(|list| list.now_or_never().is_none()));
    world.provider.answers("create", &["await"]);
    let created = world.create("bill-1").await.expect("created").transaction;
    assert_eq!(created.status.name(), "awaiting_payer");
    assert!(lists.iter_mut().all(|list| list.now_or_never().is_none()), "the lists still hang");
    let_go.set(()).expect("once");
    for list in lists {
        world.within(list).await.expect("a list");
    }
}

fn damaged(key: RowKey) -> Batch {
    Batch { puts: vec![Put { key, value: Some([1, 2, 3].as_slice().into()) }], ..Batch::default() }
}

#[tokio::test]
async fn a_damaged_account_sets_no_transaction_aside() {
    // The record itself is sound: it waits until the row beside it is mended.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.durable.commit(damaged(keys::account(world.account.id))).await.expect("written");
    let world = world.restarted();
    let answer = world.within(send(&world.engine, id, due())).await.expect("an answer");
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    assert!(world.engine.transaction(world.scope, id).await.is_ok());
}

#[tokio::test]
async fn a_damaged_delivery_is_noted_and_stays_due() {
    // A person hears of it, and once its row is mended it goes on.
    let world = World::new().await;
    world.hook_fails.store(true, Ordering::SeqCst);
    subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.hooked(1).await;
    let tried = async || super::deliveries::all(&world).await.iter().all(|it| it.tries_done == 1);
    world.until("the try is kept", tried).await;
    let delivery = super::deliveries::all(&world).await.remove(0);
    world.durable.commit(damaged(keys::delivery(delivery.id))).await.expect("written");
    let noted = async || {
        world.clock.advance(Duration::from_secs(30));
        world.engine.set_aside(PAGE).await.expect("a list").items.len() == 1
    };
    world.until("it is noted", noted).await;
    assert_eq!(due_rows(&world), 1);
    let retried = world.engine.retry_set_aside("delivery", &delivery.id.to_string(), None).await;
    assert!(matches!(retried, Err(Error::Conflict(_))), "{retried:?}");
}

#[tokio::test]
async fn a_damaged_subscription_is_noted_and_followed_once_it_is_mended() {
    // A person hears of it, and that its deliveries are to follow it is not forgotten.
    let world = World::new().await;
    let subscription = subscribe(&world, "hook").await;
    let row = keys::subscription(subscription.id);
    let sound = world.durable.read(&row).expect("it is open").value.expect("it is there");
    let asked = keys::due(world.engine.now(), keys::DueKind::Maintenance, subscription.id.0);
    let mut batch = damaged(row.clone());
    batch.put_marker(asked.clone());
    world.durable.commit(batch).await.expect("written");
    let noted = async || world.engine.set_aside(PAGE).await.expect("a list").items;
    world.until("it is noted", async || noted().await.len() == 1).await;
    let item = noted().await.remove(0);
    assert_eq!((item.kind, item.id.clone()), ("subscription", subscription.id.to_string()));
    assert!(world.durable.read(&asked).expect("it is open").value.is_some(), "it is due still");
    let mend = Batch { puts: vec![Put { key: row, value: Some(sound) }], ..Batch::default() };
    world.durable.commit(mend).await.expect("written");
    world.engine.retry_set_aside("subscription", &item.id, None).await.expect("retried");
    let followed = async || {
        world.clock.advance(Duration::from_secs(30));
        due_rows(&world) == 0
    };
    world.until("all is done", followed).await;
    assert!(noted().await.is_empty());
}

#[tokio::test]
async fn what_nobody_can_take_takes_up_no_room() {
    // Whatever it is that cannot be worked on: what is due of it stays in the store, and is not held in memory as under way.
    for beside in ["account", "subscription", "delivery"] {
        let world = World::new().await;
        world.hook_fails.store(true, Ordering::SeqCst);
        let subscription = subscribe(&world, "hook").await;
        if beside == "account" {
            world.create("bill-1").await.expect("created");
        } else {
            pay(&world, "bill-1").await;
            let tried = async || super::deliveries::all(&world).await.first().is_some_and(|it| it.tries_done == 1);
            world.until("the try is kept", tried).await;
        }
        let key = match beside {
            "account" => keys::account(world.account.id),
            "subscription" => keys::subscription(subscription.id),
            _ => keys::delivery(super::deliveries::all(&world).await[0].id),
        };
        world.durable.commit(damaged(key)).await.expect("written");
        let world = world.restarted();
        world.clock.advance(Duration::from_mins(5));
        let quiet = async || {
            let metrics = world.engine.metrics();
            metrics.under_way == 0 && metrics.due_backlog == 0
        };
        world.until(&format!("nothing is out: {beside}"), quiet).await;
        assert_eq!(due_rows(&world), 1, "{beside}");
    }
}

/// A payment whose provider is about to answer that it is paid, once it is released.
async fn about_to_be_paid(world: &World) -> TransactionId {
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.provider.answers("query", &["paid"]);
    world.provider.hold();
    let asked = world.engine.query_transaction(world.scope, id, Duration::ZERO, None);
    world.within(asked).await.expect("asked");
    world.within(world.provider.asked("query", 1)).await;
    id
}
