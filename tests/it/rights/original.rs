//! The original API in its own terms: HTTP 200, and an integer `code` that is 0 for whoever may.

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::stage::{BILL, Stage, text};

/// How a proof is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Client,
    Api,
    Master,
    Session,
    /// `X-ML-Request-Sign` in two parts.
    Sign,
    /// The same, with `master` as a third part.
    SignMaster,
}

const HEADERS: [Header; 6] =
    [Header::Client, Header::Api, Header::Master, Header::Session, Header::Sign, Header::SignMaster];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Client,
    Api,
    Master,
    Session,
}

/// A key of some app.
struct Key {
    kind: Kind,
    /// Of which place.
    place: usize,
    text: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_proof_for_every_app() {
    // A key opens its own app, in its own mode, in the header of its kind; everything else is code 1 with the
    // gateway's number. What is created and read is its own place's.
    let stage = Stage::new().await;
    let mut opened = 0;
    for app in [0, 2] {
        for key in keys(&stage) {
            for header in HEADERS {
                let app_id = &stage.places[app].keys.app_id;
                let shown = [("X-ML-AppId", app_id.clone()), proof(&stage, header, &key.text)];
                let context = format!("{:?} key of {} as {header:?}", key.kind, stage.places[key.place].name);
                let of_the_app = stage.places[key.place].keys.app_id == *app_id;
                if of_the_app && opens(header, key.kind) {
                    opened += 1;
                    creates_and_reads(&stage, &shown, &key, &context).await;
                } else {
                    refused(&stage, &shown, gateway(header), &context).await;
                }
            }
        }
    }
    // Client, API, master and session token, the master key as a session token, and three signs, in four places.
    assert_eq!(opened, 4 * 8);
    stage.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_proof() {
    // Nothing, half of it, what was good once, and what is good elsewhere: code 1, and the number that says why.
    let stage = Stage::new().await;
    let app = ("X-ML-AppId", stage.places[0].keys.app_id.clone());
    let master = |text: &str| ("X-ML-MasterKey", text.to_owned());
    let session = |text: &str| ("X-ML-Session-Token", text.to_owned());
    let sign = |text: &str| ("X-ML-Request-Sign", text.to_owned());
    let (good, spent) = (&stage.places[0].keys.master, &stage.spent);
    for (headers, number) in [
        (vec![], 90_000),
        (vec![master(good)], 90_000),
        (vec![("X-ML-AppId", "66f0a1b2c3d4e5f607182930".to_owned()), master(good)], 90_000),
        (vec![("X-ML-AppId", "no id".to_owned()), master(good)], 90_000),
        (vec![("X-ML-AppId", spent.disabled.app_id.clone()), master(&spent.disabled.master)], 90_000),
        (vec![app.clone()], 90_102),
        (vec![app.clone(), master("")], 90_102),
        (vec![app.clone(), master(&format!("{good}A"))], 90_102),
        (vec![app.clone(), master(&good.to_uppercase())], 90_102),
        (vec![app.clone(), master(&"A".repeat(600))], 90_102),
        (vec![app.clone(), master(&spent.revoked_master)], 90_102),
        (vec![app.clone(), master(&stage.world.operator)], 90_102),
        (vec![app.clone(), session(&stage.world.operator)], 90_100),
        (vec![app.clone(), session(&spent.expired_session)], 90_101),
        (vec![app.clone(), session("nobody's")], 90_100),
        (vec![app.clone(), sign("nonsense")], 90_104),
        (vec![app.clone(), sign(&format!("{},1,master", md5(&format!("1{good}"))))], 90_104),
        (vec![app.clone(), sign(&format!("{},1,other", md5(&format!("1{good}"))))], 90_104),
        (vec![app.clone(), ("Authorization", format!("Bearer {good}"))], 90_102),
    ] {
        refused(&stage, &headers, number, &format!("{headers:?}")).await;
    }
    // A path that is none is told to everybody alike.
    for headers in [vec![], vec![app.clone(), master(good)]] {
        assert_eq!(stage.ask_original("nothing", &headers, &json!({})).await["code"], 5);
    }
    stage.world.end().await;
}

async fn creates_and_reads(stage: &Stage, shown: &[(&'static str, String)], key: &Key, context: &str) {
    let answer = stage.ask_original("bill", shown, &bill()).await;
    assert_eq!(answer["code"], 0, "{context}: {answer}");
    let path = format!("/v1/transactions/{}", text(&answer["id"]));
    for (index, place) in stage.places.iter().enumerate() {
        let master = format!("Bearer {}", place.keys.master);
        let asked = stage.ask("GET", &path, Some(&master), &Value::Null).await;
        assert_eq!(asked.status, if index == key.place { 200 } else { 404 }, "{context}: {}", place.name);
    }
    let found = stage.ask_original("records", shown, &json!({ "billNum": BILL, "limit": 1_000 })).await.to_string();
    let everything = stage.ask_original("records", shown, &json!({ "limit": 1_000 })).await;
    for (index, place) in stage.places.iter().enumerate() {
        assert_eq!(found.contains(&place.transaction), index == key.place, "{context}: {}: {found}", place.name);
        let told = everything.to_string().contains(&place.transaction);
        assert_eq!(told, index == key.place && key.kind != Kind::Client, "{context}: {}", place.name);
    }
    let wanted = if key.kind == Kind::Client { json!([1, 90_000]) } else { json!([0, null]) };
    assert_eq!(json!([everything["code"], everything["errorCode"]]), wanted, "{context}");
}

async fn refused(stage: &Stage, shown: &[(&'static str, String)], number: u64, context: &str) {
    for (call, body) in [("bill", bill()), ("records", json!({ "billNum": BILL })), ("bill", json!({}))] {
        let answer = stage.ask_original(call, shown, &body).await;
        let told = (answer["code"].as_u64(), answer["errorCode"].as_u64());
        assert_eq!(told, (Some(1), Some(number)), "{call}: {context}: {answer}");
        let text = answer.to_string();
        assert!(!stage.places.iter().any(|place| text.contains(&place.transaction)), "{context}: {text}");
    }
}

fn keys(stage: &Stage) -> Vec<Key> {
    let mut all = Vec::new();
    for (place, keys) in stage.places.iter().map(|place| &place.keys).enumerate() {
        for (kind, text) in [
            (Kind::Client, &keys.client),
            (Kind::Api, &keys.api),
            (Kind::Master, &keys.master),
            (Kind::Session, &keys.session),
        ] {
            all.push(Key { kind, place, text: text.clone() });
        }
    }
    all
}

/// Whether a header takes a key of that kind (maxleap.md section 1.2).
fn opens(header: Header, kind: Kind) -> bool {
    match header {
        Header::Client => kind == Kind::Client,
        Header::Api => kind == Kind::Api,
        Header::Master | Header::SignMaster => kind == Kind::Master,
        Header::Session => matches!(kind, Kind::Session | Kind::Master),
        Header::Sign => matches!(kind, Kind::Client | Kind::Api),
    }
}

/// What the original's gateway says of a header that does not hold.
fn gateway(header: Header) -> u64 {
    match header {
        Header::Client | Header::Api | Header::Master => 90_102,
        Header::Session => 90_100,
        Header::Sign | Header::SignMaster => 90_104,
    }
}

fn proof(stage: &Stage, header: Header, key: &str) -> (&'static str, String) {
    let now = stage.world.engine.now().millis();
    let sign = md5(&format!("{now}{key}"));
    match header {
        Header::Client => ("X-ML-ClientKey", key.to_owned()),
        Header::Api => ("X-ML-APIKey", key.to_owned()),
        Header::Master => ("X-ML-MasterKey", key.to_owned()),
        Header::Session => ("X-ML-Session-Token", key.to_owned()),
        Header::Sign => ("X-ML-Request-Sign", format!("{sign},{now}")),
        Header::SignMaster => ("X-ML-Request-Sign", format!("{sign},{now},master")),
    }
}

fn bill() -> Value {
    json!({ "channel": "wx_native", "billNum": BILL, "totalFee": 1, "subject": "A toy" })
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}
