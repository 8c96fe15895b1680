//! The package as a client of the simulated v2, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use maxpay_adapters::simulator::{How, Ledger, Rule, When};
use maxpay_adapters::wechat::simulator::v2::Merchant;
use maxpay_adapters::wechat::simulator::{KeyPair, PayerCommand, ProviderKeys, Simulator, SimulatorParts};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::secrets::Secret;
use maxpay_tests::door::{Door, FreeAddress};
use serde_json::{Value, json};

use super::super::super::peer::Peer;
use super::super::super::stage::{Inbox, NUMBER, REFUND, SUBJECT};
use super::super::{APPID, MCHID};
use super::{API_KEY, KINDS};

const ORDER: &str = "pay/unifiedorder";
const QUERY: &str = "pay/orderquery";
const CLOSE: &str = "pay/closeorder";

/// A simulator that the package reaches over HTTP as a merchant's client.
struct Served {
    simulator: Arc<Simulator>,
    inbox: Inbox,
    peer: Peer,
    kind: &'static str,
    _door: Door,
}

impl Served {
    async fn open(kind: &'static str) -> Self {
        let address = FreeAddress::take().await;
        let system = Arc::new(System::new());
        let key = KeyPair::generate("provider");
        let simulator = Simulator::open(SimulatorParts {
            base_url: address.url(),
            ledger: Ledger::memory(),
            clock: system.clone(),
            entropy: system,
            keys: ProviderKeys::new(key.clone(), vec![key]),
        });
        simulator.enrol_v2(Merchant {
            mchid: MCHID.to_owned(),
            appids: vec![APPID.to_owned()],
            api_keys: vec![Secret::from_text(API_KEY)],
            certificate: None,
        });
        let (url, handled) = (address.url(), Arc::clone(&simulator));
        let door = address.serve(move |request| {
            let mut words = request.line.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            handled.handle(method, target, &request.headers, &request.body, None)
        });
        let mut served =
            Self { simulator, inbox: Inbox::default(), peer: Peer::start("wechat.cjs"), kind, _door: door };
        served.peer.must("connect_v2", json!({ "base": url, "mchid": MCHID, "key": API_KEY }));
        served
    }

    /// What is answered, and whether a refusal is signed. `Err`: the package does not verify it.
    fn ask(&mut self, path: &str, own: &Value) -> Result<(Value, Option<bool>), String> {
        let mut data = json!({ "appid": APPID, "mch_id": MCHID, "sign_type": self.kind });
        let (Value::Object(all), Value::Object(own)) = (&mut data, own) else { panic!("two objects") };
        all.extend(own.clone());
        let mut answer = self.peer.ask("call_v2", json!({ "path": path, "data": data }))?;
        Ok((answer["data"].take(), answer["signed"].as_bool()))
    }

    fn done(&mut self, path: &str, own: &Value) -> Value {
        let (answer, signed) = self.ask(path, own).unwrap_or_else(|error| panic!("{path} {own}: {error}"));
        assert_eq!((&answer["result_code"], signed), (&json!("SUCCESS"), None), "{path} {own}: {answer}");
        answer
    }

    /// A signed refusal by that code.
    fn refused(&mut self, path: &str, own: &Value, code: &str) {
        let (answer, signed) = self.ask(path, own).unwrap_or_else(|error| panic!("{path} {own}: {error}"));
        assert_eq!((&answer["err_code"], signed), (&json!(code), Some(true)), "{path} {own}: {answer}");
    }

    /// The text of the newest notification, which comes twice: first nothing acknowledges it, then the package's XML does.
    async fn told(&mut self) -> String {
        let before = self.inbox.count();
        self.simulator.set_sink(self.inbox.sink("success"));
        self.tick(5).await;
        let acknowledgement = self
            .peer
            .must("plain_xml", json!({ "values": { "return_code": "SUCCESS", "return_msg": "OK" }, "root": "xml" }));
        let acknowledgement = acknowledgement.as_str().expect("a text").to_owned();
        self.simulator.set_sink(self.inbox.sink(acknowledgement));
        self.tick(60).await;
        self.tick(600).await;
        assert_eq!(self.inbox.count(), before + 2);
        String::from_utf8(self.inbox.newest().body.to_vec()).expect("text")
    }

    async fn tick(&self, seconds: u64) {
        let now = System::new().now().wall.after(Duration::from_secs(seconds));
        while self.simulator.tick(now).await.expect("the books answer") > 0 {}
    }
}

fn order(number: &str) -> Value {
    json!({
        "body": SUBJECT, "out_trade_no": number, "total_fee": "1000", "spbill_create_ip": "203.0.113.7",
        "notify_url": "https://shop.example/notify", "trade_type": "NATIVE", "product_id": number,
        "time_expire": "20551125120000",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_is_a_client_of_the_simulator() {
    // A merchant who uses it: an order, its payment, a refund, another order that is closed; every answer and notification
    // verified by it, and what was tampered with refused on both sides.
    for kind in KINDS {
        let mut served = Served::open(kind).await;
        let number = json!({ "out_trade_no": NUMBER });
        let made = served.done(ORDER, &order(NUMBER));
        assert!(made["code_url"].as_str().is_some_and(|url| url.starts_with("weixin://")), "{made}");
        assert_eq!(served.done(QUERY, &number)["trade_state"], "NOTPAY");
        let mut other = order(NUMBER);
        other["total_fee"] = "1001".into();
        served.refused(ORDER, &other, "INVALID_REQUEST");

        served.simulator.payer(NUMBER, PayerCommand::Pay).expect("paid");
        let told = served.told().await;
        let mut holds = |xml: &str| served.peer.holds("xml_holds", json!({ "xml": xml, "kind": kind, "key": API_KEY }));
        assert!(holds(&told) && !holds(&told.replace("[1000]", "[1001]")), "{told}");
        let told = served.peer.must("values", json!({ "xml": told }));
        let paid = served.done(QUERY, &number);
        assert_eq!((&paid["trade_state"], &paid["transaction_id"]), (&json!("SUCCESS"), &told["transaction_id"]));
        served.refused(CLOSE, &number, "ORDERPAID");
        served.refused(ORDER, &order(NUMBER), "ORDERPAID");

        let refund = json!({
            "transaction_id": paid["transaction_id"], "out_refund_no": REFUND, "total_fee": "1000", "refund_fee": "300",
            "refund_desc": SUBJECT, "notify_url": "https://shop.example/notify",
        });
        for _ in 0..2 {
            let accepted = served.done("secapi/pay/refund", &refund);
            assert_eq!((&accepted["out_refund_no"], &accepted["refund_fee"]), (&json!(REFUND), &json!("300")));
        }
        let told = served.told().await;
        let told = served.peer.must("values", json!({ "xml": told }));
        assert_eq!(told["sign"], Value::Null);
        let opened = served.peer.must("open_refund", json!({ "sealed": told["req_info"], "key": API_KEY }));
        assert_eq!((&opened["out_refund_no"], &opened["refund_status"]), (&json!(REFUND), &json!("SUCCESS")));
        let asked = json!({ "out_refund_no": REFUND });
        assert_eq!(served.done("pay/refundquery", &asked)["refund_status_0"], "SUCCESS");
        assert_eq!(served.done(QUERY, &number)["trade_state"], "REFUND");

        // Another, that nobody pays.
        let other = format!("{NUMBER}01");
        let number = json!({ "out_trade_no": other });
        served.done(ORDER, &order(&other));
        served.done(CLOSE, &number);
        assert_eq!(served.done(QUERY, &number)["trade_state"], "CLOSED");
        served.refused(CLOSE, &number, "ORDERCLOSED");
        served.refused(ORDER, &order(&other), "ORDERCLOSED");
        served.refused(QUERY, &json!({ "out_trade_no": "66f0a1b2c3d4e5f60718293099" }), "ORDERNOTEXIST");
        for how in [How::Forged, How::Unsigned] {
            let rule = Rule { call: None, number: None, when: When::AfterExecution, how, times: 1 };
            assert!(served.simulator.faults().add(rule));
            let refused = served.ask(QUERY, &number);
            assert!(refused.is_err(), "{how:?}: {refused:?}");
        }
        // Under a key that is not the merchant's.
        let stranger = json!({ "base": served.simulator.base_url(), "mchid": MCHID, "key": "0".repeat(32) });
        served.peer.must("connect_v2", stranger);
        let (answer, signed) = served.ask(QUERY, &number).expect("a refusal");
        assert_eq!((&answer["return_code"], signed), (&json!("FAIL"), Some(false)), "{answer}");
    }
}
