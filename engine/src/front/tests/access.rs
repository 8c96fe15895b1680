use md5::{Digest, Md5};
use sha2::Sha256;

use super::*;
use Unauthenticated as No;

/// An app with every sort of key.
struct Keys {
    app: AppId,
    created: CreatedApp,
    session: Secret,
    short_session: Secret,
    revoked_session: Secret,
    revoked_api: Secret,
    imported: Secret,
    now: Timestamp,
}

impl Keys {
    async fn new(world: &World) -> Self {
        let created = world.app().await;
        let app = created.app.id;
        let issue = async |request| world.engine.issue_key(app, request, None).await.expect("a good request");
        let session = issue(new_key(KeyKind::SessionToken, Mode::Live)).await;
        let soon = world.engine.now().after(Duration::from_mins(1));
        let short = issue(IssueKey { expires_at: Some(soon), ..new_key(KeyKind::SessionToken, Mode::Test) }).await;
        let revoked = issue(new_key(KeyKind::SessionToken, Mode::Test)).await;
        let api = issue(new_key(KeyKind::Api, Mode::Test)).await;
        let compiled = Secret::from_text("Y29tcGlsZWQgaW50byBvbGQgYXBwcw");
        issue(IssueKey { import: Some(compiled.clone()), ..new_key(KeyKind::Client, Mode::Live) }).await;
        for key in [&revoked, &api] {
            world.engine.revoke_key(app, key.key.id).await.expect("it is there");
        }
        world.clock.advance(Duration::from_secs(61));
        let secret = |issued: Issued| issued.secret.expect("just issued");
        Self {
            app,
            created,
            session: secret(session),
            short_session: secret(short),
            revoked_session: secret(revoked),
            revoked_api: secret(api),
            imported: compiled,
            now: world.engine.now(),
        }
    }

    fn key(&self, kind: KeyKind, mode: Mode) -> Secret {
        issued(&self.created, kind, mode)
    }
}

fn md5_sign(key: &Secret, timestamp: &str, master: bool) -> Proof {
    let digest = hex::encode(Md5::new().chain_update(timestamp).chain_update(key.expose()).finalize());
    Proof::Sign { digest, timestamp: timestamp.to_owned(), master }
}

fn sha_sign(key: &Secret, timestamp: &str, master: bool) -> Proof {
    let digest = hex::encode(Sha256::new().chain_update(key.expose()).chain_update(timestamp).finalize());
    Proof::Sign { digest, timestamp: timestamp.to_owned(), master }
}

fn ago(now: Timestamp, wait: Duration) -> String {
    now.before(wait).millis().to_string()
}

type Verdict = Result<(Mode, Right), Unauthenticated>;

async fn judged(world: &World, app_id: AppId, proofs: Vec<Proof>) -> Verdict {
    let principal = world.engine.authenticate(Credential::App { app_id, proofs }).await?;
    let scope = principal.scope.expect("a key of an app");
    assert_eq!(scope.app_id, app_id);
    Ok((scope.mode, principal.right))
}

#[tokio::test]
async fn every_proof_opens_what_it_should_and_no_more() {
    // Each sort of key in each place: what it opens, or why it is refused.
    let world = World::new();
    let keys = Keys::new(&world).await;
    let (client, api, master) = (KeyKind::Client, KeyKind::Api, KeyKind::Master);
    let (test, live) = (Mode::Test, Mode::Live);
    let now = keys.now.millis().to_string();
    let unknown = || Secret::from_text("somebody else's session token, 43 letters..");
    let table: Vec<(&str, Proof, Verdict)> = vec![
        ("session", Proof::SessionToken(keys.session.clone()), Ok((live, Right::Payments))),
        ("session expired", Proof::SessionToken(keys.short_session.clone()), Err(No::SessionExpired)),
        ("session revoked", Proof::SessionToken(keys.revoked_session.clone()), Err(No::SessionUnknown)),
        ("session unknown", Proof::SessionToken(unknown()), Err(No::SessionUnknown)),
        ("session empty", Proof::SessionToken(Secret::from_text("")), Err(No::SessionUnknown)),
        ("master as session", Proof::SessionToken(keys.key(master, live)), Ok((live, Right::App))),
        ("api key as session", Proof::SessionToken(keys.key(api, live)), Err(No::SessionUnknown)),
        ("client key as session", Proof::SessionToken(keys.key(client, live)), Err(No::SessionUnknown)),
        ("master", Proof::MasterKey(keys.key(master, test)), Ok((test, Right::App))),
        ("master live", Proof::MasterKey(keys.key(master, live)), Ok((live, Right::App))),
        ("api as master", Proof::MasterKey(keys.key(api, test)), Err(No::KeyMismatch)),
        ("api", Proof::ApiKey(keys.key(api, live)), Ok((live, Right::Payments))),
        ("api revoked", Proof::ApiKey(keys.revoked_api.clone()), Err(No::KeyMismatch)),
        ("master as api", Proof::ApiKey(keys.key(master, test)), Err(No::KeyMismatch)),
        ("client", Proof::ClientKey(keys.key(client, test)), Ok((test, Right::Client))),
        ("client imported", Proof::ClientKey(keys.imported.clone()), Ok((live, Right::Client))),
        ("session as client", Proof::ClientKey(keys.session.clone()), Err(No::KeyMismatch)),
        ("sign client", md5_sign(&keys.key(client, test), &now, false), Ok((test, Right::Client))),
        ("sign imported", md5_sign(&keys.imported, &now, false), Ok((live, Right::Client))),
        ("sign sha256", sha_sign(&keys.key(client, live), &now, false), Ok((live, Right::Client))),
        ("sign api", md5_sign(&keys.key(api, live), &now, false), Ok((live, Right::Payments))),
        ("sign master", md5_sign(&keys.key(master, live), &now, true), Ok((live, Right::App))),
        ("sign master sha256", sha_sign(&keys.key(master, test), &now, true), Ok((test, Right::App))),
        ("sign master unsaid", md5_sign(&keys.key(master, live), &now, false), Err(No::SignInvalid)),
        ("sign client as master", md5_sign(&keys.key(client, live), &now, true), Err(No::SignInvalid)),
        ("sign session", md5_sign(&keys.session, &now, false), Err(No::SignInvalid)),
        ("sign revoked", md5_sign(&keys.revoked_api, &now, false), Err(No::SignInvalid)),
        ("sign empty key", md5_sign(&Secret::from_text(""), &now, false), Err(No::SignInvalid)),
    ];
    for (name, proof, verdict) in table {
        assert_eq!(judged(&world, keys.app, vec![proof]).await, verdict, "{name}");
    }
}

#[tokio::test]
async fn signs_age_by_their_key_and_have_one_shape() {
    // Signs of the keys that servers hold have one time, those of client keys another, to both sides; anything but digits
    // is refused.
    let world = World::new();
    let keys = Keys::new(&world).await;
    let (client, master) = (keys.key(KeyKind::Client, Mode::Test), keys.key(KeyKind::Master, Mode::Test));
    let api = keys.key(KeyKind::Api, Mode::Test);
    let (minutes, hours) = (Duration::from_mins, Duration::from_hours);
    let ahead = |wait| keys.now.after(wait).millis().to_string();
    let table = [
        ("client 47 h", md5_sign(&client, &ago(keys.now, hours(47)), false), true),
        ("client 49 h", md5_sign(&client, &ago(keys.now, hours(49)), false), false),
        ("client ahead 47 h", md5_sign(&client, &ahead(hours(47)), false), true),
        ("client ahead 49 h", md5_sign(&client, &ahead(hours(49)), false), false),
        ("master 15 min", md5_sign(&master, &ago(keys.now, minutes(15)), true), true),
        ("master 16 min", md5_sign(&master, &ago(keys.now, minutes(16)), true), false),
        ("master ahead 16 min", md5_sign(&master, &ahead(minutes(16)), true), false),
        ("api 15 min", md5_sign(&api, &ago(keys.now, minutes(15)), false), true),
        ("api 16 min", md5_sign(&api, &ago(keys.now, minutes(16)), false), false),
        ("api ahead 16 min", sha_sign(&api, &ahead(minutes(16)), false), false),
        ("no time", md5_sign(&client, "", false), false),
        ("a sign before", md5_sign(&client, &format!("+{}", keys.now.millis()), false), false),
        ("smuggled", sha_sign(&client, &format!("{}\u{80}", keys.now.millis()), false), false),
        ("too long", md5_sign(&client, "00000000001795000061000", false), false),
        ("short digest", Proof::Sign { digest: "00".repeat(15), timestamp: "1".to_owned(), master: false }, false),
        ("no hex", Proof::Sign { digest: "zz".repeat(16), timestamp: "1".to_owned(), master: false }, false),
    ];
    for (name, proof, holds) in table {
        assert_eq!(judged(&world, keys.app, vec![proof]).await.is_ok(), holds, "{name}");
    }
}

#[tokio::test]
async fn of_several_proofs_the_first_that_holds_decides() {
    // In the gateway's order whatever the order they come in; when none holds, the first one says why.
    let world = World::new();
    let keys = Keys::new(&world).await;
    let now = keys.now.millis().to_string();
    let stranger = || Proof::SessionToken(Secret::from_text("a token of an app user of MaxLeap's"));
    let sign = || md5_sign(&keys.key(KeyKind::Client, Mode::Live), &now, false);
    let bad_sign = || md5_sign(&Secret::from_text("0123456789abcdef"), &now, false);
    let master = || Proof::MasterKey(keys.key(KeyKind::Master, Mode::Test));
    let wrong = || Proof::ApiKey(Secret::from_text("0123456789abcdef"));
    let table: Vec<(&str, Vec<Proof>, Verdict)> = vec![
        ("nothing", vec![], Err(No::Missing)),
        ("a valid sign wins over a stranger's token", vec![stranger(), sign()], Ok((Mode::Live, Right::Client))),
        ("in any order", vec![sign(), stranger()], Ok((Mode::Live, Right::Client))),
        ("the token first", vec![sign(), Proof::SessionToken(keys.session.clone())], Ok((Mode::Live, Right::Payments))),
        ("master before sign", vec![sign(), master()], Ok((Mode::Test, Right::App))),
        ("all wrong", vec![bad_sign(), stranger()], Err(No::SessionUnknown)),
        ("key before sign", vec![bad_sign(), wrong()], Err(No::KeyMismatch)),
        ("expired", vec![bad_sign(), Proof::SessionToken(keys.short_session.clone())], Err(No::SessionExpired)),
    ];
    for (name, proofs, verdict) in table {
        assert_eq!(judged(&world, keys.app, proofs).await, verdict, "{name}");
    }
    let nobody = AppId(RawId([1; 12]));
    assert_eq!(judged(&world, nobody, vec![sign()]).await, Err(No::UnknownApp));
    let other = world.app().await.app.id;
    assert_eq!(judged(&world, other, vec![master()]).await, Err(No::KeyMismatch), "a key of another app");
}

type BearerVerdict = Result<(Option<Mode>, Right), No>;

#[tokio::test]
async fn bearer_keys_say_who_asks() {
    // API, master and operator keys; not client keys and session tokens, not what was revoked.
    let world = World::new();
    let keys = Keys::new(&world).await;
    let operator = world.engine.issue_operator_key().await.expect("it is issued");
    let bearer = async |key: &Secret| {
        let principal = world.engine.authenticate(Credential::Bearer(key.clone())).await?;
        Ok((principal.scope.map(|scope| scope.mode), principal.right))
    };
    let (test, live) = (Mode::Test, Mode::Live);
    let table: [(&str, Secret, BearerVerdict); 9] = [
        ("api test", keys.key(KeyKind::Api, test), Ok((Some(test), Right::Payments))),
        ("api live", keys.key(KeyKind::Api, live), Ok((Some(live), Right::Payments))),
        ("master test", keys.key(KeyKind::Master, test), Ok((Some(test), Right::App))),
        ("master live", keys.key(KeyKind::Master, live), Ok((Some(live), Right::App))),
        ("client", keys.key(KeyKind::Client, live), Err(No::KeyMismatch)),
        ("session", keys.session.clone(), Err(No::KeyMismatch)),
        ("revoked", keys.revoked_api.clone(), Err(No::KeyMismatch)),
        ("operator", operator.secret, Ok((None, Right::Operator))),
        ("empty", Secret::from_text(""), Err(No::Missing)),
    ];
    for (name, key, verdict) in table {
        assert_eq!(bearer(&key).await, verdict, "{name}");
    }
}

#[tokio::test]
async fn an_operators_key_is_listed_and_revoked() {
    // Oldest first, with no secret; a revoked one is refused at once and stays on the list; the others work on. At 64 in
    // use there is no further one until one is revoked, which then makes room.
    let world = World::new();
    let engine = &world.engine;
    let first = engine.issue_operator_key().await.expect("it is issued");
    let second = engine.issue_operator_key().await.expect("it is issued");
    let bearer =
        async |key: &OperatorKey| engine.authenticate(Credential::Bearer(key.secret.clone())).await.map(|it| it.right);
    assert_eq!((bearer(&first).await, bearer(&second).await), (Ok(Right::Operator), Ok(Right::Operator)));
    let revoked = engine.revoke_operator_key(first.id).await.expect("it is there");
    assert_eq!(engine.revoke_operator_key(first.id).await.expect("it is there"), revoked);
    assert_eq!((bearer(&first).await, bearer(&second).await), (Err(No::KeyMismatch), Ok(Right::Operator)));
    let unknown = engine.revoke_operator_key(KeyId(RawId([1; 12]))).await;
    assert_eq!(unknown, Err(Error::NotFound("key")));
    let listed = engine.operator_keys().await.expect("a read");
    let told: Vec<_> = listed.iter().map(|it| (it.id, it.revoked_at.is_some())).collect();
    assert_eq!(told, [(first.id, true), (second.id, false)]);
    let text = second.secret.expose_text().expect("text");
    assert!(text.ends_with(&listed[1].hint) && !format!("{listed:?}").contains(text));
    for _ in 0..63 {
        engine.issue_operator_key().await.expect("the revoked one makes room");
    }
    let refused = engine.issue_operator_key().await.map(|_| ());
    assert!(matches!(refused, Err(Error::LimitReached(_))), "{refused:?}");
    assert_eq!(engine.operator_keys().await.expect("a read").len(), 64);
}

#[tokio::test]
async fn revoking_and_disabling_count_at_once() {
    // The next request after the answer is judged by the new record, though the old one was held in memory.
    let world = World::new();
    let keys = Keys::new(&world).await;
    let engine = &world.engine;
    let api = keys.key(KeyKind::Api, Mode::Live);
    let client = || vec![Proof::ClientKey(keys.key(KeyKind::Client, Mode::Test))];
    let bearer = async || engine.authenticate(Credential::Bearer(api.clone())).await.map(|it| it.right);
    assert_eq!(bearer().await, Ok(Right::Payments));
    let disable = |disabled| UpdateApp { disabled: Some(disabled), ..UpdateApp::default() };
    engine.update_app(keys.app, disable(true)).await.expect("it is there");
    assert_eq!(bearer().await, Err(No::UnknownApp));
    assert_eq!(judged(&world, keys.app, client()).await, Err(No::UnknownApp));
    engine.update_app(keys.app, disable(false)).await.expect("it is there");
    assert_eq!(bearer().await, Ok(Right::Payments));
    let key = keys.created.issued.iter().find(|it| it.secret.as_ref() == Some(&api)).expect("issued").key.id;
    engine.revoke_key(keys.app, key).await.expect("it is there");
    assert_eq!(bearer().await, Err(No::KeyMismatch));
}
