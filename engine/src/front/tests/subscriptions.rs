use super::*;
use crate::directory::opened;
use crate::secrets::Place;

const URL: &str = "https://shop.example/hook";

fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn wrong_subscriptions_name_their_fields() {
    // Target, headers, events, secret and description; the same for changes.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let good = || create_subscription(URL);
    let function = |name: &str| TargetRequest::Function(name.to_owned());
    let many: Vec<(String, String)> = (0..17).map(|at| (format!("x-{at}"), String::new())).collect();
    let table = [
        ("target", create_subscription("ftp://shop.example")),
        ("target", create_subscription("http://127.0.0.1:8080/hook")),
        ("target", create_subscription("https://user:pass@shop.example/")),
        ("target", CreateSubscription { target: function(""), ..good() }),
        ("target", CreateSubscription { target: function("a b"), ..good() }),
        ("headers", CreateSubscription { headers: headers(&[("host", "other")]), ..good() }),
        ("headers", CreateSubscription { headers: headers(&[("x-a", "1"), ("X-A", "2")]), ..good() }),
        ("headers", CreateSubscription { headers: headers(&[("x-a", "a\r\nb: c")]), ..good() }),
        ("headers", CreateSubscription { headers: many, ..good() }),
        ("event_types", CreateSubscription { event_types: vec![EventKind::RefundFailed], ..good() }),
        ("secret", CreateSubscription { secret: Some("whsec_c2hvcnQ=".to_owned()), ..good() }),
        ("secret", CreateSubscription { secret: Some("plain".to_owned()), ..good() }),
        ("description", CreateSubscription { description: "x".repeat(201), ..good() }),
    ];
    for (field, request) in table {
        let shown = format!("{request:?}");
        assert_eq!(refused(engine.create_subscription(scope, request, None).await), field, "{shown}");
    }
    let id = engine.create_subscription(scope, good(), None).await.expect("good").subscription.id;
    let none = UpdateSubscription::default;
    let table = [
        ("target", UpdateSubscription { target: Some(TargetRequest::Url("http://10.0.0.1".to_owned())), ..none() }),
        ("headers", UpdateSubscription { headers: Some(headers(&[("webhook-id", "x")])), ..none() }),
        ("event_types", UpdateSubscription { event_types: Some(vec![EventKind::RefundSucceeded]), ..none() }),
        ("state", UpdateSubscription { state: Some(SubscriptionState::Deleted), ..none() }),
        ("description", UpdateSubscription { description: Some("\u{7}".to_owned()), ..none() }),
    ];
    for (field, request) in table {
        let shown = format!("{request:?}");
        assert_eq!(refused(engine.update_subscription(scope, id, request).await), field, "{shown}");
    }
    assert_eq!(engine.subscription(scope, id).await.expect("it is there").version, 1);
}

#[tokio::test]
async fn a_subscription_is_made_changed_and_deleted() {
    // Headers and secret are sealed for their place, event types sorted; a deleted one can be read, but not changed.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Test).await);
    let request = CreateSubscription {
        headers: headers(&[("Authorization", "Bearer of-the-shop")]),
        event_types: vec![EventKind::PaymentClosed, EventKind::PaymentSucceeded, EventKind::PaymentClosed],
        ..create_subscription("https://Shop.Example/hook#part")
    };
    let owner = KeyOwner::App(scope.app_id, KeyId(RawId([1; 12])));
    let idem = || Some(idem(owner, "subscriptions.create", "k", 1));
    let made = engine.create_subscription(scope, request.clone(), idem()).await.expect("good");
    let again = engine.create_subscription(scope, request, idem()).await.expect("good");
    let subscription = made.subscription;
    assert_eq!((&again.subscription, again.secret.is_none()), (&subscription, true));
    assert_eq!(subscription.target, Target::Url("https://shop.example/hook".to_owned()));
    assert_eq!(subscription.event_types, [EventKind::PaymentSucceeded, EventKind::PaymentClosed]);
    let (id, sealer) = (subscription.id, &engine.inner().sealer);
    let open = |place: Place, value| opened(sealer, &place, value).expect("it opens in its place");
    assert_eq!(open(Place::subscription_secret(id), &subscription.secret), made.secret.expect("shown once"));
    let header = open(Place::subscription_header(id, "authorization"), &subscription.headers[0].value);
    assert_eq!(header.expose(), b"Bearer of-the-shop");

    let update = UpdateSubscription {
        target: Some(TargetRequest::Function("on-paid".to_owned())),
        headers: Some(Vec::new()),
        delivery: Some(DeliveryMode::TestSendsOnly),
        state: Some(SubscriptionState::Disabled),
        ..UpdateSubscription::default()
    };
    let changed = engine.update_subscription(scope, id, update).await.expect("good");
    assert_eq!((changed.version, changed.headers.len(), changed.state), (2, 0, SubscriptionState::Disabled));
    assert_eq!(changed.target, Target::Function("on-paid".to_owned()));

    let other = Scope { mode: Mode::Live, ..scope };
    assert_eq!(refused(engine.subscription(other, id).await), "not_found");
    assert_eq!(refused(engine.delete_subscription(other, id).await), "not_found");
    let deleted = engine.delete_subscription(scope, id).await.expect("good");
    assert_eq!(engine.delete_subscription(scope, id).await.expect("again"), deleted);
    assert_eq!(engine.subscription(scope, id).await.expect("kept"), deleted);
    assert_eq!(refused(engine.update_subscription(scope, id, UpdateSubscription::default()).await), "conflict");
    assert!(engine.subscriptions(scope, page(10, false)).await.expect("a read").items.is_empty());
}

#[tokio::test]
async fn an_app_has_64_subscriptions_a_mode() {
    // Also when the last two are asked for at the same moment; a deleted one makes room.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Live).await);
    let make = || engine.create_subscription(scope, create_subscription(URL), None);
    for _ in 0..63 {
        make().await.expect("there is room");
    }
    world.store.hold();
    let release = async {
        while world.store.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        world.store.release();
    };
    let (one, two, ()) = tokio::join!(make(), make(), release);
    let (taken, late) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(refused(late), "limit_reached");
    let other = Scope { mode: Mode::Test, ..scope };
    engine.create_subscription(other, create_subscription(URL), None).await.expect("another mode");
    engine.delete_subscription(scope, taken.expect("one of them").subscription.id).await.expect("good");
    make().await.expect("there is room again");
    assert_eq!(refused(make().await), "limit_reached");
}

#[tokio::test]
async fn the_guard_lets_test_mode_reach_what_the_host_allows() {
    // What the builder was told decides, by mode.
    let policy = crate::webhook::GuardPolicy { allow_loopback_in_test: true, allow_networks: Vec::new() };
    let engine = Engine::builder().memory().guard(policy).start().expect("everything is there");
    let app_id = engine.create_app(create_app("Shop"), None).await.expect("good").app.id;
    for (mode, taken) in [(Mode::Test, true), (Mode::Live, false)] {
        let request = create_subscription("http://127.0.0.1:9000/hook");
        let made = engine.create_subscription(Scope { app_id, mode }, request, None).await;
        assert_eq!(made.is_ok(), taken, "{mode}");
    }
}

#[tokio::test]
async fn deleted_subscriptions_make_no_room_beyond_the_limit() {
    // However many were deleted, also in a store that lists them still: those that are there count, and all of them do.
    let world = World::new();
    let (engine, scope) = (&world.engine, world.scope(Mode::Test).await);
    let create = || engine.create_subscription(scope, create_subscription(URL), None);
    let sample = create().await.expect("good").subscription;
    for _ in 1..64 {
        create().await.expect("there is room");
    }
    let ids = crate::clock::IdSource::new(Arc::new(world.clock.clone()), Arc::new(SeededEntropy::new(9)));
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..22 {
        let mut batch = Batch::default();
        for _ in 0..500 {
            let deleted = Subscription { id: ids.next(), state: SubscriptionState::Deleted, ..sample.clone() };
            batch.put_subscription(None, &deleted);
            batch.put_marker(keys::subscription_by_app(scope.app_id, scope.mode, deleted.id));
        }
        world.store.commit(batch).await.expect("written");
    }
    assert!(matches!(create().await, Err(Error::LimitReached(_))));
    let listed = |id| keys::subscription_by_app(scope.app_id, scope.mode, id);
    let is_listed = |id| world.store.read(&listed(id)).expect("it is open").value.is_some();
    assert!(is_listed(sample.id));
    engine.delete_subscription(scope, sample.id).await.expect("deleted");
    assert!(!is_listed(sample.id), "nobody needs to look at it any more");
    create().await.expect("there is room again");
    assert!(matches!(create().await, Err(Error::LimitReached(_))));
}
