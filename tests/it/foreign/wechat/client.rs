//! The package as a client of the simulated WeChat Pay, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use maxpay_adapters::simulator::{How, Ledger, Rule, When};
use maxpay_adapters::wechat::simulator::{KeyPair, Merchant, PayerCommand, Simulator, SimulatorParts};
use maxpay_engine::clock::System;
use maxpay_engine::secrets::Secret;
use maxpay_tests::door::{Door, FreeAddress};
use serde_json::{Map, Value, json};

use super::super::stage::{Inbox, NUMBER, REFUND, SUBJECT};
use super::{API_V3_KEY, APPID, Kind, MCHID, Parties, serial};

/// A simulator that the package reaches over HTTP as a merchant's client.
struct Served {
    simulator: Arc<Simulator>,
    inbox: Inbox,
    parties: Parties,
    _door: Door,
}

impl Served {
    async fn open(kind: Kind) -> Self {
        let address = FreeAddress::take().await;
        let mut parties = Parties::meet(kind, &address.url());
        let system = Arc::new(System::new());
        let simulator = Simulator::open(SimulatorParts {
            base_url: address.url(),
            ledger: Ledger::memory(),
            clock: system.clone(),
            entropy: system,
            keys: parties.provider.clone(),
        });
        simulator.enrol(Merchant {
            mchid: MCHID.to_owned(),
            appids: vec![APPID.to_owned()],
            api_keys: vec![parties.merchant.clone()],
            api_v3_key: Secret::from_text(API_V3_KEY),
            certificates: true,
            notices_by_public_key: kind == Kind::PublicKey,
        });
        let inbox = Inbox::default();
        simulator.set_sink(inbox.sink(""));
        let url = address.url();
        let handled = Arc::clone(&simulator);
        let door = address.serve(move |request| {
            let mut words = request.line.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            handled.handle(method, target, &request.headers, &request.body, None)
        });
        let asked = if kind == Kind::PublicKey {
            json!({ "Wechatpay-Serial": parties.provider.public_key_id() })
        } else {
            json!({})
        };
        let keys = json!({
            (parties.provider.public_key_id()): parties.provider.public_pem(),
            (serial(&parties.platform)): parties.platform.certificate_pem(),
        });
        let with = json!({ "base": url, "mchid": MCHID, "serial": serial(&parties.merchant), "headers": asked,
            "key": parties.merchant.private_pem(), "keys": keys });
        parties.peer.must("connect", with);
        Self { simulator, inbox, parties, _door: door }
    }

    fn ask(&mut self, method: &str, path: &str, body: Value) -> Result<(u64, Value), String> {
        let (params, data) = if method == "get" { (body, Value::Null) } else { (Value::Null, body) };
        let mut with = json!({ "method": method, "path": path });
        with[if method == "get" { "params" } else { "data" }] = if method == "get" { params } else { data };
        let mut answer = self.parties.peer.ask("call", with)?;
        Ok((answer["status"].as_u64().expect("a status"), answer["data"].take()))
    }

    fn done(&mut self, method: &str, path: &str, body: Value) -> (u64, Value) {
        self.ask(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What the newest notification says: the package verifies and opens it.
    async fn told(&mut self) -> Value {
        let now = self.parties.stage.now().after(Duration::from_secs(5));
        while self.simulator.tick(now).await.expect("the books answer") > 0 {}
        let notice = self.inbox.newest();
        let headers: Map<String, Value> =
            notice.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let keys = json!({
            (self.parties.provider.public_key_id()): self.parties.provider.public_pem(),
            (serial(&self.parties.platform)): self.parties.platform.certificate_pem(),
        });
        let body = std::str::from_utf8(&notice.body).expect("text");
        let with = json!({ "headers": headers, "body": body, "keys": keys });
        assert!(self.parties.peer.holds("message", with), "{body}");
        let with = json!({ "headers": headers, "body": format!("{body} "), "keys": keys });
        assert!(!self.parties.peer.holds("message", with), "{body}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let opened = self.parties.peer.must("open", json!({ "sealed": body["resource"], "key": API_V3_KEY }));
        serde_json::from_str(opened.as_str().expect("a text")).expect("JSON")
    }
}

fn order(number: &str) -> Value {
    json!({
        "appid": APPID, "mchid": MCHID, "description": SUBJECT, "out_trade_no": number,
        "time_expire": "2055-11-25T12:00:00+08:00", "notify_url": "https://shop.example/notify",
        "amount": { "total": 1000, "currency": "CNY" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_is_a_client_of_the_simulator() {
    // A merchant who uses it: an order, its payment, a refund, another order that is closed, the list of certificates;
    // every answer verified by it, under whichever key it asked for.
    for kind in [Kind::PublicKey, Kind::Certificates] {
        let mut served = Served::open(kind).await;
        let by_number = |number: &str| format!("v3/pay/transactions/out-trade-no/{number}");
        let (status, made) = served.done("post", "v3/pay/transactions/native", order(NUMBER));
        assert!(status == 200 && made["code_url"].as_str().is_some_and(|url| url.starts_with("weixin://")), "{made}");
        let merchant = json!({ "mchid": MCHID });
        let (_, open) = served.done("get", &by_number(NUMBER), merchant.clone());
        assert_eq!(open["trade_state"], "NOTPAY");
        served.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
        let told = served.told().await;
        let (_, paid) = served.done("get", &by_number(NUMBER), merchant.clone());
        assert_eq!((&paid["trade_state"], &paid["transaction_id"]), (&json!("SUCCESS"), &told["transaction_id"]));
        let refund = json!({
            "transaction_id": paid["transaction_id"], "out_refund_no": REFUND, "notify_url": "https://shop.example/notify",
            "amount": { "refund": 300, "total": 1000, "currency": "CNY" },
        });
        let (status, accepted) = served.done("post", "v3/refund/domestic/refunds", refund);
        assert_eq!((status, &accepted["status"]), (200, &json!("PROCESSING")));
        assert_eq!(served.told().await["refund_status"], "SUCCESS");
        let (_, refunded) = served.done("get", &format!("v3/refund/domestic/refunds/{REFUND}"), json!({}));
        assert_eq!(refunded["status"], "SUCCESS");
        // Another, that nobody pays.
        let other = format!("{NUMBER}01");
        served.done("post", "v3/pay/transactions/native", order(&other));
        let (status, _) = served.done("post", &format!("{}/close", by_number(&other)), merchant.clone());
        assert_eq!(status, 204);
        let (_, closed) = served.done("get", &by_number(&other), merchant.clone());
        assert_eq!(closed["trade_state"], "CLOSED");
        let (status, none) = served.done("get", &by_number("66f0a1b2c3d4e5f60718293099"), merchant.clone());
        assert_eq!((status, &none["code"]), (404, &json!("ORDER_NOT_EXIST")));
        let (_, list) = served.done("get", "v3/certificates", json!({}));
        let sealed = json!({ "sealed": list["data"][0]["encrypt_certificate"], "key": API_V3_KEY });
        assert_eq!(served.parties.peer.must("open", sealed), json!(served.parties.platform.certificate_pem()));
        for how in [How::Forged, How::Unsigned] {
            let rule = Rule { call: None, number: None, when: When::AfterExecution, how, times: 1 };
            assert!(served.simulator.faults().add(rule));
            let refused = served.ask("get", &by_number(&other), merchant.clone());
            assert!(refused.is_err(), "{how:?}: {refused:?}");
        }
        // Under a key that is not the merchant's.
        let stranger = KeyPair::generate("stranger");
        let with = json!({ "base": served.simulator.base_url(), "mchid": MCHID, "serial": serial(&served.parties.merchant),
            "key": stranger.private_pem(), "keys": { (serial(&served.parties.platform)): served.parties.platform.certificate_pem() } });
        served.parties.peer.must("connect", with);
        let (status, refused) = served.done("get", &by_number(&other), merchant);
        assert_eq!((status, &refused["code"]), (401, &json!("SIGN_ERROR")));
    }
}
