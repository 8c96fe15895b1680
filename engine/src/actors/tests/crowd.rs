//! A provider that hangs while very many wait for it: what needs nothing of it goes on.

use std::time::Duration;

use super::deliveries::subscribe;
use super::world::World;
use crate::Error;
use crate::actors::commands::SCARCE;
use crate::model::{AlarmId, EventKind};

#[tokio::test]
async fn nobody_keeps_a_scarce_place_to_wait_for_a_provider() {
    // The provider hangs and commands wait for it, until fewer than a quarter of the places are left: whoever comes then is made and
    // answered as it is, and what would do nothing but wait is sent away. A close and a query do not wait either.
    let world = World::new().await;
    let id = world.create("before").await.expect("created").transaction.id;
    let subscription = subscribe(&world, "hook").await.id;
    world.provider.hold();
    let taken = world.engine.inner().commands.take_all_but(SCARCE / 2);
    let created = world.create("comes then").await.expect("created");
    assert_eq!((created.first, created.transaction.status.name()), (true, "submitting"));
    let minute = Duration::from_mins(1);
    let asked = world.within(world.engine.query_transaction(world.scope, id, minute, None)).await.expect("asked");
    let closed = world.within(world.engine.close_transaction(world.scope, id, minute, None)).await.expect("asked");
    assert_eq!((asked.status.name(), closed.status.name()), ("awaiting_payer", "closing"));
    let tested = world.engine.test_subscription(world.scope, subscription, EventKind::PaymentSucceeded, None).await;
    assert!(matches!(tested, Err(Error::Busy)), "{tested:?}");
    drop(taken);
    world.provider.release();
    world.status(created.transaction.id, "awaiting_payer").await;
}

#[tokio::test]
async fn a_notification_and_an_operator_get_in_when_all_places_are_taken() {
    // Merchants' commands are refused; a payment that is told of is kept and acknowledged, an alarm is acknowledged, and
    // the store can be opened again.
    let world = World::new().await;
    let id = world.create("before").await.expect("created").transaction.id;
    world.provider.hold();
    let taken = world.engine.inner().commands.take_all_but(0);
    let refused = world.engine.create_transaction(world.scope, world.request("refused"), None);
    assert!(matches!(world.within(refused).await, Err(Error::Busy)));
    assert!(world.notify(id, "paid").await.accepted);
    assert_eq!(world.status(id, "succeeded").await.receipts.len(), 1);
    assert!(world.notify(id, "paid").await.accepted, "again");
    world.within(world.engine.reopen()).await.expect("it is open");
    let alarm = world.engine.acknowledge_alarm(AlarmId(id.0), "Ann", None).await;
    assert!(matches!(alarm, Err(Error::NotFound(_))), "{alarm:?}");
    drop(taken);
    world.provider.release();
    assert!(world.engine.shutdown(Duration::from_secs(10)).await.drained);
}
