//! The adapter against bytes: what it asks, and what it makes of what is answered.

mod answers;
mod certificates;
mod notices;
mod orders;
mod outcomes;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, Context, Interpreted, Material, Notified, Original, OriginalApi, Outcome,
    Prepared, RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::SeededEntropy;
use maxpay_engine::model::{
    AccountId, ChannelCode, Currency, Intent, Mode, Money, NamedAction, PayerAction, PayerInputs, RawId, Timestamp,
};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value, json};

use super::Alipay;
use super::signed::{notice_text, query_text};
use crate::parts::canonical;
use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::simulator::authority::{Authority, Says, new_key};

const APP: &str = "2021001161683774";
const SELLER: &str = "2088831204659217";
const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const REFUND_NUMBER: &str = "66f0a1b2c3d4e5f607182930r001";
const TRADE: &str = "2026112322001468450512505578";
const NOTIFY_URL: &str = "https://pay.example.com/notify/alipay/0123456789abcdef01234567";

/// Keys that the tests share, because making one takes a while.
struct Keys {
    app: (Secret, Arc<PrivateKey>),
    alipay: (Secret, Arc<PrivateKey>),
    next: (Secret, Arc<PrivateKey>),
    root: (Secret, Arc<PrivateKey>),
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = || {
            let secret = new_key();
            let key = PrivateKey::read(&secret).expect("a key");
            (secret, key)
        };
        Keys { app: key(), alipay: key(), next: key(), root: key() }
    })
}

fn now() -> Timestamp {
    "2026-11-23T04:05:06.789Z".parse().expect("a moment")
}

/// Alipay's authorities, with the certificates of one application.
struct Papers {
    root: Authority,
    alipay_class: Authority,
    app_class: Authority,
}

impl Papers {
    fn new() -> Self {
        let says = |subject, serial| Says {
            subject,
            serial,
            from: now().before(Duration::from_hours(24)),
            life: Duration::from_hours(24 * 365),
            authority: true,
        };
        let root_key = &keys().root.1;
        let root = Authority::root(Arc::clone(root_key), says("CN=Test Authority R1,OU=CA,O=Ant,C=CN", 11));
        let below = |subject, serial| root.below(Arc::clone(root_key), says(subject, serial));
        let alipay_class = below("CN=Test Authority Class 2 R1,OU=CA,O=Ant,C=CN", 12);
        let app_class = below("CN=Test Authority Class 1 R1,OU=CA,O=Ant,C=CN", 13);
        Self { root, alipay_class, app_class }
    }

    fn leaf(authority: &Authority, subject: &str, serial: u64, key: &PrivateKey) -> String {
        let from = now().before(Duration::from_hours(1));
        let says = Says { subject, serial, from, life: Duration::from_hours(24 * 30), authority: false };
        format!("{}{}", authority.issue(says, key).pem(), authority.certificate().pem())
    }

    fn alipay(&self, serial: u64, key: &PrivateKey) -> String {
        Self::leaf(&self.alipay_class, "CN=Alipay Ltd-2088831204659217,OU=Alipay,C=CN", serial, key)
    }

    fn app(&self, app_id: &str, serial: u64, key: &PrivateKey) -> String {
        Self::leaf(&self.app_class, &format!("CN={SELLER}-{app_id},OU=Alipay,C=CN"), serial, key)
    }

    fn secrets(&self) -> SecretSettings {
        secrets(&[
            ("private_key", keys().app.0.clone()),
            ("app_cert", Secret::from_text(&self.app(APP, 100, &keys().app.1))),
            ("alipay_cert", Secret::from_text(&self.alipay(200, &keys().alipay.1))),
            ("alipay_root_cert", Secret::from_text(&self.root.certificate().pem())),
        ])
    }
}

fn secrets(list: &[(&str, Secret)]) -> SecretSettings {
    SecretSettings(list.iter().map(|(name, secret)| ((*name).to_owned(), secret.clone())).collect::<BTreeMap<_, _>>())
}

/// An account as the adapter sees it.
struct World {
    adapter: Alipay,
    mode: Mode,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    material: Vec<Material>,
    entropy: SeededEntropy,
}

impl World {
    /// In public-key mode.
    fn new() -> Self {
        let public = Secret::from_bytes(keys().alipay.1.public_der().to_vec());
        Self::with(secrets(&[("private_key", keys().app.0.clone()), ("alipay_public_key", public)]))
    }

    fn with(secrets: SecretSettings) -> Self {
        let settings = json!({ "app_id": APP, "seller_id": SELLER });
        Self {
            adapter: Alipay::new(),
            mode: Mode::Test,
            settings: settings.as_object().expect("an object").clone(),
            secrets: vec![secrets],
            material: Vec::new(),
            entropy: SeededEntropy::new(7),
        }
    }

    fn look<T>(&self, number: &str, with: impl FnOnce(&Context<'_>) -> T) -> T {
        let account = AccountView {
            id: AccountId(RawId([7; 12])),
            mode: self.mode,
            settings: &self.settings,
            secrets: &self.secrets,
            notify_url: NOTIFY_URL,
        };
        let refund = number == REFUND_NUMBER;
        let original = Original {
            number: NUMBER,
            numbered_at: now(),
            trade_number: TRADE,
            total: Money::new(8888, Currency::CNY).expect("in range"),
        };
        with(&Context {
            now: now(),
            entropy: &self.entropy,
            account,
            material: &self.material,
            subject: (!number.is_empty()).then_some(Subject { number, numbered_at: now() }),
            original: refund.then_some(original),
        })
    }

    fn prepare(&self, call: &Call) -> Prepared {
        self.look(number_of(call), |context| self.adapter.prepare(call, context))
    }

    fn sent(&self, call: &Call) -> HttpRequest {
        match self.prepare(call) {
            Prepared::Send(request) => request,
            Prepared::Done(answer) => panic!("nothing is sent: {:?}", answer.outcome),
            Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("nothing is sent"),
        }
    }

    fn interpret(&self, call: &Call, status: u16, body: &[u8]) -> Interpreted {
        let reply = HttpReply { status, headers: Vec::new(), body: Bytes::copy_from_slice(body) };
        self.look(number_of(call), |context| self.adapter.interpret(call, Step(0), &reply, context))
    }

    fn answer(&self, call: &Call, body: &[u8]) -> Answer {
        match self.interpret(call, 200, body) {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                panic!("it is no answer")
            }
        }
    }

    fn notified(&self, body: &str) -> Notified {
        let raw = RawNotification {
            headers: vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            query: String::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.look("", |context| self.adapter.notification(&raw, context))
    }
}

fn number_of(call: &Call) -> &'static str {
    match call {
        Call::Refund { .. } | Call::QueryRefund { .. } | Call::Void { .. } => REFUND_NUMBER,
        Call::Create { .. }
        | Call::Query { .. }
        | Call::Close { .. }
        | Call::Maintain
        | Call::PayerSession { .. }
        | Call::Authorize { .. } => NUMBER,
    }
}

fn code(text: &str) -> ChannelCode {
    text.parse().expect("a code")
}

fn cny(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("in range")
}

fn intent() -> Intent {
    Intent {
        amount: cny(8888),
        subject: "茶 100%+ & more".to_owned(),
        return_url: Some("https://shop.example.com/done?a=1&b=2".to_owned()),
        show_url: Some("https://shop.example.com/tea".to_owned()),
        payer: PayerInputs::default(),
        expires_at: now().after(Duration::from_hours(2)),
        token: None,
    }
}

fn create(name: &str, original_api: OriginalApi) -> Call {
    Call::Create { code: code(name), intent: intent(), original_api }
}

fn query() -> Call {
    Call::Query { code: code("ali_app") }
}

fn close() -> Call {
    Call::Close { code: code("ali_app") }
}

fn refund_intent() -> RefundIntent {
    RefundIntent { amount: cny(1000), reason: Some("正常退款".to_owned()) }
}

fn refund() -> Call {
    Call::Refund { code: code("ali_app"), refund: refund_intent() }
}

fn query_refund() -> Call {
    Call::QueryRefund { code: code("ali_app"), kind: RefundKind::Refund, refund: refund_intent() }
}

/// An answer under `root`, signed by `key`, with that certificate number.
fn signed_by(key: &PrivateKey, root: &str, object: &str, number: Option<&str>) -> String {
    let sign = key.sign_sha256_base64(object.as_bytes());
    let number = number.map_or_else(String::new, |number| format!(r#""alipay_cert_sn":"{number}","#));
    format!(r#"{{"{root}":{object},{number}"sign":"{sign}"}}"#)
}

fn root_of(call: &Call) -> &'static str {
    match call {
        Call::Create { .. } => "alipay_trade_precreate_response",
        Call::Query { .. } => "alipay_trade_query_response",
        Call::Close { .. } => "alipay_trade_close_response",
        Call::Refund { .. } => "alipay_trade_refund_response",
        Call::QueryRefund { .. } => "alipay_trade_fastpay_refund_query_response",
        Call::Maintain => "alipay_open_app_alipaycert_download_response",
        Call::Void { .. } | Call::PayerSession { .. } | Call::Authorize { .. } => "none",
    }
}

/// Alipay's answer to a call.
fn told(call: &Call, object: &Value) -> String {
    signed_by(&keys().alipay.1, root_of(call), &object.to_string(), None)
}

/// Alipay's notification of these fields.
fn notice(key: &PrivateKey, fields: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sign = key.sign_sha256_base64(notice_text(&pairs, true).as_bytes());
    pairs.push(("sign_type".to_owned(), "RSA2".to_owned()));
    pairs.push(("sign".to_owned(), sign));
    query_text(&pairs)
}

/// Whether the application's key signed these parameters of a request.
fn is_signed(pairs: &[(String, String)]) -> bool {
    let sign = pairs.iter().find(|(name, _)| name == "sign").map(|(_, value)| value.as_str()).unwrap_or_default();
    let public = PublicKey::read(keys().app.1.public_der()).expect("a key");
    public.verifies_sha256_base64(super::signed::request_text(pairs).as_bytes(), sign)
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

fn actions(prepared: Prepared) -> Vec<NamedAction> {
    match prepared {
        Prepared::Done(Answer { outcome: Outcome::AwaitingPayer(actions), .. }) => actions,
        Prepared::Done(answer) => panic!("no actions: {:?}", answer.outcome),
        Prepared::Send(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported => panic!("no actions"),
    }
}

/// The parameters of an order text, an address or a request.
fn pairs_of(action: &PayerAction) -> Vec<(String, String)> {
    match action {
        PayerAction::AppOrder { order } => canonical::read_query(order),
        PayerAction::Redirect { url } => canonical::read_query(url.split_once('?').expect("a query").1),
        PayerAction::Prepay { .. }
        | PayerAction::Form { .. }
        | PayerAction::QrText { .. }
        | PayerAction::WalletSession { .. } => panic!("nothing is signed in it"),
    }
}
