//! The native API end to end: what is made, paid, closed, repeated and refused.

use std::time::Duration;

use maxpay_adapters::sandbox::simulator::{Magic, PayerCommand};
use maxpay_tests::client::{Client, payment};
use maxpay_tests::raw;
use maxpay_tests::world::World;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_channel_from_bill_to_success() {
    // Each code is answered with its kind of payer action, is paid in the way of its channel, and ends succeeded.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    for (code, action) in [
        ("ali_app", "app_order"),
        ("ali_web", "redirect"),
        ("ali_wap", "redirect"),
        ("ali_qrcode", "qr_text"),
        ("wx_app", "prepay"),
        ("wx_native", "qr_text"),
        ("wx_jsapi", "prepay"),
        ("wx_mini", "prepay"),
        ("wx_h5", "redirect"),
        ("unipay_web", "form"),
    ] {
        let mut body = payment(&format!("bill-{code}"), code, 1000);
        body["return_url"] = json!("https://shop.example/back");
        body["payer"] = json!({ "openid": "o-payer", "client_ip": "203.0.113.7", "h5_type": "Wap" });
        let made = client.expect(201, "POST", "/v1/transactions", Some(&body)).await;
        assert_eq!(made["status"], "awaiting_payer", "{code}: {made}");
        let given = &made["payer"]["actions"][0];
        assert_eq!(given["action"]["type"], action, "{code}: {made}");
        let id = made["id"].as_str().expect("an id");
        let order = given["action"]["order"].as_str().or(given["action"]["url"].as_str());
        let order = order.or(given["action"]["html"].as_str());
        pay(&world, id, order);
        let path = format!("/v1/transactions/{id}");
        let paid = client.until(&path, LIMIT, |body| body["status"] == "succeeded").await;
        assert_eq!(paid["paid"]["amount_minor"], 1000, "{code}: {paid}");
        assert_eq!(paid["receipts"].as_array().map(Vec::len), Some(1), "{code}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_token_is_charged_once() {
    // Apple Pay: create, authorize with the payer's token; the same token again gives the transaction as it is.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    let made = client.expect(201, "POST", "/v1/transactions", Some(&payment("w-1", "apple_pay", 700))).await;
    assert_eq!(made["status"], "awaiting_payer", "{made}");
    let path = format!("/v1/transactions/{}/authorize", made["id"].as_str().expect("an id"));
    let token = json!({ "token": wallet_token("1f") });
    let paid = client.expect(200, "POST", &path, Some(&token)).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    let again = client.expect(200, "POST", &path, Some(&token)).await;
    assert_eq!((&again["status"], &again["version"]), (&paid["status"], &paid["version"]));
    // Another transaction cannot use it.
    let other = client.expect(201, "POST", "/v1/transactions", Some(&payment("w-2", "apple_pay", 700))).await;
    let path = format!("/v1/transactions/{}/authorize", other["id"].as_str().expect("an id"));
    let refused = client.expect(409, "POST", &path, Some(&token)).await;
    assert_eq!(refused["code"], "token_used", "{refused}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn magic_amounts_come_to_their_end() {
    // Whatever goes wrong on the way, money ends as succeeded and no money never does.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    for (magic, status) in [
        (Magic::PayNow, "succeeded"),
        (Magic::ErrorThenPaid, "succeeded"),
        (Magic::GarbageThenPaid, "succeeded"),
        (Magic::NotifyTwice, "succeeded"),
        (Magic::NotifyForged, "awaiting_payer"),
        (Magic::NeverPay, "awaiting_payer"),
        (Magic::PayOtherAmount, "awaiting_payer"),
    ] {
        let bill = format!("{magic:?}");
        let body = payment(&bill, "wx_native", magic.amount_minor());
        let (_, made) = client.ask("POST", "/v1/transactions", Some(&body)).await.expect("an answer");
        let path = format!("/v1/transactions/{}", made["id"].as_str().expect("an id"));
        let ended = |body: &Value| body["status"] == status && (status == "succeeded" || body["in_doubt"].is_null());
        let told = client.until(&path, LIMIT, ended).await;
        let paid = told["paid"]["amount_minor"].as_u64();
        assert_eq!(paid == Some(magic.amount_minor()), status == "succeeded", "{bill}: {told}");
    }
    let bill = format!("{:?}", Magic::PayOtherAmount);
    let path = format!("/v1/transactions?bill_num={bill}");
    let told = client.until(&path, LIMIT, |page| page["items"][0]["needs_attention"] == true).await;
    assert_eq!(told["items"][0]["attention"], json!(["mismatch"]), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_number_is_an_idempotency_key() {
    // The same content finds the same transaction, other content is a conflict, a closed one makes room.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    let body = payment("b-1", "wx_native", 100);
    let made = client.expect(201, "POST", "/v1/transactions", Some(&body)).await;
    let again = client.expect(200, "POST", "/v1/transactions", Some(&body)).await;
    assert_eq!(made["id"], again["id"]);
    let other = client.expect(409, "POST", "/v1/transactions", Some(&payment("b-1", "wx_native", 101))).await;
    assert_eq!((&other["code"], &other["transaction_id"]), (&json!("bill_number_conflict"), &made["id"]));
    let id = made["id"].as_str().expect("an id");
    client.ask("POST", &format!("/v1/transactions/{id}/close"), Some(&json!({}))).await.expect("an answer");
    client.until(&format!("/v1/transactions/{id}"), LIMIT, |body| body["status"] == "closed").await;
    let next = client.expect(201, "POST", "/v1/transactions", Some(&payment("b-1", "wx_native", 101))).await;
    assert_ne!(next["id"], made["id"]);
    // Many at once: one transaction.
    let body = payment("b-2", "wx_native", 100);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, body) = (client.clone(), body.clone());
        asked.spawn(async move { client.ask("POST", "/v1/transactions", Some(&body)).await });
    }
    let mut ids = std::collections::BTreeSet::new();
    while let Some(answer) = asked.join_next().await {
        let (status, body) = answer.expect("no panic").expect("an answer");
        assert!(matches!(status, 200..=202), "{status} {body}");
        ids.insert(body["id"].as_str().map(str::to_owned));
    }
    assert_eq!(ids.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_finds_what_it_made() {
    // The same key and body find the object without its secret, another body is refused, another owner is another key.
    let world = World::new().await;
    let master = Client::new(world.address, &world.keys.master);
    let target = |url: &str| json!({ "target": { "type": "url", "url": url } });
    let path = "/v1/subscriptions";
    let body = target("https://shop.example/hook");
    let (status, made) = master.ask_with("POST", path, Some(&body), Some("k-1")).await.expect("an answer");
    assert_eq!((status, made["secret"].is_string()), (201, true), "{made}");
    let (status, again) = master.ask_with("POST", path, Some(&body), Some("k-1")).await.expect("an answer");
    assert_eq!((status / 100, &again["id"], again.get("secret")), (2, &made["id"], None), "{again}");
    let other = target("https://shop.example/other");
    let (status, refused) = master.ask_with("POST", path, Some(&other), Some("k-1")).await.expect("an answer");
    assert_eq!((status, &refused["code"]), (422, &json!("idempotency_mismatch")));
    let live = Client::new(world.address, &world.live.master);
    let (status, _) = live.ask_with("POST", path, Some(&other), Some("k-1")).await.expect("an answer");
    assert_eq!(status, 201);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_walked_by_cursor() {
    // Every object once, in order, while others are made in between; filters hold; a forged cursor is refused.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    let mut made = Vec::new();
    for number in 0..7 {
        let body = payment(&format!("l-{number}"), "wx_native", 100 + number);
        let answer = client.expect(201, "POST", "/v1/transactions", Some(&body)).await;
        made.push(answer["id"].clone());
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            client.expect(200, "GET", &format!("/v1/transactions?limit=3&order=oldest_first{cursor}"), None).await;
        seen.extend(page["items"].as_array().expect("items").iter().map(|item| item["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, made);
    let page = client.expect(200, "GET", "/v1/transactions?status=succeeded", None).await;
    assert_eq!(page["items"], json!([]));
    let refused = client.expect(400, "GET", "/v1/transactions?cursor=AAAA", None).await;
    assert_eq!(refused["errors"][0]["field"], "cursor");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_what() {
    // No credential 401, a missing right 403, another's object 404; live and test do not see each other.
    let world = World::new().await;
    let ask = |key: &str| Client::new(world.address, key);
    let made = ask(&world.keys.api).expect(201, "POST", "/v1/transactions", Some(&payment("r", "wx_native", 5))).await;
    let path = format!("/v1/transactions/{}", made["id"].as_str().expect("an id"));
    ask("sk_test_nobody").expect(401, "GET", &path, None).await;
    ask(&world.live.api).expect(404, "GET", &path, None).await;
    ask(&world.keys.master).expect(200, "GET", &path, None).await;
    ask(&world.operator).expect(403, "GET", &path, None).await;
    ask(&world.keys.api).expect(403, "GET", "/v1/subscriptions", None).await;
    ask(&world.keys.api).expect(403, "GET", "/v1/ops/alarms", None).await;
    ask(&world.keys.master).expect(403, "GET", "/v1/apps", None).await;
    ask(&world.operator).expect(200, "GET", "/v1/apps", None).await;
    let body = payment("r2", "wx_native", 5);
    let refused = ask(&world.live.api).expect(422, "POST", "/v1/transactions", Some(&body)).await;
    assert_eq!(refused["code"], "channel_not_configured");
    // Nothing that is read shows a secret of an account.
    let accounts = ask(&world.keys.master).expect(200, "GET", "/v1/accounts", None).await;
    assert!(!accounts.to_string().contains("a secret between"), "{accounts}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_watches_the_process_is_told() {
    // Alive, ready, metrics with what was done, a request id on every answer.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    client.expect(201, "POST", "/v1/transactions", Some(&payment("m", "wx_native", 5))).await;
    client.expect(200, "GET", "/livez", None).await;
    client.expect(200, "GET", "/readyz", None).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let metrics = raw::send(world.address, get("/metrics").as_bytes()).await.expect("an answer");
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("maxpay_") && text.ends_with("# EOF\n"), "{text}");
    let reply = raw::send(world.address, get("/v1/transactions").as_bytes()).await.expect("an answer");
    assert_eq!(reply.status, 401);
    let head = reply.head.to_ascii_lowercase();
    assert!(head.contains("x-request-id:") && head.contains("application/problem+json"), "{head}");
    assert!(head.contains("www-authenticate:"), "{head}");
    world.end().await;
}

/// Pays as the payer of that order; one that was signed here is opened first.
fn pay(world: &World, id: &str, order: Option<&str>) {
    let paid = world.simulator.payer(id, PayerCommand::Pay);
    if paid.is_err() {
        world.simulator.payer_with(id, order, PayerCommand::Pay).expect("the payer pays");
    }
}

/// What the payer's device hands over: the sandbox's form of it.
fn wallet_token(digits: &str) -> Value {
    json!({ "version": "SANDBOX_v1", "transaction_id": digits.repeat(32) })
}
