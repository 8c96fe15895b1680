//! Actors that die, records that kill, full queues, rest and return: each fact about actix that we answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::world::World;
use crate::actors::router::ENTITY_MAX;
use crate::actors::transaction::{Settled, TransactionMessage, What};
use crate::api::{Authorize, Idempotency, PageRequest, Scope};
use crate::machine::Input;
use crate::model::{AlarmKind, AppId, KeyId, KeyOwner, Mode, RawId, Requester, Timestamp, TransactionId};
use crate::secrets::Secret;
use crate::{Engine, Error};

pub fn send(engine: &Engine, id: TransactionId, what: What) -> tokio::sync::oneshot::Receiver<Result<Settled, Error>> {
    let (message, answer) = TransactionMessage::new(what, None);
    engine.inner().system().expect("it runs").transactions().send(id, message);
    answer
}

/// A look at the record.
pub fn due() -> What {
    What::Due(Timestamp::from_millis(0))
}

fn input(input: Input) -> What {
    What::Input(Box::new((input, crate::actors::transaction::Carried::default())))
}

#[tokio::test]
async fn a_panic_costs_one_message() {
    // The message that kills is answered with an error; those behind it and after it find a new actor (facts 1 and 2).
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let killer = send(&world.engine, id, What::Panic);
    let behind = send(&world.engine, id, due());
    assert!(matches!(world.within(killer).await, Ok(Err(Error::Internal(_))) | Err(_)));
    assert!(matches!(world.within(behind).await, Ok(Ok(Settled::Now(_)))));
    assert!(world.notify(id, "paid").await.accepted);
    world.status(id, "succeeded").await;
    assert_eq!(world.engine.metrics().actors_died, 1);
}

#[tokio::test]
async fn a_record_that_kills_twice_is_set_aside() {
    // Then nothing works on it, what is verified waits in the inbox, and an operator's retry brings both back.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    for _ in 0..2 {
        drop(world.within(send(&world.engine, id, What::Panic)).await);
    }
    world
        .until("it is set aside", async || {
            matches!(world.engine.transaction(world.scope, id).await, Err(Error::SetAside))
        })
        .await;
    let page = PageRequest { after: None, limit: 10, newest_first: false };
    let listed = async || world.engine.set_aside(page).await.expect("a list");
    world.until("it is listed", async || !listed().await.items.is_empty()).await;
    let list = listed().await;
    assert_eq!((list.items[0].kind, list.items[0].id.clone()), ("transaction", id.to_string()));
    for scope in strangers(world.scope) {
        assert!(matches!(world.engine.transaction(scope, id).await, Err(Error::NotFound(_))));
    }
    assert!(matches!(world.within(send(&world.engine, id, due())).await, Ok(Err(Error::SetAside))));
    assert!(world.notify(id, "paid").await.accepted);
    assert_eq!(world.engine.inbox(page).await.expect("a list").items.len(), 1);
    let owner = KeyOwner::Operator(KeyId(RawId([9; RawId::LEN])));
    let idem = || Idempotency { owner, mode: None, route: "retry", key: "k".to_owned(), body_digest: [1; 32] };
    let text = id.to_string();
    let retry = |idem| world.engine.retry_set_aside("transaction", &text, idem);
    retry(Some(idem())).await.expect("retried");
    retry(Some(idem())).await.expect("retried before");
    assert!(matches!(retry(None).await, Err(Error::NotFound(_))));
    world.status(id, "succeeded").await;
    assert!(world.engine.inbox(page).await.expect("a list").items.is_empty());
    assert!(world.engine.set_aside(page).await.expect("a list").items.is_empty());
}

#[tokio::test]
async fn two_deaths_with_work_between_set_nothing_aside() {
    // Only deaths in a row count.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    for _ in 0..3 {
        drop(world.within(send(&world.engine, id, What::Panic)).await);
        assert!(matches!(world.within(send(&world.engine, id, due())).await, Ok(Ok(_))));
    }
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    // Behind one commit that hangs eight messages fit, further ones are refused at once; the rest is answered (fact 3).
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let lanes = world.engine.inner().system().expect("it runs").transactions();
    world.until("nothing is under way", async || lanes.take_all(id).is_some()).await;
    world.store.hold();
    let first = send(&world.engine, id, input(Input::Close(Requester::Merchant)));
    let mut waiting: Vec<_> = (0..2 * ENTITY_MAX).map(|_| send(&world.engine, id, due())).collect();
    let at_least = ENTITY_MAX + 1;
    let mut busy = 0;
    for answer in waiting.split_off(ENTITY_MAX - 1) {
        busy += usize::from(matches!(world.within(answer).await, Ok(Err(Error::Busy))));
    }
    assert_eq!(busy, at_least);
    world.store.release();
    assert!(matches!(world.within(first).await, Ok(Ok(_))));
}

/// Another app, and another mode of the same.
fn strangers(own: Scope) -> [Scope; 2] {
    let elsewhere = AppId(RawId([9; RawId::LEN]));
    [Scope { app_id: elsewhere, ..own }, Scope { mode: Mode::Live, ..own }]
}

#[tokio::test]
async fn a_flooded_record_is_busy_for_its_own_and_nothing_for_others() {
    // At a door that is full, who may know of the record is told to come back; to everybody else it does not exist.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let door = &world.engine.inner().doorkeeper;
    let inside: Vec<_> = (0..ENTITY_MAX).map(|_| door.enter(id.0)).collect();
    let close = async |scope| world.engine.close_transaction(scope, id, Duration::ZERO, None).await;
    let query = async |scope| world.engine.query_transaction(scope, id, Duration::ZERO, None).await;
    let token = || Authorize { token: Secret::from_text("{}"), wait: Duration::ZERO };
    let charge = async |scope| world.engine.authorize_transaction(scope, id, token(), None).await;
    for scope in strangers(world.scope) {
        for answer in [close(scope).await, query(scope).await, charge(scope).await] {
            assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
        }
    }
    for answer in [close(world.scope).await, query(world.scope).await, charge(world.scope).await] {
        assert!(matches!(answer, Err(Error::Busy)), "{answer:?}");
    }
    drop(inside);
    assert!(close(world.scope).await.is_ok());
}

#[tokio::test]
async fn a_full_shard_is_busy_at_once() {
    // A message without a place in its shard is refused before it reaches any mailbox (fact 3).
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let lanes = world.engine.inner().system().expect("it runs").transactions();
    world.until("nothing is under way", async || lanes.take_all(id).is_some()).await;
    let places = lanes.take_all(id);
    assert!(places.is_some());
    assert!(matches!(world.within(send(&world.engine, id, due())).await, Ok(Err(Error::Busy))));
    drop(places);
    assert!(matches!(world.within(send(&world.engine, id, due())).await, Ok(Ok(_))));
}

#[tokio::test]
async fn nothing_is_handled_while_a_commit_is_awaited() {
    // The message behind a commit sees what it committed, never the state before it (fact 5).
    let world = World::new().await;
    let before = world.create("bill-1").await.expect("created").transaction;
    world.store.hold();
    let close = send(&world.engine, before.id, input(Input::Close(Requester::Merchant)));
    let mut look = send(&world.engine, before.id, due());
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(look.try_recv().is_err(), "it was handled before the commit");
    world.store.release();
    assert!(matches!(world.within(close).await, Ok(Ok(_))));
    let Ok(Ok(Settled::Now(seen))) = world.within(look).await else { panic!("it is answered") };
    assert!(seen.version > before.version, "{} after {}", seen.version, before.version);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nothing() {
    // A command whose caller is gone runs to its end (fact 4).
    let world = World::new().await;
    world.store.hold();
    let request = world.request("bill-1");
    let mut create = Box::pin(world.engine.create_transaction(world.scope, request, None));
    assert!(futures_util::FutureExt::now_or_never(&mut create).is_none());
    drop(create);
    world.store.release();
    world
        .until("it is made all the same", async || {
            world.store.release();
            world.provider.count("create") == 1
        })
        .await;
    let again = world.create("bill-1").await.expect("an answer");
    assert!(!again.first);
}

#[tokio::test]
async fn signing_does_not_stop_the_actors() {
    // While an adapter blocks its thread, other transactions of the same arbiter are answered (fact 6).
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.script.gate.close();
    let stuck = world.create_only("bill-2").await.expect("created").transaction;
    assert!(matches!(world.within(send(&world.engine, id, due())).await, Ok(Ok(_))));
    assert_eq!(world.provider.count("create"), 1);
    world.script.gate.open();
    world.status(stuck.id, "awaiting_payer").await;
}

#[tokio::test]
async fn an_idle_actor_rests_and_returns() {
    // With nothing to do it leaves memory; the next message finds the record as it was.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world
        .until("it rests", async || {
            world.clock.advance(Duration::from_secs(2));
            world.engine.metrics().live_transactions == 0
        })
        .await;
    assert!(world.notify(id, "paid").await.accepted);
    world.status(id, "succeeded").await;
}

#[tokio::test]
async fn a_message_that_races_rest_is_never_lost() {
    // Whenever a message comes while actors are let go, it is answered.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    for _ in 0..500 {
        world.clock.advance(Duration::from_secs(3));
        let answers: Vec<_> = (0..3).map(|_| send(&world.engine, id, due())).collect();
        world.clock.advance(Duration::from_secs(3));
        for answer in answers {
            let answer = world.within(answer).await.expect("it is answered");
            assert!(matches!(answer, Ok(Settled::Now(_)) | Err(Error::Busy)), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_goes_on_for_ever_goes_on_after_a_panic() {
    // It is begun again, with an alarm.
    let world = World::new().await;
    let inner = world.engine.inner();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let work = move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { assert!(!first, "on purpose") }
    };
    inner.commands.spawn_forever("a test", Arc::downgrade(inner), work);
    world.until("it is begun again", async || begun.load(Ordering::SeqCst) == 2).await;
    let told = async || world.engine.metrics().alarms.contains(&(AlarmKind::Defect, 1));
    world.until("a person hears of it", told).await;
}
