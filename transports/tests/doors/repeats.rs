//! Repeats of POSTs under one idempotency key.

use maxpay_engine::model::{KeyKind, Mode};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const HOOK: &str = r#"{"target":{"type":"url","url":"https://example.com/hook"}}"#;

fn post(world: &World, bearer: &str, path: &str, key: &str, body: &str) -> Answer {
    let head =
        format!("authorization: Bearer {bearer}\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n");
    world.request("POST", path, &head, body)
}

/// Status, and the code of a problem.
fn said(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["code"].clone())
}

#[test]
fn a_repeated_create_is_200() {
    // 201 for the request that made it, 200 for the same again, which finds the same object without its secrets.
    let world = World::new();
    let master = world.key(KeyKind::Master, Mode::Test);
    let keys = format!("/v1/apps/{}/keys", world.app_id);
    for (bearer, path, body) in [
        (master, "/v1/accounts", r#"{"adapter":"toy"}"#),
        (master, "/v1/subscriptions", HOOK),
        (&*world.operator, "/v1/apps", r#"{"name":"Second"}"#),
        (&*world.operator, &*keys, r#"{"kind":"api","mode":"test"}"#),
    ] {
        let (first, again) = (post(&world, bearer, path, "k", body), post(&world, bearer, path, "k", body));
        assert_eq!((first.status, again.status), (201, 200), "{path}: {}", again.body);
        let (first, again) = (first.json(), again.json());
        assert_eq!((&first["id"], &first["app"]["id"]), (&again["id"], &again["app"]["id"]), "{path}");
        assert_eq!(again.get("secret"), None, "{path}");
    }
}

#[test]
fn a_test_send_is_sent_once_under_its_key() {
    // Nothing of a test is kept: a repeat is a conflict and sends nothing, another body a mismatch, another key a new
    // test.
    let world = World::new();
    let master = world.key(KeyKind::Master, Mode::Test);
    let made = world.v1(master, "POST", "/v1/subscriptions", HOOK).json();
    let path = format!("/v1/subscriptions/{}/test", made["id"].as_str().expect("an id"));
    let first = post(&world, master, &path, "k", "{}");
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(said(&post(&world, master, &path, "k", "{}")), (409, json!("conflict")));
    let other = post(&world, master, &path, "k", r#"{"event_type":"payment.closed"}"#);
    assert_eq!(said(&other), (422, json!("idempotency_mismatch")), "{}", other.body);
    assert_eq!(post(&world, master, &path, "k2", "{}").status, 200);
}

#[test]
fn commands_to_what_is_there_are_done_once_under_their_key() {
    // A repeat finds the object as it is now; the same key with another body is refused, also where the first request
    // changed nothing or was refused by the channel.
    let world = World::new();
    let account = world.account();
    let api = world.key(KeyKind::Api, Mode::Test);
    let bill = r#"{"bill_num":"b-1","channel":"toy_app","amount":{"amount_minor":1,"currency":"CNY"},"subject":"a"}"#;
    let id = world.v1(api, "POST", "/v1/transactions", bill).json()["id"].as_str().expect("an id").to_owned();
    let mismatch = (422, json!("idempotency_mismatch"));

    let resume = format!("/v1/ops/accounts/{account}/resume");
    let ask = |body: &str| post(&world, &world.operator, &resume, "k", body);
    assert_eq!((ask(r#"{"author":"ann"}"#).status, ask(r#"{"author":"ann"}"#).status), (200, 200));
    assert_eq!(said(&ask(r#"{"author":"bob"}"#)), mismatch);

    let session = format!("/v1/transactions/{id}/payer_session");
    let ask = |body: &str| post(&world, api, &session, "k", body);
    assert_eq!((said(&ask("{}")), said(&ask("{}"))), ((409, json!("conflict")), (409, json!("conflict"))));
    assert_eq!(said(&ask(r#"{"validation_url":"https://wallet.example"}"#)), mismatch);

    let evidence = format!("/v1/ops/transactions/{id}/evidence");
    let body = |reason: &str| {
        format!(
            r#"{{"number":"{id}","outcome":"paid","amount":{{"amount_minor":1,"currency":"CNY"}},"channel_trade_number":"t1","author":"ann","reason":"{reason}"}}"#
        )
    };
    let first = post(&world, &world.operator, &evidence, "k", &body("statement"));
    assert_eq!((first.status, first.json()["status"].clone()), (200, json!("succeeded")), "{}", first.body);
    let again = post(&world, &world.operator, &evidence, "k", &body("statement"));
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(said(&post(&world, &world.operator, &evidence, "k", &body("a letter"))), mismatch);
}
