//! Due times as a channel notices them: never early, whatever clocks do, and however many at once.

use std::time::Duration;

use futures_util::FutureExt;

use super::world::World;
use crate::channel::http::SendFailure;
use crate::model::{DeliveryState, TransactionId};
use crate::store::{Scan, Store, Table};

fn due_rows(world: &World) -> usize {
    world.store.scan(&Scan::prefix(Table::Due, &[], 10_000)).expect("it is open").rows.len()
}

#[tokio::test]
async fn a_wall_clock_that_jumps_back_makes_nothing_early() {
    // Due times are wall time: after a jump back they come later, and a jump ahead makes them come.
    let world = World::new().await;
    world.provider.fails("create", SendFailure::Unknown("reset".to_owned()));
    let created = world.create_only("bill-1").await.expect("created").transaction;
    world.within(world.provider.asked("create", 1)).await;
    let doubt = async || world.engine.transaction(world.scope, created.id).await.expect("it is there").in_doubt;
    world.until("it is in doubt", async || doubt().await.is_some()).await;
    let start = world.engine.now();
    world.clock.jump(start.before(Duration::from_mins(10)));
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(world.provider.count("query"), 0);
    world.clock.jump(start.after(Duration::from_mins(10)));
    world
        .until("it is asked about", async || {
            world.clock.advance(Duration::from_millis(500));
            world.provider.count("query") > 0
        })
        .await;
}

#[tokio::test]
async fn many_due_at_once_are_worked_off_and_new_ones_go_first() {
    // Payments in doubt that become due together are all asked about; a new one does not wait behind them.
    const MANY: usize = 700;
    let world = World::new().await;
    for _ in 0..MANY {
        world.provider.fails("create", SendFailure::Unknown("reset".to_owned()));
    }
    let bills: Vec<String> = (0..MANY).map(|index| format!("old-{index}")).collect();
    let creates = bills.iter().map(|bill| world.create_only(bill));
    let made = futures_util::future::join_all(creates).await;
    let ids: Vec<_> = made.into_iter().map(|made| made.expect("created").transaction.id).collect();
    world.within(world.provider.asked("create", MANY)).await;
    for id in &ids {
        world
            .until("in doubt", async || {
                world.engine.transaction(world.scope, *id).await.is_ok_and(|it| it.in_doubt.is_some())
            })
            .await;
    }
    world.provider.answers("query", &["paid"]);
    world.provider.hold();
    world.clock.advance(Duration::from_secs(30));
    world.within(world.provider.asked("query", 32)).await;
    let new = world.create_only("new").await.expect("created").transaction;
    world.provider.release();
    world.within(world.provider.asked("create", MANY + 1)).await;
    let log = world.provider.log();
    let place = log.iter().position(|line| *line == format!("create/{}", new.id)).expect("it was sent");
    assert!(place < MANY + 200, "the new one came at {place}");
    // Before time passes: after a while the new one is asked about as well, and is paid.
    world.status(new.id, "awaiting_payer").await;
    for id in ids {
        world.until("it is paid", async || status_while_time_passes(&world, id).await == "succeeded").await;
    }
    let new = world.engine.transaction(world.scope, new.id).await.expect("it is there");
    assert_eq!(due_rows(&world), usize::from(new.is_open()));
}

async fn status_while_time_passes(world: &World, id: TransactionId) -> &'static str {
    world.clock.advance(Duration::from_millis(10));
    world.engine.inner().transaction_row(id).await.expect("it is there").status.name()
}

#[tokio::test]
async fn an_account_is_asked_so_often_and_no_oftener() {
    // Of many that are due together a second's worth is asked about at once, then so many a second and no more, each once;
    // meanwhile creates leave at once, and so do the questions of whoever waits for the answer, in their turn.
    const MANY: usize = 1_700;
    const A_SECOND: usize = 200;
    let world = World::new().await;
    let bills: Vec<String> = (0..MANY).map(|index| format!("old-{index}")).collect();
    for bill in &bills {
        world.create(bill).await.expect("created");
    }
    world.clock.advance(Duration::from_mins(5));
    world.within(world.provider.asked("query", A_SECOND)).await;
    let offered = async || world.engine.metrics().due_backlog >= MANY - A_SECOND - 256 - 512;
    world.until("the rest is due and waits", offered).await;
    for second in 1..8 {
        let new = world.create(&format!("new-{second}")).await.expect("created").transaction;
        assert_eq!(new.status.name(), "awaiting_payer");
        assert_eq!(world.provider.count("query"), A_SECOND * second, "in second {second}");
        // Not in one leap: a wait that nobody had begun yet would begin at its end.
        for _ in 0..A_SECOND {
            let asked = world.provider.count("query");
            world.clock.advance(Duration::from_millis(5));
            world.within(world.provider.asked("query", asked + 1)).await;
        }
    }
    let wanted = world.create("wanted").await.expect("created").transaction.id;
    let mut asked = std::pin::pin!(world.engine.query_transaction(world.scope, wanted, Duration::from_secs(10), None));
    let mut answered = asked.as_mut().now_or_never().is_some();
    // Before time goes on: it would be late for want of a thread, and not of its turn.
    let waits = async || world.engine.inner().dispatcher.asked(world.account.id) == 1;
    world.until("it waits for its turn", waits).await;
    while !answered {
        world.clock.advance(Duration::from_millis(5));
        answered = asked.as_mut().now_or_never().is_some();
        tokio::task::yield_now().await;
    }
    assert!(world.provider.count("query") < MANY, "it went before the rest");
    let all = async || {
        world.clock.advance(Duration::from_millis(5));
        world.provider.count("query") > MANY
    };
    world.until("all were asked about", all).await;
}

#[tokio::test]
async fn a_hint_is_followed_and_leaves_nothing_behind() {
    // What proves nothing has the channel asked, once, and the row that says so goes.
    let world = World::new().await;
    let id = world.create("bill-1").await.expect("created").transaction.id;
    world.provider.answers("query", &["paid"]);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.notify(id, "hint").await.accepted);
    world.status(id, "succeeded").await;
    world.until("no row is left", async || due_rows(&world) == 0).await;
    assert_eq!(world.provider.count("query"), 1);
}

#[tokio::test]
async fn what_is_due_at_the_same_moment_is_told_apart() {
    // Many deliveries of one moment are each made once.
    let world = World::new().await;
    super::deliveries::subscribe(&world, "hook").await;
    for index in 0..40 {
        super::deliveries::pay(&world, &format!("bill-{index}")).await;
    }
    world.hooked(40).await;
    let delivered = |it: &crate::model::Delivery| matches!(it.state, DeliveryState::Delivered { .. });
    world.until("all are delivered", async || super::deliveries::all(&world).await.iter().all(delivered)).await;
    assert_eq!(world.hooked.lock().expect("no panic").len(), 40);
}
