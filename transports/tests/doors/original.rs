//! The original API: 200 always, an integer code, and every way of authentication.

use std::time::Duration;

use maxpay_engine::model::{KeyKind, Mode};
use maxpay_transports::http::{Door, Extras, HttpSettings, ProxyTrust};
use serde_json::{Value, json};

use crate::world::World;

const BILL: &str = r#"{"billNum":"112233","channel":"toy_app","totalFee":1,"subject":"it will be ok!"}"#;

#[test]
fn every_answer_is_200_with_a_code() {
    // Whatever is wrong with path, method, size or JSON: HTTP 200, an integer code above zero, a text, JSON.
    let world = World::with(|settings| HttpSettings { body_max_bytes: 20_000, ..settings }, Extras::default());
    let signed = world.signed(KeyKind::Client);
    let large = format!(r#"{{"subject":"{}"}}"#, "x".repeat(60_000));
    let long_head = format!("{signed}x-filler: {}\r\n", "y".repeat(20_000));
    for (method, path, head, body, code) in [
        ("POST", "/2.0/maxpay/refund", &signed, "{}", 5),
        ("POST", "/2.0", &signed, "{}", 5),
        ("POST", "/2.0/", &signed, "{}", 5),
        ("GET", "/2.0/maxpay/bill", &signed, "", 5),
        ("DELETE", "/2.0/maxpay/records", &signed, "", 5),
        ("OPTIONS", "/2.0/maxpay/records", &signed, "", 5),
        ("POST", "/2.0/maxpay/bill", &signed, large.as_str(), 5),
        ("POST", "/2.0/maxpay/bill", &long_head, BILL, 5),
        ("POST", "/2.0/maxpay/bill", &signed, "{\"billNum\":", 5),
        ("POST", "/2.0/maxpay/bill", &signed, "[1,2]", 5),
        ("POST", "/2.0/maxpay/bill", &signed, "", 4),
        ("POST", "/2.0/maxpay/bill", &signed, BILL, 2),
        ("POST", "/2.0/maxpay/bill", &String::new(), BILL, 1),
        ("POST", "/2.0/maxpay/records", &signed, "{}", 1),
    ] {
        let answer = world.request(method, path, head, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
        let said = answer.json();
        assert_eq!(said["code"], json!(code), "{method} {path}: {said}");
        assert!(said["err"].as_str().is_some_and(|err| !err.is_empty()), "{said}");
        assert!(answer.header("x-request-id").is_some());
    }
}

#[test]
fn a_truncated_body_is_answered() {
    // A body that is shorter than promised, or chunks that are none, get code 5.
    let world = World::new();
    let broken = "POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let answer = world.raw(broken.as_bytes());
    assert_eq!((answer.status, answer.json()["code"].clone()), (200, json!(5)), "{}", answer.body);
}

#[test]
fn the_request_target_may_have_odd_forms() {
    // Absolute form (a proxy's), doubled slashes, and the PHP client's header spelling all reach the call.
    let world = World::new();
    let master = world.key(KeyKind::Master, Mode::Test).to_owned();
    for target in [
        "/2.0/maxpay/records",
        "//2.0//maxpay/records",
        "http://api.maxleap.cn/2.0/maxpay/records",
        "/2.0/maxpay/records?x=1",
    ] {
        let body = r#"{"billNum":"112233"}"#;
        let text = format!(
            "POST {target} HTTP/1.1\r\nHost: api.maxleap.cn\r\nAccept: */*\r\nContent-Type:application/json;charset=utf-8;\r\n\
             Connection: keep-alive;\r\nX-ML-Session-Token:{master}\r\nX-ML-AppId:{}\r\nContent-Length: {}\r\n\r\n{body}",
            world.app_id,
            body.len()
        );
        let answer = world.raw(text.as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"results":[],"code":0}"#), "{target}");
    }
}

#[test]
fn every_way_of_authentication_works() {
    // Keys in clear under three generations of names, signs by each key, and a valid sign beside an unknown token.
    let world = World::new();
    let app = &world.app_id;
    let key = |kind| world.key(kind, Mode::Test);
    let by = [
        format!("X-ML-AppId: {app}\r\nX-ML-MasterKey: {}\r\n", key(KeyKind::Master)),
        format!("X-ML-AppId: {app}\r\nX-ML-Session-Token: {}\r\n", key(KeyKind::Master)),
        format!("x-ml-appid: {app}\r\nX-ML-APIKEY: {}\r\n", key(KeyKind::Api)),
        format!("X-LAS-AppId: {app}\r\nX-LAS-APIKey: {}\r\n", key(KeyKind::Api)),
        format!("X-ZCloud-AppId: {app}\r\nX-ZCloud-ClientKey: {}\r\n", key(KeyKind::Client)),
        world.signed(KeyKind::Client),
        world.signed(KeyKind::Api),
        world.signed(KeyKind::Master),
        format!("{}X-ML-Session-Token: {}\r\n", world.signed(KeyKind::Client), "u".repeat(43)),
    ];
    for head in by {
        let said = world.original("records", &head, r#"{"billNum":"1"}"#);
        assert_eq!(said, json!({"results": [], "code": 0}), "{head}");
    }
}

#[test]
fn refused_credentials_carry_the_gateways_codes() {
    // Code 1 with the gateway's number, in one body that every client can read.
    let world = World::new();
    let app = &world.app_id;
    let client = world.key(KeyKind::Client, Mode::Test);
    for (head, number) in [
        (format!("X-ML-ClientKey: {client}\r\n"), 90_000),
        (format!("X-ML-AppId: nonsense\r\nX-ML-ClientKey: {client}\r\n"), 90_000),
        (format!("X-ML-AppId: 569d84a0169e7d00012c7afe\r\nX-ML-ClientKey: {client}\r\n"), 90_000),
        (format!("X-ML-AppId: {app}\r\n"), 90_102),
        (format!("X-ML-AppId: {app}\r\nX-ML-ClientKey: wrong-wrong-wrong\r\n"), 90_102),
        (format!("X-ML-AppId: {app}\r\nX-ML-Session-Token: {}\r\n", "u".repeat(43)), 90_100),
        (format!("X-ML-AppId: {app}\r\nX-ML-Request-Sign: {},1\r\n", "0".repeat(32)), 90_104),
        (format!("X-ML-AppId: {app}\r\nX-ML-Request-Sign: rubbish\r\n"), 90_104),
    ] {
        let said = world.original("records", &head, r#"{"billNum":"1"}"#);
        assert_eq!((&said["code"], &said["errorCode"]), (&json!(1), &json!(number)), "{head}{said}");
        assert_eq!(said["err"], said["errorMessage"]);
    }
}

#[test]
fn bills_are_refused_with_the_originals_codes() {
    // 2 no account, 3 unknown or group, 4 missing (also what only this channel needs), 5 illegal.
    let world = World::new();
    let signed = world.signed(KeyKind::Client);
    let bill = |channel: &str, more: &str| {
        format!(r#"{{"billNum":"1","channel":"{channel}","totalFee":1,"subject":"a"{more}}}"#)
    };
    for (body, code) in [
        (bill("toy_app", ""), 2),
        (bill("toy", ""), 3),
        (bill("paypal", ""), 3),
        (bill("toy_web", ""), 4),
        (bill("toy_web", r#","returnUrl":"http://x""#), 2),
        (bill("toy_app", r#","billTimeout":0"#), 5),
        (r#"{"billNo":"1","channel":"toy_app","totalFee":1,"subject":"a"}"#.to_owned(), 4),
    ] {
        assert_eq!(world.original("bill", &signed, &body)["code"], json!(code), "{body}");
    }
}

#[test]
fn records_keep_their_bounds() {
    // The console's 101 passes; groups pass; what is beyond the bounds is code 5, an unknown channel code 3.
    let world = World::new();
    let api = format!("X-ML-AppId: {}\r\nX-ML-APIKey: {}\r\n", world.app_id, world.key(KeyKind::Api, Mode::Test));
    for (body, code) in [
        (r#"{"limit":101,"skip":100,"startTime":1461254400000,"endTime":1461859199000}"#, 0),
        (r#"{"channel":"toy","status":"success","order":"-createdTime"}"#, 0),
        ("{}", 0),
        ("", 0),
        ("[]", 0),
        (r#"{"skip":10001}"#, 5),
        (r#"{"limit":1001}"#, 5),
        (r#"{"order":"subject"}"#, 5),
        (r#"{"channel":"nobody"}"#, 3),
    ] {
        let said: Value = world.original("records", &api, body);
        assert_eq!(said["code"], json!(code), "{body}: {said}");
    }
}

#[test]
fn one_request_too_many_is_code_14() {
    // Beyond the rate: still 200, code 14.
    let one = const { std::num::NonZeroU32::new(1).expect("not zero") };
    let world =
        World::with(|settings| HttpSettings { rate_per_second: one, rate_burst: one, ..settings }, Extras::default());
    let signed = world.signed(KeyKind::Client);
    let codes: Vec<_> =
        (0..2).map(|_| world.original("records", &signed, r#"{"billNum":"1"}"#)["code"].clone()).collect();
    assert_eq!(codes, [json!(0), json!(14)]);
}

#[test]
fn a_slow_body_is_answered() {
    // A body that never comes whole is given up in time: code 14 here, 408 under the native API.
    let brief = Duration::from_millis(200);
    let world = World::with(|settings| HttpSettings { body_deadline: brief, ..settings }, Extras::default());
    let signed = world.signed(KeyKind::Client);
    let half = |path: &str, head: &str| {
        let text = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 100\r\n\r\n{{");
        world.raw(text.as_bytes())
    };
    let answer = half("/2.0/maxpay/bill", &signed);
    assert_eq!((answer.status, answer.json()["code"].clone()), (200, json!(14)), "{}", answer.body);
    let api = format!("authorization: Bearer {}\r\n", world.key(KeyKind::Api, Mode::Test));
    assert_eq!(half("/v1/transactions", &api).status, 408);
}

#[test]
fn keys_do_not_cross_a_network_in_the_clear() {
    // From off this machine: refused, unless a trusted proxy brings the request.
    let world = World::new();
    let key = world.key(KeyKind::Api, Mode::Test).to_owned();
    let proxy: std::net::IpAddr = "192.0.2.9".parse().expect("an address");
    let settings =
        HttpSettings { trusted_proxy: ProxyTrust::when(move |peer| peer == proxy), ..HttpSettings::default() };
    let door = Door::new(settings, world.engine.clone(), Extras::default());
    let ask = async |peer: &str| {
        let app = actix_web::test::init_service(actix_web::App::new().configure(door.configure())).await;
        let request = actix_web::test::TestRequest::post()
            .uri("/2.0/maxpay/records")
            .peer_addr(peer.parse().expect("an address"))
            .insert_header(("x-ml-appid", world.app_id.as_str()))
            .insert_header(("x-ml-apikey", key.as_str()))
            .to_request();
        let said: Value = actix_web::test::call_and_read_body_json(&app, request).await;
        said["code"].clone()
    };
    actix_web::rt::System::new().block_on(async {
        assert_eq!(ask("192.0.2.8:1").await, json!(1));
        assert_eq!(ask("192.0.2.9:1").await, json!(0));
        assert_eq!(ask("127.0.0.1:1").await, json!(0));
    });
}
