use super::*;
use crate::directory::material_note;
use crate::machine::AccountPause;
use crate::store::keys;

fn changed_settings(settings: Value) -> UpdateAccount {
    UpdateAccount { settings: Some(settings_of(settings)), ..UpdateAccount::default() }
}

fn with(change: Value) -> Value {
    let (Value::Object(mut all), Value::Object(change)) = (good_settings(), change) else { panic!("objects") };
    all.extend(change);
    Value::Object(all)
}

#[tokio::test]
async fn wrong_accounts_name_their_fields() {
    // Adapter, codes, label, weight, and every setting: unknown, missing, of the wrong kind, refused by the adapter.
    let world = World::new();
    let live = world.scope(Mode::Live).await;
    let bank = |settings| create_account("bank", settings);
    let good = || bank(good_settings());
    let strange = "other_app".parse().expect("a code");
    let table = [
        ("adapter", create_account("nobody", good_settings())),
        ("adapter", create_account("toy", good_settings())),
        ("codes", CreateAccount { codes: vec![strange], ..good() }),
        ("label", CreateAccount { label: "x".repeat(101), ..good() }),
        ("weight", CreateAccount { weight: 0, ..good() }),
        ("weight", CreateAccount { weight: 1_000_001, ..good() }),
        ("merchant key", bank(json!({}))),
        ("merchant", bank(with(json!({ "merchant": null })))),
        ("merchnat", bank(with(json!({ "merchnat": "m" })))),
        ("notify_url", bank(with(json!({ "notify_url": "https://evil.example" })))),
        ("key", bank(with(json!({ "key": { "pem": "x" } })))),
        ("key", bank(with(json!({ "key": "short" })))),
        ("merchant", bank(with(json!({ "merchant": 7 })))),
        ("settings", bank(with(json!({ "wording": "x".repeat(200_000) })))),
    ];
    for (fields, request) in table {
        let shown = format!("{request:?}");
        assert_eq!(refused(world.engine.create_account(live, request, None).await), fields, "{shown}");
    }
    let list = world.engine.accounts(live, page(10, false)).await.expect("a read");
    assert!(list.items.is_empty());
}

#[tokio::test]
async fn an_account_keeps_what_it_is_told_and_seals_what_is_secret() {
    // Settings are parted; secrets open only through the directory; the notify address is pinned; all codes by default.
    let world = World::new();
    let scope = world.scope(Mode::Test).await;
    let made = world.engine.create_account(scope, create_account("toy", good_settings()), None).await;
    let account = made.expect("good").account;
    assert_eq!(account.codes.iter().map(ChannelCode::as_str).collect::<Vec<_>>(), ["bank_app", "bank_web"]);
    let revision = &account.revisions[0];
    let notify = format!("https://pay.example/notify/toy/{}", account.id);
    let kept: Value = serde_json::from_str(&revision.settings).expect("JSON");
    assert_eq!(kept, json!({ "merchant": "m-1", "wording": "Shop", "notify_url": notify }));
    assert_eq!((revision.number, revision.identity.as_str()), (1, "m-1"));

    let held = world.engine.inner().directory.account(account.id).await.expect("a read").expect("it is there");
    let view = held.view(None).expect("the newest");
    assert_eq!((view.text("merchant"), view.notify_url), ("m-1", notify.as_str()));
    assert_eq!(view.secrets[0].named("key").expect("sealed").expose(), b"a key of the bank");
    assert!(view.secrets[0].named("passphrase").is_none());
    assert!(held.view(Some(2)).is_none());
}

#[tokio::test]
async fn settings_make_revisions_of_one_identity() {
    // Unnamed settings stay, null takes away, keys of all revisions are at hand newest first; another identity is
    // another account.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let settings = with(json!({ "passphrase": "open sesame" }));
    let account = engine.create_account(scope, create_account("bank", settings), None).await.expect("good").account;
    let update = changed_settings(json!({ "key": "another key", "wording": "Store", "passphrase": null }));
    let changed = engine.update_account(scope, account.id, update).await.expect("good");
    assert_eq!((changed.version, changed.revisions.len()), (2, 2));

    let held = engine.inner().directory.account(account.id).await.expect("a read").expect("it is there");
    let (old, new) = (held.view(Some(1)).expect("kept"), held.view(None).expect("the newest"));
    assert_eq!((old.text("wording"), new.text("wording"), new.text("merchant")), ("Shop", "Store", "m-1"));
    let key = |at: usize| held.secrets[at].named("key").and_then(Secret::expose_text);
    assert_eq!((key(0), key(1)), (Some("another key"), Some("a key of the bank")));
    assert!(new.secrets[0].named("passphrase").is_none() && new.secrets[1].named("passphrase").is_some());

    let other = changed_settings(json!({ "merchant": "m-2" }));
    assert_eq!(refused(engine.update_account(scope, account.id, other).await), "conflict");
    let broken = changed_settings(json!({ "key": null }));
    assert_eq!(refused(engine.update_account(scope, account.id, broken).await), "key");
    let label = UpdateAccount { label: Some("other".to_owned()), weight: Some(3), ..UpdateAccount::default() };
    let labelled = engine.update_account(scope, account.id, label).await.expect("good");
    assert_eq!((labelled.label.as_str(), labelled.weight, labelled.revisions.len()), ("other", 3, 2));
    for _ in 2..100 {
        engine.update_account(scope, account.id, changed_settings(json!({}))).await.expect("there is room");
    }
    let full = engine.update_account(scope, account.id, changed_settings(json!({}))).await;
    assert_eq!(refused(full), "limit_reached");
}

#[tokio::test]
async fn pauses_end_by_settings_or_by_an_operator() {
    // A label does not end one, settings and the operator do; a disabled account stays disabled.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let made = engine.create_account(scope, create_account("bank", good_settings()), None).await;
    let id = made.expect("good").account.id;
    let pause = async || {
        let newest = engine.account(scope, id).await.expect("it is there").revisions.len();
        let revision = u32::try_from(newest).expect("few");
        let pause = |revision| AccountPause { account_id: id, revision, reason: "no contract".to_owned() };
        let mut batch = Batch::default();
        // What older settings came to says nothing about these.
        engine.inner().pause_account(&mut batch, &pause(revision - 1)).await.expect("it is there");
        assert!(batch.puts.is_empty());
        engine.inner().pause_account(&mut batch, &pause(revision)).await.expect("it is there");
        world.commit(batch).await;
        let state = engine.account(scope, id).await.expect("it is there").state;
        assert!(matches!(state, AccountState::Paused { reason, .. } if reason == "no contract"));
    };
    pause().await;
    let label = UpdateAccount { label: Some("x".to_owned()), ..UpdateAccount::default() };
    let state = engine.update_account(scope, id, label).await.expect("good").state;
    assert!(matches!(state, AccountState::Paused { .. }));
    let state = engine.update_account(scope, id, changed_settings(json!({}))).await.expect("good").state;
    assert_eq!(state, AccountState::Active);
    pause().await;
    assert_eq!(refused(engine.resume_account(id, " ", None).await), "author");
    assert_eq!(engine.resume_account(id, "ann", None).await.expect("good").state, AccountState::Active);
    assert_eq!(engine.resume_account(id, "ann", None).await.expect("nothing to do").state, AccountState::Active);

    assert_eq!(engine.disable_account(scope, id).await.expect("good").state, AccountState::Disabled);
    assert_eq!(engine.disable_account(scope, id).await.expect("again").state, AccountState::Disabled);
    assert_eq!(refused(engine.resume_account(id, "ann", None).await), "conflict");
    let state = engine.update_account(scope, id, changed_settings(json!({}))).await.expect("keys may change").state;
    assert_eq!(state, AccountState::Disabled);
}

#[tokio::test]
async fn nothing_crosses_apps_and_modes() {
    // Another app's or mode's account is not there, for reading, changing and repeating.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let answer = engine.create_account(scope, create_account("bank", good_settings()), None).await;
    let id = answer.expect("good").account.id;
    let other_mode = Scope { mode: Mode::Test, ..scope };
    for stranger in [other_mode, world.scope(Mode::Live).await] {
        assert_eq!(refused(engine.account(stranger, id).await), "not_found");
        assert_eq!(refused(engine.update_account(stranger, id, UpdateAccount::default()).await), "not_found");
        assert_eq!(refused(engine.disable_account(stranger, id).await), "not_found");
        assert!(engine.accounts(stranger, page(10, false)).await.expect("a read").items.is_empty());
    }
    let owner = KeyOwner::App(scope.app_id, KeyId(RawId([1; 12])));
    let make = async || {
        let request = create_account("bank", good_settings());
        engine.create_account(scope, request, Some(idem(owner, "accounts.create", "k", 1))).await
    };
    let (first, again) = (make().await.expect("good"), make().await.expect("good"));
    assert_eq!((first.account.id, first.first, again.first), (again.account.id, true, false));
}

#[tokio::test]
async fn the_directory_follows_every_commit() {
    // What serves a code, in order of priority, right after each change; material too.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let directory = &engine.inner().directory;
    let code: ChannelCode = "bank_web".parse().expect("a code");
    let serving = async || {
        let found = directory.accounts_for(scope, &code).await.expect("a read");
        found.iter().map(|account| account.record.id).collect::<Vec<_>>()
    };
    assert_eq!(serving().await, []);
    let make = async |priority| {
        let request = CreateAccount { priority, ..create_account("bank", good_settings()) };
        engine.create_account(scope, request, None).await.expect("good").account.id
    };
    let (low, high, middle) = (make(1).await, make(9).await, make(5).await);
    assert_eq!(serving().await, [high, middle, low]);
    let only_app = UpdateAccount { codes: Some(vec!["bank_app".parse().expect("a code")]), ..UpdateAccount::default() };
    engine.update_account(scope, high, only_app).await.expect("good");
    assert_eq!(serving().await, [middle, low]);
    engine.disable_account(scope, middle).await.expect("good");
    assert_eq!(serving().await, [low]);
    let raised = UpdateAccount { priority: Some(7), ..UpdateAccount::default() };
    engine.update_account(scope, low, raised).await.expect("good");
    let other = make(6).await;
    assert_eq!(serving().await, [low, other]);

    let material = vec![crate::channel::Material { name: "certificate".to_owned(), bytes: vec![1, 2, 3] }];
    let mut batch = Batch::default();
    batch.put_record(keys::material(low), &material_note(&material, engine.now()));
    world.commit(batch).await;
    let held = directory.account(low).await.expect("a read").expect("it is there");
    assert_eq!(held.material, material);
}

#[tokio::test]
async fn an_app_has_256_accounts_a_mode() {
    // One more is refused, in that mode alone.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Test).await);
    let make = async |scope| engine.create_account(scope, create_account("bank", good_settings()), None).await;
    for _ in 0..256 {
        make(scope).await.expect("there is room");
    }
    assert_eq!(refused(make(scope).await), "limit_reached");
    make(Scope { mode: Mode::Live, ..scope }).await.expect("another mode");
}
