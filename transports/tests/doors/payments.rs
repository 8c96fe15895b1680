//! One payment through every door, and what the doors say of it on the way.

use maxpay_engine::model::{KeyKind, Mode};
use serde_json::{Value, json};

use crate::world::World;

#[test]
fn an_original_bill_is_paid_and_shows_in_the_records() {
    // Bill with the payer's action and the id; created without endTime; a notification, acknowledged byte for byte;
    // then success with endTime; keys in alphabetical order throughout.
    let world = World::new();
    let account = world.account();
    let signed = world.signed(KeyKind::Client);
    let body =
        r#"{"channel":"toy_app","billNum":112233,"totalFee":1,"subject":"a toy","extras":{"b":1.0,"a":"\u6211"}}"#;
    let answer = world.request("POST", "/2.0/maxpay/bill", &signed, body);
    let bill = answer.json();
    let id = bill["id"].as_str().expect("an id").to_owned();
    let wanted = format!(r#"{{"code":0,"id":"{id}","msg":"OK","toy_app":"order={id}"}}"#);
    assert_eq!(answer.body, wanted);
    let records =
        || world.request("POST", "/2.0/maxpay/records", &signed, r#"{"billNo":"112233","channel":"toy"}"#).body;
    let before = records();
    let made: Value = serde_json::from_str(&before).expect("JSON");
    let created = &made["results"][0]["createdTime"];
    assert_eq!(
        before,
        format!(
            r#"{{"results":[{{"billNum":"112233","channel":"toy_app","createdTime":{created},"currency":"CNY","extras":{{"b":1.0,"a":"\u6211"}},"id":"{id}","money":"￥ 0.01","status":"created","totalFee":1}}],"code":0}}"#
        )
    );
    let told = format!(r#"{{"number":"{id}","trade":"t1","fen":1}}"#);
    let notify = format!("/notify/toy/{account}");
    let acknowledged = world.request("POST", &notify, "", &told);
    assert_eq!((acknowledged.status, acknowledged.body.as_str()), (202, "taken\r\n"));
    assert_eq!(acknowledged.header("content-type"), Some("text/toy"));
    assert_eq!(world.request("POST", &notify, "", "rubbish").status, 400);
    let paid: Value = serde_json::from_str(&records()).expect("JSON");
    assert_eq!(paid["results"][0]["status"], json!("success"));
    assert!(paid["results"][0]["endTime"].as_u64() >= created.as_u64());
    let again = world.original("bill", &signed, body);
    assert_ne!(again["id"], bill["id"], "every bill call makes a new record");
}

#[test]
fn a_failed_bill_has_code_7_and_its_id() {
    // The channel cannot be reached: code 7, the reason, and the record's id.
    let world = World::new();
    world.account();
    let body = r#"{"channel":"toy_down","billNum":"1","totalFee":1,"subject":"a toy"}"#;
    let said = world.original("bill", &world.signed(KeyKind::Client), body);
    assert_eq!(said["code"], json!(7), "{said}");
    assert_eq!(said["id"].as_str().map(str::len), Some(24));
}

#[test]
fn a_deleted_account_is_no_account() {
    // Code 2 once the only account was disabled.
    let world = World::new();
    let account = world.account();
    let master = world.key(KeyKind::Master, Mode::Test);
    assert_eq!(world.v1(master, "DELETE", &format!("/v1/accounts/{account}"), "").status, 200);
    let body = r#"{"channel":"toy_app","billNum":"1","totalFee":1,"subject":"a toy"}"#;
    assert_eq!(world.original("bill", &world.signed(KeyKind::Client), body)["code"], json!(2));
}

#[test]
fn a_native_payment_goes_its_way() {
    // 201 with a location, 200 for the same again, 409 for the number with other content, read, listed, paid, told.
    let world = World::new();
    let account = world.account();
    let api = world.key(KeyKind::Api, Mode::Test);
    let body = |subject: &str| {
        format!(
            r#"{{"bill_num":"b-1","channel":"toy_app","amount":{{"amount_minor":150,"currency":"CNY"}},"subject":"{subject}"}}"#
        )
    };
    let made = world.v1(api, "POST", "/v1/transactions", &body("a toy"));
    assert_eq!(made.status, 201, "{}", made.body);
    let record = made.json();
    let id = record["id"].as_str().expect("an id");
    let path = format!("/v1/transactions/{id}");
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(record["status"], json!("awaiting_payer"));
    assert_eq!(record["amount"], json!({"amount_minor": 150, "currency": "CNY"}));
    assert_eq!(record["payer"]["actions"][0]["action"], json!({"type": "app_order", "order": format!("order={id}")}));
    assert_eq!(record["attempts"][0]["number"], record["id"]);
    let again = world.v1(api, "POST", "/v1/transactions", &body("a toy"));
    assert_eq!((again.status, again.json()["id"].clone()), (200, record["id"].clone()));
    let other = world.v1(api, "POST", "/v1/transactions", &body("another toy"));
    assert_eq!((other.status, other.json()["code"].clone()), (409, json!("bill_number_conflict")));
    assert_eq!(other.json()["transaction_id"], record["id"]);
    assert_eq!(world.v1(world.key(KeyKind::Api, Mode::Live), "GET", &path, "").status, 404);
    let told = format!(r#"{{"number":"{id}","trade":"t1","fen":150}}"#);
    assert_eq!(world.request("POST", &format!("/notify/toy/{account}"), "", &told).status, 202);
    let paid = world.v1(api, "GET", &path, "").json();
    assert_eq!((&paid["status"], &paid["paid"]["amount_minor"]), (&json!("succeeded"), &json!(150)));
    assert_eq!(paid["receipts"][0]["channel_trade_number"], json!("t1"));
    assert!(paid["paid_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let listed =
        world.v1(api, "GET", "/v1/transactions?status=succeeded&bill_num=b-1&channel=toy_app,toy_web", "").json();
    assert_eq!(listed["items"][0]["id"], record["id"]);
    let steps = world.v1(api, "GET", &format!("{path}/timeline?limit=1"), "").json();
    assert_eq!(steps["items"][0]["number"], json!(1));
    let rest = format!("{path}/timeline?cursor={}", steps["next_cursor"].as_str().expect("more"));
    let rest = world.v1(api, "GET", &rest, "").json();
    assert_eq!(rest["items"][0]["number"], json!(2));
    let seen = world.v1(&world.operator, "GET", &format!("/v1/ops/transactions/{id}"), "").json();
    assert_eq!(seen, paid);
    assert_eq!(world.v1(api, "POST", &format!("{path}/close"), "").status, 409);
}

#[test]
fn extras_go_64_levels_deep() {
    // Deeper ones are refused by name, 422 and code 5; the deepest that are taken come back in every list.
    let world = World::new();
    world.account();
    let api = world.key(KeyKind::Api, Mode::Test);
    let signed = world.signed(KeyKind::Api);
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let native = |levels: usize| {
        let extras = nested(levels);
        let body = format!(
            r#"{{"bill_num":"b-{levels}","channel":"toy_app","amount":{{"amount_minor":1,"currency":"CNY"}},"subject":"a","extras":{extras}}}"#
        );
        world.v1(api, "POST", "/v1/transactions", &body)
    };
    let original = |levels: usize| {
        let extras = nested(levels);
        let body =
            format!(r#"{{"billNum":"o-{levels}","channel":"toy_app","totalFee":1,"subject":"a","extras":{extras}}}"#);
        world.original("bill", &signed, &body)["code"].clone()
    };
    for levels in [65, 5_000] {
        let refused = native(levels);
        assert_eq!(refused.status, 422, "{}", refused.body);
        let wrong = refused.json()["errors"][0].clone();
        assert!(wrong["field"] == "extras" && wrong["why"].as_str().is_some_and(|why| why.contains("64 levels")));
        assert_eq!(original(levels), json!(5));
    }
    let made = native(64);
    assert_eq!((made.status, original(64)), (201, json!(0)), "{}", made.body);
    let records = world.original("records", &signed, "{}");
    assert_eq!(records["results"].as_array().map(Vec::len), Some(2), "{records}");
    let listed = world.v1(api, "GET", "/v1/transactions", "").json();
    assert!(listed["items"].as_array().is_some_and(|items| items.len() == 2), "{listed}");
}
