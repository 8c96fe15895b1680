use super::*;
use crate::sandbox::wire::SIGNATURE_HEADER;

type Change<T> = fn(&mut T);

#[tokio::test]
async fn the_provider_takes_what_the_adapter_signs_and_back() {
    // A create and its answer verify on both sides and echo merchant, number and the provider's time.
    let world = World::new();
    let answer = world.create("wx_native", 1).await;
    assert!(matches!(answer.outcome, Outcome::AwaitingPayer(_)), "{answer:?}");
    assert_eq!(answer.number.as_deref(), Some(NUMBER));
    assert_eq!(answer.owners, [("merchant_id", MERCHANT.to_owned())]);
    assert_eq!(answer.provider_time, Some(world.clock.now().wall));
}

#[tokio::test]
async fn a_tampered_request_executes_nothing() {
    // Any change of body, path, key, or time of a request is refused at the door, and the books stay empty.
    let changes: [(&str, Change<HttpRequest>); 6] = [
        ("body", |request| {
            let text =
                String::from_utf8(request.body.to_vec()).expect("JSON").replace("\"amount\":1,", "\"amount\":2,");
            request.body = text.into();
        }),
        ("path", |request| request.url.set_path("/v1/charges")),
        ("signature", |request| request.headers[1].1.push('0')),
        ("no signature", |request| request.headers.truncate(1)),
        ("time", |request| request.headers[1].1 = request.headers[1].1.replace("t=1", "t=2")),
        ("malformed", |request| request.headers[1].1 = "v1=,t=".to_owned()),
    ];
    for (what, change) in changes {
        let world = World::new();
        let call = creation("wx_native", 1, "CNY");
        let mut request = world.request(&call);
        change(&mut request);
        let reply = world.carry(request).await.expect("an answer");
        assert_eq!(reply.status, 401, "{what}");
        let outcome = world.read(&call, &reply).outcome;
        assert!(matches!(outcome, Outcome::AccountRefused(_)), "{what}: {outcome:?}");
        assert!(world.simulator.ledger().expect("the books").is_empty(), "{what}");
    }
}

#[tokio::test]
async fn strangers_and_stale_clocks_are_told_apart() {
    // An unknown merchant and a wrong key are the account's fault; a request that took too long was not executed.
    let mut world = World::new();
    let call = creation("wx_native", 1, "CNY");
    let late = world.request(&call);
    world.clock.advance(Duration::from_secs(301));
    let reply = world.carry(late).await.expect("an answer");
    assert!(matches!(world.read(&call, &reply).outcome, Outcome::NotExecuted(_)));
    world.secrets = vec![secrets("another-secret-of-16")];
    assert!(matches!(world.call(&call).await.outcome, Outcome::AccountRefused(_)));
    world.secrets = vec![secrets(SECRET)];
    world.settings.insert("merchant_id".to_owned(), "2088000000000009".into());
    assert!(matches!(world.call(&call).await.outcome, Outcome::AccountRefused(_)));
    assert!(world.simulator.ledger().expect("the books").is_empty());
}

#[tokio::test]
async fn a_tampered_answer_proves_nothing() {
    // Whatever is wrong with an answer, it is *unknown*: never a success, never a refusal.
    let world = World::new();
    world.create("wx_native", 1).await;
    world.pay(PayerCommand::Pay);
    let call = Call::Query { code: channel("wx_native") };
    let good = world.carry(world.request(&call)).await.expect("an answer");
    assert!(matches!(world.read(&call, &good).outcome, Outcome::Succeeded(_)));
    let changes: [(&str, Change<HttpReply>); 6] = [
        ("body", |reply| {
            let text = String::from_utf8(reply.body.to_vec()).expect("JSON").replace("\"amount\":1,", "\"amount\":2,");
            reply.body = text.into();
        }),
        ("status", |reply| reply.status = 201),
        ("no signature", |reply| reply.headers.retain(|(name, _)| name != SIGNATURE_HEADER)),
        ("half a signature", |reply| {
            let _ = reply.headers[1].1.pop();
        }),
        ("empty", |reply| reply.body = "".into()),
        ("an unsigned 401", |reply| {
            reply.headers.clear();
            reply.status = 401;
        }),
    ];
    for (what, change) in changes {
        let mut reply = good.clone();
        change(&mut reply);
        let outcome = world.read(&call, &reply).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{what}: {outcome:?}");
    }
    let close = Call::Close { code: channel("wx_native") };
    assert!(matches!(world.read(&close, &good).outcome, Outcome::Unknown(_)), "the answer to another call");
    world.clock.advance(Duration::from_secs(301));
    assert!(matches!(world.read(&call, &good).outcome, Outcome::Unknown(_)), "an old answer");
}

#[tokio::test]
async fn keys_rotate_without_a_gap() {
    // Requests under the old and the new key are taken, and answers under either are believed.
    let mut world = World::new();
    world.simulator.enrol(MERCHANT, Secret::from_text("the-newer-secret-1"), None).expect("enrolled");
    assert!(matches!(world.create("wx_native", 1).await.outcome, Outcome::AwaitingPayer(_)), "old key");
    world.secrets.insert(0, secrets("the-newer-secret-1"));
    assert_eq!(world.query("wx_native").await, Outcome::Unpaid, "new key");
    world.pay(PayerCommand::Pay);
    assert_eq!(names(&world.pass(Duration::ZERO).await), ["succeeded"]);
}

#[tokio::test]
async fn notices_have_a_key_of_their_own_if_wanted() {
    // With a notify secret, a notice verifies under it and under nothing else.
    let mut world = World::new();
    let notify = Secret::from_text("notify-notify-notify");
    world.simulator.enrol(MERCHANT, Secret::from_text(SECRET), Some(notify.clone())).expect("enrolled");
    world.create("wx_native", 1).await;
    world.pay(PayerCommand::NotifyTwice);
    assert_eq!(names(&world.pass(Duration::ZERO).await), ["unverified"]);
    world.secrets[0].0.insert("notify_secret".to_owned(), notify);
    assert_eq!(names(&world.pass(Duration::from_secs(2)).await), ["succeeded"]);
}

#[test]
fn settings_are_told_what_would_be_right() {
    // Every wrong field is named; right ones give the identity, which no key changes.
    let adapter = Sandbox::new();
    let check = |mode, settings: Value, named: &[(&str, &str)]| {
        let mut keys = SecretSettings::default();
        for (name, secret) in named {
            keys.0.insert((*name).to_owned(), Secret::from_text(secret));
        }
        adapter
            .validate(mode, settings.as_object().expect("an object"), &keys, Timestamp::from_millis(0))
            .map_err(|errors| errors.into_iter().map(|error| error.field).collect::<Vec<_>>())
    };
    let good = serde_json::json!({ "merchant_id": "m-01", "base_url": "http://sandbox.invalid/" });
    let identity = Ok("m-01 at http://sandbox.invalid".to_owned());
    assert_eq!(check(Mode::Test, good.clone(), &[("secret", SECRET)]), identity);
    assert_eq!(check(Mode::Test, good.clone(), &[("secret", "sixteen bytes ok"), ("notify_secret", SECRET)]), identity);
    let fields = |names: &[&str]| Err(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(check(Mode::Live, good.clone(), &[("secret", SECRET)]), fields(&["mode"]));
    assert_eq!(check(Mode::Test, good.clone(), &[]), fields(&["secret"]));
    assert_eq!(check(Mode::Test, good.clone(), &[("secret", "short")]), fields(&["secret"]));
    assert_eq!(check(Mode::Test, good, &[("secret", SECRET), ("key", "x")]), fields(&["key"]));
    let wrong = serde_json::json!({ "merchant_id": "a/b", "base_url": "ftp://x", "secret": "x" });
    assert_eq!(check(Mode::Test, wrong, &[("secret", SECRET)]), fields(&["merchant_id", "base_url", "secret"]));
    for url in ["http://u:p@host", "http://host/?a", "http://host/#a", "host", ""] {
        let settings = serde_json::json!({ "merchant_id": "m-01", "base_url": url });
        assert_eq!(check(Mode::Test, settings, &[("secret", SECRET)]), fields(&["base_url"]), "{url}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    // Two adapters with the same context write the same request, for every code and call.
    for code in CODES {
        let bytes = || {
            let world = World::new();
            let calls = [
                creation(code, 1, "CNY"),
                Call::Query { code: channel(code) },
                Call::Close { code: channel(code) },
                Call::PayerSession { code: channel(code), validation_url: None },
            ];
            let written = calls.map(|call| match world.adapter.prepare(&call, &world.context()) {
                Prepared::Send(request) => format!("{} {:?} {:?}", request.url, request.headers, request.body),
                Prepared::Done(answer) => format!("{answer:?}"),
                Prepared::NeedMaterial(_) => panic!("there is no material"),
                Prepared::Unsupported => "unsupported".to_owned(),
            });
            written.join("\n")
        };
        assert_eq!(bytes(), bytes(), "{code}");
    }
}

#[tokio::test]
async fn nothing_secret_is_in_what_we_send_or_print() {
    // Neither the secret nor a token shows in requests' Debug; the secret is in no byte that leaves.
    for code in CODES {
        let world = World::new();
        if let Prepared::Send(request) = world.adapter.prepare(&creation(code, 1, "CNY"), &world.context()) {
            let sent = format!("{} {:?} {:?}", request.url, request.headers, request.body);
            assert!(!sent.contains("hunter2"), "{sent}");
        }
        let shown = format!("{:?}", world.create(code, 1).await);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let world = World::new();
    let call = Call::Authorize {
        code: channel("apple_pay"),
        intent: intent(1, "CNY"),
        token: Secret::from_text(&token('a', "approve")),
    };
    let request = world.request(&call);
    let shown = format!("{request:?} {:?} {:?} {:?}", world.adapter, world.simulator, world.client());
    assert!(!shown.contains("aaaa") && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{:?}", request.body).contains("hunter2"));
}

#[test]
fn tokens_are_vetted_before_they_are_charged() {
    // A well-shaped token gives its once-key and digest; a refusal repeats nothing of it.
    let world = World::new();
    let verify = |text: &str| {
        world.adapter.verify_token(&channel("apple_pay"), &intent(1, "CNY"), &Secret::from_text(text), &world.context())
    };
    let good = verify(&token('a', "approve")).expect("a token");
    assert!(good.once_key.ends_with(&format!("/{}", "a".repeat(64))), "of the merchant, and the token's number");
    assert_eq!(good.digest, crate::parts::digest::sha256(token('a', "approve").as_bytes()));
    assert!(verify(&token('a', "decline")).expect("a token").digest != good.digest);
    let refused = [
        String::new(),
        "[]".to_owned(),
        token('A', "approve"),
        token('g', "approve"),
        token('a', "hunter2"),
        token('a', "approve").replace("SANDBOX_v1", "EC_v1"),
        r#"{"version":"SANDBOX_v1","transaction_id":"hunter2"}"#.to_owned(),
    ];
    for text in refused {
        let why = verify(&text).expect_err(&text);
        assert!(!why.contains("hunter2"), "{why}");
    }
    let elsewhere =
        world.adapter.verify_token(&channel("wx_app"), &intent(1, "CNY"), &Secret::from_text("{}"), &world.context());
    assert_eq!(elsewhere, Err("wx_app takes no token".to_owned()));
}
