//! A payment from its request to its end, over every way it can go wrong in between.

use std::sync::Arc;
use std::time::Duration;

use super::script::LOCAL;
use super::world::World;
use crate::api::CreateTransaction;
use crate::channel::http::SendFailure;
use crate::model::{SendState, Status};
use crate::store::memory::Failure;
use crate::{Error, Health, store};

#[tokio::test]
async fn a_payment_goes_from_request_to_success() {
    // Created, sent, awaiting its payer; a notification makes it succeed; the same one again changes nothing.
    let world = World::new().await;
    let created = world.create("bill-1").await.expect("created");
    assert!(created.first);
    assert_eq!(created.transaction.status.name(), "awaiting_payer", "{:?}", created.transaction);
    let id = created.transaction.id;
    assert_eq!(world.engine.shown(&created.transaction), [("number".to_owned(), id.to_string())]);
    assert!(world.notify(id, "paid").await.accepted);
    let paid = world.engine.transaction(world.scope, id).await.expect("it is there");
    assert_eq!(paid.status.name(), "succeeded");
    assert!(world.notify(id, "paid").await.accepted);
    assert_eq!(world.engine.transaction(world.scope, id).await.expect("it is there").version, paid.version);
    assert_eq!(world.provider.log(), [format!("create/{id}")]);
}

#[tokio::test]
async fn a_locally_signed_payment_needs_no_call() {
    // One commit takes it to its payer, and nothing is sent.
    let world = World::new().await;
    let request = CreateTransaction { channel: LOCAL.parse().expect("a code"), ..world.request("bill-1") };
    let created = world.engine.create_transaction(world.scope, request, None).await.expect("created");
    assert_eq!(created.transaction.status.name(), "awaiting_payer");
    assert_eq!(created.transaction.transitions, 1);
    assert!(world.provider.log().is_empty());
}

#[tokio::test]
async fn one_bill_number_makes_one_payment() {
    // Of many at once one makes it, all get it; other content is a conflict that names it.
    let world = World::new().await;
    let creates = (0..8).map(|_| world.create("bill-1"));
    let made = futures_util::future::join_all(creates).await;
    let made: Vec<_> = made.into_iter().map(|made| made.expect("an answer")).collect();
    assert_eq!(made.iter().filter(|made| made.first).count(), 1);
    assert!(made.iter().all(|it| it.transaction.id == made[0].transaction.id));
    let other = CreateTransaction { subject: "coffee".to_owned(), ..world.request("bill-1") };
    let refused = world.engine.create_transaction(world.scope, other, None).await;
    assert_eq!(refused.err(), Some(Error::BillNumberConflict(made[0].transaction.id)));
    assert_eq!(world.provider.count("create"), 1);
}

#[tokio::test]
async fn silence_is_asked_about_and_never_failure() {
    // A create without an answer is in doubt; what the channel says when asked under the same number decides.
    let world = World::new().await;
    world.provider.fails("create", SendFailure::Unknown("reset".to_owned()));
    world.provider.answers("query", &["paid"]);
    let created = world.create_only("bill-1").await.expect("created").transaction;
    assert_eq!(created.status.name(), "submitting");
    world.within(world.provider.asked("create", 1)).await;
    world
        .until("it is in doubt", async || {
            world.engine.transaction(world.scope, created.id).await.is_ok_and(|it| it.in_doubt.is_some())
        })
        .await;
    world.clock.advance(Duration::from_secs(6));
    world.status(created.id, "succeeded").await;
    assert_eq!(world.provider.log(), [format!("create/{}", created.id), format!("query/{}", created.id)]);
}

#[tokio::test]
async fn what_was_not_sent_is_sent_again() {
    // A connection that was never made proves that nothing left: the same number is tried again.
    let world = World::new().await;
    world.provider.fails("create", SendFailure::NotSent("no route".to_owned()));
    let created = world.create_only("bill-1").await.expect("created").transaction;
    world.within(world.provider.asked("create", 1)).await;
    let row = async || world.engine.transaction(world.scope, created.id).await.expect("it is there");
    world.until("it is noted", async || row().await.attempts[0].sends[0].state == SendState::NotExecuted).await;
    // No further than to its time: a call that waits for too long does not leave any more.
    world.clock.advance(row().await.due_at.expect("it is open").since(world.engine.now()));
    world.within(world.provider.asked("create", 2)).await;
    let awaiting = world.status(created.id, "awaiting_payer").await;
    assert_eq!(awaiting.attempts.len(), 1);
    assert_eq!(world.provider.count("create"), 2);
}

#[tokio::test]
async fn an_answer_with_another_owner_is_unknown() {
    // It settles nothing, and a person hears of it.
    let world = World::new().await;
    world.provider.answers("create", &["await@them"]);
    let created = world.create_only("bill-1").await.expect("created").transaction;
    world
        .until("an alarm", async || {
            world.engine.metrics().alarms.iter().any(|(kind, _)| format!("{kind:?}") == "WrongOwner")
        })
        .await;
    let record = world.engine.transaction(world.scope, created.id).await.expect("it is there");
    assert_eq!(record.status.name(), "submitting");
}

#[tokio::test]
async fn notifications_are_proved_and_compared() {
    // Unsigned: refused. Another owner: refused with an alarm. Unknown number: inbox, acknowledged. Unknown account: 404.
    let world = World::new().await;
    let created = world.create("bill-1").await.expect("created").transaction;
    let unsigned = world.notify_signed(created.id, "paid", "bad").await;
    assert!(!unsigned.accepted && unsigned.acknowledgement.status == 400);
    assert!(!world.notify(created.id, "paid@them").await.accepted);
    let stranger = world.engine.inner().ids.next();
    assert!(world.notify(stranger, "paid").await.accepted);
    let page = crate::api::PageRequest { after: None, limit: 10, newest_first: false };
    assert_eq!(world.engine.inbox(page).await.expect("a list").items.len(), 1);
    let raw = crate::channel::RawNotification { headers: vec![], query: String::new(), body: bytes::Bytes::new() };
    let nobody = world.engine.notification("script", "nobody", raw).await;
    assert_eq!(nobody.acknowledgement.status, 404);
    let record = world.engine.transaction(world.scope, created.id).await.expect("it is there");
    assert_eq!(record.status.name(), "awaiting_payer");
}

#[tokio::test]
async fn a_notification_names_the_time_of_its_number() {
    // Where the dialect says when a number was given, another second is another order: refused, nothing changes.
    let world = World::new().await;
    let created = world.create("bill-1").await.expect("created").transaction;
    let record = world.engine.inner().transaction_row(created.id).await.expect("it is there");
    let given = record.attempts[0].numbered_at;
    for (at, accepted) in [(given.after(Duration::from_secs(1)), false), (given, true)] {
        let raw = crate::channel::RawNotification {
            headers: vec![("sign".to_owned(), "good".to_owned()), ("numbered-at".to_owned(), at.to_string())],
            query: String::new(),
            body: format!("{} paid", created.id).into(),
        };
        let reply = world.within(world.engine.notification("script", &world.account.id.to_string(), raw)).await;
        assert_eq!(reply.accepted, accepted, "{at}");
        let record = world.engine.inner().transaction_row(created.id).await.expect("it is there");
        assert_eq!(record.status.name() == "succeeded", accepted, "{at}");
    }
}

#[tokio::test]
async fn a_close_is_asked_and_money_wins() {
    // A close is confirmed by the channel; money that shows up afterwards still counts, as late.
    let world = World::new().await;
    let created = world.create("bill-1").await.expect("created").transaction;
    let closing = world.engine.close_transaction(world.scope, created.id, Duration::from_secs(5), None);
    let closed = world.within(closing).await.expect("closed");
    assert_eq!(closed.status.name(), "closed");
    assert!(world.notify(created.id, "paid").await.accepted);
    let late = world.status(created.id, "succeeded").await;
    assert!(matches!(late.status, Status::Succeeded { late: true, .. }));
}

#[tokio::test]
async fn a_query_brings_the_truth() {
    // Asking now returns what the channel says within the wait.
    let world = World::new().await;
    let created = world.create("bill-1").await.expect("created").transaction;
    world.provider.answers("query", &["paid"]);
    let asked = world.engine.query_transaction(world.scope, created.id, Duration::from_secs(5), None);
    assert_eq!(world.within(asked).await.expect("asked").status.name(), "succeeded");
}

#[tokio::test]
async fn a_restart_goes_on_from_the_intent() {
    // A create whose answer was lost with the process is asked about, never sent again.
    let world = World::new().await;
    world.provider.hold();
    let created = world.create_only("bill-1").await.expect("created").transaction;
    world.within(world.provider.asked("create", 1)).await;
    world.provider.answers("query", &["paid"]);
    let world = world.restarted();
    world.provider.release();
    world
        .until("it is asked about", async || {
            world.clock.advance(Duration::from_secs(1));
            world.provider.count("query") > 0
        })
        .await;
    world.status(created.id, "succeeded").await;
    assert_eq!(world.provider.count("create"), 1);
}

#[tokio::test]
async fn a_fenced_store_sends_nothing_and_says_so() {
    // The commit that the disk refused is unknown; then nothing is taken or sent until the store is open again.
    let world = World::new().await;
    world.store.fail_next_commits(0, Failure::Lost);
    assert_eq!(world.create("bill-1").await.err(), Some(Error::OutcomeUnknown));
    assert!(matches!(world.create("bill-2").await.err(), Some(Error::StoreUnavailable(_))));
    assert!(matches!(world.engine.health(), Health { store: store::Health::Fenced { .. }, .. }));
    assert!(world.provider.log().is_empty());
    world.engine.reopen().await.expect("it opens");
    assert_eq!(world.engine.health().store, store::Health::Open);
    assert_eq!(world.create("bill-3").await.expect("created").transaction.status.name(), "awaiting_payer");
}

#[tokio::test]
async fn two_engines_do_not_disturb_each_other() {
    // Each has its own threads and store; one that ends leaves the other at work.
    let (one, other) = (World::new().await, World::new().await);
    let (a, b) = tokio::join!(one.create("bill-1"), other.create("bill-1"));
    assert!(a.expect("created").first);
    let b = b.expect("created").transaction;
    let report = one.engine.shutdown(Duration::from_secs(5)).await;
    assert!(report.drained);
    assert_eq!(one.create("bill-2").await.err(), Some(Error::ShuttingDown));
    assert!(other.notify(b.id, "paid").await.accepted);
    other.status(b.id, "succeeded").await;
}

#[test]
fn an_engine_needs_no_runtime_of_its_host() {
    // A host without tokio can start it, call it with any executor, and let it go.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let world = runtime.block_on(World::new());
    drop(runtime);
    let request = world.request("bill-1");
    let engine = world.engine.clone();
    let scope = world.scope;
    let made = std::thread::spawn(move || block_on(engine.create_transaction(scope, request, None)));
    assert!(made.join().expect("no panic").expect("created").first);
}

/// The plainest executor: parks its thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[tokio::test]
async fn what_a_channel_does_not_take_is_refused_by_field() {
    // Every wrong field is named; nothing is made.
    let world = World::new().await;
    let mut request = world.request("bill-1");
    request.subject = String::new();
    request.timeout = Some(Duration::from_secs(1));
    request.extras = Some("{".to_owned());
    request.amount = crate::model::Money::zero("USD".parse().expect("a currency"));
    let Err(Error::Invalid { fields }) = world.engine.create_transaction(world.scope, request, None).await else {
        panic!("it is refused");
    };
    let named: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(named, ["amount", "currency", "subject", "extras", "timeout"]);
    let unknown = CreateTransaction { channel: "nobody".parse().expect("a code"), ..world.request("bill-1") };
    let refused = world.engine.create_transaction(world.scope, unknown, None).await;
    assert_eq!(refused.err(), Some(Error::UnknownChannel("nobody".to_owned())));
}

#[tokio::test]
async fn a_refused_account_is_paused_until_an_operator_resumes_it() {
    // No further create goes through it meanwhile; a person hears of it; afterwards payments go on.
    let world = World::new().await;
    world.provider.answers("create", &["account_refused"]);
    world.create_only("bill-1").await.expect("created");
    let paused = async || {
        let account = world.engine.account(world.scope, world.account.id).await.expect("it is there");
        matches!(account.state, crate::model::AccountState::Paused { .. })
    };
    world.until("the account is paused", paused).await;
    assert!(matches!(world.create("bill-2").await.err(), Some(Error::AccountPaused(..))));
    assert!(!world.engine.metrics().alarms.is_empty());
    world.provider.answers("create", &["await"]);
    world.engine.resume_account(world.account.id, "ann", None).await.expect("resumed");
    assert_eq!(world.create("bill-3").await.expect("created").transaction.status.name(), "awaiting_payer");
}

#[tokio::test]
async fn an_adapter_that_panics_makes_an_unknown_and_nothing_worse() {
    // The answer proves nothing; the actor and its neighbours live on.
    let world = World::new().await;
    world.provider.answers("create", &["panic", "await"]);
    let first = world.create_only("bill-1").await.expect("created").transaction;
    world
        .until("it is in doubt", async || {
            world.engine.transaction(world.scope, first.id).await.is_ok_and(|it| it.in_doubt.is_some())
        })
        .await;
    assert_eq!(world.create("bill-2").await.expect("created").transaction.status.name(), "awaiting_payer");
    assert_eq!(world.engine.metrics().actors_died, 0);
}

#[tokio::test]
async fn an_idempotency_key_finds_what_it_made() {
    // The same key and body: the same payment. The same key and another body: refused.
    let world = World::new().await;
    let key = |digest: u8| crate::api::Idempotency {
        owner: crate::model::KeyOwner::App(world.scope.app_id, crate::model::KeyId(world.scope.app_id.0)),
        mode: Some(world.scope.mode),
        route: "transactions.create",
        key: "k-1".to_owned(),
        body_digest: [digest; 32],
    };
    let create = |bill, digest| world.engine.create_transaction(world.scope, world.request(bill), Some(key(digest)));
    let (one, other) = tokio::join!(create("bill-1", 1), create("bill-1", 1));
    let (one, other) = (one.expect("created"), other.expect("created"));
    assert_eq!(one.transaction.id, other.transaction.id);
    assert!(one.first != other.first);
    assert_eq!(create("bill-1", 2).await.err(), Some(Error::IdempotencyMismatch));
    assert_eq!(world.provider.count("create"), 1);
}

#[tokio::test]
async fn material_that_has_grown_old_is_fetched_anew_beside_the_next_call() {
    // Fetched once when it was missing; not again while it is fresh; then once, and no payment waits for it.
    let world = World::new().await;
    world.provider.answers("create", &["sealed"]);
    world.provider.answers("maintain", &["certificate"]);
    let fetched = || world.provider.log().iter().filter(|path| path.contains("maintain")).count();
    world.create("bill-1").await.expect("created");
    world.create("bill-2").await.expect("created");
    assert_eq!(fetched(), 1);
    world.clock.advance(super::script::MATERIAL_KEPT);
    assert_eq!(world.create("bill-3").await.expect("created").transaction.status.name(), "awaiting_payer");
    world.until("it is fetched anew", async || fetched() == 2).await;
    let kept = async || world.engine.metrics().under_way == 0;
    world.until("it is kept", kept).await;
    world.create("bill-4").await.expect("created");
    assert_eq!(fetched(), 2);
}

#[tokio::test]
async fn what_a_stranger_asks_for_in_vain_keeps_no_call_from_its_material() {
    // A notification that names a key which nobody has is looked into once a minute; a call has a fetch of its own.
    let world = World::new().await;
    world.provider.answers("create", &["sealed"]);
    world.provider.answers("maintain", &["certificate"]);
    world.provider.fails("maintain", SendFailure::NotSent("there is none".to_owned()));
    let stranger = world.engine.inner().ids.next();
    for _ in 0..3 {
        let reply = world.notify_signed(stranger, "paid", "by another key").await;
        assert!(!reply.accepted);
    }
    assert_eq!(world.provider.count("maintain"), 1);
    let made = world.create("bill-1").await.expect("created").transaction;
    assert_eq!(made.status.name(), "awaiting_payer");
    assert_eq!(world.provider.count("maintain"), 2);
}
