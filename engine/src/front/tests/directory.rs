use std::sync::atomic::Ordering;

use super::slow_store::SlowStore;
use super::*;
use crate::store::Table;

/// An engine whose store needs a disk for every read, with one app.
async fn slow() -> (Engine, Arc<SlowStore>, CreatedApp) {
    let store = Arc::new(SlowStore::new());
    let key = crate::secrets::SealingKey::generate(&SeededEntropy::new(3));
    let builder = Engine::builder().store(store.clone()).sealing_key(crate::secrets::Sealer::new(&key));
    let engine = builder.adapter(Arc::new(bank::Bank::new("bank", false))).start().expect("everything is there");
    let app = engine.create_app(create_app("Shop"), None).await.expect("good");
    (engine, store, app)
}

#[tokio::test]
async fn a_credential_that_cannot_be_checked_is_neither_right_nor_wrong() {
    // While the disk refuses, everything that is not held in memory is unavailable; then it is as before.
    let (engine, store, app) = slow().await;
    let api = issued(&app, KeyKind::Api, Mode::Live);
    let client = issued(&app, KeyKind::Client, Mode::Live);
    let bearer = async || engine.authenticate(Credential::Bearer(api.clone())).await.map(|it| it.right);
    let proof = async || {
        let proofs = vec![Proof::ClientKey(client.clone())];
        engine.authenticate(Credential::App { app_id: app.app.id, proofs }).await.map(|it| it.right)
    };
    store.failing.store(true, Ordering::Release);
    assert_eq!(bearer().await, Err(Unauthenticated::Unavailable));
    assert_eq!(proof().await, Err(Unauthenticated::Unavailable));
    assert_eq!(refused(engine.apps(page(10, false)).await), "store_unavailable");
    store.failing.store(false, Ordering::Release);
    assert_eq!((bearer().await, proof().await), (Ok(Right::Payments), Ok(Right::Client)));
    store.failing.store(true, Ordering::Release);
    assert_eq!((bearer().await, proof().await), (Ok(Right::Payments), Ok(Right::Client)), "held in memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    // A read of the app is held up; the app is disabled meanwhile; the old answer may go to the one who asked, but the
    // next one sees the new.
    let (engine, store, app) = slow().await;
    let client = issued(&app, KeyKind::Client, Mode::Live);
    let ask = {
        let (engine, id) = (engine.clone(), app.app.id);
        move || {
            let (engine, proofs) = (engine.clone(), vec![Proof::ClientKey(client.clone())]);
            async move { engine.authenticate(Credential::App { app_id: id, proofs }).await.map(|it| it.right) }
        }
    };
    let held = store.hold_up(Table::App);
    let early = tokio::spawn(ask());
    let waiting = tokio::task::spawn_blocking(move || held.was_read.recv().map(|()| held.go_on));
    let go_on = waiting.await.expect("no panic").expect("it is read");
    let disable = UpdateApp { disabled: Some(true), ..UpdateApp::default() };
    engine.update_app(app.app.id, disable).await.expect("it is there");
    go_on.send(()).expect("it waits");
    assert_eq!(early.await.expect("no panic"), Ok(Right::Client));
    assert_eq!(ask().await, Err(Unauthenticated::UnknownApp));
}

#[tokio::test]
async fn a_command_goes_on_when_its_caller_goes_away() {
    // The future is dropped after its first step; the app is there all the same.
    let (engine, store, _) = slow().await;
    store.inner.hold();
    {
        let mut making = Box::pin(engine.create_app(create_app("Second"), None));
        let step = std::future::poll_fn(|context| std::task::Poll::Ready(making.as_mut().poll(context))).await;
        assert!(step.is_pending());
    }
    while store.inner.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    store.inner.release();
    let names: Vec<_> =
        engine.apps(page(10, false)).await.expect("a read").items.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["Shop", "Second"]);
}

#[tokio::test]
async fn an_account_whose_secrets_do_not_open_is_told_from_none() {
    // Sealed for another place: its channel says that signing material cannot be used; another channel, that there is
    // no account; an account that opens takes the payment; a disabled one is none.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let code: ChannelCode = "bank_web".parse().expect("a code");
    let asked = |code: &ChannelCode| {
        let (directory, code) = (&engine.inner().directory, code.clone());
        async move { directory.accounts_for(scope, &code).await.map(|found| found.len()) }
    };
    let web_only = CreateAccount { codes: vec![code.clone()], ..create_account("bank", good_settings()) };
    let made = engine.create_account(scope, web_only, None).await.expect("good").account;
    let mut damaged = made.clone();
    damaged.version += 1;
    damaged.revisions[0].number = 7;
    let mut batch = Batch::default();
    batch.put_account(Some(&made), &damaged);
    world.commit(batch).await;
    assert_eq!(refused(asked(&code).await), "certificate_unusable");
    assert_eq!(asked(&"bank_app".parse().expect("a code")).await, Ok(0));
    let other =
        engine.create_account(scope, create_account("bank", good_settings()), None).await.expect("good").account;
    assert_eq!(asked(&code).await, Ok(1));
    engine.disable_account(scope, other.id).await.expect("it is there");
    assert_eq!(refused(asked(&code).await), "certificate_unusable");
    engine.disable_account(scope, made.id).await.expect("it is there");
    assert_eq!(asked(&code).await, Ok(0));
}
