use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aes::Aes256;
use aes::cipher::{BlockDecrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use maxpay_engine::channel::http::{ClientIdentity, HttpReply, HttpRequest};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use md5::{Digest, Md5};

use crate::parts::xml;
use crate::simulator::{Host, How, Ledger, Notice, NoticeReply, Rule, When};
use crate::wechat::simulator::{
    IN_PROCESS, KeyPair, PayerCommand, ProviderKeys, RefundPlan, RefundState, Simulator, SimulatorParts,
};
use crate::wechat::v2::account::{HMAC, MD5};
use crate::wechat::v2::signature::{Fields, sign, value};

use super::{Merchant, pairs};

const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";
const OTHER_APPID: &str = "wxd678efh567hg6780";
const KEY: &str = "hunter2hunter2hunter2hunter2abcd";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const REFUND: &str = "66f0a1b2c3d4e5f607182930r000";
const NOTIFY_URL: &str = "https://pay.example.com/notify/wechat-v2/0123456789abcdef01234567";
const ACKNOWLEDGEMENT: &str = "<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>";

struct Keys {
    provider: KeyPair,
    merchant: KeyPair,
    stranger: KeyPair,
}

/// Keys that all tests share: making them is slow.
fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let [provider, merchant, stranger] = ["provider", "merchant", "stranger"].map(KeyPair::generate);
        Keys { provider, merchant, stranger }
    })
}

/// The provider, and somebody who speaks its dialect by hand.
struct World {
    simulator: Arc<Simulator>,
    clock: VirtualClock,
    sign_type: &'static str,
    /// Notices that arrived, and what is answered to them.
    inbox: Arc<Mutex<(Vec<Notice>, &'static str)>>,
}

impl World {
    fn new(sign_type: &'static str) -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(1_795_377_908_118));
        let simulator = Simulator::open(SimulatorParts {
            base_url: IN_PROCESS.to_owned(),
            ledger: Ledger::memory(),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
            keys: ProviderKeys::new(keys().provider.clone(), vec![keys().provider.clone()]),
        });
        simulator.enrol_v2(Merchant {
            mchid: MCHID.to_owned(),
            appids: vec![APPID.to_owned(), OTHER_APPID.to_owned()],
            api_keys: vec![Secret::from_text(KEY)],
            certificate: Some(keys().merchant.clone()),
        });
        let inbox = Arc::new(Mutex::new((Vec::new(), ACKNOWLEDGEMENT)));
        let arrived = Arc::clone(&inbox);
        simulator.set_sink(Arc::new(move |notice| {
            let mut inbox = arrived.lock().expect("no panic");
            inbox.0.push(notice);
            let body = inbox.1.into();
            Box::pin(async move { Ok(NoticeReply { status: 200, body }) })
        }));
        Self { simulator, clock, sign_type, inbox }
    }

    fn pass(&self, by: Duration) {
        self.clock.advance(by);
        while self.simulator.tick(self.clock.now().wall).now_or_never().expect("no wait").expect("books") > 0 {}
    }

    /// The notices since the last look.
    fn arrived(&self) -> Vec<Fields> {
        self.pass(Duration::ZERO);
        let notices = std::mem::take(&mut self.inbox.lock().expect("no panic").0);
        notices.iter().map(|notice| xml::read(&notice.body, "xml").expect("flat XML")).collect()
    }

    fn signed(&self, fields: &[(&str, &str)]) -> Fields {
        let common =
            [("appid", APPID), ("mch_id", MCHID), ("nonce_str", "5K8264ILTKCH16CQ"), ("sign_type", self.sign_type)];
        let own = |name: &str| fields.iter().any(|(have, _)| *have == name);
        let common: Vec<_> = common.into_iter().filter(|(name, _)| !own(name)).collect();
        let mut all = pairs(&[&common[..], fields].concat());
        let signature = sign(&all, value(&all, "sign_type").unwrap_or(MD5), &Secret::from_text(KEY));
        all.push(("sign".to_owned(), signature));
        all
    }

    fn post(&self, path: &str, body: &str, identity: Option<&KeyPair>) -> HttpReply {
        let url = format!("{IN_PROCESS}{path}").parse().expect("an address");
        let pem = |pair: &KeyPair| format!("{}\n{}", pair.certificate_pem(), pair.private_pem());
        let identity = identity.map(|pair| ClientIdentity::from_pem(Secret::from_text(&pem(pair))));
        let request = HttpRequest { identity, ..HttpRequest::post(url, "text/xml", body.to_owned()) };
        self.simulator.serve(&request).reply().expect("an answer")
    }

    fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Fields {
        let reply = self.post(path, &xml::written("xml", &self.signed(fields)), Some(&keys().merchant));
        assert_eq!((reply.status, reply.date().map(Timestamp::seconds)), (200, Some(self.clock.now().wall.seconds())));
        xml::read(&reply.body, "xml").expect("flat XML")
    }

    /// What it comes to: the error code of a signed refusal, the message of an unsigned one, or `SUCCESS`.
    fn told(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.ask(path, fields);
        let signature = value(&answer, "sign").map(str::to_owned);
        if value(&answer, "return_code") == Some("FAIL") {
            assert_eq!(signature, None, "{answer:?}");
            return value(&answer, "return_msg").expect("a message").to_owned();
        }
        let wanted =
            sign(&answer, value(&pairs(fields), "sign_type").unwrap_or(self.sign_type), &Secret::from_text(KEY));
        assert_eq!(signature, Some(wanted), "{answer:?}");
        assert_eq!(value(&answer, "mch_id"), Some(MCHID));
        value(&answer, "err_code").or(value(&answer, "result_code")).expect("a result").to_owned()
    }

    fn order(&self, change: &[(&str, &str)]) -> String {
        self.told("/pay/unifiedorder", &changed(&ORDER, change))
    }

    fn query(&self) -> Fields {
        self.ask("/pay/orderquery", &[("out_trade_no", NUMBER)])
    }

    fn play(&self, command: PayerCommand) {
        self.simulator.payer(NUMBER, command).expect("it is done");
    }

    /// An order that was paid, and its number at the provider.
    fn paid(sign_type: &'static str) -> (Self, String) {
        let world = Self::new(sign_type);
        assert_eq!(world.order(&[]), "SUCCESS");
        world.play(PayerCommand::Pay);
        let trade = value(&world.query(), "transaction_id").expect("it was paid").to_owned();
        (world, trade)
    }

    fn refund(&self, change: &[(&str, &str)]) -> String {
        self.told("/secapi/pay/refund", &changed(&GIVE_BACK, change))
    }
}

const ORDER: [(&str, &str); 9] = [
    ("body", "A toy & its \"box\" 玩具"),
    ("out_trade_no", NUMBER),
    ("total_fee", "100"),
    ("fee_type", "CNY"),
    ("spbill_create_ip", "203.0.113.7"),
    ("time_expire", "20261123060508"),
    ("notify_url", NOTIFY_URL),
    ("trade_type", "NATIVE"),
    ("product_id", NUMBER),
];

const GIVE_BACK: [(&str, &str); 5] = [
    ("out_trade_no", NUMBER),
    ("out_refund_no", REFUND),
    ("total_fee", "100"),
    ("refund_fee", "30"),
    ("notify_url", NOTIFY_URL),
];

/// The same with other values; an empty one takes it away.
fn changed<'a>(fields: &[(&'a str, &'a str)], change: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| change.iter().all(|(other, _)| other != name));
    kept.chain(change.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

#[test]
fn who_does_not_prove_itself_is_not_heard() {
    // Whatever is wrong with the request itself is answered FAIL, unsigned, and executes nothing.
    type Change = fn(&str) -> String;
    let sealed = |world: &World| xml::written("xml", &world.signed(&ORDER));
    let table: [(&str, Change); 9] = [
        ("签名错误，请检查后再试", |body| body.replace("[100]", "[101]")),
        ("签名错误，请检查后再试", |body| body.replace("<sign>", "<sing>").replace("</sign>", "</sing>")),
        ("签名错误，请检查后再试", |body| body.replace("[HMAC-SHA256]", "[MD5]")),
        ("签名错误，请检查后再试", |body| body.replace("5K8264", "5K8265")),
        ("参数格式校验错误", |body| body.replace("HMAC-SHA256", "RSA")),
        ("商户号mch_id或sub_mch_id不存在", |body| body.replace(MCHID, "1900000110")),
        ("XML格式错误", |body| body.replacen("<xml>", "<!DOCTYPE xml [<!ENTITY a \"b\">]><xml>", 1)),
        ("XML格式错误", |_| String::new()),
        ("XML格式错误", |body| body.replace("</xml>", "<sign>2</sign></xml>")),
    ];
    let world = World::new(HMAC);
    for (why, change) in table {
        let reply = world.post("/pay/unifiedorder", &change(&sealed(&world)), None);
        let answer = xml::read(&reply.body, "xml").expect("flat XML");
        assert_eq!(answer, pairs(&[("return_code", "FAIL"), ("return_msg", why)]));
    }
    assert_eq!(world.post("/pay/micropay", &sealed(&world), None).status, 404);
    assert!(world.simulator.ledger().expect("books").is_empty());
    // Without a type it is MD5.
    let mut plain = pairs(&ORDER);
    plain.extend(pairs(&[("appid", APPID), ("mch_id", MCHID), ("nonce_str", "1")]));
    plain.push(("sign".to_owned(), sign(&plain, MD5, &Secret::from_text(KEY))));
    let reply = world.post("/pay/unifiedorder", &xml::written("xml", &plain), None);
    let answer = xml::read(&reply.body, "xml").expect("flat XML");
    assert_eq!((value(&answer, "result_code"), value(&answer, "sign").map(str::len)), (Some("SUCCESS"), Some(32)));
}

#[test]
fn an_order_is_taken_as_the_documents_want_it() {
    // One row for each rule; what cannot be read is unsigned, what is refused in business is signed.
    let world = World::new(MD5);
    let long = "玩".repeat(43);
    let table: [(&[(&str, &str)], &str); 20] = [
        (&[("appid", "wx0000000000000000")], "APPID_MCHID_NOT_MATCH"),
        (&[("body", "")], "LACK_PARAMS"),
        (&[("product_id", "")], "LACK_PARAMS"),
        (&[("trade_type", "JSAPI")], "LACK_PARAMS"),
        (&[("trade_type", "MWEB")], "LACK_PARAMS"),
        (&[("trade_type", "MICROPAY")], "参数格式校验错误"),
        (&[("out_trade_no", "12345")], "参数格式校验错误"),
        (&[("out_trade_no", "1234567!")], "参数格式校验错误"),
        (&[("total_fee", "0")], "参数格式校验错误"),
        (&[("total_fee", "1.00")], "参数格式校验错误"),
        (&[("total_fee", "0100")], "参数格式校验错误"),
        (&[("fee_type", "USD")], "参数格式校验错误"),
        (&[("body", &long)], "参数格式校验错误"),
        (&[("notify_url", "https://pay.example.com/?a=b")], "参数格式校验错误"),
        (&[("spbill_create_ip", "here")], "参数格式校验错误"),
        (&[("time_expire", "2026-11-23 06:05:08")], "参数格式校验错误"),
        (&[("trade_type", "MWEB"), ("scene_info", "{}")], "参数格式校验错误"),
        (&[("time_expire", "20261123040948")], "time_expire时间过短，刷卡至少1分钟，其他5分钟"),
        (&[("trade_type", "MWEB"), ("scene_info", r#"{"h5_info":{"type":"Wap"}}"#)], "SUCCESS"),
        (&[("out_trade_no", "1234567"), ("trade_type", "JSAPI"), ("openid", "o-1"), ("time_expire", "")], "SUCCESS"),
    ];
    for (change, wanted) in table {
        assert_eq!(world.order(change), wanted, "{change:?}");
    }
}

#[test]
fn a_number_stands_for_one_order() {
    // The same words give another handle of it; other words, and a number that has ended, are refused by what became of it.
    let world = World::new(HMAC);
    let first = world.ask("/pay/unifiedorder", &ORDER);
    let second = world.ask("/pay/unifiedorder", &changed(&ORDER, &[("nonce_str", "another")]));
    assert!(value(&first, "code_url").is_some_and(|url| url.starts_with("weixin://wxpay/bizpayurl?pr=")));
    assert_ne!(value(&first, "prepay_id"), value(&second, "prepay_id"));
    for (change, wanted) in [
        (&[("total_fee", "101")][..], "INVALID_REQUEST"),
        (&[("spbill_create_ip", "203.0.113.8")], "INVALID_REQUEST"),
        (&[("trade_type", "APP")], "OUT_TRADE_NO_USED"),
        (&[("appid", OTHER_APPID)], "OUT_TRADE_NO_USED"),
    ] {
        assert_eq!(world.order(change), wanted, "{change:?}");
    }
    let close = || world.told("/pay/closeorder", &[("out_trade_no", NUMBER)]);
    world.play(PayerCommand::Begin);
    assert_eq!(close(), "SYSTEMERROR", "somebody is paying");
    world.play(PayerCommand::Cancel);
    assert_eq!([close(), close()], ["SUCCESS", "ORDERCLOSED"]);
    assert_eq!(world.order(&[]), "ORDERCLOSED");
    assert_eq!(value(&world.query(), "trade_state"), Some("CLOSED"));
    let (world, _) = World::paid(HMAC);
    assert_eq!(world.order(&[]), "ORDERPAID");
    assert_eq!(world.told("/pay/closeorder", &[("out_trade_no", NUMBER)]), "ORDERPAID");
    for path in ["/pay/orderquery", "/pay/closeorder"] {
        assert_eq!(world.told(path, &[("out_trade_no", "7654321")]), "ORDERNOTEXIST");
    }
    assert_eq!(world.told("/pay/refundquery", &[("out_refund_no", REFUND)]), "REFUNDNOTEXIST");
}

#[test]
fn refunds_keep_the_providers_rules() {
    // Of one payment: never more than was paid, a minute apart, within a year, once for each number, under the certificate.
    let (world, trade) = World::paid(MD5);
    let minute = Duration::from_mins(1);
    assert_eq!(world.refund(&[("out_trade_no", ""), ("transaction_id", "42")]), "ORDERNOTEXIST");
    assert_eq!(world.refund(&[("total_fee", "99")]), "INVALID_REQUEST");
    assert_eq!(world.refund(&[("refund_fee", "101")]), "invalid refund_fee");
    assert_eq!(world.refund(&[("refund_fee", "0")]), "参数格式校验错误");
    assert_eq!(world.refund(&[]), "SUCCESS");
    assert_eq!(world.refund(&[]), "SUCCESS", "the one before is told again");
    assert_eq!(world.refund(&[("refund_fee", "31")]), "INVALID_REQUEST");
    let second = [("out_refund_no", "second"), ("refund_fee", "70")];
    assert_eq!(world.refund(&second), "FREQUENCY_LIMITED");
    world.pass(minute);
    assert_eq!(world.refund(&[("out_refund_no", "second"), ("refund_fee", "71")]), "INVALID_REQUEST");
    world.simulator.plan_refund(RefundPlan::NotEnough);
    assert_eq!(world.refund(&second), "NOTENOUGH");
    world.simulator.plan_refund(RefundPlan::AcceptedAs429);
    assert_eq!([world.refund(&second), world.refund(&second)], ["BIZERR_NEED_RETRY", "SUCCESS"]);
    world.pass(minute);
    assert_eq!(world.refund(&[("out_refund_no", "third"), ("refund_fee", "1")]), "ERROR");
    assert_eq!(value(&world.query(), "trade_state"), Some("REFUND"));
    let all = world.ask("/pay/refundquery", &[("transaction_id", &trade)]);
    let told = ["refund_count", "out_refund_no_0", "refund_status_0", "out_refund_no_1", "refund_fee_1"];
    assert_eq!(told.map(|name| value(&all, name).unwrap_or_default()), ["2", REFUND, "SUCCESS", "second", "70"]);
    let (world, _) = World::paid(MD5);
    for (state, name) in [(RefundState::Abnormal, "CHANGE"), (RefundState::Closed, "REFUNDCLOSE")] {
        world.simulator.plan_refund(RefundPlan::Ends(state));
        assert_eq!(world.refund(&[("out_refund_no", name)]), "SUCCESS");
        world.pass(minute);
        let one = world.ask("/pay/refundquery", &[("out_refund_no", name)]);
        assert_eq!((value(&one, "refund_status_0"), value(&one, "refund_success_time_0")), (Some(name), None));
    }
    let body = xml::written("xml", &world.signed(&GIVE_BACK));
    assert_eq!(world.post("/secapi/pay/refund", &body, None).status, 400);
    let reply = world.post("/secapi/pay/refund", &body, Some(&keys().stranger));
    assert_eq!(value(&xml::read(&reply.body, "xml").expect("flat XML"), "return_code"), Some("FAIL"));
    world.pass(Duration::from_hours(366 * 24));
    assert_eq!(world.refund(&[]), "TRADE_OVERDUE");
}

#[test]
fn notices_come_until_they_are_acknowledged_in_xml() {
    // Payments are signed as they were ordered, refunds sealed under the digest of the key; a bare 200 ends nothing.
    for kind in [MD5, HMAC] {
        let (world, trade) = World::paid(kind);
        world.inbox.lock().expect("no panic").1 = "success";
        let told = world.arrived().pop().expect("a notice");
        assert_eq!(value(&told, "sign"), Some(&*sign(&told, kind, &Secret::from_text(KEY))));
        let of = ["out_trade_no", "transaction_id", "total_fee", "mch_id", "appid", "result_code"];
        assert_eq!(
            of.map(|name| value(&told, name).unwrap_or_default()),
            [NUMBER, &trade, "100", MCHID, APPID, "SUCCESS"]
        );
        for (wait, count) in [(14, 0), (1, 1), (15, 1), (29, 0), (1, 1)] {
            world.pass(Duration::from_secs(wait));
            assert_eq!(world.arrived().len(), count);
        }
        world.inbox.lock().expect("no panic").1 = ACKNOWLEDGEMENT;
        world.pass(Duration::from_mins(3));
        assert_eq!(world.arrived().len(), 1);
        world.pass(Duration::from_hours(30));
        assert!(world.arrived().is_empty(), "it was acknowledged");
        assert_eq!(world.refund(&[]), "SUCCESS");
        world.pass(Duration::from_secs(3));
        let told = world.arrived().pop().expect("a notice");
        assert_eq!((value(&told, "sign"), value(&told, "mch_id")), (None, Some(MCHID)));
        let opened = opened(value(&told, "req_info").expect("it is sealed"));
        let of = ["out_refund_no", "refund_fee", "refund_status", "transaction_id"];
        assert_eq!(of.map(|name| value(&opened, name).unwrap_or_default()), [REFUND, "30", "SUCCESS", &trade]);
        world.play(PayerCommand::NotifyForged);
        let forged = world.arrived().pop().expect("a notice");
        assert_ne!(value(&forged, "sign"), Some(&*sign(&forged, kind, &Secret::from_text(KEY))));
        assert!(world.simulator.payer(NUMBER, PayerCommand::Probe).is_err());
    }
}

/// What is inside, opened by hand.
fn opened(sealed: &str) -> Fields {
    let mut text = STANDARD.decode(sealed).expect("base64");
    let cipher = Aes256::new_from_slice(hex::encode(Md5::digest(KEY)).as_bytes()).expect("32 digits");
    for block in text.chunks_exact_mut(16) {
        cipher.decrypt_block(block.into());
    }
    let padding = usize::from(*text.last().expect("a block"));
    xml::read(&text[..text.len() - padding], "root").expect("flat XML")
}

#[test]
fn faults_show_as_planned() {
    // Each fault, and whether the order is in the books after it.
    let signed = |answer: &Fields| value(answer, "sign") == Some(&*sign(answer, MD5, &Secret::from_text(KEY)));
    for (how, when, executed, verified) in [
        (How::Busy, When::BeforeExecution, false, Some(true)),
        (How::Duplicated, When::AfterExecution, true, Some(true)),
        (How::Forged, When::AfterExecution, true, Some(false)),
        (How::Unsigned, When::AfterExecution, true, Some(false)),
        (How::Status(502), When::AfterExecution, true, None),
        (How::Garbage, When::BeforeExecution, false, None),
    ] {
        let world = World::new(MD5);
        let rule = Rule { call: None, number: Some(NUMBER.to_owned()), when, how, times: 1 };
        assert!(world.simulator.faults().add(rule));
        let reply = world.post("/pay/unifiedorder", &xml::written("xml", &world.signed(&ORDER)), None);
        assert_eq!(xml::read(&reply.body, "xml").ok().map(|answer| signed(&answer)), verified, "{how:?}");
        assert_eq!(world.simulator.ledger().expect("books").len(), usize::from(executed), "{how:?}");
    }
}
