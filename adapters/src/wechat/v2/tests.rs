use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, FactSubject, Interpreted, Notified, Original, OriginalApi, Outcome,
    Prepared, RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::SeededEntropy;
use maxpay_engine::model::{
    AccountId, CallKind, ChannelCode, Currency, Intent, Mode, Money, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use crate::parts::xml;

use super::WeChatV2;
use super::account::{HMAC, MD5};
use super::codes::refused;
use super::notify::open;
use super::signature::{Fields, holds, sign, value};

const KEY: &str = "hunter2hunter2hunter2hunter2abcd";
const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const REFUND: &str = "66f0a1b2c3d4e5f607182930r000";

fn pairs(list: &[(&str, &str)]) -> Fields {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn signatures_are_the_documents_own() {
    // The worked example of wiki/doc/api/jsapi.php?chapter=4_3, by MD5 and by HMAC-SHA256.
    let key = Secret::from_text("192006250b4c09247ec02edce69f6a2d");
    let fields = pairs(&[
        ("appid", "wxd930ea5d5a258f4f"),
        ("mch_id", "10000100"),
        ("device_info", "1000"),
        ("body", "test"),
        ("nonce_str", "ibuaiVcKdpRxkhJA"),
        ("attach", ""),
    ]);
    assert_eq!(sign(&fields, MD5, &key), "9A0A8659F005D6984697E2CA0A9CF3B7");
    assert_eq!(sign(&fields, HMAC, &key), "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6");
}

/// Runs with everything an adapter has in hand.
fn with<T>(kind: &str, number: &str, work: impl FnOnce(&Context<'_>) -> T) -> T {
    let settings = json!({
        "mchid": MCHID, "appid": APPID, "sign_type": kind, "base_url": "http://127.0.0.1:8090",
    });
    let mut secrets = SecretSettings::default();
    secrets.0.insert("api_key".to_owned(), Secret::from_text(KEY));
    secrets.0.insert("certificate".to_owned(), Secret::from_text("a certificate"));
    secrets.0.insert("private_key".to_owned(), Secret::from_text("a key"));
    let (secrets, entropy) = (vec![secrets], SeededEntropy::new(1));
    let now = Timestamp::from_millis(1_795_377_908_118);
    work(&Context {
        now,
        entropy: &entropy,
        account: AccountView {
            id: AccountId(RawId([1; 12])),
            mode: Mode::Test,
            settings: settings.as_object().expect("an object"),
            secrets: &secrets,
            notify_url: "https://pay.example.com/notify/wechat-v2/0123456789abcdef01234567",
        },
        material: &[],
        subject: (!number.is_empty()).then_some(Subject { number, numbered_at: now }),
        original: Some(Original { number: NUMBER, numbered_at: now, trade_number: "42", total: yuan(100) }),
    })
}

fn yuan(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("in range")
}

fn channel(code: &str) -> ChannelCode {
    code.parse().expect("a channel code")
}

fn creation(code: &str) -> Call {
    let intent = Intent {
        amount: yuan(100),
        subject: "it will be ok! 支付 & <more>".to_owned(),
        return_url: None,
        show_url: None,
        payer: PayerInputs {
            openid: Some("o-1".to_owned()),
            client_ip: Some("14.23.150.211".to_owned()),
            h5_type: Some("Wap".to_owned()),
            qr_mode: None,
        },
        expires_at: Timestamp::from_millis(1_795_377_908_118).after(Duration::from_hours(2)),
        token: None,
    };
    Call::Create { code: channel(code), intent, original_api: OriginalApi::No }
}

fn calls() -> [(Call, &'static str); 5] {
    let refund = || RefundIntent { amount: yuan(30), reason: None };
    let code = || channel("wx_native");
    [
        (creation("wx_native"), NUMBER),
        (Call::Query { code: code() }, NUMBER),
        (Call::Close { code: code() }, NUMBER),
        (Call::Refund { code: code(), refund: refund() }, REFUND),
        (Call::QueryRefund { code: code(), kind: RefundKind::Refund, refund: refund() }, REFUND),
    ]
}

fn signed(fields: &[(&str, &str)], kind: &str) -> String {
    let mut fields = pairs(fields);
    let signature = sign(&fields, kind, &Secret::from_text(KEY));
    fields.push(("sign".to_owned(), signature));
    xml::written("xml", &fields)
}

fn read(call: &Call, number: &str, status: u16, body: &str) -> Answer {
    let reply = HttpReply { status, headers: Vec::new(), body: body.to_owned().into() };
    match with(MD5, number, |context| WeChatV2::new().interpret(call, Step(0), &reply, context)) {
        Interpreted::Done(answer) => answer,
        Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => panic!("one step"),
    }
}

#[test]
fn every_request_is_signed_and_refunds_carry_the_certificate() {
    // MD5 or HMAC-SHA256 as the account says; only refunds prove themselves in the TLS handshake.
    let paths = ["unifiedorder", "orderquery", "closeorder", "refund", "refundquery"];
    for kind in [MD5, HMAC] {
        for ((call, number), path) in calls().into_iter().zip(paths) {
            let prepared = with(kind, number, |context| WeChatV2::new().prepare(&call, context));
            let Prepared::Send(request) = prepared else { panic!("{path}: it is sent") };
            assert!(request.url.path().ends_with(&format!("pay/{path}")), "{}", request.url);
            let fields = xml::read(&request.body, "xml").expect("flat XML");
            assert_eq!(value(&fields, "sign_type"), Some(kind));
            assert_eq!(value(&fields, "sign").map(str::len), Some(if kind == MD5 { 32 } else { 64 }));
            assert_eq!(holds(&fields, std::iter::once(&Secret::from_text(KEY))), Some(true), "{path}");
            assert_eq!(request.identity.is_some(), path == "refund", "{path}");
            assert!(!format!("{request:?}").contains(KEY));
        }
    }
    let body = |code: &str| {
        let prepared = with(MD5, NUMBER, |context| WeChatV2::new().prepare(&creation(code), context));
        let Prepared::Send(request) = prepared else { panic!("it is sent") };
        xml::read(&request.body, "xml").expect("flat XML")
    };
    assert_eq!(value(&body("wx_h5"), "scene_info"), Some(r#"{"h5_info":{"type":"Wap"}}"#));
    assert_eq!(value(&body("wx_jsapi"), "openid"), Some("o-1"));
    assert_eq!(value(&body("wx_native"), "time_expire"), Some("20261123060508"));
    assert_eq!(value(&body("wx_native"), "body"), Some("it will be ok! 支付 & <more>"));
}

#[test]
fn what_each_answer_proves() {
    // One row for each answer: signed ones by what they say, unsigned ones only when they refuse our signature.
    let ok = [("return_code", "SUCCESS"), ("result_code", "SUCCESS"), ("appid", APPID), ("mch_id", MCHID)];
    let with_ok = |rest: &[(&str, &str)]| signed(&[&ok[..], rest].concat(), MD5);
    let order = |state: &str| {
        with_ok(&[
            ("out_trade_no", NUMBER),
            ("transaction_id", "42"),
            ("total_fee", "100"),
            ("time_end", "20261123040508"),
            ("trade_state", state),
        ])
    };
    let refund = |state: &str| {
        with_ok(&[
            ("out_trade_no", NUMBER),
            ("transaction_id", "42"),
            ("total_fee", "100"),
            ("out_refund_no_0", REFUND),
            ("refund_id_0", "50"),
            ("refund_fee_0", "30"),
            ("refund_status_0", state),
            ("refund_success_time_0", "2026-11-23 04:05:08"),
        ])
    };
    let accepted = |amount: &str| {
        with_ok(&[
            ("out_trade_no", NUMBER),
            ("transaction_id", "42"),
            ("total_fee", "100"),
            ("out_refund_no", REFUND),
            ("refund_fee", amount),
        ])
    };
    let fail = |message: &str| xml::written("xml", &pairs(&[("return_code", "FAIL"), ("return_msg", message)]));
    let business = |code: &str| {
        let fields = [("return_code", "SUCCESS"), ("result_code", "FAIL"), ("mch_id", MCHID), ("err_code", code)];
        signed(&fields, HMAC)
    };
    let [create, query, close, send, ask] = calls();
    let table: Vec<(&(Call, &str), String, &str)> = vec![
        (&create, with_ok(&[("prepay_id", "wx1"), ("code_url", "weixin://wxpay/bizpayurl?pr=1")]), "awaiting_payer"),
        (&create, with_ok(&[("prepay_id", "wx1")]), "unknown"),
        (&create, business("SYSTEMERROR"), "unknown"),
        (&create, business("NOAUTH"), "declined"),
        (&create, fail("签名错误"), "account_refused"),
        (&create, fail("缺少参数"), "unknown"),
        (
            &create,
            "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code></xml>".to_owned(),
            "unknown",
        ),
        (&create, "<html>".to_owned(), "unknown"),
        (&create, "<!DOCTYPE xml [<!ENTITY x \"y\">]><xml><return_code>&x;</return_code></xml>".to_owned(), "unknown"),
        (&query, order("SUCCESS"), "succeeded"),
        (&query, order("REFUND"), "paid_then_returned"),
        (&query, order("CLOSED"), "unknown"),
        (&query, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "CLOSED")]), "closed"),
        (&query, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "NOTPAY")]), "unpaid"),
        (&query, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "USERPAYING")]), "processing"),
        (&query, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "PAYERROR")]), "declined"),
        (&query, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "REVOKED")]), "unknown"),
        (&query, with_ok(&[("trade_state", "NOTPAY")]), "unknown"),
        (&query, accepted("30"), "unknown"),
        (&query, refund("SUCCESS"), "unknown"),
        (&query, business("ORDERNOTEXIST"), "not_found"),
        (&close, with_ok(&[("result_msg", "OK")]), "closed"),
        (&close, with_ok(&[("trade_type", "NATIVE"), ("prepay_id", "wx1")]), "unknown"),
        (&close, with_ok(&[("out_trade_no", NUMBER), ("trade_state", "NOTPAY")]), "unknown"),
        (&close, order("SUCCESS"), "unknown"),
        (&close, accepted("30"), "unknown"),
        (&close, refund("SUCCESS"), "unknown"),
        (&close, business("ORDERPAID"), "declined"),
        (&close, business("ORDERCLOSED"), "closed"),
        (&send, accepted("30"), "processing"),
        (&send, accepted("31"), "unknown"),
        (&send, business("NOTENOUGH"), "held"),
        (&send, business("FREQUENCY_LIMITED"), "unknown"),
        (&ask, refund("SUCCESS"), "succeeded"),
        (&ask, refund("PROCESSING"), "processing"),
        (&ask, refund("CHANGE"), "held"),
        (&ask, refund("REFUNDCLOSE"), "closed"),
        (&ask, refund("SOMETHING_NEW"), "unknown"),
        (&ask, with_ok(&[("out_refund_no_0", "another")]), "unknown"),
        (&ask, business("REFUNDNOTEXIST"), "not_found"),
    ];
    for ((call, number), body, wanted) in table {
        let answer = read(call, number, 200, &body);
        assert_eq!(answer.outcome.name(), wanted, "{:?} {body}: {answer:?}", call.kind());
        assert!(matches!(read(call, number, 502, &body).outcome, Outcome::Unknown(_)));
        let changed = body.replace(MCHID, "1900000110");
        assert!(changed == body || matches!(read(call, number, 200, &changed).outcome, Outcome::Unknown(_)));
    }
    let answer = read(&query.0, NUMBER, 200, &order("SUCCESS"));
    assert_eq!(answer.owners, [("mchid", MCHID.to_owned()), ("appid", APPID.to_owned())]);
    assert_eq!(answer.number.as_deref(), Some(NUMBER));
}

#[test]
fn what_each_refusal_proves() {
    // Codes by call; what is not named proves nothing, and a refund is never declined for its frequency.
    use CallKind::{Close, Create, Query, QueryRefund, Refund};
    let table = [
        ("SIGNERROR", "", Create, "account_refused"),
        ("MCHID_NOT_EXIST", "", Query, "account_refused"),
        ("APPID_NOT_EXIST", "", Refund, "account_refused"),
        ("FREQUENCY_LIMITED", "", Create, "not_executed"),
        ("FREQUENCY_LIMITED", "", Refund, "unknown"),
        ("INVALID_REQ_TOO_MUCH", "", Refund, "unknown"),
        ("BIZERR_NEED_RETRY", "", Refund, "unknown"),
        ("ERROR", "", Refund, "unknown"),
        ("ERROR", "订单已全额退款", Refund, "declined"),
        ("ERROR", "累计退款金额大于支付金额", Refund, "declined"),
        ("INVALID_REQUEST", "refund_fee大于可退金额", Refund, "declined"),
        ("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试", Refund, "unknown"),
        ("TRADE_OVERDUE", "", Refund, "declined"),
        ("USER_ACCOUNT_ABNORMAL", "", Refund, "declined"),
        ("ORDERNOTEXIST", "", Refund, "declined"),
        ("ORDERPAID", "", Create, "unknown"),
        ("ORDERCLOSED", "", Create, "unknown"),
        ("OUT_TRADE_NO_USED", "", Create, "unknown"),
        ("INVALID_REQUEST", "201 商户订单号重复", Create, "unpaid"),
        ("INVALID_REQUEST", "该订单已支付", Create, "unknown"),
        ("INVALID_REQUEST", "订单处理中", Create, "unknown"),
        ("INVALID_REQUEST", "无效的openid", Create, "declined"),
        ("SOMETHING_NEW", "", Create, "unknown"),
        ("SOMETHING_NEW", "", Close, "unknown"),
        ("ORDERNOTEXIST", "", Close, "not_found"),
        ("REFUNDNOTEXIST", "", QueryRefund, "not_found"),
        ("SYSTEMERROR", "", QueryRefund, "unknown"),
    ];
    for (code, description, call, wanted) in table {
        assert_eq!(refused(call, code, description).name(), wanted, "{code} {description} {call:?}");
    }
}

fn notified(body: &str) -> Notified {
    let raw = RawNotification { headers: Vec::new(), query: String::new(), body: body.to_owned().into() };
    with(MD5, "", |context| WeChatV2::new().notification(&raw, context))
}

#[test]
fn payments_are_told_signed_and_refunds_are_hints() {
    // A signed payment is a fact; anything else that is signed, and a sealed refund, are hints; the rest is refused.
    let paid = [
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", APPID),
        ("mch_id", MCHID),
        ("out_trade_no", NUMBER),
        ("transaction_id", "42"),
        ("total_fee", "100"),
        ("time_end", "20261123040508"),
    ];
    for kind in [MD5, HMAC] {
        let Notified::Verified { facts, ack, .. } = notified(&signed(&paid, kind)) else { panic!("verified") };
        assert_eq!(facts[0].subject, FactSubject::Attempt(NUMBER.to_owned()));
        assert_eq!(facts[0].owners, [("mchid", MCHID.to_owned()), ("appid", APPID.to_owned())]);
        let Outcome::Succeeded(money) = &facts[0].outcome else { panic!("paid") };
        assert_eq!((money.amount, money.trade_number.as_str()), (yuan(100), "42"));
        assert_eq!(money.paid_at, "2026-11-22T20:05:08Z".parse().ok());
        let wanted = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";
        assert_eq!((ack.status, &ack.body[..]), (200, wanted.as_bytes()));
    }
    let answer = [&paid[..7], &[("out_refund_no", REFUND), ("refund_id", "50"), ("refund_fee", "30")]].concat();
    let failed = [&[("return_code", "SUCCESS"), ("result_code", "FAIL")], &paid[2..]].concat();
    for signed in [signed(&answer, MD5), signed(&failed, MD5)] {
        assert!(matches!(notified(&signed), Notified::Hint { number, .. } if number == NUMBER), "{signed}");
    }
    let refusals = [
        signed(&paid, MD5).replace("100", "101"),
        xml::written("xml", &pairs(&paid)),
        xml::written("xml", &pairs(&[("req_info", "AAAA")])),
        "<!DOCTYPE xml><xml/>".to_owned(),
        String::new(),
    ];
    for body in refusals {
        let Notified::Unverified { refusal, .. } = notified(&body) else { panic!("{body}") };
        assert!(refusal.status == 400 && refusal.body.starts_with(b"<xml><return_code><![CDATA[FAIL]]>"), "{body}");
    }
}

#[test]
fn a_sealed_refund_opens_under_the_keys_digest() {
    // What OpenSSL sealed (through Node.js) opens, and is a hint about its order; another key or a cut text opens nothing.
    let sealed = "4Oxpwu0tMp/jGVPzaLh9JWMRX0/vmm03vtz0IpjrWyXqzMAlcWv3EBlRfbv6F4B/";
    let key = Secret::from_text(KEY);
    let text = open(sealed, &key).expect("it opens");
    assert_eq!(text.expose(), b"<root><out_trade_no>1</out_trade_no></root>");
    let body = xml::written("xml", &pairs(&[("return_code", "SUCCESS"), ("mch_id", MCHID), ("req_info", sealed)]));
    assert!(matches!(notified(&body), Notified::Hint { number, .. } if number == "1"));
    assert!(open(sealed, &Secret::from_text("another")).is_none());
    assert!(open(&sealed[..40], &key).is_none() && open("", &key).is_none());
}

#[test]
fn each_mistake_names_its_field() {
    // The settings of its own: key, signature type, and the two halves of the certificate.
    type Change = fn(&mut Map<String, Value>, &mut SecretSettings);
    let table: [(&str, Change); 5] = [
        ("api_key", |_, secret| drop(secret.0.remove("api_key"))),
        ("api_key", |_, secret| drop(secret.0.insert("api_key".into(), Secret::from_text("short")))),
        ("sign_type", |plain, _| drop(plain.insert("sign_type".into(), "RSA".into()))),
        ("private_key", |_, secret| drop(secret.0.insert("private_key".into(), Secret::from_text("hunter2!")))),
        ("api_v3_key", |_, secret| drop(secret.0.insert("api_v3_key".into(), Secret::from_text(KEY)))),
    ];
    let now = Timestamp::from_millis(1_795_377_908_118);
    let right = || {
        let mut secrets = SecretSettings::default();
        secrets.0.insert("api_key".to_owned(), Secret::from_text(KEY));
        (json!({ "mchid": MCHID, "appid": APPID }).as_object().expect("an object").clone(), secrets)
    };
    let (plain, secret) = right();
    let identity = WeChatV2::new().validate(Mode::Live, &plain, &secret, now);
    assert_eq!(identity.ok().as_deref(), Some("1900000109 with wxd678efh567hg6787 at https://api.mch.weixin.qq.com"));
    for (field, change) in table {
        let (mut plain, mut secret) = right();
        change(&mut plain, &mut secret);
        let errors = WeChatV2::new().validate(Mode::Live, &plain, &secret, now).expect_err(field);
        assert!(errors.len() == 1 && errors[0].field == field && !errors[0].why.contains("hunter2"), "{errors:?}");
    }
}
