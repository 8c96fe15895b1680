//! Several accounts for one channel: which one takes a payment, which one takes it over, and what the timeline says.

use std::collections::BTreeMap;

use super::world::World;
use crate::Error;
use crate::api::{AccountSettings, CreateAccount};
use crate::model::{Account, AccountState, Transaction};

async fn account(world: &World, label: &str, priority: u32, weight: u32) -> Account {
    let mut settings = serde_json::Map::new();
    settings.insert("merchant".to_owned(), "us".into());
    let account = CreateAccount {
        adapter: "script".to_owned(),
        codes: Vec::new(),
        label: label.to_owned(),
        priority,
        weight,
        settings: AccountSettings(settings),
    };
    world.engine.create_account(world.scope, account, None).await.expect("an account").account
}

async fn timeline(world: &World, transaction: &Transaction) -> String {
    let entries = world.engine.timeline(world.scope, transaction.id, 0, 100).await.expect("it is there");
    format!("{entries:?}")
}

#[tokio::test]
async fn a_refused_account_hands_over_to_the_next() {
    // The payer gets their action, the first account is paused, and the timeline tells both choices and why.
    let world = World::new().await;
    let spare = account(&world, "spare", 0, 1).await;
    let first = account(&world, "first", 5, 1).await;
    world.provider.answers("create", &["account_refused", "await"]);
    let made = world.create("bill-1").await.expect("created").transaction;
    assert_eq!(made.status.name(), "awaiting_payer");
    let tried: Vec<_> = made.attempts.iter().map(|attempt| attempt.account_id).collect();
    assert!(tried.len() == 2 && tried[0] == first.id && [spare.id, world.account.id].contains(&tried[1]), "{tried:?}");
    let state = world.engine.account(world.scope, first.id).await.expect("it is there").state;
    assert!(matches!(state, AccountState::Paused { .. }));
    let told = timeline(&world, &made).await;
    let chosen = format!("through account {}, priority 5 and weight 1, of 3 that can take it", first.id);
    let taken = format!("account {} takes it over", tried[1]);
    assert!([chosen.as_str(), "no contract", taken.as_str()].iter().all(|part| told.contains(part)), "{told}");
}

#[tokio::test]
async fn every_account_is_tried_once_before_a_payment_fails() {
    // All are refused: the payment fails, and each of them has had it once.
    let world = World::new().await;
    account(&world, "spare", 0, 1).await;
    world.provider.answers("create", &["account_refused", "account_refused"]);
    let made = world.create("bill-1").await.expect("created").transaction;
    assert_eq!((made.status.name(), made.attempts.len()), ("failed", 2));
    assert!(matches!(world.create("bill-2").await.err(), Some(Error::AccountPaused(..))));
}

#[tokio::test]
async fn an_account_that_was_deleted_meanwhile_takes_nothing_over() {
    // It was to be the next one when the payment was made.
    let world = World::new().await;
    account(&world, "first", 5, 1).await;
    world.provider.answers("create", &["account_refused", "await"]);
    world.provider.hold();
    let made = world.create_only("bill-1").await.expect("created").transaction;
    world.within(world.provider.asked("create", 1)).await;
    world.engine.disable_account(world.scope, world.account.id).await.expect("deleted");
    world.provider.release();
    let row = async || world.engine.transaction(world.scope, made.id).await.expect("it is there");
    let judged = async || row().await.attempts.get(1).is_some_and(|second| second.last_outcome.is_some());
    world.until("the second attempt is judged", judged).await;
    assert_eq!(world.provider.count("create"), 1);
    let why = row().await.attempts[1].last_outcome.clone().expect("it is judged").text;
    assert!(why.contains("deleted"), "{why}");
}

#[tokio::test]
async fn equals_share_by_weight() {
    // Three to one, within what chance allows of 200; the one of lower priority takes none.
    let world = World::new().await;
    let heavy = account(&world, "heavy", 1, 3).await;
    let light = account(&world, "light", 1, 1).await;
    let mut taken: BTreeMap<_, u32> = BTreeMap::new();
    for number in 0..200 {
        let made = world.create(&format!("bill-{number}")).await.expect("created").transaction;
        *taken.entry(made.attempts[0].account_id).or_default() += 1;
    }
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!((120..=180).contains(&taken[&heavy.id]) && taken[&light.id] >= 20, "{taken:?}");
}
