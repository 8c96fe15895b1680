//! Deliveries that follow their subscription, and what must not be sent.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::deliveries::{all, pay, subscribe};
use super::world::World;
use crate::Error;
use crate::actors::delivering;
use crate::api::{Idempotency, UpdateSubscription};
use crate::machine::delivery::{DeliveryInput, TRIES_KEPT};
use crate::model::{
    Delivery, DeliveryState, DeliveryTry, EventKind, KeyId, KeyOwner, Subscription, SubscriptionState, TryResult,
};
use crate::store::keys::{self, DueKind};
use crate::store::memory::Failure;
use crate::store::{Batch, Scan, Store, Table};

/// A held delivery with as many tries as a record keeps, each with a long excerpt.
fn heavy(world: &World, subscription: &Subscription) -> Delivery {
    let now = world.engine.now();
    let result = TryResult::Answered { status: 500, excerpt: "x".repeat(2_048) };
    let tries = (1_u32..).take(TRIES_KEPT);
    Delivery {
        id: world.engine.inner().ids.next(),
        app_id: world.scope.app_id,
        mode: world.scope.mode,
        version: 1,
        subscription_id: subscription.id,
        event_id: world.engine.inner().ids.next(),
        event_at: (0, 0),
        kind: EventKind::PaymentSucceeded,
        transaction_id: world.engine.inner().ids.next(),
        created_at: now,
        state: DeliveryState::Held { due_at: now },
        tries_done: 5,
        tries: tries
            .map(|number| DeliveryTry { number, resend: true, started_at: now, ended_at: now, result: result.clone() })
            .collect(),
    }
}

#[tokio::test]
async fn a_sweep_takes_deliveries_of_any_size() {
    // What together is larger than a commit may be goes in several.
    let world = World::new().await;
    let subscription = subscribe(&world, "hook").await;
    for _ in 0..40 {
        let mut batch = Batch::default();
        batch.put_delivery(None, &heavy(&world, &subscription));
        world.store.commit(batch).await.expect("the store takes one");
    }
    world.engine.delete_subscription(world.scope, subscription.id).await.expect("deleted");
    world
        .until("all are cancelled", async || {
            all(&world).await.iter().all(|delivery| delivery.state == DeliveryState::Cancelled)
        })
        .await;
    assert_eq!(all(&world).await.len(), 40);
}

#[tokio::test]
async fn a_merchant_who_changes_a_subscription_often_holds_up_nobody() {
    // A long history is gone through a few times for very many changes, and others do not wait for their end.
    const CHANGES: usize = 1_000;
    let world = World::new().await;
    let (often, once) = (subscribe(&world, "hook").await, subscribe(&world, "hook").await);
    let update = async |id, state| {
        let request = UpdateSubscription { state: Some(state), ..UpdateSubscription::default() };
        world.engine.update_subscription(world.scope, id, request).await.expect("changed");
    };
    update(once.id, SubscriptionState::Disabled).await;
    let held = heavy(&world, &once);
    let mut batch = Batch::default();
    batch.put_delivery(None, &Delivery { tries: Vec::new(), ..held.clone() });
    world.store.commit(batch).await.expect("written");
    for _ in 0..8 {
        let mut batch = Batch::default();
        for _ in 0..500 {
            let state = DeliveryState::Delivered { at: world.engine.now() };
            batch.put_delivery(None, &Delivery { state, tries: Vec::new(), ..heavy(&world, &often) });
        }
        world.store.commit(batch).await.expect("written");
    }
    for change in 0..CHANGES {
        world.clock.advance(Duration::from_millis(1));
        update(often.id, [SubscriptionState::Disabled, SubscriptionState::Enabled][change % 2]).await;
    }
    update(once.id, SubscriptionState::Enabled).await;
    let inner = world.engine.inner();
    let released = async || {
        let (delivery, _) = delivering::read_delivery(inner, held.id).await.expect("it is there");
        !matches!(delivery.state, DeliveryState::Held { .. })
    };
    world.until("it is released", released).await;
    let asked_for = async || {
        world.clock.advance(Duration::from_secs(1));
        let rows = world.store.scan(&Scan::prefix(Table::Due, &[], 2 * CHANGES)).expect("it is open").rows;
        rows.iter().filter_map(|(key, _)| keys::parse_due(key)).any(|due| due.kind == DueKind::Maintenance)
    };
    world.until("nothing asks for more", async || !asked_for().await).await;
}

#[tokio::test]
async fn a_delivery_is_not_held_by_what_its_subscription_was() {
    // That it was disabled when it was read does not count once it is enabled again.
    let world = World::new().await;
    world.hook_fails.store(true, Ordering::SeqCst);
    let subscription = subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.until("the first try", async || all(&world).await.first().is_some_and(|it| it.tries_done == 1)).await;
    let delivery = all(&world).await.remove(0);
    let inner = world.engine.inner();
    let (known, seen) = delivering::read_subscription(inner, subscription.id).await.expect("it is there");
    let changed = UpdateSubscription { description: Some("tea".to_owned()), ..UpdateSubscription::default() };
    world.engine.update_subscription(world.scope, subscription.id, changed).await.expect("changed");
    let read = delivering::read_delivery(inner, delivery.id).await.expect("it is there");
    let kept = delivering::keep_back(inner, &read, (&known, seen), DeliveryInput::Hold, Batch::default()).await;
    assert_eq!(kept, Ok(false));
    assert_eq!(all(&world).await[0].state, delivery.state);
    let newest = delivering::read_subscription(inner, subscription.id).await.expect("it is there");
    let kept = delivering::keep_back(inner, &read, (&newest.0, newest.1), DeliveryInput::Hold, Batch::default()).await;
    assert_eq!(kept, Ok(true));
    // By its version: the sweep that an update asks for lets go again what is held.
    assert!(all(&world).await[0].version > delivery.version);
    assert_eq!(newest.0.state, SubscriptionState::Enabled);
}

#[tokio::test]
async fn one_key_sends_one_try() {
    // While a request under the key is under way another one is refused; afterwards it finds the try; for another
    // delivery the key is wrong.
    let world = World::new().await;
    subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    pay(&world, "bill-2").await;
    world.hooked(2).await;
    world.until("both are there", async || all(&world).await.iter().all(|it| it.tries_done == 1)).await;
    let deliveries = all(&world).await;
    let key = Idempotency {
        owner: KeyOwner::App(world.scope.app_id, KeyId(world.scope.app_id.0)),
        mode: Some(world.scope.mode),
        route: "deliveries.resend",
        key: "k-1".to_owned(),
        body_digest: [1; 32],
    };
    let resend = |index: usize| world.engine.resend_delivery(world.scope, deliveries[index].id, Some(key.clone()));
    let working = world.engine.inner().keys_in_progress.begin(Some(&key)).expect("nobody holds it");
    assert_eq!(resend(0).await.err(), Some(Error::IdempotencyInProgress));
    drop(working);
    let first = resend(0).await.expect("sent");
    let found = resend(0).await.expect("found");
    assert_eq!((found.delivery, found.attempt), (first.delivery, first.attempt));
    assert_eq!(resend(1).await.err(), Some(Error::IdempotencyMismatch));
    assert_eq!(world.hooked.lock().expect("no panic").len(), 3);
}

#[tokio::test]
async fn a_fenced_store_sends_no_webhook() {
    // What came of it could not be kept: neither a resend nor the test button reaches the target.
    let world = World::new().await;
    let subscription = subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.hooked(1).await;
    world.until("delivered", async || all(&world).await.iter().all(|it| it.tries_done == 1)).await;
    let delivery = all(&world).await.remove(0);
    world.store.fail_next_commits(0, Failure::Lost);
    assert_eq!(world.create("bill-2").await.err(), Some(Error::OutcomeUnknown));
    let resent = world.engine.resend_delivery(world.scope, delivery.id, None).await;
    assert!(matches!(resent.err(), Some(Error::StoreUnavailable(_))));
    let tested = world.engine.test_subscription(world.scope, subscription.id, EventKind::PaymentSucceeded, None).await;
    assert!(matches!(tested.err(), Some(Error::StoreUnavailable(_))));
    assert_eq!(world.hooked.lock().expect("no panic").len(), 1);
}
