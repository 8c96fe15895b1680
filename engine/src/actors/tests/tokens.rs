//! Charges by a payer's token: each token once, in whatever payment.

use std::time::Duration;

use super::script::TOKEN;
use super::world::World;
use crate::Error;
use crate::api::{AccountSettings, Authorize, CreateAccount, CreateTransaction};
use crate::channel::http::SendFailure;
use crate::clock::Clock;
use crate::model::{Transaction, TransactionId};
use crate::secrets::Secret;

async fn open(world: &World, bill: &str) -> TransactionId {
    let request = CreateTransaction { channel: TOKEN.parse().expect("a code"), ..world.request(bill) };
    let created = world.engine.create_transaction(world.scope, request, None);
    world.within(created).await.expect("created").transaction.id
}

async fn charge(world: &World, id: TransactionId, token: &str) -> Result<Transaction, Error> {
    let request = Authorize { token: Secret::from_text(token), wait: Duration::from_secs(10) };
    world.within(world.engine.authorize_transaction(world.scope, id, request, None)).await
}

#[tokio::test]
async fn a_token_is_charged_once() {
    // It pays the payment it was given for; again there it changes nothing; elsewhere it is used; a bad one is refused.
    let world = World::new().await;
    let (first, second) = (open(&world, "bill-1").await, open(&world, "bill-2").await);
    assert!(matches!(charge(&world, first, "bad").await, Err(Error::TokenRefused(_))));
    let paid = charge(&world, first, "token").await.expect("charged");
    assert_eq!(paid.status.name(), "succeeded");
    assert_eq!(paid.attempts.len(), 2);
    assert_eq!(charge(&world, first, "token").await.expect("known").version, paid.version);
    assert_eq!(charge(&world, second, "token").await.err(), Some(Error::TokenUsed));
    assert_eq!(charge(&world, second, "another").await.expect("charged").status.name(), "succeeded");
    assert_eq!(world.provider.count("authorize"), 2);
}

#[tokio::test]
async fn a_token_is_charged_once_whichever_account_takes_it() {
    // Two accounts of one wallet with different contracts behind them: what one has charged the other refuses.
    let world = World::new().await;
    let first = open(&world, "bill-1").await;
    charge(&world, first, "token").await.expect("charged");
    let mut settings = serde_json::Map::new();
    settings.insert("merchant".to_owned(), "another contract".into());
    let account = CreateAccount {
        adapter: "script".to_owned(),
        codes: Vec::new(),
        label: String::new(),
        priority: 9,
        weight: 1,
        settings: AccountSettings(settings),
    };
    let other = world.engine.create_account(world.scope, account, None).await.expect("an account").account;
    let second = open(&world, "bill-2").await;
    let routed = world.engine.transaction(world.scope, second).await.expect("it is there").attempts[0].account_id;
    assert_eq!(routed, other.id);
    assert_eq!(charge(&world, second, "token").await.err(), Some(Error::TokenUsed));
    assert_eq!(world.provider.count("authorize"), 1);
}

#[tokio::test]
async fn a_token_that_grew_old_is_answered_where_it_was_charged() {
    // The payment that holds it answers as it is now; any other refuses it, and so does one of another amount.
    let world = World::new().await;
    let (first, second) = (open(&world, "bill-1").await, open(&world, "bill-2").await);
    let token = format!("until {}", world.clock.now().wall.millis());
    let paid = charge(&world, first, &token).await.expect("charged");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(charge(&world, first, &token).await.expect("known").version, paid.version);
    assert!(matches!(charge(&world, second, &token).await, Err(Error::TokenRefused(_))));
    assert!(matches!(charge(&world, second, "for 0.02").await, Err(Error::TokenRefused(_))));
    assert_eq!(world.provider.count("authorize"), 1);
}

#[tokio::test]
async fn a_charge_without_an_answer_is_asked_about_and_never_sent_again() {
    // The one send may have moved money: only a query tells, also across a restart.
    let world = World::new().await;
    let id = open(&world, "bill-1").await;
    world.provider.fails("authorize", SendFailure::Unknown("reset".to_owned()));
    let request = Authorize { token: Secret::from_text("token"), wait: Duration::ZERO };
    world.engine.authorize_transaction(world.scope, id, request, None).await.expect("taken");
    world.within(world.provider.asked("authorize", 1)).await;
    world.provider.answers("query", &["paid"]);
    let world = world.restarted();
    world
        .until("it is asked about", async || {
            world.clock.advance(Duration::from_secs(1));
            world.provider.count("query") > 0
        })
        .await;
    world.status(id, "succeeded").await;
    assert_eq!(world.provider.count("authorize"), 1);
}

#[tokio::test]
async fn one_token_for_two_payments_at_once_is_charged_once() {
    // Of two at the same moment one takes the token, the other hears that it is used.
    let world = World::new().await;
    let (first, second) = (open(&world, "bill-1").await, open(&world, "bill-2").await);
    let (a, b) = tokio::join!(charge(&world, first, "token"), charge(&world, second, "token"));
    let used = [&a, &b].into_iter().filter(|it| matches!(it, Err(Error::TokenUsed))).count();
    assert_eq!((used, a.is_ok() != b.is_ok()), (1, true), "{a:?} {b:?}");
    assert_eq!(world.provider.count("authorize"), 1);
}
