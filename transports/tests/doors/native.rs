//! The native API: statuses, problems, rights, idempotency, cursors.

use maxpay_engine::model::{KeyKind, Mode};
use maxpay_transports::http::{Extras, HttpSettings};
use serde_json::{Value, json};

use crate::world::World;

#[test]
fn problems_have_their_status_and_shape() {
    // Each refusal is an RFC 9457 problem with its status and stable code.
    let world = World::with(|settings| HttpSettings { body_max_bytes: 20_000, ..settings }, Extras::default());
    let api = world.key(KeyKind::Api, Mode::Test);
    let master = world.key(KeyKind::Master, Mode::Test);
    let id = "66f0a1b2c3d4e5f607182930";
    let large = format!(r#"{{"subject":"{}"}}"#, "x".repeat(30_000));
    for (key, method, path, body, status, code) in [
        ("", "GET", "/v1/transactions", "", 401, "unauthenticated"),
        ("sk_test_wrong", "GET", "/v1/transactions", "", 401, "unauthenticated"),
        (api, "GET", "/v1/subscriptions", "", 403, "forbidden"),
        (master, "GET", "/v1/apps", "", 403, "forbidden"),
        (&world.operator, "GET", "/v1/transactions", "", 403, "forbidden"),
        (api, "GET", "/v1/nothing", "", 404, "not_found"),
        (master, "GET", &format!("/v1/subscriptions/{id}"), "", 404, "not_found"),
        (master, "GET", "/v1/subscriptions/nonsense", "", 404, "not_found"),
        (api, "PUT", "/v1/transactions", "{}", 405, "method_not_allowed"),
        (api, "POST", "/v1/transactions", &large, 413, "too_large"),
        (api, "POST", "/v1/transactions", "{", 400, "malformed_request"),
        (api, "POST", "/v1/transactions", "{}", 422, "invalid_request"),
        (api, "GET", "/v1/transactions?cursor=AAAA", "", 400, "malformed_request"),
        (api, "GET", "/v1/transactions?limit=101", "", 422, "invalid_request"),
        (api, "GET", "/v1/transactions?limit=ten", "", 422, "invalid_request"),
        (api, "GET", "/v1/transactions?colour=red", "", 422, "invalid_request"),
    ] {
        let answer = world.v1(key, method, path, body);
        let said = answer.json();
        assert_eq!((answer.status, said["code"].as_str()), (status, Some(code)), "{method} {path}: {said}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            (&said["status"], said["type"].as_str()),
            (&json!(status), Some(&*format!("urn:maxpay:problem:{code}")))
        );
        assert!(said["title"].is_string() && said["detail"].is_string());
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{path}");
        assert_eq!(said["errors"].is_array(), matches!(code, "malformed_request" | "invalid_request"), "{said}");
    }
    let refused = world.request("POST", "/v1/transactions", &format!("authorization: Bearer {api}\r\n"), "a=b");
    assert_eq!((refused.status, refused.json()["code"].clone()), (415, json!("unsupported_media_type")));
    let long = format!("x-filler: {}\r\n", "y".repeat(20_000));
    assert_eq!(world.request("GET", "/v1/transactions", &long, "").status, 431);
    assert_eq!(world.v1(api, "PUT", "/v1/transactions", "").header("allow"), Some("post, get"));
}

#[test]
fn accounts_and_subscriptions_go_round() {
    // Made (201 with a location), read, listed, changed, deleted; secrets in the answer to the creation alone.
    let world = World::new();
    let master = world.key(KeyKind::Master, Mode::Test);
    let made = world.v1(master, "POST", "/v1/accounts", r#"{"adapter":"toy","label":"a toy"}"#);
    assert_eq!(made.status, 201, "{}", made.body);
    let account = made.json();
    let path = format!("/v1/accounts/{}", account["id"].as_str().expect("an id"));
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(world.v1(master, "GET", &path, "").json(), account);
    let changed = world.v1(master, "PATCH", &path, r#"{"label":"other","priority":3}"#).json();
    assert_eq!((&changed["label"], &changed["priority"]), (&json!("other"), &json!(3)));
    let disabled = world.v1(master, "DELETE", &path, "").json();
    assert_eq!(disabled["state"], json!({"name": "disabled"}));

    let body = r#"{"target":{"type":"url","url":"https://example.com/hook"},"headers":[{"name":"x-secret","value":"hunter2"}]}"#;
    let made = world.v1(master, "POST", "/v1/subscriptions", body);
    assert_eq!(made.status, 201, "{}", made.body);
    let subscription = made.json();
    assert!(subscription["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert!(!made.body.contains("hunter2"));
    assert_eq!(subscription["event_types"], json!(["payment.succeeded"]));
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().expect("an id"));
    let read = world.v1(master, "GET", &path, "").json();
    assert_eq!(read.get("secret"), None);
    let switched = world.v1(master, "PATCH", &path, r#"{"delivery":"test_sends_only","state":"disabled"}"#).json();
    assert_eq!((&switched["delivery"], &switched["state"]), (&json!("test_sends_only"), &json!("disabled")));
    let listed = world.v1(master, "GET", "/v1/subscriptions", "").json();
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["next_cursor"]), (Some(1), &Value::Null));
    assert_eq!(world.v1(master, "DELETE", &path, "").status, 200);
}

#[test]
fn an_idempotency_key_finds_what_was_made() {
    // The same key and body: the same object, without its secret; another body: 422; a bad key: 422.
    let world = World::new();
    let master = world.key(KeyKind::Master, Mode::Test);
    let send = |key: &str, body: &str| {
        let head =
            format!("authorization: Bearer {master}\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n");
        world.request("POST", "/v1/subscriptions", &head, body)
    };
    let body = r#"{"target":{"type":"url","url":"https://example.com/hook"}}"#;
    let (first, again) =
        (send("k1", body), send("k1", r#" {"target":{"url":"https://example.com/hook","type":"url"}}"#));
    assert_eq!(first.json()["id"], again.json()["id"], "{}", again.body);
    assert!(first.json()["secret"].is_string() && again.json().get("secret").is_none());
    let other = send("k1", r#"{"target":{"type":"url","url":"https://example.com/other"}}"#);
    assert_eq!((other.status, other.json()["code"].clone()), (422, json!("idempotency_mismatch")));
    assert_eq!(send("ü", body).status, 422);
    assert_eq!(send("", body).status, 422);
}

#[test]
fn lists_page_by_cursor() {
    // Two pages hold all, in order, without overlap; the cursor works on its own list alone.
    let world = World::new();
    let operator = &world.operator;
    for name in ["a", "b", "c"] {
        let made = world.v1(operator, "POST", "/v1/apps", &format!(r#"{{"name":"{name}"}}"#));
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.json()["issued"].as_array().map(Vec::len), Some(6));
    }
    let mut names = Vec::new();
    let mut path = "/v1/apps?limit=3&order=oldest_first".to_owned();
    loop {
        let page = world.v1(operator, "GET", &path, "").json();
        names.extend(page["items"].as_array().expect("items").iter().map(|app| app["name"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(world.v1(operator, "GET", &format!("/v1/ops/inbox?cursor={cursor}"), "").status, 400);
        path = format!("/v1/apps?limit=3&order=oldest_first&cursor={cursor}");
    }
    assert_eq!(names, [json!("Shop"), json!("a"), json!("b"), json!("c")]);
}

#[test]
fn keys_are_imported_and_revoked() {
    // An imported live key opens the original API in live mode until it is revoked, and is never shown.
    let world = World::new();
    let path = format!("/v1/apps/{}/keys", world.app_id);
    let key = "Zm9yd2FyZC1jb21wYXRpYmxlLWtl";
    let body = format!(r#"{{"kind":"api","mode":"live","import":"{key}"}}"#);
    let made = world.v1(&world.operator, "POST", &path, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let head = format!("X-ML-AppId: {}\r\nX-ML-APIKey: {key}\r\n", world.app_id);
    assert_eq!(world.original("records", &head, "{}")["code"], json!(0));
    let path = format!("{path}/{}", made.json()["id"].as_str().expect("an id"));
    let revoked = world.v1(&world.operator, "DELETE", &path, "");
    assert!(revoked.json()["revoked_at"].is_string(), "{}", revoked.body);
    assert_eq!(world.original("records", &head, "{}")["code"], json!(1));
}

#[test]
fn one_request_too_many_says_when_to_come_back() {
    // 429 with Retry-After, for that credential alone.
    let one = const { std::num::NonZeroU32::new(1).expect("not zero") };
    let world =
        World::with(|settings| HttpSettings { rate_per_second: one, rate_burst: one, ..settings }, Extras::default());
    let api = world.key(KeyKind::Api, Mode::Test);
    assert_eq!(world.v1(api, "GET", "/v1/transactions", "").status, 200);
    let refused = world.v1(api, "GET", "/v1/transactions", "");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.body);
    assert_eq!(world.v1(world.key(KeyKind::Master, Mode::Test), "GET", "/v1/transactions", "").status, 200);
}
