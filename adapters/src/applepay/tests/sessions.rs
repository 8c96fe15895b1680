//! Merchant sessions: where they are asked, with what, and what comes of it.

use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Adapter, Call, Outcome, Prepared};
use maxpay_engine::model::{Mode, PayerAction};
use serde_json::Value;
use std::time::Duration;

use super::{DOMAIN, MERCHANT, World, code};
use maxpay_engine::clock::Clock;

fn asking(url: Option<&str>) -> Call {
    Call::PayerSession { code: code(), validation_url: url.map(str::to_owned) }
}

fn prepared(world: &World, url: Option<&str>) -> Result<HttpRequest, String> {
    match world.adapter.prepare(&asking(url), &world.context()) {
        Prepared::Send(request) => Ok(request),
        Prepared::Done(answer) => {
            let Outcome::NotExecuted(why) = answer.outcome else { panic!("{}", answer.outcome.name()) };
            Err(why)
        }
        Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("sessions are there"),
    }
}

#[tokio::test]
async fn a_session_is_handed_over_as_it_came() {
    // Asked with the merchant's certificate and Apple's four fields; usable for five minutes; shown by the original API.
    let world = World::new();
    let request = prepared(&world, None).expect("sent");
    assert!(request.identity.is_some());
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let wanted = serde_json::json!({
        "merchantIdentifier": MERCHANT, "displayName": "Simulated shop", "initiative": "web", "initiativeContext": DOMAIN,
    });
    assert_eq!(body, wanted);
    let reply = world.carry(request).await.expect("an answer");
    let Outcome::AwaitingPayer(actions) = world.read(&asking(None), &reply).outcome else { panic!("a session") };
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    assert_eq!(actions[0].action, PayerAction::WalletSession { session: Some(text.clone()) });
    assert_eq!(actions[0].usable_until, Some(world.clock.now().wall.after(Duration::from_mins(5))));
    let shown = world.adapter.shown(&code(), super::ORDER, &actions);
    assert_eq!(shown, [("merchantSession".to_owned(), text)]);
}

#[test]
fn a_validation_url_picks_among_apples_hosts_and_does_nothing_else() {
    // Hosts of this mode, letter for letter; path, query and all else of the address are not used.
    let mut world = World::new();
    world.settings.remove("test_session_url");
    let (live, test) = ("apple-pay-gateway.apple.com", "apple-pay-gateway-cert.apple.com");
    let table = [
        (Mode::Live, None, Some(live)),
        (Mode::Test, None, Some(test)),
        (Mode::Live, Some("https://apple-pay-gateway.apple.com/paymentservices/startSession"), Some(live)),
        (Mode::Live, Some("https://APPLE-PAY-GATEWAY.apple.com:443/x?y#z"), Some(live)),
        (Mode::Live, Some("https://cn-apple-pay-gateway.apple.com/"), Some("cn-apple-pay-gateway.apple.com")),
        (Mode::Test, Some("https://apple-pay-gateway-cert.apple.com/"), Some(test)),
        (Mode::Test, Some("https://apple-pay-gateway.apple.com/"), None),
        (Mode::Live, Some("https://apple-pay-gateway-cert.apple.com/"), None),
        (Mode::Live, Some("http://apple-pay-gateway.apple.com/"), None),
        (Mode::Live, Some("https://apple-pay-gateway.apple.com:8443/"), None),
        (Mode::Live, Some("https://apple-pay-gateway.apple.com./"), None),
        (Mode::Live, Some("https://apple-pay-gateway-apple.com/"), None),
        (Mode::Live, Some("https://apple-pay-gatewayXapple.com/"), None),
        (Mode::Live, Some("https://apple-pay-gateway.apple.com.evil.example/"), None),
        (Mode::Live, Some("https://evil.example/?apple-pay-gateway.apple.com"), None),
        (Mode::Live, Some("https://apple-pay-gateway.apple.com@evil.example/"), None),
        (Mode::Live, Some("https://me@apple-pay-gateway.apple.com/"), None),
        (Mode::Live, Some("https://169.254.169.254/latest"), None),
        (Mode::Live, Some("apple-pay-gateway.apple.com"), None),
    ];
    for (mode, url, wanted) in table {
        world.mode = mode;
        match (prepared(&world, url), wanted) {
            (Ok(request), Some(host)) => {
                assert_eq!(request.url.as_str(), format!("https://{host}/paymentservices/paymentSession"), "{url:?}");
            }
            (Err(why), None) => assert!(why.contains("validation_url"), "{url:?}: {why}"),
            (Ok(request), None) => panic!("{url:?} is asked at {}", request.url),
            (Err(why), Some(_)) => panic!("{url:?}: {why}"),
        }
    }
    world.mode = Mode::Live;
    world.set("region", "china");
    assert_eq!(prepared(&world, None).expect("sent").url.host_str(), Some("cn-apple-pay-gateway.apple.com"));
    world.set("test_session_url", "http://applepay.invalid");
    assert_eq!(prepared(&world, None).expect("sent").url.host_str(), Some("cn-apple-pay-gateway.apple.com"));
}

#[tokio::test]
async fn the_server_looks_at_who_asks() {
    // Another merchant's certificate, none, an unknown domain: 417 with the reason, and no session.
    let mut world = World::new();
    let others = super::parted(&world.adapter, world.simulator.settings(super::OTHER).expect("enrolled"));
    let mut stolen = prepared(&world, None).expect("sent");
    let mut other = World::new();
    other.secrets = vec![others.1];
    other.settings = others.0;
    stolen.identity = prepared(&other, None).expect("sent").identity;
    let mut nobody = prepared(&world, None).expect("sent");
    nobody.identity = None;
    world.set("domain", "elsewhere.example.com");
    let elsewhere = prepared(&world, None).expect("sent");
    for (request, wanted) in [(stolen, "unauthorized"), (nobody, "unauthorized"), (elsewhere, "domain")] {
        let reply = world.carry(request).await.expect("an answer");
        assert_eq!(reply.status, 417);
        let Outcome::Declined(why) = world.read(&asking(None), &reply).outcome else { panic!("no session") };
        assert!(why.contains(wanted) && why.contains("417"), "{why}");
    }
}

#[test]
fn what_is_no_session_is_none() {
    // Anything but 200 with a JSON object, and 417, says nothing.
    let world = World::new();
    for (status, body) in
        [(200, "[]"), (200, "<html>"), (200, ""), (200, "{\"cut\":"), (500, "{}"), (302, "{}"), (401, "{}")]
    {
        let reply = HttpReply { status, headers: Vec::new(), body: body.into() };
        let outcome = world.read(&asking(None), &reply).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{status} {body}");
    }
    let reply = HttpReply { status: 417, headers: Vec::new(), body: "<html>".into() };
    assert!(matches!(world.read(&asking(None), &reply).outcome, Outcome::Declined(_)));
}

#[test]
fn an_account_without_an_identity_serves_no_pages() {
    // Phones need no session; asking for one says what is missing.
    let mut world = World::new();
    world.secrets[0].0.remove("merchant_identity");
    assert!(prepared(&world, None).expect_err("no identity").contains("merchant_identity"));
}
