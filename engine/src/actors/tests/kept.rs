//! What was acknowledged stays good, and what was done is not denied: however old a proof grows, and whatever cannot be
//! read afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;

use super::supervision::send;
use super::world::World;
use crate::Error;
use crate::actors::transaction::What;
use crate::api::{Idempotency, PageRequest, UpdateAccount};
use crate::channel::http::SendFailure;
use crate::front::SlowStore;
use crate::model::{KeyId, KeyOwner, RawId, TransactionId};
use crate::store::{Batch, keys};

const PAGE: PageRequest = PageRequest { after: None, limit: 10, newest_first: false };

/// Kills its actor twice, and waits until it is known to be set aside.
async fn set_aside(world: &World, id: TransactionId) {
    for _ in 0..2 {
        drop(world.within(send(&world.engine, id, What::Panic)).await);
    }
    let listed = async || !world.engine.set_aside(PAGE).await.expect("a list").items.is_empty();
    world.until("it is set aside", listed).await;
}

async fn brought_back(world: &World, id: TransactionId) {
    world.engine.retry_set_aside("transaction", &id.to_string(), None).await.expect("retried");
    world.status(id, "succeeded").await;
    assert!(world.engine.inbox(PAGE).await.expect("a list").items.is_empty());
}

#[tokio::test]
async fn a_proof_that_grew_old_in_the_inbox_is_good_still() {
    // It was verified when it came and acknowledged, so the provider never repeats it: an hour later it is applied.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    set_aside(&world, id).await;
    let until = world.engine.now().after(Duration::from_mins(5)).millis();
    assert!(world.notify_signed(id, "paid", &format!("good until {until}")).await.accepted);
    world.clock.advance(Duration::from_hours(1));
    // Its provider, were it asked, would say that nobody has paid.
    brought_back(&world, id).await;
}

#[tokio::test]
async fn a_proof_whose_key_is_gone_has_the_channel_asked() {
    // The certificate that it was verified by is forgotten and cannot be fetched: the notification still says whom to
    // ask about.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.provider.answers("maintain", &["certificate"]);
    set_aside(&world, id).await;
    assert!(world.notify_signed(id, "paid", "by another key").await.accepted);
    let mut batch = Batch::default();
    batch.remove(keys::material(world.account.id));
    world.durable.commit(batch).await.expect("committed");
    world.provider.fails("maintain", SendFailure::NotSent("there is none".to_owned()));
    world.provider.answers("query", &["paid"]);
    world.clock.advance(Duration::from_hours(1));
    brought_back(&world, id).await;
}

#[tokio::test]
async fn what_was_sent_is_not_answered_with_busy() {
    // The payment is durable and at its channel when the disk refuses to be read: its caller hears of it all the same.
    let store = Arc::new(SlowStore::new());
    let world = World::on(store.clone()).await;
    world.provider.hold();
    let creating = world.create("bill-1");
    let refuse = async {
        world.provider.asked("create", 1).await;
        store.failing.store(true, Ordering::Release);
        world.provider.release();
    };
    let (made, ()) = tokio::join!(creating, refuse);
    let made = made.expect("it is told as it was known").transaction;
    assert_eq!(made.status.name(), "submitting");
    store.failing.store(false, Ordering::Release);
    world.status(made.id, "awaiting_payer").await;
}

#[tokio::test]
async fn a_key_that_found_a_payment_stands_for_it() {
    // The repeat under a bill number notes its key too: once the payment has ended, the same key finds it still and makes
    // no other, and with another body it is refused.
    let world = World::new().await;
    let made = world.create("bill-1").await.expect("created").transaction;
    let key = |digest| Idempotency {
        owner: KeyOwner::Operator(KeyId(RawId([9; RawId::LEN]))),
        mode: Some(world.scope.mode),
        route: "transactions.create",
        key: "k".to_owned(),
        body_digest: [digest; 32],
    };
    let create = |digest| world.engine.create_transaction(world.scope, world.request("bill-1"), Some(key(digest)));
    assert_eq!(create(1).await.expect("found").transaction.id, made.id);
    let closing = world.engine.close_transaction(world.scope, made.id, Duration::from_secs(5), None);
    assert_eq!(world.within(closing).await.expect("closed").status.name(), "closed");
    let again = create(1).await.expect("found");
    assert_eq!((again.first, again.transaction.id), (false, made.id));
    assert_eq!(create(2).await.err(), Some(Error::IdempotencyMismatch));
}

#[tokio::test]
async fn a_full_pool_says_nothing_about_accounts() {
    // An account that cannot be read now is no account that is missing.
    let world = World::new().await;
    world.create("bill-1").await.expect("created");
    let label = UpdateAccount { label: Some("another".to_owned()), ..UpdateAccount::default() };
    world.engine.update_account(world.scope, world.account.id, label).await.expect("changed");
    let (inner, code) = (world.engine.inner(), "script_sent".parse().expect("a code"));
    world.script.gate.close();
    for _ in 0..8_192 {
        let gate = world.script.gate.clone();
        drop(inner.reader.run(move |_| gate.pass()).now_or_never());
    }
    let refused = inner.directory.accounts_for(world.scope, &code).await.err();
    world.script.gate.open();
    assert_eq!(refused, Some(Error::Busy));
}
