//! A widely used client of WeChat Pay's API v3 for Node: it verifies what we sign, it makes what we verify, and it is a
//! client of the simulator.

mod client;
mod v2;

use maxpay_adapters::parts::x509::Certificate;
use maxpay_adapters::wechat::WeChat;
use maxpay_adapters::wechat::simulator::{KeyPair, ProviderKeys};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{Call, Interpreted, Outcome};
use maxpay_engine::model::PayerAction;
use serde_json::{Map, Value, json};

use super::peer::Peer;
use super::stage::{self, NUMBER, REFUND, SUBJECT, Stage};

const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";
const API_V3_KEY: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6";
const TRADE: &str = "4200000000202611250000000001";

type Headers = Vec<(String, String)>;

/// Which keys of WeChat Pay's the account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PublicKey,
    Certificates,
}

/// A merchant, and WeChat Pay's keys.
struct Parties {
    stage: Stage<WeChat>,
    peer: Peer,
    merchant: KeyPair,
    provider: ProviderKeys,
    public: KeyPair,
    platform: KeyPair,
    kind: Kind,
}

impl Parties {
    fn meet(kind: Kind, base_url: &str) -> Self {
        let [merchant, public, platform] = ["merchant", "public", "platform"].map(KeyPair::generate);
        let provider = ProviderKeys::new(public.clone(), vec![platform.clone()]);
        let mut settings = json!({
            "mchid": MCHID, "appid": APPID, "base_url": base_url, "private_key": merchant.private_pem(),
            "certificate": merchant.certificate_pem(), "api_v3_key": API_V3_KEY,
        });
        if kind == Kind::PublicKey {
            settings["wechatpay_public_key"] = provider.public_pem().into();
            settings["wechatpay_public_key_id"] = provider.public_key_id().into();
        }
        let mut stage = Stage::new(WeChat::new(), settings.as_object().expect("an object"));
        TRADE.clone_into(&mut stage.trade_number);
        let mut parties = Self { stage, peer: Peer::start("wechat.cjs"), merchant, provider, public, platform, kind };
        if kind == Kind::Certificates {
            parties.learn();
        }
        parties
    }

    /// The adapter learns the platform certificate from the list that the package makes.
    fn learn(&mut self) {
        let listed = json!({ (serial(&self.platform)): self.platform.certificate_pem() });
        let list = self.peer.must("certificates", json!({ "certificates": listed, "key": API_V3_KEY }));
        let list = list.as_str().expect("a text").to_owned();
        let (id, key) = (serial(&self.platform), self.platform.private_pem());
        let reply = HttpReply { status: 200, headers: self.sign(&list, &id, &key), body: list.into() };
        let learned = |parties: &Self, reply: &HttpReply| match parties.stage.interpreted(&Call::Maintain, reply) {
            Interpreted::Learned(material) => Some(material),
            Interpreted::Done(_) => None,
            Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("it is no list"),
        };
        let material = learned(self, &reply).expect("a list");
        // Under a key that is not in the list, or changed, it teaches nothing.
        let forged = self.sign(std::str::from_utf8(&reply.body).expect("text"), &id, &self.public.private_pem());
        assert_eq!(learned(self, &HttpReply { headers: forged, ..reply.clone() }), None);
        assert_eq!(learned(self, &flipped(&reply)), None);
        self.stage.material = material;
    }

    /// The key that signs answers and notifications, under its name.
    fn signer(&self) -> (String, String) {
        match self.kind {
            Kind::PublicKey => (self.provider.public_key_id(), self.public.private_pem()),
            Kind::Certificates => (serial(&self.platform), self.platform.private_pem()),
        }
    }

    fn sign(&mut self, body: &str, id: &str, key: &str) -> Headers {
        headers(self.peer.must("sign", json!({ "body": body, "serial": id, "key": key })))
    }

    /// An answer as WeChat Pay signs it.
    fn answer(&mut self, status: u16, body: &str) -> HttpReply {
        let (id, key) = self.signer();
        HttpReply { status, headers: self.sign(body, &id, &key), body: body.to_owned().into() }
    }

    /// A notification as WeChat Pay seals it.
    fn notice(&mut self, event: &str, kind: &str, content: &Value) -> String {
        let with = json!({ "event": event, "kind": kind, "content": content, "key": API_V3_KEY });
        self.peer.must("notice", with).as_str().expect("a text").to_owned()
    }
}

fn serial(key: &KeyPair) -> String {
    Certificate::read_one(key.certificate_pem().as_bytes()).expect("a certificate").serial_hex()
}

fn headers(value: Value) -> Headers {
    let Value::Object(map) = value else { panic!("{value}") };
    map.into_iter().map(|(name, value)| (name, value.as_str().expect("a text").to_owned())).collect()
}

fn header<'h>(headers: &'h Headers, name: &str) -> &'h str {
    let found = headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
    found.map_or_else(|| panic!("{name} is missing"), |(_, value)| value)
}

/// The reply with one bit of its body changed.
fn flipped(reply: &HttpReply) -> HttpReply {
    let mut body = reply.body.to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    HttpReply { body: body.into(), ..reply.clone() }
}

fn calls(stage: &Stage<WeChat>) -> Vec<Call> {
    let creates = ["wx_app", "wx_jsapi", "wx_mini", "wx_native", "wx_h5"].map(|code| stage.create(code));
    let others = [stage::query("wx_native"), stage::close("wx_native"), Call::Maintain];
    creates.into_iter().chain(others).chain(stage::refunds("wx_native")).collect()
}

#[test]
fn the_package_verifies_what_we_sign() {
    // Every call's Authorization holds over the request as it goes out, and over no other method, path or body.
    let mut parties = Parties::meet(Kind::PublicKey, "http://127.0.0.1:1/base");
    let key = parties.merchant.public_pem().to_owned();
    for call in calls(&parties.stage) {
        let HttpRequest { method, url, headers, body, .. } = parties.stage.request(&call);
        let target = &url.as_str()["http://127.0.0.1:1".len()..];
        let body = std::str::from_utf8(&body).expect("text");
        let authorization = header(&headers, "authorization");
        let mut ask = |method: &str, target: &str, body: &str, authorization: &str| {
            let with =
                json!({ "method": method, "target": target, "body": body, "authorization": authorization, "key": key });
            parties.peer.holds("request", with)
        };
        assert!(ask(method.as_str(), target, body, authorization), "{:?}", call.kind());
        assert!(!ask("PATCH", target, body, authorization), "{:?}", call.kind());
        assert!(!ask(method.as_str(), &format!("{target}?"), body, authorization), "{:?}", call.kind());
        assert!(!ask(method.as_str(), target, &format!("{body} "), authorization), "{:?}", call.kind());
        let later = authorization.replacen("timestamp=\"1", "timestamp=\"2", 1);
        assert!(!ask(method.as_str(), target, body, &later), "{:?}", call.kind());
    }
}

#[test]
fn the_package_verifies_what_we_hand_to_phones_and_pages() {
    // An app signs the bare prepay id, pages and mini programs `prepay_id=…`.
    let mut parties = Parties::meet(Kind::PublicKey, "http://127.0.0.1:1");
    let key = parties.merchant.public_pem().to_owned();
    let prepay = "wx26112025122345000000000000000000000";
    for code in ["wx_app", "wx_jsapi", "wx_mini"] {
        let call = parties.stage.create(code);
        let answer = parties.answer(200, &json!({ "prepay_id": prepay }).to_string());
        let actions = stage::actions(parties.stage.outcome(&call, &answer));
        let PayerAction::Prepay { parameters } = &actions[0].action else { panic!("{actions:?}") };
        let of = |name: &str| header(parameters, name).to_owned();
        let (lines, signature) = if code == "wx_app" {
            (vec![of("appid"), of("timestamp"), of("noncestr"), prepay.to_owned()], of("sign"))
        } else {
            (vec![of("appId"), of("timeStamp"), of("nonceStr"), format!("prepay_id={prepay}")], of("paySign"))
        };
        assert!(parties.peer.holds("lines", json!({ "lines": lines, "signature": signature, "key": key })), "{code}");
        let mut other = lines.clone();
        other[3].push('0');
        assert!(!parties.peer.holds("lines", json!({ "lines": other, "signature": signature, "key": key })), "{code}");
    }
}

#[test]
fn we_verify_the_answers_that_the_package_signs() {
    // Under the public key and under a platform certificate from its list; changed, old or another's they prove nothing.
    for kind in [Kind::PublicKey, Kind::Certificates] {
        let mut parties = Parties::meet(kind, "http://127.0.0.1:1");
        let paid = json!({
            "appid": APPID, "mchid": MCHID, "out_trade_no": NUMBER, "transaction_id": TRADE, "trade_type": "NATIVE",
            "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "success_time": "2026-11-25T12:00:00+08:00",
            "amount": { "total": 1000, "payer_total": 1000, "currency": "CNY" },
        });
        let refunded = json!({
            "refund_id": "50300000002026112500000001", "out_refund_no": REFUND, "transaction_id": TRADE,
            "out_trade_no": NUMBER, "status": "SUCCESS", "success_time": "2026-11-25T12:00:00+08:00",
            "amount": { "refund": 300, "total": 1000, "currency": "CNY" },
        });
        let [refund, refund_query] = stage::refunds("wx_native");
        let code_url = json!({ "code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz" }).to_string();
        let table = [
            (parties.stage.create("wx_native"), 200, code_url, "awaiting_payer"),
            (stage::query("wx_native"), 200, paid.to_string(), "succeeded"),
            (stage::close("wx_native"), 204, String::new(), "closed"),
            (refund, 200, refunded.to_string(), "succeeded"),
            (refund_query, 200, refunded.to_string(), "succeeded"),
            (
                stage::query("wx_native"),
                404,
                json!({ "code": "ORDER_NOT_EXIST", "message": "订单不存在" }).to_string(),
                "not_found",
            ),
        ];
        for (call, status, body, name) in table {
            let answer = parties.answer(status, &body);
            assert_eq!(parties.stage.outcome(&call, &answer).name(), name, "{:?} {kind:?}", call.kind());
            let (id, key) = parties.signer();
            let with = json!({ "body": body, "serial": id, "key": key, "ago": 301 });
            let old = HttpReply { headers: headers(parties.peer.must("sign", with)), ..answer.clone() };
            let stranger = KeyPair::private_pem(&parties.merchant);
            let stranger = HttpReply { headers: parties.sign(&body, &id, &stranger), ..answer.clone() };
            let unsigned = HttpReply { headers: Vec::new(), ..answer.clone() };
            for refused in [old, stranger, unsigned, tampered(&answer)] {
                let outcome = parties.stage.outcome(&call, &refused);
                assert!(matches!(outcome, Outcome::Unknown(_)), "{:?} {kind:?}: {outcome:?}", call.kind());
            }
        }
    }
}

/// The answer with its body changed, or its nonce where it has no body.
fn tampered(answer: &HttpReply) -> HttpReply {
    if !answer.body.is_empty() {
        return flipped(answer);
    }
    let mut changed = answer.clone();
    for (_, value) in changed.headers.iter_mut().filter(|(name, _)| name == "wechatpay-nonce") {
        value.push('0');
    }
    changed
}

#[test]
fn notifications_are_taken_and_refused_alike() {
    // What the package seals and signs proves what it says; changed in body or headers neither of us takes it, nor a
    // probe, nor content under another key.
    for kind in [Kind::PublicKey, Kind::Certificates] {
        let mut parties = Parties::meet(kind, "http://127.0.0.1:1");
        let paid = json!({
            "appid": APPID, "mchid": MCHID, "out_trade_no": NUMBER, "transaction_id": TRADE, "trade_type": "NATIVE",
            "trade_state": "SUCCESS", "success_time": "2026-11-25T12:00:00+08:00", "attach": SUBJECT,
            "payer": { "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" },
            "amount": { "total": 1000, "payer_total": 1000, "currency": "CNY", "payer_currency": "CNY" },
        });
        let refunded = |state: &str| {
            json!({
                "mchid": MCHID, "out_trade_no": NUMBER, "transaction_id": TRADE, "out_refund_no": REFUND,
                "refund_id": "50300000002026112500000001", "refund_status": state,
                "success_time": "2026-11-25T12:00:00+08:00", "user_received_account": "招商银行信用卡0403",
                "amount": { "total": 1000, "refund": 300, "payer_total": 1000, "payer_refund": 300 },
            })
        };
        let table = [
            ("TRANSACTION.SUCCESS", "transaction", paid, "succeeded"),
            ("REFUND.SUCCESS", "refund", refunded("SUCCESS"), "succeeded"),
            ("REFUND.ABNORMAL", "refund", refunded("ABNORMAL"), "held"),
            ("REFUND.CLOSED", "refund", refunded("CLOSED"), "closed"),
        ];
        let (id, key) = parties.signer();
        let public =
            if kind == Kind::PublicKey { parties.provider.public_pem() } else { parties.platform.certificate_pem() };
        let keys = json!({ (id.clone()): public });
        for (event, resource, content, name) in table {
            let body = parties.notice(event, resource, &content);
            let signed = parties.sign(&body, &id, &key);
            let told = parties.stage.told(signed.clone(), body.as_bytes());
            assert_eq!(told.as_ref().map(Outcome::name), Ok(name), "{event} {kind:?}: {told:?}");
            let other = body.replacen("支付成功", "支付失败", 1);
            let mut altered = vec![(signed.clone(), other)];
            for name in ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial"] {
                let mut changed = signed.clone();
                changed.iter_mut().filter(|(have, _)| have == name).for_each(|(_, value)| value.insert(0, '1'));
                altered.push((changed, body.clone()));
            }
            let mut probe = signed.clone();
            probe[3].1 = format!("WECHATPAY/SIGNTEST/{}", header(&signed, "wechatpay-signature"));
            altered.push((probe, body.clone()));
            for (headers, body) in altered {
                let map: Map<String, Value> =
                    headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                let with = json!({ "headers": map, "body": body, "keys": keys });
                assert!(!parties.peer.holds("message", with), "{event}");
                let told = parties.stage.told(headers, body.as_bytes());
                assert!(told.is_err(), "{event} {kind:?}: {told:?}");
            }
            // Rightly signed, and sealed under another key.
            let with =
                json!({ "event": event, "kind": resource, "content": content, "key": API_V3_KEY.replace('a', "b") });
            let body = parties.peer.must("notice", with).as_str().expect("a text").to_owned();
            let signed = parties.sign(&body, &id, &key);
            assert!(parties.stage.told(signed, body.as_bytes()).is_err(), "{event}");
        }
    }
}
