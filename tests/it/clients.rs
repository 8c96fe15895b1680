//! The original API, with the bytes that its original clients put on the wire (recorded from MaxLeap's PHP, Android
//! and React Native SDKs; token, keys and app id replaced).

use std::time::Duration;

use maxpay_adapters::sandbox::simulator::PayerCommand;
use maxpay_tests::raw::{self, RawReply};
use maxpay_tests::world::{Keys, World};
use md5::{Digest, Md5};
use serde_json::{Value, json};

const BILL: &str = "/2.0/maxpay/bill";
const RECORDS: &str = "/2.0/maxpay/records";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_php_sdk_creates_and_reads() {
    // Recorded bytes: no blank after colons, semicolons at the ends of two headers, escaped slashes, and through a
    // proxy an absolute-form target. The answer has all three strings, and an id that is a 24-digit object id.
    let world = World::new().await;
    let Keys { app_id, session, .. } = &world.keys;
    let body = r#"{"billNum":"112233","channel":"ali_web","totalFee":1,"subject":"it will be ok!","extras":{"a":1,"b":2},"returnUrl":"http:\/\/www.maxwon.cn","billTimeout":360}"#;
    for target in [BILL.to_owned(), format!("http://api.maxleap.cn{BILL}")] {
        let reply = php(&world, &target, session, app_id, body).await;
        let answer = fine(&reply);
        assert!(is_id(&answer["id"]), "{answer}");
        assert_eq!(answer["msg"], "OK");
        for field in ["ali_app", "ali_web", "ali_wap"] {
            assert!(answer[field].as_str().is_some_and(|text| text.len() > 40), "{field}: {answer}");
        }
        assert!(answer["ali_app"].as_str().is_some_and(|text| text.contains("service=\"mobile.securitypay.pay\"")));
        assert!(answer["ali_web"].as_str().is_some_and(|text| text.contains("service=create_direct_pay_by_user")));
    }
    let records = fine(&php(&world, RECORDS, session, app_id, r#"{"billNum":"112233"}"#).await);
    let rows = records["results"].as_array().expect("rows").clone();
    // Two bill calls, two records: the original never made one of them.
    assert_eq!(rows.len(), 2, "{records}");
    let row = &rows[0];
    assert_eq!(row["money"], "\u{ffe5} 0.01");
    assert_eq!((&row["status"], &row["currency"], &row["totalFee"]), (&json!("created"), &json!("CNY"), &json!(1)));
    assert_eq!(row["extras"], json!({ "a": 1, "b": 2 }));
    assert!(row.get("endTime").is_none() && row.get("subject").is_none(), "{row}");
    let keys: Vec<&String> = row.as_object().expect("a row").keys().collect();
    assert!(keys.is_sorted(), "{keys:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_android_sdk_signs_its_requests() {
    // Recorded head and bodies: `X-ML-Request-Sign: md5(timestamp + client key),timestamp`, however old.
    let world = World::new().await;
    let Keys { app_id, client, .. } = &world.keys;
    let sign = format!("{},1795377908118", md5(&format!("1795377908118{client}")));
    let headers = [
        ("X-ML-Request-Sign", sign.as_str()),
        ("User-Agent", "Shop/1.0/android/null"),
        ("X-ML-AppId", app_id),
        ("Content-Type", "application/json; charset=utf-8"),
    ];
    let bill = r#"{"channel":"ali_app","billNum":"b1","totalFee":1,"subject":"a toy","extras":{"k":"v"}}"#;
    let answer = fine(&post(&world, BILL, &headers, bill).await);
    let (id, ali_app) = (answer["id"].clone(), answer["ali_app"].clone());
    assert!(is_id(&id) && ali_app.is_string());
    for body in [r#"{"billNum":"b1"}"#, r#"{"channel":"ali_app","billNum":"b1"}"#] {
        let records = fine(&post(&world, RECORDS, &headers, body).await);
        assert_eq!(records["results"][0]["id"], id, "{records}");
    }
    // What the phone's payer pays shows as success, with the time it ended.
    let order = ali_app.as_str().expect("a text");
    world.simulator.payer_with(id.as_str().expect("a text"), Some(order), PayerCommand::Pay).expect("paid");
    let paid = until_success(&world, &headers, r#"{"billNum":"b1"}"#).await;
    assert!(paid["endTime"].as_u64() >= paid["createdTime"].as_u64() && paid["endTime"].is_u64(), "{paid}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_spellings_of_the_same() {
    // Older header names, other cases, doubled slashes, null and empty filters, `billNo`, group channels, order.
    let world = World::new().await;
    let Keys { app_id, api, master, session, .. } = &world.keys;
    let json_type = ("Content-Type", "application/json");
    let bill = r#"{"channel":"wx_native","billNum":7,"totalFee":1000,"subject":"数字","extras":[]}"#;
    fine(&post(&world, BILL, &[("x-las-appid", app_id), ("x-las-apikey", api), json_type], bill).await);
    let bill = r#"{"channel":"wx_app","billNum":"7","totalFee":1000,"subject":"a toy","extras":"text"}"#;
    let app = fine(&post(&world, BILL, &[("X-ML-appid", app_id), ("X-ML-MasterKey", master), json_type], bill).await);
    for field in ["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"] {
        assert!(app[field].is_string(), "{field}: {app}");
    }
    assert_eq!(app["package"], "Sign=WXPay");
    let console = [("X-LAS-AppId", app_id.as_str()), ("X-LAS-Session-Token", session), json_type];
    let sessioned = [("X-ML-AppId", app_id.as_str()), ("X-ML-Session-Token", master)];
    let rows = |reply: &RawReply| fine(reply)["results"].as_array().expect("rows").clone();
    for (path, body, count) in [
        ("/2.0//maxpay/records", r#"{"billNo":"7","channel":null}"#, 2),
        ("//2.0/maxpay//records", r#"{"billNum":"7","channel":"","status":null}"#, 2),
        (RECORDS, r#"{"billNum":"7","channel":"wx"}"#, 2),
        (RECORDS, r#"{"billNum":"7","channel":"wx_app"}"#, 1),
        (RECORDS, r#"{"channel":"unipay"}"#, 0),
        (RECORDS, r#"{"status":"success"}"#, 0),
        (RECORDS, r#"{"startTime":0,"endTime":4102444800000,"limit":101,"skip":0}"#, 2),
        (RECORDS, r#"{"startTime":4102444800000}"#, 0),
        (RECORDS, r#"{"limit":1}"#, 1),
        (RECORDS, "{}", 2),
    ] {
        assert_eq!(rows(&post(&world, path, &console, body).await).len(), count, "{path} {body}");
        assert_eq!(rows(&post(&world, path, &sessioned, body).await).len(), count, "{path} {body}");
    }
    let oldest = rows(&post(&world, RECORDS, &console, "{}").await);
    let newest = rows(&post(&world, RECORDS, &console, r#"{"order":"-createdTime"}"#).await);
    assert_eq!(oldest[0], newest[1]);
    assert_eq!(oldest[0]["money"], "\u{ffe5} 10.00");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_two_hundred_with_a_code() {
    // Whatever is wrong, the PHP SDK gets a body it can read: HTTP 200, an integer code that is not 0, and a text.
    let world = World::new().await;
    let Keys { app_id, client, api, .. } = &world.keys;
    let with_key = [("X-ML-AppId", app_id.as_str()), ("X-ML-APIKey", api), ("Content-Type", "application/json")];
    let full = |channel: &str| format!(r#"{{"channel":"{channel}","billNum":"x","totalFee":1,"subject":"s"}}"#);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let large = format!(r#"{{"subject":"{}"}}"#, "x".repeat(600_000));
    for (path, body, code) in [
        (BILL, full("ali"), 3),
        (BILL, full("nothing_known"), 3),
        (BILL, full(""), 4),
        (BILL, r#"{"billNum":"x","totalFee":1,"subject":"s"}"#.to_owned(), 4),
        (BILL, r#"{"channel":"wx_native","totalFee":1,"subject":"s"}"#.to_owned(), 4),
        (BILL, r#"{"channel":"wx_native","billNum":"x","subject":"s"}"#.to_owned(), 4),
        (BILL, r#"{"channel":"wx_native","billNum":"x","totalFee":1}"#.to_owned(), 4),
        (BILL, r#"{"channel":"wx_native","billNum":"x","totalFee":0,"subject":"s"}"#.to_owned(), 5),
        (BILL, r#"{"channel":"wx_native","billNum":"x","totalFee":-1,"subject":"s"}"#.to_owned(), 5),
        (BILL, r#"{"channel":"wx_native","billNum":"x","totalFee":1.5,"subject":"s"}"#.to_owned(), 5),
        (BILL, r#"{"channel":"wx_native","billNum":"x","totalFee":99999999999999999999,"subject":"s"}"#.to_owned(), 5),
        (BILL, "{".to_owned(), 5),
        (BILL, String::new(), 4),
        (BILL, deep, 5),
        (BILL, large, 5),
        (RECORDS, r#"{"skip":10001}"#.to_owned(), 5),
        (RECORDS, r#"{"limit":-1}"#.to_owned(), 5),
        (RECORDS, r#"{"order":"nothing"}"#.to_owned(), 5),
        (RECORDS, r#"{"status":"pay"}"#.to_owned(), 5),
        ("/2.0/maxpay/nothing", "{}".to_owned(), 5),
        ("/2.0/", "{}".to_owned(), 5),
    ] {
        let shown: String = body.chars().take(80).collect();
        refused(&post(&world, path, &with_key, &body).await, code, &shown);
    }
    let get = format!("GET {BILL} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    refused(&raw::send(world.address, get.as_bytes()).await.expect("an answer"), 5, "GET");
    let live = [("X-ML-AppId", world.live.app_id.as_str()), ("X-ML-APIKey", world.live.api.as_str())];
    refused(&post(&world, BILL, &live, &full("wx_native")).await, 2, "no account in live mode");
    for (headers, number) in [
        (vec![], 90000),
        (vec![("X-ML-AppId", app_id.as_str())], 90102),
        (vec![("X-ML-AppId", "000000000000000000000000"), ("X-ML-APIKey", api)], 90000),
        (vec![("X-ML-AppId", app_id), ("X-ML-Session-Token", "nobody's")], 90100),
        (vec![("X-ML-AppId", app_id), ("X-ML-APIKey", "wrong")], 90102),
        (vec![("X-ML-AppId", app_id), ("X-ML-Request-Sign", "08041bb9f95f39390cf5f17067f12bf0,1")], 90104),
    ] {
        let reply = post(&world, BILL, &headers, &full("wx_native")).await;
        let body = refused(&reply, 1, &format!("{headers:?}"));
        assert_eq!(body["errorCode"], number, "{headers:?}: {body}");
        assert!(body["errorMessage"].is_string());
    }
    // A client key is in every phone: it reads by bill number only.
    let phone = [("X-ML-AppId", app_id.as_str()), ("X-ML-ClientKey", client.as_str())];
    assert_ne!(post(&world, RECORDS, &phone, "{}").await.json()["code"], 0);
    fine(&post(&world, RECORDS, &phone, r#"{"billNum":"x"}"#).await);
    world.end().await;
}

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> RawReply {
    raw::post(world.address, path, headers, body).await.expect("an answer")
}

async fn php(world: &World, target: &str, session: &str, app_id: &str, body: &str) -> RawReply {
    let bytes = format!(
        "POST {target} HTTP/1.1\r\nHost: api.maxleap.cn\r\nAccept: */*\r\n\
         Content-Type:application/json;charset=utf-8;\r\nConnection: keep-alive;\r\n\
         X-ML-Session-Token:{session}\r\nX-ML-AppId:{app_id}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    raw::send(world.address, bytes.as_bytes()).await.expect("an answer")
}

fn fine(reply: &RawReply) -> Value {
    let body = reply.json();
    assert_eq!((reply.status, &body["code"]), (200, &json!(0)), "{body}");
    body
}

fn refused(reply: &RawReply, code: i64, what: &str) -> Value {
    let body = reply.json();
    assert_eq!((reply.status, &body["code"]), (200, &json!(code)), "{what}: {body}");
    assert!(body["err"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
    body
}

async fn until_success(world: &World, headers: &[(&str, &str)], body: &str) -> Value {
    let found = async {
        loop {
            let row = fine(&post(world, RECORDS, headers, body).await)["results"][0].clone();
            if row["status"] == "success" {
                return row;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("it is paid")
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}
