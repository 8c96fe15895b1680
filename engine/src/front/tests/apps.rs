use super::*;

fn text(secret: &Secret) -> String {
    secret.expose_text().expect("keys are text").to_owned()
}

#[tokio::test]
async fn a_new_app_has_keys_of_the_documented_shapes() {
    // Three keys a mode: 30 characters of base64url, sk_ and mk_; session tokens are 43 characters for 180 days.
    let world = World::new();
    let created = world.app().await;
    assert_eq!((created.app.keys.len(), created.issued.len()), (6, 6));
    let base64url = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    for mode in [Mode::Test, Mode::Live] {
        let client = text(&issued(&created, KeyKind::Client, mode));
        assert!(client.len() == 30 && base64url(&client), "{client}");
        let api = text(&issued(&created, KeyKind::Api, mode));
        assert!(api.starts_with(&format!("sk_{mode}_")) && api.len() == 56, "{api}");
        let master = text(&issued(&created, KeyKind::Master, mode));
        assert!(master.starts_with(&format!("mk_{mode}_")) && master.len() == 56, "{master}");
        let session = new_key(KeyKind::SessionToken, mode);
        let session = world.engine.issue_key(created.app.id, session, None).await.expect("good");
        let token = text(session.secret.as_ref().expect("just issued"));
        assert!(token.len() == 43 && base64url(&token), "{token}");
        assert_eq!(session.key.expires_at, Some(world.engine.now().after(Duration::from_hours(180 * 24))));
        assert_eq!(session.key.hint, token[39..]);
    }
    let operator = world.engine.issue_operator_key().await.expect("good");
    assert!(text(&operator.secret).starts_with("op_"));
}

#[tokio::test]
async fn wrong_requests_name_their_fields() {
    // Nothing is written for them.
    let world = World::new();
    let app = world.app().await.app.id;
    let engine = &world.engine;
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        assert_eq!(refused(engine.create_app(create_app(name), None).await), "name", "{name:?}");
        let update = UpdateApp { name: Some(name.to_owned()), ..UpdateApp::default() };
        assert_eq!(refused(engine.update_app(app, update).await), "name", "{name:?}");
    }
    let past = Some(engine.now());
    let later = Some(engine.now().after(Duration::from_secs(1)));
    let import = |text: &str| Some(Secret::from_text(text));
    let (client, session) = (new_key(KeyKind::Client, Mode::Test), KeyKind::SessionToken);
    let table = [
        ("import", IssueKey { import: import("fifteen letters"), ..client }),
        ("import", IssueKey { import: import(&"x".repeat(129)), ..new_key(KeyKind::Api, Mode::Test) }),
        ("import", IssueKey { import: import("has a space in it"), ..new_key(KeyKind::Api, Mode::Test) }),
        ("import", IssueKey { import: import("钥匙钥匙钥匙钥匙"), ..new_key(KeyKind::Api, Mode::Test) }),
        ("expires_at", IssueKey { expires_at: past, ..new_key(session, Mode::Test) }),
        ("expires_at", IssueKey { expires_at: later, ..new_key(KeyKind::Master, Mode::Test) }),
        ("owner", IssueKey { owner: Some("bob".to_owned()), ..new_key(KeyKind::Api, Mode::Test) }),
        ("owner", IssueKey { owner: Some("b".repeat(101)), ..new_key(session, Mode::Test) }),
    ];
    for (field, request) in table {
        let shown = format!("{request:?}");
        assert_eq!(refused(engine.issue_key(app, request, None).await), field, "{shown}");
    }
    let nobody = AppId(RawId([1; 12]));
    assert_eq!(refused(engine.issue_key(nobody, new_key(session, Mode::Test), None).await), "not_found");
    assert_eq!(refused(engine.revoke_key(app, KeyId(RawId([1; 12]))).await), "not_found");
    assert_eq!(engine.app(app).await.expect("it is there").version, 1);
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_thing() {
    // The same body finds what the first made, without its secrets; another body is refused; a day later it is free.
    let world = World::new();
    let engine = &world.engine;
    let make =
        async |body| engine.create_app(create_app("Shop"), Some(idem(operator(), "apps.create", "k", body))).await;
    let first = make(1).await.expect("good");
    assert_eq!(first.issued.len(), 6);
    let again = make(1).await.expect("good");
    assert_eq!((again.app.id, again.issued.len()), (first.app.id, 0));
    assert_eq!(refused(make(2).await), "idempotency_mismatch");
    world.clock.advance(Duration::from_hours(24));
    assert_ne!(make(2).await.expect("good").app.id, first.app.id);

    let app = first.app.id;
    let issue = async |app, body| {
        let request = new_key(KeyKind::Api, Mode::Test);
        engine.issue_key(app, request, Some(idem(operator(), "keys.issue", "k", body))).await
    };
    let key = issue(app, 1).await.expect("good");
    let repeat = issue(app, 1).await.expect("good");
    assert_eq!(repeat.key, key.key);
    assert!(key.secret.is_some() && repeat.secret.is_none());
    let other = world.app().await.app.id;
    assert_eq!(refused(issue(other, 1).await), "idempotency_mismatch");
    let long = "k".repeat(256);
    for bad in ["", "a b", "schlüssel", long.as_str()] {
        let answer = engine.create_app(create_app("Shop"), Some(idem(operator(), "apps.create", bad, 1))).await;
        assert_eq!(refused(answer), "Idempotency-Key", "{bad}");
    }
}

#[tokio::test]
async fn two_at_once_with_one_idempotency_key_make_one_thing() {
    // Both read that the key is free; the commit of one fails, and it finds what the other made.
    let world = World::new();
    world.store.hold();
    let make = || world.engine.create_app(create_app("Shop"), Some(idem(operator(), "apps.create", "k", 1)));
    let release = async {
        // The two batches wait in the store until both are there; reads go on meanwhile.
        while world.store.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        world.store.release();
    };
    let (one, two, ()) = tokio::join!(make(), make(), release);
    let (one, two) = (one.expect("good"), two.expect("good"));
    assert_eq!(one.app.id, two.app.id);
    assert_eq!(one.issued.len() + two.issued.len(), 6);
    assert_eq!(world.engine.apps(page(10, false)).await.expect("a read").items.len(), 1);
}

#[tokio::test]
async fn an_imported_key_opens_one_thing_only() {
    // A key in use by the app, or a bearer key of anybody's, is refused until it is revoked.
    let world = World::new();
    let engine = &world.engine;
    let (shop, other) = (world.app().await.app.id, world.app().await.app.id);
    let import = async |app, kind, mode, text: &str| {
        engine.issue_key(app, IssueKey { import: Some(Secret::from_text(text)), ..new_key(kind, mode) }, None).await
    };
    let (client, api, master) = (KeyKind::Client, KeyKind::Api, KeyKind::Master);
    let key = "an-old-key-of-16+";
    let first = import(shop, client, Mode::Live, key).await.expect("free");
    for (kind, mode) in [(client, Mode::Live), (client, Mode::Test), (api, Mode::Live), (master, Mode::Test)] {
        assert_eq!(refused(import(shop, kind, mode, key).await), "conflict", "{kind:?} {mode}");
    }
    import(other, client, Mode::Live, key).await.expect("client keys go along with an app's id");
    engine.revoke_key(shop, first.key.id).await.expect("it is there");
    import(shop, client, Mode::Test, key).await.expect("it is free again");

    let bearer = "an-old-api-key-of-16+";
    let held = import(shop, api, Mode::Live, bearer).await.expect("free");
    assert_eq!(refused(import(other, master, Mode::Live, bearer).await), "conflict");
    let revoked = engine.revoke_key(shop, held.key.id).await.expect("it is there");
    assert_eq!(engine.revoke_key(shop, held.key.id).await.expect("still there"), revoked);
    import(other, master, Mode::Live, bearer).await.expect("it is free again");
    let principal = engine.authenticate(Credential::Bearer(Secret::from_text(bearer))).await.expect("it opens");
    assert_eq!(principal.scope, Some(Scope { app_id: other, mode: Mode::Live }));
}

#[tokio::test]
async fn an_app_keeps_256_keys_and_forgets_ended_ones_first() {
    // At the limit the key that ended first goes; when all are in use, another one is refused.
    let world = World::new();
    let engine = &world.engine;
    let app = world.app().await.app.id;
    let issue = async || engine.issue_key(app, new_key(KeyKind::SessionToken, Mode::Test), None).await;
    let mut last = None;
    for _ in 6..256 {
        last = Some(issue().await.expect("there is room").key.id);
    }
    assert_eq!(refused(issue().await), "limit_reached");
    let last = last.expect("many were made");
    engine.revoke_key(app, last).await.expect("it is there");
    issue().await.expect("the revoked one makes room");
    let record = engine.app(app).await.expect("it is there");
    assert_eq!(record.keys.len(), 256);
    assert!(record.keys.iter().all(|key| key.id != last));
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    // What is not named stays, and nothing named is no change at all.
    let world = World::new();
    let app = world.app().await.app;
    let same = world.engine.update_app(app.id, UpdateApp::default()).await.expect("good");
    assert_eq!(same, app);
    let update =
        UpdateApp { strict_bill_numbers: Some(true), late_policy: Some(LatePolicy::Hold), ..UpdateApp::default() };
    let changed = world.engine.update_app(app.id, update).await.expect("good");
    let expected = App { version: 2, strict_bill_numbers: true, late_policy: LatePolicy::Hold, ..app };
    assert_eq!(changed, expected);
    assert_eq!(world.engine.app(changed.id).await.expect("it is there"), changed);
}
