//! Every channel over real HTTP: the server, the provider's simulator as a process of its own, the account that its
//! ready file offers, a payment by the original API, and a payer who pays. In the middle of each the simulator is
//! stopped and started again.

use std::path::Path;
use std::time::Duration;

use maxpay_tests::client::{Client, payment};
use maxpay_tests::raw;
use maxpay_tests::server::{Server, Start};
use maxpay_tests::simulator::ProviderProcess;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_maxpay-under-test");
const BILL: &str = "/2.0/maxpay/bill";
const RECORDS: &str = "/2.0/maxpay/records";
const LIMIT: Duration = Duration::from_secs(20);
/// The place of the v2 account in the offer of WeChat Pay.
const V2: usize = 2;

/// A server with an app that has no account yet.
struct Shop {
    server: Server,
    app_id: String,
    api_key: String,
    master: Client,
}

impl Shop {
    async fn open(folder: &Path) -> Self {
        let server = Start::new(PROGRAM, &folder.join("data")).run().await;
        let operator = Client::new(server.address, server.operator_key.as_deref().expect("the first start issues one"));
        let made = operator.expect(201, "POST", "/v1/apps", Some(&json!({ "name": "Shop" }))).await;
        let key = |kind: &str| {
            let keys = made["keys"].as_array().or(made["issued"].as_array()).expect("keys").iter();
            let mut keys = keys.filter(|key| key["kind"] == kind && key["mode"] == "test");
            keys.next().and_then(|key| key["secret"].as_str()).expect("shown once").to_owned()
        };
        let app_id = made["id"].as_str().or(made["app"]["id"].as_str()).expect("an id").to_owned();
        let master = Client::new(server.address, &key("master"));
        Self { app_id, api_key: key("api"), master, server }
    }

    /// Adds an account, and gives its id.
    async fn add(&self, account: &Value) -> String {
        let made = self.master.expect(201, "POST", "/v1/accounts", Some(account)).await;
        // What is secret is taken, and never told again.
        let told = made.to_string();
        for name in ["private_key", "api_key", "api_v3_key", "pfx", "pfx_password", "processing", "acquirer_secret"] {
            let given = account["settings"][name].as_str().filter(|given| given.len() > 8);
            assert!(given.is_none_or(|given| !told.contains(given)), "{name}: {told}");
        }
        text(&made, "id").to_owned()
    }

    async fn original(&self, path: &str, body: &Value) -> Value {
        let answer = self.original_reply(path, body).await;
        assert_eq!(answer["code"], 0, "{path} {body}: {answer}");
        answer
    }

    /// The answer, whatever it says.
    async fn original_reply(&self, path: &str, body: &Value) -> Value {
        let headers = [
            ("X-ML-AppId", self.app_id.as_str()),
            ("X-ML-APIKey", self.api_key.as_str()),
            ("Content-Type", "application/json"),
        ];
        let reply = raw::post(self.server.address, path, &headers, &body.to_string()).await.expect("an answer");
        assert_eq!(reply.status, 200, "{path} {body}");
        reply.json()
    }

    /// A payment of ten yuan by the original API. Its answer has these fields, filled.
    async fn bill(&self, bill_num: &str, channel: &str, fields: &[&str]) -> Value {
        let answer = self.original(BILL, &order(bill_num, channel)).await;
        for field in fields {
            assert!(answer[field].as_str().is_some_and(|text| !text.is_empty()), "{channel} {field}: {answer}");
        }
        answer
    }

    /// Reads the record until it says success.
    async fn until_success(&self, bill_num: &str) -> Value {
        let body = json!({ "billNum": bill_num });
        let found = async {
            loop {
                let row = self.original(RECORDS, &body).await["results"][0].clone();
                if row["status"] == "success" {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let row = tokio::time::timeout(LIMIT, found).await;
        let row = row.unwrap_or_else(|_| panic!("{bill_num} was not paid within {LIMIT:?}"));
        assert_eq!((&row["totalFee"], &row["currency"]), (&json!(1000), &json!("CNY")), "{row}");
        row
    }
}

fn order(bill_num: &str, channel: &str) -> Value {
    json!({
        "billNum": bill_num,
        "channel": channel,
        "totalFee": 1000,
        "subject": "A toy & its \"box\" 玩具",
        "returnUrl": "https://shop.example/back",
        "openid": "o-payer",
        "clientIp": "203.0.113.7",
        "h5Type": "Wap",
    })
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("{field}: {answer}"))
}

/// Alipay's four codes, under that kind of keys.
async fn alipay(keys: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    let mut provider = ProviderProcess::start(PROGRAM, "alipay", folder.path(), &["--keys", keys]).await;
    shop.add(&provider.accounts()[0]).await;
    let offered = provider.ready.clone();
    let all = ["ali_app", "ali_web", "ali_wap"];
    for channel in all {
        // One create gives all three strings, whichever was asked.
        let answer = shop.bill(channel, channel, &all).await;
        if channel == "ali_web" {
            provider = provider.restarted().await;
            assert_eq!(provider.ready, offered, "keys and address are the same");
        }
        let number = provider.bring(text(&answer, channel)).await;
        assert_eq!(number, text(&answer, "id"));
        provider.play("pay", &number).await;
        shop.until_success(channel).await;
    }
    let answer = shop.bill("ali_qrcode", "ali_qrcode", &["codeUrl"]).await;
    if keys == "certificates" {
        // The engine downloads the new certificate when it meets it.
        provider.payer(200, "rotate", &json!({})).await;
    }
    let number = provider.bring(text(&answer, "codeUrl")).await;
    provider.play("notify_twice", &number).await;
    shop.until_success("ali_qrcode").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_with_public_keys() {
    // App, page, phone page and code are each opened by what the answer gave, paid, and seen as success.
    alipay("public").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_with_certificates() {
    // The same with certificates, which change in the middle.
    alipay("certificates").await;
}

/// WeChat Pay's five codes, of the merchant at that place of the offer.
async fn wechat(offer: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    let mut provider = ProviderProcess::start(PROGRAM, "wechat", folder.path(), &[]).await;
    let account = shop.add(&provider.accounts()[offer]).await;
    // The engine learns of this certificate alone, and it still signs after the restart.
    provider.rotate().await;
    if offer == V2 {
        // An API key ends at once, and the next has to be saved.
        let refused = shop.original_reply(BILL, &order("refused", "wx_native")).await;
        assert_eq!(refused["code"], 7, "{refused}");
        let settings = json!({ "settings": { "api_key": provider.accounts()[offer]["settings"]["api_key"] } });
        shop.master.expect(200, "PATCH", &format!("/v1/accounts/{account}"), Some(&settings)).await;
    }
    let offered = provider.ready.clone();
    for (channel, fields, brought) in [
        ("wx_app", &["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"][..], "prepayid"),
        ("wx_native", &["codeUrl"], "codeUrl"),
        ("wx_jsapi", &["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"], "package"),
        ("wx_mini", &["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"], "package"),
        ("wx_h5", &["mwebUrl"], "mwebUrl"),
    ] {
        let answer = shop.bill(channel, channel, fields).await;
        if channel == "wx_native" {
            provider = provider.restarted().await;
            assert_eq!(provider.ready, offered, "keys and address are the same");
        }
        let number = provider.bring(text(&answer, brought)).await;
        assert_eq!(number, text(&answer, "id"));
        provider.play("pay", &number).await;
        shop.until_success(channel).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_with_its_public_key() {
    // Each code is brought by what its answer gave, paid, and seen as success.
    wechat(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_with_platform_certificates() {
    // The same with certificates that the engine downloads.
    wechat(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechat_v2_with_an_api_key() {
    // The same in the older dialect, with an API key that is changed before the first payment.
    wechat(V2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unionpay() {
    // The tn and the form are opened, paid, and seen as success, before and after another certificate signs.
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    let mut provider = ProviderProcess::start(PROGRAM, "unionpay", folder.path(), &[]).await;
    shop.add(&provider.accounts()[0]).await;
    let offered = provider.ready.clone();
    for (bill_num, channel, field) in
        [("u-1", "unipay_app", "tn"), ("u-2", "unipay_web", "html"), ("u-3", "unipay_app", "tn")]
    {
        let answer = shop.bill(bill_num, channel, &[field]).await;
        if bill_num == "u-2" {
            provider = provider.restarted().await;
            assert_eq!(provider.ready, offered, "keys and address are the same");
            provider.payer(200, "rotate", &json!({})).await;
        }
        let number = provider.bring(text(&answer, field)).await;
        assert_eq!(number, text(&answer, "id"));
        if bill_num == "u-3" {
            // A declined try is none: the payer tries again.
            provider.play("decline", &number).await;
        }
        provider.play("pay", &number).await;
        shop.until_success(bill_num).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applepay() {
    // The original API starts it, the device makes a token for the native one, and the original sees success.
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    let mut provider = ProviderProcess::start(PROGRAM, "applepay", folder.path(), &[]).await;
    shop.add(&provider.accounts()[0]).await;
    let offered = provider.ready.clone();
    let client = Client::new(shop.server.address, &shop.api_key);
    for version in ["EC_v1", "RSA_v1"] {
        let answer = shop.bill(version, "apple_pay", &[]).await;
        let id = text(&answer, "id");
        let session =
            client.expect(200, "POST", &format!("/v1/transactions/{id}/payer_session"), Some(&json!({}))).await;
        assert!(session.to_string().contains("merchantSessionIdentifier"), "{session}");
        let asked = json!({ "amount_minor": 1000, "currency": "CNY", "version": version });
        let token = provider.payer(200, "token", &asked).await;
        let path = format!("/v1/transactions/{id}/authorize");
        let paid = client.expect(200, "POST", &path, Some(&token)).await;
        assert_eq!(paid["status"], "succeeded", "{paid}");
        shop.until_success(version).await;
        provider = provider.restarted().await;
        assert_eq!(provider.ready, offered, "keys and address are the same");
    }
    // A card that its bank declines moves nothing; an undecided one waits for a person at the acquirer.
    let made = client.expect(201, "POST", "/v1/transactions", Some(&payment("a-3", "apple_pay", 700))).await;
    let id = text(&made, "id");
    let path = format!("/v1/transactions/{id}/authorize");
    let token = provider.payer(200, "token", &json!({ "amount_minor": 700, "card": "decline" })).await;
    let declined = client.expect(200, "POST", &path, Some(&token)).await;
    assert_eq!(declined["status"], "awaiting_payer", "{declined}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_has_the_originals_code() {
    // A channel that has no account is 2, and a merchant whom the provider does not know 7, with the record's id.
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    for (provider, channel, of_stranger) in [
        ("alipay", "ali_qrcode", json!({ "app_id": "2021000000009999" })),
        ("wechat", "wx_native", json!({ "certificate": null, "certificate_serial": "5157F09EFDC096DE" })),
        ("unionpay", "unipay_app", json!({ "merchant_id": "777290058119999" })),
    ] {
        let refused = shop.original_reply(BILL, &order("no-account", channel)).await;
        assert_eq!((&refused["code"], &refused["msg"]), (&json!(2), &json!("PAY_FACTOR_NOT_SET")), "{refused}");
        let provider = ProviderProcess::start(PROGRAM, provider, folder.path(), &[]).await;
        let mut account = provider.accounts()[0].clone();
        let settings = account["settings"].as_object_mut().expect("an object");
        settings.extend(of_stranger.as_object().cloned().expect("an object"));
        settings.retain(|_, value| !value.is_null());
        shop.add(&account).await;
        let refused = shop.original_reply(BILL, &order("stranger", channel)).await;
        assert_eq!((&refused["code"], &refused["msg"]), (&json!(7), &json!("CHANNEL_ERROR")), "{channel}: {refused}");
        assert!(!text(&refused, "id").is_empty() && !text(&refused, "err").is_empty(), "{refused}");
        let path = format!("/v1/transactions/{}", text(&refused, "id"));
        let record = shop.master.expect(200, "GET", &path, None).await;
        assert_eq!(record["status"], "failed", "{channel}: {record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_again() {
    // The provider does what it is asked and says nothing: the connection ends without a byte, and the next look finds
    // what was done.
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::open(folder.path()).await;
    let provider = ProviderProcess::start(PROGRAM, "wechat", folder.path(), &[]).await;
    shop.add(&provider.accounts()[0]).await;
    let answer = shop.bill("lost", "wx_native", &["codeUrl"]).await;
    let id = text(&answer, "id");
    provider.play("notify_never", id).await;
    provider.play("lose", id).await;
    let client = Client::new(shop.server.address, &shop.api_key);
    let path = format!("/v1/transactions/{id}/query");
    client.ask("POST", &path, Some(&json!({ "wait_seconds": 0 }))).await.expect("an answer");
    let log = || std::fs::read_to_string(folder.path().join("wechat.log")).unwrap_or_default();
    let cut = async {
        while !log().contains("cut=true") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, cut).await.expect("an answer was lost");
    client.ask("POST", &path, Some(&json!({}))).await.expect("an answer");
    shop.until_success("lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_the_payers_own() {
    // Its buttons work with the token that stands in it, and for nobody without; what others wrote cannot get into it.
    let folder = tempfile::tempdir().expect("a folder");
    let provider = ProviderProcess::start(PROGRAM, "applepay", folder.path(), &[]).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", provider.address);
    let page = raw::send(provider.address, get("/payer").as_bytes()).await.expect("a page");
    let html = String::from_utf8(page.body.clone()).expect("text");
    assert!(page.status == 200 && page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    let form = html.split("name=\"form\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let post = async |body: String, headers: &[(&str, &str)]| {
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        raw::post(provider.address, "/payer/do", &[&kind, headers].concat(), &body).await.expect("an answer")
    };
    let token = "command=token&amount_minor=5&currency=CNY&card=approve&application_data=";
    let made = post(format!("form={form}&{token}"), &[]).await;
    assert!(made.status == 200 && String::from_utf8_lossy(&made.body).contains("paymentData"));
    assert_eq!(post(format!("form=guessed&{token}"), &[]).await.status, 403);
    let elsewhere = [("Origin", "https://evil.example")];
    assert_eq!(post(format!("form={form}&{token}"), &elsewhere).await.status, 403);
    let said = post(format!("form={form}&command=approve&number=%3Cscript%3E"), &[]).await;
    assert!(said.status == 200 && !String::from_utf8_lossy(&said.body).contains("<script>"));
    for (path, headers, body, status) in [
        ("/payer/approve", &[("Content-Type", "text/plain")][..], r#"{"number":"x"}"#, 415),
        ("/payer/approve", &[("Content-Type", "application/json")], r#"{"number":"x"}"#, 409),
        ("/payer/approve", &[("Content-Type", "application/json")], r#"{"number":"x","amount_minor":1}"#, 422),
        ("/payer/approve", &[("Content-Type", "application/json"), ("Origin", "null")], "{}", 415),
        ("/payer/approve", &[("Content-Type", "application/json")], "[]", 422),
        ("/payer/steal", &[("Content-Type", "application/json")], "{}", 404),
    ] {
        let reply = raw::post(provider.address, path, headers, body).await.expect("an answer");
        assert_eq!(reply.status, status, "{path} {headers:?} {body}: {}", reply.json());
    }
    let stranger = "GET /payer HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw::send(provider.address, stranger.as_bytes()).await.expect("an answer").status, 421);
}

#[test]
fn a_simulator_stays_at_home() {
    // Beyond this machine only by an explicit word; and one process a folder.
    let folder = tempfile::tempdir().expect("a folder");
    let run = |address: [&str; 4]| {
        std::process::Command::new(PROGRAM)
            .args(["simulate", "applepay", "--data"])
            .arg(folder.path().join("books"))
            .args(address)
            .output()
            .expect("it runs")
    };
    for (listen, public_url) in [("0.0.0.0:0", "http://127.0.0.1"), ("127.0.0.1:0", "https://payer.example.com")] {
        let refused = run(["--listen", listen, "--public-url", public_url]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("--open"), "{said}");
        assert!(refused.stdout.is_empty() && !folder.path().join("books").exists());
    }
}
