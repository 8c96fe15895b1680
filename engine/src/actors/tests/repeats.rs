//! Requests that are made again, keys that are forgotten, and notifications that find their record busy.

use std::time::Duration;

use super::world::World;
use crate::Error;
use crate::api::{CreateTransaction, Idempotency, PageRequest};
use crate::model::{AccountState, Door, KeyId, KeyOwner};
use crate::store::keys::{self, DueKind};
use crate::store::{Scan, Store, Table};

const PAGE: PageRequest = PageRequest { after: None, limit: 10, newest_first: false };

#[tokio::test]
async fn a_repeat_is_answered_whatever_became_of_the_account() {
    // A paused account takes no new payment, and the bill number still finds the one that was made through it.
    let world = World::new().await;
    world.provider.answers("create", &["await", "account_refused"]);
    let made = world.create("bill-1").await.expect("created").transaction;
    world.create_only("bill-2").await.expect("created");
    let paused = async || {
        let account = world.engine.account(world.scope, world.account.id).await.expect("it is there");
        matches!(account.state, AccountState::Paused { .. })
    };
    world.until("the account is paused", paused).await;
    let again = world.create("bill-1").await.expect("found");
    assert_eq!((again.first, again.transaction.id), (false, made.id));
    assert!(matches!(world.create("bill-3").await.err(), Some(Error::AccountPaused(..))));
}

#[tokio::test]
async fn a_repeat_finds_the_open_payment_between_ended_ones() {
    // The first and the newest under the number are closed; the one between them is open and stands for the request.
    let world = World::new().await;
    let close = async |id| {
        let closing = world.engine.close_transaction(world.scope, id, Duration::from_secs(5), None);
        assert_eq!(world.within(closing).await.expect("closed").status.name(), "closed");
    };
    let first = world.create("bill-1").await.expect("created").transaction;
    close(first.id).await;
    let open = world.create("bill-1").await.expect("created").transaction;
    assert_ne!(open.id, first.id);
    let request = CreateTransaction { door: Door::Original, ..world.request("bill-1") };
    let newest = world.engine.create_transaction(world.scope, request, None).await.expect("created").transaction;
    close(newest.id).await;
    let again = world.create("bill-1").await.expect("found");
    assert_eq!((again.first, again.transaction.id), (false, open.id));
    let other = CreateTransaction { subject: "coffee".to_owned(), ..world.request("bill-1") };
    let refused = world.engine.create_transaction(world.scope, other, None).await;
    assert_eq!(refused.err(), Some(Error::BillNumberConflict(open.id)));
}

#[tokio::test]
async fn idempotency_keys_are_forgotten() {
    // A day later their rows are gone, and the due rows that led to them.
    let world = World::new().await;
    for index in 0..20 {
        let key = Idempotency {
            owner: KeyOwner::App(world.scope.app_id, KeyId(world.scope.app_id.0)),
            mode: Some(world.scope.mode),
            route: "transactions.create",
            key: format!("k-{index}"),
            body_digest: [1; 32],
        };
        let request = world.request(&format!("bill-{index}"));
        world.engine.create_transaction(world.scope, request, Some(key)).await.expect("created");
    }
    let rows = |table| world.store.scan(&Scan::prefix(table, &[], 1_000)).expect("it is open").rows;
    let upkeep = || {
        let due = rows(Table::Due).into_iter().filter_map(|(key, _)| keys::parse_due(&key));
        due.filter(|due| due.kind == DueKind::Maintenance).count()
    };
    world.clock.advance(Duration::from_hours(23));
    assert_eq!((rows(Table::Idempotency).len(), upkeep()), (20, 20));
    world
        .until("they are forgotten", async || {
            world.clock.advance(Duration::from_mins(5));
            rows(Table::Idempotency).is_empty() && upkeep() == 0
        })
        .await;
}

#[tokio::test]
async fn a_notification_to_a_busy_record_is_applied_later() {
    // It is kept and acknowledged; once the record has time, it is applied without anybody's help.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let lanes = world.engine.inner().system().expect("it runs").transactions();
    world.until("nothing is under way", async || lanes.take_all(id).is_some()).await;
    let places = lanes.take_all(id).expect("nothing is under way");
    assert!(world.notify(id, "paid").await.accepted);
    assert_eq!(world.engine.inbox(PAGE).await.expect("a list").items.len(), 1);
    drop(places);
    world.clock.advance(Duration::from_secs(10));
    world.status(id, "succeeded").await;
    world.until("the inbox is empty", async || world.engine.inbox(PAGE).await.expect("a list").items.is_empty()).await;
}

#[tokio::test]
async fn a_notification_that_says_nothing_certain_is_a_hint() {
    // It is acknowledged, and the channel is asked.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.provider.answers("query", &["paid"]);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.notify(id, "unreadable").await.accepted);
    world.status(id, "succeeded").await;
    assert_eq!(world.provider.log(), [format!("create/{id}"), format!("query/{id}")]);
}

#[tokio::test]
async fn a_hint_is_followed_when_the_payment_has_ended() {
    // A closed payment is asked about too, and money that is found counts as late.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    let closing = world.engine.close_transaction(world.scope, id, Duration::from_secs(5), None);
    assert_eq!(world.within(closing).await.expect("closed").status.name(), "closed");
    world.provider.answers("query", &["paid"]);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.notify(id, "hint").await.accepted);
    world.status(id, "succeeded").await;
}
