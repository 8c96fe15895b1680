//! Messages that UnionPay's own test gateway signed, and a signature that others published (sources in
//! `adapters/vectors/README.md`): each accepted at its time, and refused today.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    AccountView, Adapter, Context, FactSubject, Interpreted, Notified, Outcome, RawNotification, SecretSettings, Step,
    Subject,
};
use maxpay_engine::clock::SeededEntropy;
use maxpay_engine::model::{AccountId, Mode, RawId, Timestamp};
use serde_json::{Map, Value, json};

use crate::parts::beijing;
use crate::parts::pkcs12::Archive;
use crate::parts::rsa::PrivateKey;
use maxpay_engine::secrets::Secret;

use super::super::UnionPay;
use super::super::message::Message;
use super::{at, fen, query};

const NOTICE: &[u8] = include_bytes!("../../../vectors/unionpay/notice.txt");
const ANSWER: &[u8] = include_bytes!("../../../vectors/unionpay/answer.txt");
const PFX: &[u8] = include_bytes!("../../../vectors/pkcs12/3des.pfx");
const ROOT: &str = include_str!("../../../vectors/x509/rsa-sha1-root.pem");
const MIDDLE: &str = include_str!("../../../vectors/x509/rsa-sha1-middle.pem");
const SIGNATURE: &str = "CJ0Hh6WC0YldYMi2cIi7rjOvV4IJyzhqgj8KKNeRWZz+2csPVlDcnP1f4YfykVww6NDimsl2zE+oQAm7lH8qiU5f8ojVH+P62\
    uMe1yqb2WoNlIM45REg6bhfUPvATgecVplnKIPdFUGdRZ97va+ZVbla75HwtskZnDykmr9rkYaSg7PcGuilEwHcb2rV+BNkCi3bi4fYELjYlE1a7Imv/\
    cSLRyXkPS1jzF0HUIUiVA6P98DYh0GbsgqRZqPYsGocFJs9jZoAlu44RygzDKjK/n8iwhHNH61IFaADdGp+uLQsol6kR/DRpF1pZgO7lsuK0YuaL6pf\
    N6dtkJO9prbu6Q==";

fn settings() -> Map<String, Value> {
    let settings = json!({ "merchant_id": "777290058167151" });
    settings.as_object().cloned().expect("an object")
}

fn within<T>(now: Timestamp, look: impl FnOnce(&UnionPay, &Context<'_>) -> T) -> T {
    let certificates = Secret::from_text(&format!("{ROOT}{MIDDLE}"));
    let (settings, secrets) = (settings(), [SecretSettings([("certificates".to_owned(), certificates)].into())]);
    let account = AccountView {
        id: AccountId(RawId([1; 12])),
        mode: Mode::Test,
        settings: &settings,
        secrets: &secrets,
        notify_url: "https://shop.example/notify",
    };
    let number = "pay20220911041647";
    let numbered_at = beijing::read_packed("20220911041647").expect("a time");
    let subject = Some(Subject { number, numbered_at });
    let context = Context { now, entropy: &SeededEntropy::new(1), account, material: &[], subject, original: None };
    look(&UnionPay::new(), &context)
}

fn notified(body: &[u8], now: Timestamp) -> Notified {
    let raw = RawNotification { headers: Vec::new(), query: String::new(), body: Bytes::copy_from_slice(body) };
    within(now, |adapter, context| adapter.notification(&raw, context))
}

fn answered(body: &[u8], now: Timestamp) -> Outcome {
    let reply = HttpReply { status: 200, headers: Vec::new(), body: Bytes::copy_from_slice(body) };
    within(now, |adapter, context| match adapter.interpret(&query(), Step(0), &reply, context) {
        Interpreted::Done(answer) => answer.outcome,
        Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => panic!("not done"),
    })
}

#[test]
fn a_published_notice_is_accepted_at_its_time() {
    // Chain, name and signature hold on the day; it says who paid how much, and when the number was given.
    let Notified::Verified { facts, ack, .. } = notified(NOTICE, at("2022-09-08T05:22:10Z")) else {
        panic!("not verified");
    };
    assert_eq!((facts.len(), ack.status), (1, 200));
    assert_eq!(facts[0].subject, FactSubject::Attempt("yansongda20220908132206".to_owned()));
    assert_eq!(facts[0].owners, [("merchant_id", "777290058167151".to_owned())]);
    assert_eq!(facts[0].numbered_at, Some(at("2022-09-08T05:22:06Z")));
    let Outcome::Succeeded(paid) = &facts[0].outcome else { panic!("{:?}", facts[0].outcome) };
    assert_eq!((paid.trade_number.as_str(), paid.amount), ("782209081322060674028", fen(1)));
    assert_eq!(paid.paid_at, Some(at("2022-09-08T05:22:06Z")));
}

#[test]
fn a_published_answer_is_accepted_at_its_time() {
    // It is not url-encoded: pluses and line ends in it are signed as they stand.
    let Outcome::Succeeded(paid) = answered(ANSWER, at("2022-09-10T20:16:50Z")) else {
        panic!("{:?}", answered(ANSWER, at("2022-09-10T20:16:50Z")));
    };
    assert_eq!((paid.trade_number.as_str(), paid.amount), ("512209110416475616528", fen(1)));
    let with_a_line_end = [ANSWER, b"\r\n"].concat();
    assert!(matches!(answered(&with_a_line_end, at("2022-09-10T20:16:50Z")), Outcome::Succeeded(_)));
}

#[test]
fn they_are_refused_today() {
    // The certificate that signed them was over on 2025-07-31.
    for now in ["2025-07-31T01:19:17Z", "2026-11-25T00:00:00Z", "2020-01-01T00:00:00Z"] {
        let Notified::Unverified { reason, refusal } = notified(NOTICE, at(now)) else { panic!("{now}") };
        assert!(reason.contains("valid from 2020-07-31") && refusal.status == 400, "{reason}");
        let outcome = answered(ANSWER, at(now));
        assert!(matches!(&outcome, Outcome::Unknown(why) if why.contains("2025-07-31")), "{outcome:?}");
    }
}

#[test]
fn tampering_is_refused() {
    // Any character changed, a value left out, one added, one twice: nothing is proved.
    let then = at("2022-09-10T20:16:50Z");
    let text = String::from_utf8(ANSWER.to_vec()).expect("text");
    let table = [
        text.replace("txnAmt=1&", "txnAmt=2&"),
        text.replace("origRespCode=00", "origRespCode=01"),
        text.replace("&traceNo=561652", ""),
        format!("{text}&extra=1"),
        format!("{text}&txnAmt=1"),
        text.replace("signMethod=01", "signMethod=11"),
        text.replace("signMethod=01", "signMethod=12"),
        text.replace("signature=", "signature2="),
        text.replace("&signPubKeyCert=", "&signPubKeyCert2="),
        text.replace('+', " "),
        text.replace('+', "%2B"),
        text.replace("\r\n", "\n"),
        text.replace("CERTIFICATE-----", "KEY-----"),
    ];
    for text in table {
        let outcome = answered(text.as_bytes(), then);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}: {text}");
    }
    for at in (0..ANSWER.len()).step_by(41) {
        let mut changed = ANSWER.to_vec();
        changed[at] ^= 1;
        let outcome = answered(&changed, then);
        assert!(matches!(outcome, Outcome::Unknown(_)), "byte {at}: {outcome:?}");
    }
    let notice = String::from_utf8(NOTICE.to_vec()).expect("text");
    let changed = notified(notice.replace("txnAmt=1", "txnAmt=100").as_bytes(), at("2022-09-08T05:22:10Z"));
    assert!(matches!(changed, Notified::Unverified { .. }));
}

#[test]
fn another_number_at_another_time_is_another_order() {
    // The same answer, asked about under another time of the number.
    let reply = HttpReply { status: 200, headers: Vec::new(), body: Bytes::from_static(ANSWER) };
    let outcome = within(at("2022-09-10T20:16:50Z"), |adapter, context| {
        let numbered_at = context.subject.expect("a number").numbered_at.after(std::time::Duration::from_secs(1));
        let subject = Some(Subject { number: "pay20220911041647", numbered_at });
        let entropy = SeededEntropy::new(1);
        let account = AccountView { id: AccountId(RawId([1; 12])), mode: Mode::Test, ..copied(&context.account) };
        let context = Context { now: context.now, entropy: &entropy, account, material: &[], subject, original: None };
        match adapter.interpret(&query(), Step(0), &reply, &context) {
            Interpreted::Done(answer) => answer.outcome,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => panic!("not done"),
        }
    });
    assert!(matches!(&outcome, Outcome::Unknown(why) if why.contains("another time")), "{outcome:?}");
}

fn copied<'a>(account: &AccountView<'a>) -> AccountView<'a> {
    AccountView { ..*account }
}

#[test]
fn our_signature_is_the_published_one() {
    // PKCS#1 v1.5 is deterministic: key, certId, signing text and signature of the published request.
    let archive = Archive::open(PFX, &Secret::from_text("000000")).expect("an archive");
    let key = PrivateKey::read(&archive.key).expect("a key");
    let pairs = [
        ("txnTime", "20220903065448"),
        ("txnAmt", "1"),
        ("orderId", "yansongda20220903065448"),
        ("version", "5.1.0"),
        ("encoding", "utf-8"),
        ("bizType", "000201"),
        ("backUrl", "https://yansongda.cn/unipay/notify"),
        ("currencyCode", "156"),
        ("txnType", "01"),
        ("txnSubType", "01"),
        ("accessType", "0"),
        ("signature", ""),
        ("signMethod", "01"),
        ("channelType", "07"),
        ("merId", "777290058167151"),
        ("frontUrl", "https://yansongda.cn/unipay/return"),
        ("certId", "69903319369"),
    ];
    assert_eq!(archive.certificate.serial_decimal(), "69903319369");
    let message = Message::of(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(message.signed(&key).field("signature"), SIGNATURE);
}

#[test]
fn answers_are_parted_as_the_sdk_does() {
    // Outside of braces and brackets at &, at the first =; a name twice or an open brace is no answer.
    let read = |text: &str| Message::read_answer(text.as_bytes());
    let message = read("a=1&b={c=2&d=3}&e=[x&y]&f=g=h+i&j=").expect("an answer");
    let table = [("a", "1"), ("b", "{c=2&d=3}"), ("e", "[x&y]"), ("f", "g=h+i"), ("j", ""), ("k", "")];
    for (name, value) in table {
        assert_eq!(message.field(name), value, "{name}");
    }
    for text in ["", "a", "a=1&", "a=1&&b=2", "a=1&a=2", "a={1&b=2", "=1", "a=1&b"] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(Message::read_answer(&[b'a', b'=', 0xff]), None);
    let many: Vec<_> = (0..300).map(|index| format!("a{index}=1")).collect();
    assert_eq!(read(&many.join("&")), None);
}
