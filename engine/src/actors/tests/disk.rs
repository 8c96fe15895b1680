//! The same engine over a disk.

use std::sync::Arc;
use std::time::Duration;

use super::deliveries::{all, subscribe};
use super::world::World;
use crate::clock::System;
use crate::model::DeliveryState;
use crate::store::redb::{RedbOptions, RedbStore};
use crate::store::{Scan, Table};

const MANY: usize = 60;

fn open(folder: &std::path::Path) -> Arc<RedbStore> {
    let system = Arc::new(System::new());
    RedbStore::open(folder, RedbOptions::new(system.clone(), system)).expect("it opens")
}

#[tokio::test]
async fn payments_over_a_disk_outlive_the_process() {
    // Many at once are made, paid and told of; after a restart everything is as it was and nothing is done twice.
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::on(open(folder.path())).await;
    subscribe(&world, "hook").await;
    let bills: Vec<String> = (0..MANY).map(|index| format!("bill-{index}")).collect();
    let made = futures_util::future::join_all(bills.iter().map(|bill| world.create(bill))).await;
    let ids: Vec<_> = made.into_iter().map(|made| made.expect("created").transaction.id).collect();
    let told = futures_util::future::join_all(ids.iter().map(|id| world.notify(*id, "paid"))).await;
    assert!(told.iter().all(|reply| reply.accepted));
    world.hooked(MANY).await;
    let is_delivered = |it: &crate::model::Delivery| matches!(it.state, DeliveryState::Delivered { .. });
    world
        .until("all are delivered", async || all(&world).await.iter().filter(|it| is_delivered(it)).count() == MANY)
        .await;
    let report = world.engine.shutdown(Duration::from_secs(10)).await;
    assert!(report.drained);

    let world = world.restarted_on(open(folder.path()));
    for id in &ids {
        world.status(*id, "succeeded").await;
    }
    world.clock.advance(Duration::from_hours(30));
    let due = async || world.durable.scan(&Scan::prefix(Table::Due, &[], 10)).expect("it is open").rows.len();
    world.until("nothing is due", async || due().await == 0).await;
    assert_eq!(world.hooked.lock().expect("no panic").len(), MANY);
    assert_eq!(world.provider.count("create"), MANY);
}
