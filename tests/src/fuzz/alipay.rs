//! What Alipay sends, read by its adapter: notices, answers, and downloaded certificates.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_adapters::alipay::Alipay;
use maxpay_adapters::parts::rsa::PrivateKey;
use maxpay_adapters::parts::x509::Certificate;
use maxpay_adapters::simulator::authority::Authority;
use maxpay_engine::channel::{Answer, Call, FactSubject, Interpreted, Notified, Outcome};
use serde_json::json;
use serde_json::value::RawValue;

use super::account::{
    Account, PROVIDER, call_of, edited, joined, key, money_holds, pairs_of, refuses, says, status_of, value,
};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// The same application with public keys and with certificates.
struct World {
    keys: Account,
    certificates: Account,
    alipay: Arc<PrivateKey>,
    /// A certificate of Alipay's that the account does not have.
    newer: String,
}

/// First byte `n`: a notice nobody signed. `N`: a form that Alipay signs. `r`: an answer nobody signed, behind a call
/// and a status. `R`: an object that Alipay signs, behind a call. `c`: the text of a downloaded certificate, `C`: changes
/// of a genuine one.
pub fn check(bytes: &[u8]) {
    let world = &*WORLD;
    match bytes {
        [b'n', rest @ ..] => {
            world.keys.unsigned_notice(rest);
            world.certificates.unsigned_notice(rest);
        }
        [b'N', rest @ ..] => world.signed_notice(rest),
        [b'r', call, status, rest @ ..] => {
            let call = call_of(*call, "ali_qrcode");
            world.keys.unsigned_reply(&call, status_of(*status), rest);
            world.certificates.unsigned_reply(&call, status_of(*status), rest);
        }
        [b'R', call, rest @ ..] => world.signed_reply(&call_of(*call, "ali_qrcode"), rest),
        [b'c', rest @ ..] => world.downloaded(rest),
        [b'C', rest @ ..] => world.downloaded(&edited(world.newer.as_bytes(), rest)),
        _ => {}
    }
}

impl World {
    fn new() -> Self {
        let ((secret, application), (_, alipay), (_, above)) = (key(), key(), key());
        let root = Authority::root(Arc::clone(&above), says("CN=Root,C=CN", 1, true));
        let class = root.below(above, says("CN=Class 2,C=CN", 2, true));
        let papers = |subject: &str, serial, key: &PrivateKey| {
            format!("{}{}", class.issue(says(subject, serial, false), key).pem(), class.certificate().pem())
        };
        let own = papers("CN=2088000000000001-2021000000000001,C=CN", 500, &application);
        let common = json!({
            "app_id": "2021000000000001",
            "seller_id": "2088000000000001",
            "gateway": format!("{PROVIDER}/gateway.do"),
            "private_key": STANDARD.encode(secret.expose()),
        });
        let (mut with_keys, mut with_certificates) = (common.clone(), common);
        with_keys["alipay_public_key"] = STANDARD.encode(alipay.public_der()).into();
        with_certificates["app_cert"] = own.into();
        with_certificates["alipay_cert"] = papers("CN=Alipay-2088,C=CN", 100, &alipay).into();
        with_certificates["alipay_root_cert"] = root.certificate().pem().into();
        Self {
            keys: Account::new(Alipay::new(), &with_keys),
            certificates: Account::new(Alipay::new(), &with_certificates),
            newer: papers("CN=Alipay-2088,C=CN", 101, &alipay),
            alipay,
        }
    }

    /// With the key a notice says what its form says and nothing more.
    fn signed_notice(&self, form: &[u8]) {
        let Some(mut pairs) = pairs_of(form) else { return self.keys.unsigned_notice(form) };
        pairs.retain(|(name, _)| !["sign", "sign_type"].contains(&name.as_str()));
        let sign = self.alipay.sign_sha256_base64(joined(&pairs).as_bytes());
        let sent = [("sign", sign.as_str()), ("sign_type", "RSA2")];
        let sent = sent.into_iter().chain(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(sent).finish();
        let said = |name: &str| value(&pairs, name);
        match self.keys.notified(Vec::new(), body.as_bytes()) {
            Notified::Verified { facts, ack, refusal } => {
                let [fact] = &facts[..] else { panic!("{facts:?}") };
                assert_eq!(fact.subject, FactSubject::Attempt(said("out_trade_no")));
                let owners = [("app_id", said("app_id")), ("seller_id", said("seller_id"))];
                assert_eq!(fact.owners, owners);
                assert!(&ack.body[..] == b"success" && refuses(&refusal));
                money(&fact.outcome, &said);
            }
            Notified::Hint { number, .. } => assert_eq!(number, said("out_trade_no")),
            Notified::Unverified { refusal, reason } => {
                assert!(refuses(&refusal));
                assert!(said("out_trade_no").is_empty(), "{reason}");
            }
            Notified::NeedMaterial(_) => panic!("public keys need nothing"),
        }
    }

    /// With the key an answer says what its object says and nothing more; an object that is none says nothing.
    fn signed_reply(&self, call: &Call, object: &[u8]) {
        let Some(method) = method(call) else { return };
        let sign = self.alipay.sign_sha256_base64(object);
        let (before, after) = (format!("{{\"{method}_response\":"), format!(",\"sign\":\"{sign}\"}}"));
        let body = [before.as_bytes(), object, after.as_bytes()].concat();
        let Answer { number, owners, outcome, .. } = self.keys.answer(call, 200, Vec::new(), &body);
        if matches!(outcome, Outcome::Unknown(_)) {
            return;
        }
        assert!(owners.is_empty(), "{owners:?}");
        let object = std::str::from_utf8(object).expect("what counts is text");
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(object).expect("what counts is an object");
        let said = |name: &str| match fields.get(name).map(|raw| raw.get()) {
            Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
            None | Some("null") => String::new(),
            Some(other) => other.to_owned(),
        };
        if said("code") != "10000" {
            assert!(!matches!(outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. }), "{outcome:?}");
        } else if matches!(call, Call::Query { .. }) {
            assert_eq!(number.unwrap_or_default(), said("out_trade_no"));
            money(&outcome, &said);
        }
        if let (Call::QueryRefund { .. }, Outcome::Succeeded(paid)) = (call, &outcome) {
            assert!(said("refund_status") == "REFUND_SUCCESS", "{outcome:?}");
            assert_eq!(
                (Some(paid.amount.minor()), paid.trade_number.clone()),
                (fen(&said("refund_amount")), said("out_request_no"))
            );
        }
        if let (Call::Refund { .. }, Outcome::Succeeded(_)) = (call, &outcome) {
            assert!(said("fund_change") == "Y", "{outcome:?}");
        }
    }

    /// Nothing is learned but the certificate that the merchant's authority issued, whatever stands around it.
    fn downloaded(&self, text: &[u8]) {
        let answer = json!({
            "alipay_open_app_alipaycert_download_response": {
                "code": "10000", "alipay_cert_content": STANDARD.encode(text),
            },
            "sign": "AAAA",
        });
        let read = self.certificates.interpreted(&Call::Maintain, 200, Vec::new(), answer.to_string().as_bytes());
        match read {
            Interpreted::Learned(learned) => {
                let first = |text: &[u8]| Certificate::read_all(text).ok().and_then(|all| all.into_iter().next());
                let (has, wanted) = (first(&learned[0].bytes), first(self.newer.as_bytes()));
                let signed = |one: &Option<Certificate>| {
                    one.as_ref()
                        .map(|one| (one.subject(), one.serial_hex(), one.public_key().to_vec(), one.not_after()))
                };
                assert_eq!(signed(&has), signed(&wanted));
            }
            Interpreted::Done(answer) => {
                assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{answer:?}");
                assert!(text != self.newer.as_bytes(), "the genuine certificate is refused");
            }
            Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("nothing else is needed"),
        }
    }
}

fn method(call: &Call) -> Option<&'static str> {
    Some(match call {
        Call::Create { .. } => "alipay_trade_precreate",
        Call::Query { .. } => "alipay_trade_query",
        Call::Close { .. } => "alipay_trade_close",
        Call::Refund { .. } => "alipay_trade_refund",
        Call::QueryRefund { .. } => "alipay_trade_fastpay_refund_query",
        Call::Void { .. } | Call::Maintain | Call::PayerSession { .. } | Call::Authorize { .. } => return None,
    })
}

/// What a trade's text says of money.
fn money(outcome: &Outcome, said: &dyn Fn(&str) -> String) {
    let status = said("trade_status");
    let gone_back = matches!(outcome, Outcome::PaidThenReturned { .. });
    let is_paid = ["TRADE_SUCCESS", "TRADE_FINISHED"].contains(&&*status) || status == "TRADE_CLOSED" && gone_back;
    money_holds(outcome, is_paid, &said("trade_no"), (fen(&said("total_amount")), "CNY"));
    if let Outcome::Closed = outcome {
        assert_eq!(status, "TRADE_CLOSED");
        let times = ["send_pay_date", "gmt_payment", "gmt_refund"];
        assert!(times.iter().all(|name| said(name).is_empty()), "closed, and it shows a payment");
    }
}

/// Yuan with at most two decimals, in fen.
fn fen(yuan: &str) -> Option<u64> {
    let (whole, decimals) = yuan.split_once('.').unwrap_or((yuan, "00"));
    format!("{whole}{decimals:0<2}").parse().ok()
}
