//! What WeChat Pay sends in v3, read by its adapter: notices, answers, and the list of platform certificates.

use std::sync::{Arc, LazyLock};

use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::parts::rsa::PrivateKey;
use maxpay_adapters::parts::x509::Certificate;
use maxpay_adapters::wechat::WeChat;
use maxpay_engine::channel::{Answer, Call, FactSubject, Interpreted, Notified, Outcome};
use maxpay_engine::model::Timestamp;
use serde_json::{Value, json};

use super::account::{Account, NOW, PROVIDER, call_of, key, money_holds, refuses, status_of};

const KEY_ID: &str = "PUB_KEY_ID_0000000000000001";
const API_KEY: &str = "0123456789abcdefghijABCDEFGHIJ01";
const MCHID: &str = "1900000109";
const APPID: &str = "wxd678efh567hg6787";

static WORLD: LazyLock<World> = LazyLock::new(World::new);

struct World {
    account: Account,
    wechat: Arc<PrivateKey>,
}

/// First byte `n`: a notice nobody signed, header lines in front. `N`: the event, the minutes since it was signed (a
/// digit) and the content that WeChat Pay seals and signs. `W`: a body as it stands, signed. `r`: an answer nobody
/// signed, behind a call and a status; `R`: one that WeChat Pay signs, behind call, status and minutes. `c`: a
/// certificate that is sealed in a list, which nobody (`n`), a stranger (`s`) or WeChat Pay (`w`) signs.
pub fn check(bytes: &[u8]) {
    let world = &*WORLD;
    match bytes {
        [b'n', rest @ ..] => world.account.unsigned_notice(rest),
        [b'N', event, age, content @ ..] => world.signed_notice(event_of(*event), *age, content),
        [b'W', age, body @ ..] => world.nothing_sealed(*age, body),
        [b'r', call, status, rest @ ..] => {
            world.account.unsigned_reply(&call_of(*call, "wx_native"), status_of(*status), rest);
            world.account.unsigned_reply(&Call::Maintain, status_of(*status), rest);
        }
        [b'R', call, status, age, body @ ..] => {
            world.signed_reply(&call_of(*call, "wx_native"), status_of(*status), *age, body);
        }
        [b'c', signer, rest @ ..] => world.listed(*signer, rest),
        _ => {}
    }
}

impl World {
    fn new() -> Self {
        let ((secret, _), (_, wechat)) = (key(), key());
        let settings = json!({
            "mchid": MCHID,
            "appid": APPID,
            "base_url": PROVIDER,
            "private_key": STANDARD.encode(secret.expose()),
            "certificate_serial": "0123456789ABCDEF",
            "api_v3_key": API_KEY,
            "wechatpay_public_key": STANDARD.encode(wechat.public_der()),
            "wechatpay_public_key_id": KEY_ID,
        });
        Self { account: Account::new(WeChat::new(), &settings), wechat }
    }

    fn headers(seconds: u64, body: &[u8], key: &PrivateKey) -> Vec<(String, String)> {
        let nonce = "0123456789abcdef";
        let text = [format!("{seconds}\n{nonce}\n").as_bytes(), body, b"\n"].concat();
        [
            ("Wechatpay-Timestamp", seconds.to_string()),
            ("Wechatpay-Nonce", nonce.to_owned()),
            ("Wechatpay-Serial", KEY_ID.to_owned()),
            ("Wechatpay-Signature", key.sign_sha256_base64(&text)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn notified(&self, seconds: u64, body: &[u8]) -> Notified {
        self.account.notified(Self::headers(seconds, body, &self.wechat), body)
    }

    /// With the keys, and in time, a notice says what is sealed in it and nothing more.
    fn signed_notice(&self, event: &str, age: u8, content: &[u8]) {
        let body = json!({
            "id": "EV-1", "create_time": "2026-11-22T16:05:08+08:00", "event_type": event,
            "resource_type": "encrypt-resource", "summary": "",
            "resource": sealed(content),
        });
        let seconds = signed_at(age);
        let said = object(content);
        match self.notified(seconds, body.to_string().as_bytes()) {
            Notified::Verified { facts, ack, refusal } => {
                let said = said.expect("what counts is an object");
                let [fact] = &facts[..] else { panic!("{facts:?}") };
                assert!(fact.provider_time == Some(Timestamp::from_millis(seconds * 1000)) && in_time(seconds));
                assert!(ack.status == 200 && refuses(&refusal));
                match &fact.subject {
                    FactSubject::Attempt(number) => {
                        assert!(*number == text(&said, "out_trade_no") && event == "TRANSACTION.SUCCESS");
                        let owners = [("mchid", text(&said, "mchid")), ("appid", text(&said, "appid"))];
                        assert_eq!(fact.owners, owners);
                        order_holds(&fact.outcome, &said);
                    }
                    FactSubject::Refund(number) => {
                        assert!(*number == text(&said, "out_refund_no") && event.starts_with("REFUND."));
                        refund_holds(&fact.outcome, &said);
                        let state = event.trim_start_matches("REFUND.");
                        assert!([text(&said, "refund_status"), text(&said, "status")].iter().any(|has| has == state));
                    }
                    FactSubject::Trade(_) => panic!("no notice is about a trade"),
                }
            }
            Notified::Hint { number, .. } => {
                assert!(in_time(seconds) && said.is_some_and(|said| text(&said, "out_trade_no") == number));
            }
            Notified::Unverified { refusal, reason } => assert!(refuses(&refusal) && !reason.is_empty()),
            Notified::NeedMaterial(_) => panic!("the key is known"),
        }
    }

    /// A signed body says nothing unless what it carries was sealed under the API key, which no input was.
    fn nothing_sealed(&self, age: u8, body: &[u8]) {
        match self.notified(signed_at(age), body) {
            Notified::Unverified { refusal, .. } => assert!(refuses(&refusal)),
            Notified::Verified { .. } | Notified::Hint { .. } | Notified::NeedMaterial(_) => panic!("it counts"),
        }
    }

    /// With the key, and in time, an answer says what its body says and nothing more.
    fn signed_reply(&self, call: &Call, status: u16, age: u8, body: &[u8]) {
        let seconds = signed_at(age);
        let headers = Self::headers(seconds, body, &self.wechat);
        let Answer { number, owners, provider_time, outcome } = self.account.answer(call, status, headers, body);
        if matches!(outcome, Outcome::Unknown(_)) {
            return;
        }
        assert!(in_time(seconds) && provider_time == Some(Timestamp::from_millis(seconds * 1000)), "{outcome:?}");
        let said = object(body);
        match (call, status) {
            (Call::Close { .. }, 204) => assert!(matches!(outcome, Outcome::Closed)),
            (Call::Query { .. }, 200) => {
                let said = said.expect("what counts is an object");
                assert_eq!(number, Some(text(&said, "out_trade_no")));
                assert_eq!(owners, [("mchid", text(&said, "mchid")), ("appid", text(&said, "appid"))]);
                order_holds(&outcome, &said);
            }
            (Call::Refund { .. } | Call::QueryRefund { .. }, 200) => {
                let said = said.expect("what counts is an object");
                assert_eq!(number, Some(text(&said, "out_refund_no")));
                refund_holds(&outcome, &said);
            }
            _ => {
                let moved = matches!(outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. });
                assert!(!moved && number.is_none(), "{outcome:?}");
            }
        }
    }

    /// A list is learned only under WeChat Pay's key or one that it brings, and only certificates of the number it says.
    fn listed(&self, signer: u8, certificate: &[u8]) {
        let read = Certificate::read_one(certificate).ok();
        let serial = read.as_ref().map_or_else(|| "00".to_owned(), Certificate::serial_hex);
        let body = json!({ "data": [{ "serial_no": serial, "encrypt_certificate": sealed(certificate) }] });
        let body = body.to_string().into_bytes();
        let headers = match signer {
            b'w' => Self::headers(NOW / 1000, &body, &self.wechat),
            b's' => Self::headers(NOW / 1000, &body, stranger()),
            _ => Vec::new(),
        };
        match self.account.interpreted(&Call::Maintain, 200, headers, &body) {
            Interpreted::Learned(learned) => assert!(signer == b'w' && read.is_some() && learned.len() == 1),
            Interpreted::Done(answer) => assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{answer:?}"),
            Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("nothing else is needed"),
        }
    }
}

fn stranger() -> &'static PrivateKey {
    static STRANGER: LazyLock<Arc<PrivateKey>> = LazyLock::new(|| key().1);
    &STRANGER
}

fn event_of(byte: u8) -> &'static str {
    const EVENTS: [&str; 5] =
        ["TRANSACTION.SUCCESS", "REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED", "TRANSACTION.SEIZED"];
    EVENTS[usize::from(byte) % EVENTS.len()]
}

/// Seconds, so many minutes ago as the digit says.
fn signed_at(age: u8) -> u64 {
    NOW / 1000 - 60 * u64::from(age.saturating_sub(b'0'))
}

fn in_time(seconds: u64) -> bool {
    NOW / 1000 - seconds <= 300
}

fn sealed(text: &[u8]) -> Value {
    let nonce = "0123456789ab";
    let cipher = Aes256Gcm::new_from_slice(API_KEY.as_bytes()).expect("32 bytes");
    let mut sealed = text.to_vec();
    let tag = cipher.encrypt_in_place_detached(nonce.as_bytes().into(), &[], &mut sealed).expect("it is short");
    sealed.extend_from_slice(&tag);
    json!({
        "algorithm": "AEAD_AES_256_GCM", "ciphertext": STANDARD.encode(sealed), "nonce": nonce, "original_type": "any",
    })
}

/// What stands in fields that nobody reads need not be UTF-8: it is replaced.
fn object(bytes: &[u8]) -> Option<Value> {
    serde_json::from_str::<Value>(&String::from_utf8_lossy(bytes)).ok().filter(Value::is_object)
}

fn text(said: &Value, name: &str) -> String {
    said[name].as_str().unwrap_or_default().to_owned()
}

fn amount<'a>(said: &'a Value, name: &str) -> (Option<u64>, &'a str) {
    (said["amount"][name].as_u64(), said["amount"]["currency"].as_str().unwrap_or("CNY"))
}

fn order_holds(outcome: &Outcome, said: &Value) {
    let state = text(said, "trade_state");
    let is_paid = ["SUCCESS", "REFUND"].contains(&&*state);
    money_holds(outcome, is_paid, &text(said, "transaction_id"), amount(said, "total"));
    if let Outcome::Closed = outcome {
        assert!(state == "CLOSED" && text(said, "transaction_id").is_empty() && text(said, "success_time").is_empty());
    }
}

fn refund_holds(outcome: &Outcome, said: &Value) {
    let states = [text(said, "refund_status"), text(said, "status")];
    let is = |word: &str| states.iter().any(|state| state == word);
    money_holds(outcome, is("SUCCESS"), &text(said, "refund_id"), amount(said, "refund"));
    assert!(!matches!(outcome, Outcome::Closed) || is("CLOSED"));
    assert!(!matches!(outcome, Outcome::Held(_)) || is("ABNORMAL"));
}
