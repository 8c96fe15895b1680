//! The older dialect: the package verifies our XML and makes WeChat Pay's, by MD5 and by HMAC-SHA256.

mod client;

use maxpay_adapters::wechat::simulator::KeyPair;
use maxpay_adapters::wechat::v2::WeChatV2;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Notified, Outcome};
use maxpay_engine::model::PayerAction;
use serde_json::{Map, Value, json};

use super::super::peer::Peer;
use super::super::stage::{self, NUMBER, REFUND, SUBJECT, Stage};
use super::{APPID, MCHID, TRADE};

const API_KEY: &str = "hunter2hunter2hunter2hunter2abcd";
const KINDS: [&str; 2] = ["MD5", "HMAC-SHA256"];

fn meet(kind: &str) -> (Peer, Stage<WeChatV2>) {
    let merchant = KeyPair::generate("merchant");
    let settings = json!({
        "mchid": MCHID, "appid": APPID, "base_url": "http://127.0.0.1:1", "sign_type": kind, "api_key": API_KEY,
        "certificate": merchant.certificate_pem(), "private_key": merchant.private_pem(),
    });
    let mut stage = Stage::new(WeChatV2::new(), settings.as_object().expect("an object"));
    TRADE.clone_into(&mut stage.trade_number);
    (Peer::start("wechat.cjs"), stage)
}

/// What WeChat Pay sends: these values, signed.
fn signed(peer: &mut Peer, kind: &str, values: &Value) -> String {
    let mut all = json!({
        "return_code": "SUCCESS", "result_code": "SUCCESS", "appid": APPID, "mch_id": MCHID, "nonce_str": "5K8264ILTKCH16CQ",
    });
    let (Value::Object(all), Value::Object(values)) = (&mut all, values) else { panic!("two objects") };
    all.extend(values.clone());
    let xml = peer.must("xml", json!({ "values": all, "kind": kind, "key": API_KEY }));
    xml.as_str().expect("a text").to_owned()
}

fn reply(body: &str) -> HttpReply {
    HttpReply { status: 200, headers: Vec::new(), body: body.to_owned().into() }
}

#[test]
fn the_package_verifies_what_we_sign() {
    // Every request's XML reads as it was meant, and holds under the key and the type it names, with no value changed.
    for kind in KINDS {
        let (mut peer, stage) = meet(kind);
        let creates = ["wx_app", "wx_jsapi", "wx_mini", "wx_native", "wx_h5"].map(|code| stage.create(code));
        let others = [stage::query("wx_native"), stage::close("wx_native")];
        for call in creates.into_iter().chain(others).chain(stage::refunds("wx_native")) {
            let body = stage.request(&call).body;
            let xml = std::str::from_utf8(&body).expect("text");
            let mut holds =
                |xml: &str, kind: &str| peer.holds("xml_holds", json!({ "xml": xml, "kind": kind, "key": API_KEY }));
            assert!(holds(xml, kind), "{xml}");
            for (whole, part) in [(MCHID, "1900000110"), ("HMAC-SHA256", "MD5"), ("MD5", "HMAC-SHA256")] {
                let changed = xml.replace(whole, part);
                assert!(changed == xml || !holds(&changed, kind), "{changed}");
            }
            assert!(!holds(xml, if kind == "MD5" { "HMAC-SHA256" } else { "MD5" }), "{xml}");
            let values = peer.must("values", json!({ "xml": xml }));
            assert_eq!((&values["mch_id"], &values["sign_type"]), (&json!(MCHID), &json!(kind)));
            assert!(values["body"].is_null() || values["body"] == SUBJECT, "{values}");
        }
    }
}

#[test]
fn the_package_verifies_what_we_hand_to_phones_and_pages() {
    // All values but the signature are signed, of an app and of a page.
    for kind in KINDS {
        let (mut peer, stage) = meet(kind);
        for (code, name) in [("wx_app", "sign"), ("wx_jsapi", "paySign"), ("wx_mini", "paySign")] {
            let made = json!({ "prepay_id": "wx201410272009395522657a690389285100", "trade_type": "JSAPI" });
            let answer = reply(&signed(&mut peer, kind, &made));
            let actions = stage::actions(stage.outcome(&stage.create(code), &answer));
            let PayerAction::Prepay { parameters } = &actions[0].action else { panic!("{actions:?}") };
            let mut values: Map<String, Value> =
                parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let sign = values.remove(name).expect("a signature");
            let with = json!({ "values": values, "sign": sign, "kind": kind, "key": API_KEY });
            assert!(peer.holds("values_hold", with), "{code} {kind}");
            values.insert("package".to_owned(), "prepay_id=other".into());
            let with = json!({ "values": values, "sign": sign, "kind": kind, "key": API_KEY });
            assert!(!peer.holds("values_hold", with), "{code} {kind}");
        }
    }
}

#[test]
fn we_verify_the_answers_that_the_package_signs() {
    // By either type, whichever the account asks for; with a value changed they prove nothing.
    for kind in KINDS {
        let (mut peer, stage) = meet(kind);
        let paid = json!({
            "out_trade_no": NUMBER, "transaction_id": TRADE, "trade_state": "SUCCESS", "trade_type": "NATIVE",
            "total_fee": "1000", "fee_type": "CNY", "time_end": "20261125120000", "attach": SUBJECT,
        });
        let accepted = json!({
            "out_trade_no": NUMBER, "transaction_id": TRADE, "out_refund_no": REFUND, "refund_id": "50",
            "refund_fee": "300", "total_fee": "1000",
        });
        let refunded = json!({
            "out_trade_no": NUMBER, "transaction_id": TRADE, "total_fee": "1000", "refund_count": "1",
            "out_refund_no_0": REFUND, "refund_id_0": "50", "refund_fee_0": "300", "refund_status_0": "SUCCESS",
            "refund_success_time_0": "2026-11-25 12:00:00",
        });
        let [refund, refund_query] = stage::refunds("wx_native");
        let code_url =
            json!({ "prepay_id": "wx1", "code_url": "weixin://wxpay/bizpayurl?pr=1&a=b", "trade_type": "NATIVE" });
        let none = json!({ "result_code": "FAIL", "err_code": "ORDERNOTEXIST", "err_code_des": "订单不存在" });
        let table = [
            (stage.create("wx_native"), code_url, "awaiting_payer"),
            (stage::query("wx_native"), paid, "succeeded"),
            (stage::query("wx_native"), none, "not_found"),
            (stage::close("wx_native"), json!({ "result_msg": "OK" }), "closed"),
            (refund, accepted, "processing"),
            (refund_query, refunded, "succeeded"),
        ];
        for (call, values, name) in table {
            let body = signed(&mut peer, kind, &values);
            assert_eq!(stage.outcome(&call, &reply(&body)).name(), name, "{:?} {kind}: {body}", call.kind());
            for (from, to) in [("SUCCESS", "SUCCES5"), (MCHID, "1900000110"), ("5K82", "5K83"), ("<sign>", "<sign>0")] {
                let changed = body.replace(from, to);
                assert_ne!(changed, body);
                assert!(matches!(stage.outcome(&call, &reply(&changed)), Outcome::Unknown(_)), "{changed}");
            }
        }
    }
}

#[test]
fn notifications_are_taken_and_refused_alike() {
    // A signed payment proves itself; a refund, which is sealed and not signed, is a hint; the package reads our
    // acknowledgement as one.
    for kind in KINDS {
        let (mut peer, stage) = meet(kind);
        let paid = json!({
            "out_trade_no": NUMBER, "transaction_id": TRADE, "trade_type": "NATIVE", "total_fee": "1000", "cash_fee": "1000",
            "fee_type": "CNY", "time_end": "20261125120000", "attach": SUBJECT, "bank_type": "CMC", "is_subscribe": "N",
        });
        let body = signed(&mut peer, kind, &paid);
        let Notified::Verified { facts, ack, refusal } = stage.notified(Vec::new(), body.as_bytes()) else {
            panic!("{kind}: {body}")
        };
        assert!(matches!(&facts[0].outcome, Outcome::Succeeded(paid) if paid.amount == stage::yuan(1000)));
        let answers = [(&ack, "SUCCESS"), (&refusal, "FAIL")];
        for (answer, code) in answers {
            let xml = std::str::from_utf8(&answer.body).expect("text");
            assert_eq!(peer.must("values", json!({ "xml": xml }))["return_code"], code);
        }
        for (from, to) in [("1000", "1001"), (MCHID, "1900000110"), (NUMBER, "66f0a1b2c3d4e5f607182931")] {
            let changed = body.replace(from, to);
            assert!(!peer.holds("xml_holds", json!({ "xml": changed, "kind": kind, "key": API_KEY })));
            assert!(matches!(stage.notified(Vec::new(), changed.as_bytes()), Notified::Unverified { .. }), "{changed}");
        }
        for (key, opens) in [(API_KEY, true), ("0000000000000000000000000000000", false)] {
            let told = json!({
                "out_trade_no": NUMBER, "transaction_id": TRADE, "out_refund_no": REFUND, "refund_id": "50",
                "refund_fee": "300", "total_fee": "1000", "refund_status": "SUCCESS", "refund_recv_accout": "支付用户零钱",
            });
            let text = peer.must("plain_xml", json!({ "values": told, "root": "root" }));
            let sealed = peer.must("seal_refund", json!({ "text": text, "key": key }));
            let notice = json!({ "return_code": "SUCCESS", "appid": APPID, "mch_id": MCHID, "req_info": sealed });
            let notice = peer.must("plain_xml", json!({ "values": notice, "root": "xml" }));
            let told = stage.notified(Vec::new(), notice.as_str().expect("a text").as_bytes());
            match told {
                Notified::Hint { number, .. } => assert!(opens && number == NUMBER, "{kind}"),
                Notified::Unverified { reason, .. } => assert!(!opens, "{kind}: {reason}"),
                Notified::Verified { .. } | Notified::NeedMaterial(_) => panic!("{kind}: nothing signs it"),
            }
        }
    }
}
