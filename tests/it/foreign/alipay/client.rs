//! Alipay's official SDK as a client of the simulator, over HTTP.

use std::sync::Arc;

use maxpay_adapters::alipay::simulator::{KeyMode, Keys, PayerCommand, Simulator, SimulatorParts};
use maxpay_adapters::parts::canonical::read_query;
use maxpay_adapters::simulator::{How, Ledger, Rule, When};
use maxpay_engine::clock::System;
use maxpay_tests::door::{Door, FreeAddress};
use serde_json::{Value, json};

use super::super::peer::Peer;
use super::super::stage::{Inbox, NUMBER, REFUND, SUBJECT};
use super::{APP, Fields, SELLER};

/// A simulator that the SDK reaches over HTTP as a merchant's client.
struct Served {
    simulator: Arc<Simulator>,
    inbox: Inbox,
    peer: Peer,
    _door: Door,
}

impl Served {
    async fn open(mode: KeyMode) -> Self {
        let address = FreeAddress::take().await;
        let gateway = format!("{}/gateway.do", address.url());
        let keys = Arc::new(Keys::generate(mode, &[(APP, SELLER)]));
        let settings = keys.settings(APP, &gateway, 0);
        let parts =
            SimulatorParts { gateway: gateway.clone(), ledger: Ledger::memory(), clock: Arc::new(System::new()), keys };
        let simulator = Simulator::open(parts);
        let inbox = Inbox::default();
        simulator.set_sink(inbox.sink("success"));
        let handled = Arc::clone(&simulator);
        let door = address.serve(move |request| {
            let target = request.line.split(' ').nth(1).unwrap_or_default();
            handled.handle(target.split_once('?').map_or("", |(_, query)| query), &request.body)
        });
        let mut peer = Peer::start("alipay.cjs");
        let mut config = json!({ "appId": APP, "privateKey": settings["private_key"], "gateway": gateway });
        for (ours, theirs) in [
            ("alipay_public_key", "alipayPublicKey"),
            ("app_cert", "appCertContent"),
            ("alipay_cert", "alipayPublicCertContent"),
            ("alipay_root_cert", "alipayRootCertContent"),
        ] {
            if let Some(value) = settings.get(ours) {
                config[theirs] = value.clone();
            }
        }
        peer.must("open", json!({ "as": "merchant", "config": config }));
        Self { simulator, inbox, peer, _door: door }
    }

    /// Asks, and gives the answer or why the SDK did not take it.
    fn ask(&mut self, method: &str, biz: Value) -> Result<Value, String> {
        let params = json!({ "notify_url": "https://shop.example/notify", "bizContent": biz });
        self.peer.ask("exec", json!({ "as": "merchant", "method": method, "params": params }))
    }

    /// The same, where the answer must say that it was done.
    fn done(&mut self, method: &str, biz: Value) -> Value {
        let answer = self.ask(method, biz).unwrap_or_else(|error| panic!("{method}: {error}"));
        assert_eq!(answer["code"], "10000", "{method}: {answer}");
        answer
    }

    /// The newest notification: the SDK takes it, and does not with another amount.
    async fn told(&mut self) -> Fields {
        self.simulator.tick().await.expect("the books answer");
        let notice = self.inbox.newest();
        let fields: Fields = read_query(std::str::from_utf8(&notice.body).expect("a form")).into_iter().collect();
        assert!(self.peer.holds("verifies", json!({ "as": "merchant", "fields": fields })), "{fields:?}");
        let mut changed = fields.clone();
        changed.insert("total_amount".to_owned(), "0.01".to_owned());
        assert!(!self.peer.holds("verifies", json!({ "as": "merchant", "fields": changed })));
        fields
    }
}

fn words(number: &str) -> Value {
    json!({ "out_trade_no": number, "total_amount": "10.00", "subject": SUBJECT, "time_expire": "2055-11-25 12:00:00" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_is_a_client_of_the_simulator() {
    // A merchant who uses it: an order, its payment, a refund, another order that is closed; every answer verified by it.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        let mut served = Served::open(mode).await;
        let made = served.done("alipay.trade.precreate", words(NUMBER));
        assert!(made["qrCode"].as_str().is_some_and(|code| code.starts_with("https://qr.alipay.com/")), "{made}");
        let named = json!({ "out_trade_no": NUMBER });
        let unknown = served.ask("alipay.trade.query", named.clone()).expect("signed");
        assert_eq!(unknown["subCode"], "ACQ.TRADE_NOT_EXIST", "nobody has scanned it");
        served.simulator.payer(APP, NUMBER, PayerCommand::Pay).expect("paid");
        assert_eq!(served.told().await["trade_status"], "TRADE_SUCCESS");
        assert_eq!(served.done("alipay.trade.query", named.clone())["tradeStatus"], "TRADE_SUCCESS");
        let refund = json!({ "out_trade_no": NUMBER, "out_request_no": REFUND, "refund_amount": "3.00" });
        assert_eq!(served.done("alipay.trade.refund", refund.clone())["fundChange"], "Y");
        assert_eq!(served.done("alipay.trade.refund", refund.clone())["fundChange"], "N");
        assert_eq!(served.told().await["refund_fee"], "3.00");
        let asked = served.done("alipay.trade.fastpay.refund.query", refund);
        assert_eq!((&asked["refundStatus"], &asked["refundAmount"]), (&json!("REFUND_SUCCESS"), &json!("3.00")));
        let late = served.ask("alipay.trade.close", named).expect("signed");
        assert_eq!(late["subCode"], "ACQ.TRADE_STATUS_ERROR");
        // Another that the payer opens and does not pay.
        let other = format!("{NUMBER}01");
        served.done("alipay.trade.precreate", words(&other));
        served.simulator.payer(APP, &other, PayerCommand::Scan).expect("opened");
        served.done("alipay.trade.close", json!({ "out_trade_no": other }));
        let closed = served.done("alipay.trade.query", json!({ "out_trade_no": other }));
        assert_eq!(closed["tradeStatus"], "TRADE_CLOSED");
        // Answers under a stranger's key, and answers without a signature, are not taken.
        for how in [How::Forged, How::Unsigned] {
            let rule = Rule { call: None, number: None, when: When::AfterExecution, how, times: 1 };
            assert!(served.simulator.faults().add(rule));
            let refused = served.ask("alipay.trade.query", json!({ "out_trade_no": other }));
            assert!(refused.is_err(), "{how:?}: {refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_opens_the_sdks_orders() {
    // What it signs for a phone, a page or a mobile page is an order; under another key, or changed, it is none.
    let mut served = Served::open(KeyMode::PublicKey).await;
    let table = [
        ("order", "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
        ("page", "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        ("page", "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    ];
    for (index, (how, method, product)) in table.into_iter().enumerate() {
        let number = format!("{NUMBER}0{index}");
        let mut biz = words(&number);
        biz["product_code"] = product.into();
        let params = json!({ "notify_url": "https://shop.example/notify", "bizContent": biz });
        let text = served.peer.must(how, json!({ "as": "merchant", "method": method, "params": params }));
        let text = text.as_str().expect("a text");
        let changed = text.replace("10.00", "00.10");
        assert_ne!(changed, text);
        assert!(served.simulator.open_order(&changed).is_err(), "{method}: another amount");
        assert_eq!(served.simulator.open_order(text).expect(method), number);
        served.simulator.payer(APP, &number, PayerCommand::Pay).expect("paid");
        assert_eq!(served.told().await["out_trade_no"], number);
    }
    let stranger = served.peer.must("key", Value::Null);
    let config = json!({ "appId": APP, "privateKey": stranger["private"], "gateway": served.simulator.gateway() });
    served.peer.must("open", json!({ "as": "merchant", "config": config }));
    let refused = served.ask("alipay.trade.precreate", words(NUMBER)).expect("the gateway's refusals are not signed");
    assert_eq!(refused["subCode"], "isv.invalid-signature");
}
