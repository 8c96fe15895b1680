//! Webhooks as a merchant's receiver notices them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::world::World;
use crate::api::{
    CreateSubscription, DeliveryFilter, Idempotency, IssueKey, Issued, PageRequest, TargetRequest, UpdateSubscription,
};
use crate::model::{
    AlarmKind, Delivery, DeliveryMode, DeliveryState, EventKind, KeyId, KeyKind, KeyOwner, RawId, Subscription,
    SubscriptionState, Timestamp,
};
use crate::webhook::{FunctionCall, payload};

const PAGE: PageRequest = PageRequest { after: None, limit: 100, newest_first: false };

pub async fn subscribe(world: &World, function: &str) -> Subscription {
    let request = CreateSubscription {
        target: TargetRequest::Function(function.to_owned()),
        headers: Vec::new(),
        event_types: Vec::new(),
        delivery: DeliveryMode::Events,
        secret: None,
        description: String::new(),
    };
    world.engine.create_subscription(world.scope, request, None).await.expect("a subscription").subscription
}

pub async fn pay(world: &World, bill: &str) {
    let id = world.create(bill).await.expect("created").transaction.id;
    assert!(world.notify(id, "paid").await.accepted);
}

pub async fn all(world: &World) -> Vec<Delivery> {
    let (mut all, mut page) = (Vec::new(), PAGE);
    loop {
        let found = world.engine.deliveries(world.scope, DeliveryFilter::default(), page).await.expect("a list");
        all.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return all;
        }
    }
}

async fn only(world: &World) -> Delivery {
    let mut all = all(world).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_success_is_told_once() {
    // The function gets the event, and the delivery says so.
    let world = World::new().await;
    subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.hooked(1).await;
    world.until("delivered", async || matches!(only(&world).await.state, DeliveryState::Delivered { .. })).await;
    world.clock.advance(Duration::from_hours(60));
    assert_eq!(world.hooked.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn a_failure_is_told_again_on_the_schedule() {
    // Eleven tries, each not before its time, also across restarts; then it is exhausted, and can be resumed.
    let mut world = World::new().await;
    world.hook_fails.store(true, Ordering::SeqCst);
    subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    for (index, gap) in crate::machine::schedule::ORIGINAL.iter().enumerate() {
        world.hooked(index + 1).await;
        world.until("the try is kept", async || usize::try_from(only(&world).await.tries_done) == Ok(index + 1)).await;
        if index == 4 {
            world = world.restarted();
        }
        world.clock.advance(gap.saturating_sub(Duration::from_secs(1)));
        tokio::task::yield_now().await;
        assert_eq!(world.hooked.lock().expect("no panic").len(), index + 1, "early at {index}");
        world.clock.advance(Duration::from_secs(1));
    }
    world.hooked(11).await;
    world.until("exhausted", async || only(&world).await.state == DeliveryState::Exhausted).await;
    world.hook_fails.store(false, Ordering::SeqCst);
    let id = only(&world).await.id;
    let resume = |key: Option<&str>| world.engine.resume_delivery(world.scope, id, key.map(|key| idem(&world, key)));
    resume(Some("k")).await.expect("resumed");
    world.hooked(12).await;
    world.until("delivered", async || matches!(only(&world).await.state, DeliveryState::Delivered { .. })).await;
    // A repeat finds the delivery as it is now; without the key it is a new command, and refused.
    let again = resume(Some("k")).await.expect("known");
    assert!(matches!(again.state, DeliveryState::Delivered { .. }));
    assert!(resume(None).await.is_err() && resume(Some("other")).await.is_err());
}

#[tokio::test]
async fn a_resend_is_one_try_outside_the_schedule() {
    // It tells what came of it; success makes it delivered.
    let world = World::new().await;
    world.hook_fails.store(true, Ordering::SeqCst);
    subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.until("the first try", async || only(&world).await.tries_done == 1).await;
    let id = only(&world).await.id;
    let failed = world.engine.resend_delivery(world.scope, id, None).await.expect("sent");
    assert!(failed.attempt.resend && !failed.attempt.result.is_success());
    assert!(matches!(failed.delivery.state, DeliveryState::Due { .. }));
    world.hook_fails.store(false, Ordering::SeqCst);
    let sent = world.engine.resend_delivery(world.scope, id, None).await.expect("sent");
    assert!(sent.attempt.result.is_success());
    assert!(matches!(sent.delivery.state, DeliveryState::Delivered { .. }));
}

#[tokio::test]
async fn deliveries_follow_their_subscription() {
    // Disabled: held. Enabled: tried. Deleted: cancelled.
    let world = World::new().await;
    world.hook_fails.store(true, Ordering::SeqCst);
    let subscription = subscribe(&world, "hook").await;
    pay(&world, "bill-1").await;
    world.until("the first try", async || only(&world).await.tries_done == 1).await;
    let state = |state| UpdateSubscription { state: Some(state), ..UpdateSubscription::default() };
    let update = |to| world.engine.update_subscription(world.scope, subscription.id, state(to));
    update(SubscriptionState::Disabled).await.expect("disabled");
    world.until("held", async || matches!(only(&world).await.state, DeliveryState::Held { .. })).await;
    update(SubscriptionState::Enabled).await.expect("enabled");
    world.until("due", async || matches!(only(&world).await.state, DeliveryState::Due { .. })).await;
    world.engine.delete_subscription(world.scope, subscription.id).await.expect("deleted");
    world.until("cancelled", async || only(&world).await.state == DeliveryState::Cancelled).await;
}

#[tokio::test]
async fn a_function_nobody_registered_costs_no_try() {
    // The delivery is held, with an alarm and without a try.
    let world = World::new().await;
    subscribe(&world, "nobody").await;
    pay(&world, "bill-1").await;
    world.until("held", async || matches!(only(&world).await.state, DeliveryState::Held { .. })).await;
    assert_eq!(only(&world).await.tries_done, 0);
    let alarms = world.engine.metrics().alarms;
    assert!(alarms.iter().any(|(kind, count)| format!("{kind:?}") == "FunctionMissing" && *count == 1), "{alarms:?}");
}

#[tokio::test]
async fn a_payment_that_no_key_can_sign_waits_for_one() {
    // Held, with an alarm and without a try; a new master key has it told, and the next time without one is told again.
    let world = World::new().await;
    subscribe(&world, "hook").await;
    for time in 1..=2 {
        revoke_masters(&world).await;
        pay(&world, &format!("bill-{time}")).await;
        let newest = async || all(&world).await.pop().expect("one");
        world.until("held", async || matches!(newest().await.state, DeliveryState::Held { .. })).await;
        assert_eq!(newest().await.tries_done, 0);
        let resent = world.engine.resend_delivery(world.scope, newest().await.id, None).await;
        assert!(matches!(resent, Err(crate::Error::Conflict(_))), "{resent:?}");
        let alarms = world.engine.metrics().alarms;
        assert!(alarms.contains(&(AlarmKind::KeyMissing, time)), "{alarms:?}");
        issue_master(&world).await;
        world.until("told", async || matches!(newest().await.state, DeliveryState::Delivered { .. })).await;
    }
}

#[tokio::test]
async fn the_oldest_master_key_signs_until_it_is_revoked() {
    // So the next one can be handed to the receivers first.
    let world = World::new().await;
    subscribe(&world, "hook").await;
    let next = issue_master(&world).await;
    pay(&world, "bill-1").await;
    world.hooked(1).await;
    revoke_masters_but(&world, next.key.id).await;
    pay(&world, "bill-2").await;
    world.hooked(2).await;
    let signed_by_next = |call: &FunctionCall| {
        let body: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
        let at = Timestamp::from_millis(body["timestamp"].as_u64().expect("a time"));
        body["sign"] == payload::sign(world.scope.app_id, next.secret.as_ref().expect("just issued"), at)
    };
    let signed: Vec<bool> = world.hooked.lock().expect("no panic").iter().map(signed_by_next).collect();
    assert_eq!(signed, [false, true]);
}

async fn issue_master(world: &World) -> Issued {
    let request =
        IssueKey { kind: KeyKind::Master, mode: world.scope.mode, import: None, owner: None, expires_at: None };
    world.engine.issue_key(world.scope.app_id, request, None).await.expect("a key")
}

async fn revoke_masters(world: &World) {
    revoke_masters_but(world, KeyId(RawId([0; RawId::LEN]))).await;
}

async fn revoke_masters_but(world: &World, kept: KeyId) {
    let app = world.engine.app(world.scope.app_id).await.expect("it is there");
    for key in app.keys.iter().filter(|key| key.kind == KeyKind::Master && key.id != kept) {
        world.engine.revoke_key(app.id, key.id).await.expect("revoked");
    }
}

#[tokio::test]
async fn the_test_button_takes_the_same_path() {
    // It sends an example now and keeps nothing.
    let world = World::new().await;
    let subscription = subscribe(&world, "hook").await;
    let sent = world.engine.test_subscription(world.scope, subscription.id, EventKind::PaymentSucceeded, None).await;
    assert!(sent.expect("sent").success);
    assert_eq!(world.hooked.lock().expect("no panic").len(), 1);
    let page = world.engine.deliveries(world.scope, DeliveryFilter::default(), PAGE).await.expect("a list");
    assert!(page.items.is_empty());
}

fn idem(world: &World, key: &str) -> Idempotency {
    let owner = KeyOwner::App(world.scope.app_id, KeyId(RawId([1; RawId::LEN])));
    Idempotency { owner, mode: Some(world.scope.mode), route: "test", key: key.to_owned(), body_digest: [1; 32] }
}
