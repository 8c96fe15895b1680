//! Alipay's official SDK for Node: it verifies what we sign, we verify what it takes, and it is a client of the simulator.

mod client;

use std::collections::BTreeMap;

use maxpay_adapters::alipay::Alipay;
use maxpay_adapters::alipay::simulator::KeyMode;
use maxpay_adapters::parts::canonical::{query, read_query};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Call, Interpreted, Outcome};
use maxpay_engine::model::{NamedAction, PayerAction};
use serde_json::{Map, Value, json};

use super::openssl::OpenSsl;
use super::peer::Peer;
use super::stage::{self, NUMBER, Stage};

/// What Alipay is told of [`stage::SUBJECT`]: three letters of it are forbidden there.
const SHOWN: &str = "100%+ of \"it\" ／ 支付 ＆ <more>＝1";
const APP: &str = "2021000000000007";
const SELLER: &str = "2088000000000007";

type Fields = BTreeMap<String, String>;

/// A merchant and Alipay, whose keys others made.
struct Parties {
    merchant: Stage<Alipay>,
    peer: Peer,
    /// Alipay's own key.
    alipay_key: String,
    /// The number of Alipay's certificate, in certificate mode.
    alipay_number: Option<String>,
}

impl Parties {
    /// Under the names `merchant` and `alipay` the SDK plays each of them.
    fn meet(mode: KeyMode) -> Self {
        let mut peer = Peer::start("alipay.cjs");
        let mut settings = Map::new();
        let mut set = |name: &str, value: &str| settings.insert(name.to_owned(), value.into());
        set("app_id", APP);
        set("seller_id", SELLER);
        let (mut alipay_key, mut alipay_number) = (String::new(), None);
        match mode {
            KeyMode::PublicKey => {
                let (ours, theirs) = (peer.must("key", Value::Null), peer.must("key", Value::Null));
                let text = |key: &Value, half: &str| key[half].as_str().expect("base64").to_owned();
                set("private_key", &text(&ours, "private"));
                set("alipay_public_key", &text(&theirs, "public"));
                alipay_key.push_str(&text(&theirs, "private"));
                let config = json!({ "appId": APP, "privateKey": text(&ours, "private"), "alipayPublicKey": text(&theirs, "public") });
                peer.must("open", json!({ "as": "merchant", "config": config }));
                let config = json!({ "appId": APP, "privateKey": text(&theirs, "private"), "alipayPublicKey": text(&ours, "public") });
                peer.must("open", json!({ "as": "alipay", "config": config }));
            }
            KeyMode::Certificates => {
                let openssl = certified();
                let chain = |leaf: &str, class: &str| openssl.text(leaf) + &openssl.text(class);
                let key = |name: &str| bare(&openssl.text(name));
                let (app, alipay) = (chain("app.pem", "class1.pem"), chain("alipay.pem", "class2.pem"));
                let root = openssl.text("root.pem");
                set("private_key", &key("app.key"));
                set("app_cert", &app);
                set("alipay_cert", &alipay);
                set("alipay_root_cert", &root);
                alipay_key.push_str(&key("alipay.key"));
                let config = |key: String, own: &str, other: &str| {
                    json!({ "appId": APP, "privateKey": key, "appCertContent": own,
                        "alipayPublicCertContent": other, "alipayRootCertContent": root })
                };
                let numbers = json!({ "as": "merchant", "config": config(key("app.key"), &app, &alipay) });
                let numbers = peer.must("open", numbers);
                alipay_number = numbers["alipay"].as_str().map(str::to_owned);
                let alipay = json!({ "as": "alipay", "config": config(key("alipay.key"), &alipay, &app) });
                peer.must("open", alipay);
            }
        }
        Self { merchant: Stage::new(Alipay::new(), &settings), peer, alipay_key, alipay_number }
    }

    /// Whether the SDK, as Alipay, takes a request of these fields for the merchant's.
    fn admits(&mut self, fields: &Fields) -> bool {
        self.peer.holds("verifies", json!({ "as": "alipay", "fields": fields }))
    }

    /// An answer as Alipay writes and signs it.
    fn answer(&mut self, call: &Call, object: &str) -> HttpReply {
        let more = self.alipay_number.as_ref().map(|number| format!(r#""alipay_cert_sn":"{number}","#));
        let with =
            json!({ "as": "merchant", "method": method(call), "object": object, "key": self.alipay_key, "more": more });
        let body = self.peer.must("answer", with);
        reply(body.as_str().expect("a text"))
    }
}

/// The authorities and certificates of a merchant in certificate mode, as OpenSSL makes them; serial numbers are as long
/// as the real ones.
fn certified() -> OpenSsl {
    let openssl = OpenSsl::new();
    let class = |number| format!("/C=CN/O=Ant Financial/OU=Certification Authority/CN=Authority Class {number} R1");
    openssl.certify("root", "/C=CN/O=Ant Financial/OU=Certification Authority/CN=Authority R1", "1", None, true);
    openssl.certify("class1", &class(1), "2", Some("root"), true);
    openssl.certify("class2", &class(2), "3", Some("root"), true);
    let app = format!("/C=CN/O=店/CN={SELLER}-{APP}");
    openssl.certify("app", &app, "0x2020051500000000000000000000000000012345", Some("class1"), false);
    openssl.certify(
        "alipay",
        "/C=CN/O=Alipay/CN=Alipay-2088",
        "0x00f0aabbccddeeff00112233445566",
        Some("class2"),
        false,
    );
    openssl
}

/// A PEM file's base64 alone.
fn bare(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn method(call: &Call) -> &'static str {
    match call {
        Call::Create { .. } => "alipay.trade.precreate",
        Call::Query { .. } => "alipay.trade.query",
        Call::Close { .. } => "alipay.trade.close",
        Call::Refund { .. } => "alipay.trade.refund",
        Call::QueryRefund { .. } => "alipay.trade.fastpay.refund.query",
        Call::Void { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => {
            panic!("Alipay has no such call")
        }
    }
}

fn reply(body: &str) -> HttpReply {
    HttpReply { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec().into() }
}

fn text(reply: &HttpReply) -> &str {
    std::str::from_utf8(&reply.body).expect("text")
}

/// The fields of a request, wherever they stand in it.
fn fields(request: &HttpRequest) -> Fields {
    let body = std::str::from_utf8(&request.body).expect("a form");
    let pairs = [request.url.query().unwrap_or_default(), body].map(read_query).concat();
    let fields: Fields = pairs.iter().cloned().collect();
    assert_eq!(fields.len(), pairs.len(), "a field stands in it twice");
    fields
}

/// The fields of an order that is signed here.
fn order(action: &NamedAction) -> Fields {
    let text = match &action.action {
        PayerAction::AppOrder { order } => order,
        PayerAction::Redirect { url } => url.split_once('?').expect("a query").1,
        PayerAction::QrText { .. }
        | PayerAction::Form { .. }
        | PayerAction::Prepay { .. }
        | PayerAction::WalletSession { .. } => panic!("Alipay signs no such order"),
    };
    read_query(text).into_iter().collect()
}

#[test]
fn the_sdk_verifies_what_we_sign() {
    // Orders and requests, under keys and under certificates; with one character changed, none.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        let mut parties = Parties::meet(mode);
        let merchant = &parties.merchant;
        let mut all: Vec<Fields> = Vec::new();
        for code in ["ali_app", "ali_web", "ali_wap"] {
            all.extend(merchant.signed_here(&merchant.create(code)).iter().map(order));
        }
        let calls = [merchant.create("ali_qrcode"), stage::query("ali_app"), stage::close("ali_app")];
        for call in calls.into_iter().chain(stage::refunds("ali_app")) {
            let request = fields(&merchant.request(&call));
            assert_eq!(request["method"], method(&call));
            all.push(request);
        }
        assert_eq!(all.len(), 8);
        for fields in all {
            assert!(parties.admits(&fields), "{fields:?}");
            for name in fields.keys() {
                let mut changed = fields.clone();
                changed.entry(name.clone()).and_modify(|value| value.insert(0, '1'));
                assert!(!parties.admits(&changed), "{} with another {name}", fields["method"]);
            }
            let mut less = fields.clone();
            less.remove("timestamp");
            assert!(!parties.admits(&less), "{} without its time", fields["method"]);
        }
    }
}

#[test]
fn the_sdk_signs_the_same() {
    // RSA with PKCS#1 v1.5 gives one signature a text: from the same words the SDK makes our order to the byte, and the
    // same numbers of certificates.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        let mut parties = Parties::meet(mode);
        for code in ["ali_app", "ali_web", "ali_wap"] {
            let ours = order(&parties.merchant.signed_here(&parties.merchant.create(code))[0]);
            let biz: Value = serde_json::from_str(&ours["biz_content"]).expect("JSON");
            assert_eq!(biz["subject"], SHOWN);
            let mut params = json!({ "bizContent": biz });
            for name in ["timestamp", "format", "notify_url", "return_url"] {
                if let Some(value) = ours.get(name) {
                    params[name] = value.as_str().into();
                }
            }
            let with = json!({ "as": "merchant", "method": ours["method"], "params": params });
            let theirs = parties.peer.must("order", with);
            let theirs: Fields = read_query(theirs.as_str().expect("a text")).into_iter().collect();
            assert_eq!(theirs, ours, "{code}");
            assert_eq!(ours.contains_key("app_cert_sn"), mode == KeyMode::Certificates);
        }
    }
}

#[test]
fn we_verify_what_the_sdk_takes() {
    // Answers: what is signed is what the SDK finds in them. With any byte of it changed they prove nothing.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        let mut parties = Parties::meet(mode);
        let paid = [
            r#"{"code":"10000","msg":"Success","out_trade_no":""#,
            NUMBER,
            r#"","trade_no":"2026112522001400000000000001","trade_status":"TRADE_SUCCESS","total_amount":"10.00", "#,
            r#""buyer_user_name":"支付} \"{","store":"https:\/\/a\/b", "fund_bill_list":[{"amount":"10.00"}]}"#,
        ];
        let paid = paid.concat();
        let call = stage::query("ali_app");
        let answer = parties.answer(&call, &paid);
        let Outcome::Succeeded(proved) = parties.merchant.outcome(&call, &answer) else {
            panic!("{:?}", parties.merchant.outcome(&call, &answer))
        };
        assert_eq!((proved.amount, proved.trade_number.as_str()), (stage::yuan(1000), "2026112522001400000000000001"));
        // Which certificate it is stands outside of what is signed, under a name that may as well be missing.
        let name = parties.alipay_number.as_ref().map_or(0..0, |_| {
            let from = text(&answer).find("\"alipay_cert_sn").expect("it is there");
            from..from + "\"alipay_cert_sn\":".len()
        });
        for at in (0..answer.body.len()).filter(|at| !name.contains(at)) {
            let mut changed = answer.body.to_vec();
            changed[at] ^= 1;
            let changed = HttpReply { body: changed.into(), ..answer.clone() };
            let proves_nothing = match parties.merchant.interpreted(&call, &changed) {
                Interpreted::Done(answer) => matches!(answer.outcome, Outcome::Unknown(_)),
                // Another number of a certificate: it would be fetched.
                Interpreted::NeedMaterial(_) => mode == KeyMode::Certificates,
                Interpreted::Next { .. } | Interpreted::Learned(_) => false,
            };
            assert!(proves_nothing, "byte {at}: {:?}", String::from_utf8_lossy(&changed.body));
        }
        let closed = parties.answer(
            &stage::close("ali_app"),
            &format!(r#"{{"code":"10000","msg":"Success","out_trade_no":"{NUMBER}"}}"#),
        );
        assert_eq!(parties.merchant.outcome(&stage::close("ali_app"), &closed), Outcome::Closed);
        // A query's answer is none to a close.
        assert!(matches!(parties.merchant.outcome(&stage::close("ali_app"), &answer), Outcome::Unknown(_)));
    }
}

#[test]
fn notifications_are_taken_and_refused_alike() {
    // What the SDK takes for Alipay's, we do; with any value changed, neither.
    for mode in [KeyMode::PublicKey, KeyMode::Certificates] {
        let mut parties = Parties::meet(mode);
        let mut fields = json!({
            "app_id": APP, "seller_id": SELLER, "auth_app_id": APP, "charset": "utf-8", "version": "1.0",
            "notify_type": "trade_status_sync", "notify_id": "2026112500222000000000000000000000",
            "notify_time": "2026-11-25 12:00:00", "out_trade_no": NUMBER, "trade_no": "2026112522001400000000000001",
            "trade_status": "TRADE_SUCCESS", "total_amount": "10.00", "gmt_payment": "2026-11-25 12:00:00",
            "subject": SHOWN, "passback_params": "a%3D1%26b%3D%2B", "fund_bill_list": r#"[{"amount":"10.00"}]"#,
            "sign_type": "RSA2",
        });
        if let Some(number) = &parties.alipay_number {
            fields["alipay_cert_sn"] = number.as_str().into();
        }
        let with = json!({ "as": "merchant", "fields": fields, "key": parties.alipay_key });
        let form = parties.peer.must("notice", with).as_str().expect("a form").to_owned();
        let proved = parties.merchant.told(Vec::new(), form.as_bytes());
        assert!(matches!(&proved, Ok(Outcome::Succeeded(paid)) if paid.amount == stage::yuan(1000)), "{proved:?}");
        let pairs = read_query(&form);
        for at in 0..pairs.len() {
            let mut changed = pairs.clone();
            changed[at].1.insert(0, '1');
            let form = query(&changed);
            let refused = parties.merchant.told(Vec::new(), form.as_bytes());
            assert!(refused.is_err(), "{}: {refused:?}", pairs[at].0);
            let fields: Fields = changed.into_iter().collect();
            assert!(!parties.peer.holds("verifies", json!({ "as": "merchant", "fields": fields })), "{}", pairs[at].0);
        }
    }
}
