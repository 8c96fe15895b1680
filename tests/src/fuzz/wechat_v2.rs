//! What WeChat Pay sends in v2, read by its adapter: notices of payments, sealed notices of refunds, and answers.

use std::sync::LazyLock;

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use maxpay_adapters::parts::xml;
use maxpay_adapters::wechat::v2::WeChatV2;
use maxpay_engine::channel::{Answer, Call, FactSubject, Notified, Outcome};
use md5::{Digest, Md5};
use serde_json::json;
use sha2::Sha256;

use super::account::{Account, PROVIDER, call_of, joined, money_holds, pairs_of, refuses, status_of, value};

const KEY: &str = "0123456789abcdefghijABCDEFGHIJ01";
const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";

static ACCOUNT: LazyLock<Account> = LazyLock::new(|| {
    let settings = json!({ "mchid": MCHID, "appid": APPID, "base_url": PROVIDER, "api_key": KEY });
    Account::new(WeChatV2::new(), &settings)
});

/// First byte `n`: a notice nobody signed. `N`, `M`: fields, as a form, that WeChat Pay signs by HMAC-SHA256 or MD5 and
/// writes as XML. `S`: a text that WeChat Pay seals as a refund. `r`: an answer nobody signed, behind a call and a
/// status. `R`: fields that WeChat Pay signs, behind a call.
pub fn check(bytes: &[u8]) {
    let account = &*ACCOUNT;
    match bytes {
        [b'n', rest @ ..] => account.unsigned_notice(rest),
        [kind @ (b'N' | b'M'), rest @ ..] => signed_notice(account, rest, *kind == b'M'),
        [b'S', rest @ ..] => sealed_notice(account, rest),
        [b'r', call, status, rest @ ..] => {
            account.unsigned_reply(&call_of(*call, "wx_native"), status_of(*status), rest);
        }
        [b'R', call, rest @ ..] => signed_reply(account, &call_of(*call, "wx_native"), rest),
        _ => {}
    }
}

/// With the key a notice says what its fields say and nothing more.
fn signed_notice(account: &Account, form: &[u8], by_md5: bool) {
    let Some((pairs, body)) = signed(form, by_md5) else { return };
    let said = |name: &str| value(&pairs, name);
    match account.notified(Vec::new(), body.as_bytes()) {
        Notified::Verified { facts, ack, refusal } => {
            let [fact] = &facts[..] else { panic!("{facts:?}") };
            assert_eq!(fact.subject, FactSubject::Attempt(said("out_trade_no")));
            assert_eq!(fact.owners, [("mchid", said("mch_id")), ("appid", said("appid"))]);
            assert!((said("return_code"), said("result_code")) == ("SUCCESS".to_owned(), "SUCCESS".to_owned()));
            assert!(ack.status == 200 && refuses(&refusal));
            order_holds(&fact.outcome, &said);
        }
        Notified::Hint { number, .. } => assert_eq!(number, said("out_trade_no")),
        Notified::Unverified { refusal, reason } => {
            assert!(refuses(&refusal));
            let whole = ["appid", "mch_id", "out_trade_no"].iter().all(|name| !said(name).is_empty());
            assert!(!whole || !said("req_info").is_empty(), "{reason}");
        }
        Notified::NeedMaterial(_) => panic!("v2 needs nothing"),
    }
}

/// A refund that opens is a hint at the order it names, and never more.
fn sealed_notice(account: &Account, text: &[u8]) {
    let padding = 16 - text.len() % 16;
    let mut bytes = text.to_vec();
    bytes.resize(text.len() + padding, u8::try_from(padding).expect("at most 16"));
    let cipher = Aes256::new_from_slice(hex::encode(Md5::digest(KEY)).as_bytes()).expect("32 bytes");
    bytes.chunks_exact_mut(16).for_each(|block| cipher.encrypt_block(block.into()));
    let body = format!("<xml><return_code>SUCCESS</return_code><req_info>{}</req_info></xml>", STANDARD.encode(bytes));
    match account.notified(Vec::new(), body.as_bytes()) {
        Notified::Hint { number, .. } => {
            let text = String::from_utf8_lossy(text);
            assert!(!number.is_empty() && text.contains("out_trade_no"), "a hint at {number}");
        }
        Notified::Unverified { refusal, .. } => assert!(refuses(&refusal)),
        Notified::Verified { .. } | Notified::NeedMaterial(_) => panic!("nobody signed it"),
    }
}

/// With the key an answer says what its fields say and nothing more.
fn signed_reply(account: &Account, call: &Call, form: &[u8]) {
    let Some((pairs, body)) = signed(form, false) else { return };
    let said = |name: &str| value(&pairs, name);
    let Answer { number, owners, outcome, .. } = account.answer(call, 200, Vec::new(), body.as_bytes());
    if matches!(outcome, Outcome::Unknown(_)) {
        return;
    }
    let owner = |name: &str, field: &str| {
        owners.iter().find(|(has, _)| *has == name).is_none_or(|(_, has)| *has == said(field))
    };
    assert!(owner("mchid", "mch_id") && owner("appid", "appid"), "{owners:?}");
    let done = (said("return_code"), said("result_code")) == ("SUCCESS".to_owned(), "SUCCESS".to_owned());
    match call {
        Call::Query { .. } if done => {
            assert_eq!(number, Some(said("out_trade_no")));
            order_holds(&outcome, &said);
        }
        Call::QueryRefund { .. } if done => {
            let at = (0..50).find(|at| Some(said(&format!("out_refund_no_{at}"))) == number).expect("it is named");
            let of = |name: &str| said(&format!("{name}_{at}"));
            money_holds(
                &outcome,
                of("refund_status") == "SUCCESS",
                &of("refund_id"),
                (of("refund_fee").parse().ok(), "CNY"),
            );
        }
        Call::Query { .. }
        | Call::QueryRefund { .. }
        | Call::Create { .. }
        | Call::Close { .. }
        | Call::Void { .. }
        | Call::Refund { .. }
        | Call::Maintain
        | Call::PayerSession { .. }
        | Call::Authorize { .. } => {
            assert!(!matches!(outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. }), "{outcome:?}");
        }
    }
}

/// The fields that are not empty, signed, and the XML of them. `None`: a name is no name of an element.
fn signed(form: &[u8], by_md5: bool) -> Option<(Vec<(String, String)>, String)> {
    let mut pairs = pairs_of(form)?;
    pairs.retain(|(name, value)| name != "sign" && !value.is_empty());
    let plain = |name: &str| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // XML carries no control characters, and reads a carriage return as a line feed.
    let carried = |text: &str| !text.chars().any(char::is_control);
    if !pairs.iter().all(|(name, value)| plain(name) && carried(value)) || pairs.len() > 200 {
        return None;
    }
    let text = [joined(&pairs), format!("key={KEY}")].into_iter().filter(|part| !part.is_empty());
    let text = text.collect::<Vec<_>>().join("&");
    let signature = if by_md5 {
        hex::encode_upper(Md5::digest(text.as_bytes()))
    } else {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(KEY.as_bytes()).expect("any length will do");
        mac.update(text.as_bytes());
        hex::encode_upper(mac.finalize().into_bytes())
    };
    pairs.push(("sign".to_owned(), signature));
    let body = xml::written("xml", &pairs);
    Some((pairs, body))
}

fn order_holds(outcome: &Outcome, said: &dyn Fn(&str) -> String) {
    let state = said("trade_state");
    let is_paid = ["", "SUCCESS", "REFUND"].contains(&&*state);
    let currency = said("fee_type");
    let currency = if currency.is_empty() { "CNY" } else { &currency };
    money_holds(outcome, is_paid, &said("transaction_id"), (said("total_fee").parse().ok(), currency));
    if let Outcome::Closed = outcome {
        assert!(state == "CLOSED" && said("transaction_id").is_empty());
    }
}
