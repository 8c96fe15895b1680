//! How an engine ends: by a shutdown, by being dropped, and by not starting at all.

use std::sync::Arc;
use std::time::Duration;

use super::world::World;
use crate::clock::SeededEntropy;
use crate::secrets::{Sealer, SealingKey};
use crate::store::memory::MemoryStore;
use crate::store::{Health, Store};
use crate::{Engine, Error, ShutdownReport};

/// Polls once and drops.
async fn begin<T>(work: impl Future<Output = T>) {
    let mut work = Box::pin(work);
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context))).await;
    assert!(polled.is_pending());
}

#[tokio::test]
async fn a_shutdown_goes_on_without_its_caller() {
    // Its future is dropped while a call is out, and the engine too; the store is closed all the same.
    let world = World::new().await;
    world.provider.hold();
    world.create_only("bill-1").await.expect("created");
    world.within(world.provider.asked("create", 1)).await;
    begin(world.engine.shutdown(Duration::from_secs(5))).await;
    assert_eq!(world.create("bill-2").await.err(), Some(Error::ShuttingDown));
    let World { engine, store, provider, .. } = world;
    drop(engine);
    provider.release();
    while store.health() == Health::Open {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_shutdowns_come_to_the_same() {
    // The second one says neither more nor earlier what became of what was under way.
    let world = World::new().await;
    world.provider.hold();
    world.create_only("bill-1").await.expect("created");
    world.within(world.provider.asked("create", 1)).await;
    let (first, second) =
        tokio::join!(world.engine.shutdown(Duration::from_millis(20)), world.engine.shutdown(Duration::from_secs(5)));
    assert_eq!((first, second), (ShutdownReport { drained: false }, ShutdownReport { drained: false }));
    assert_eq!(world.engine.shutdown(Duration::from_secs(5)).await, first);
    assert!(world.store.health() != Health::Open);
}

#[tokio::test]
async fn a_start_that_fails_tells_why_inside_a_runtime() {
    // A wrong sealing key, and a store that does not answer: an error each, no panic.
    let world = World::new().await;
    let wrong = Sealer::new(&SealingKey::generate(&SeededEntropy::new(5)));
    let refused = Engine::builder().store(world.store.clone()).sealing_key(wrong).start();
    assert!(matches!(refused.err(), Some(Error::Invalid { .. })));
    let wrong = Sealer::new(&SealingKey::generate(&SeededEntropy::new(5)));
    let closed = crate::front::refusing_store();
    let refused = Engine::builder().store(closed).sealing_key(wrong).start();
    assert!(matches!(refused.err(), Some(Error::StoreUnavailable(_))));
}

#[tokio::test]
async fn a_dropped_engine_lets_its_store_go() {
    // Nothing of the engine holds it any more, so that its folder can be opened again.
    let store = Arc::new(MemoryStore::new());
    let left = Arc::downgrade(&store);
    let key = SealingKey::generate(&SeededEntropy::new(5));
    let engine = Engine::builder().store(store).sealing_key(Sealer::new(&key)).start().expect("it starts");
    drop(engine);
    while left.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
