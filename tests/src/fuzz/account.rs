//! An account of a real channel, with everything its adapter is handed, and what must hold of every channel.

use std::fmt::Write;

use bytes::Bytes;
use maxpay_adapters::parts::rsa::PrivateKey;
use maxpay_adapters::simulator::authority::{Says, new_key};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_engine::channel::{
    AccountView, Acknowledgement, Adapter, Answer, Call, Context, Interpreted, Notified, Original, OriginalApi,
    Outcome, RawNotification, RefundIntent, RefundKind, SecretSettings, Step, Subject,
};
use maxpay_engine::clock::SeededEntropy;
use maxpay_engine::model::{AccountId, Currency, Intent, Mode, Money, PayerInputs, RawId, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// The moment at which everything is read: 2026-11-22 16:05:08 in Beijing.
pub(super) const NOW: u64 = 1_795_334_708_000;
/// The payment that calls are about, and the refund of it.
pub(super) const NUMBER: &str = "66f0a1b2c3d4e5f607182930";
const REFUND: &str = "66f0a1b2c3d4e5f607182930r000";
/// The provider's number for the payment that is refunded.
const TRADE: &str = "4200001";
/// Where the provider is: no host of anybody's.
pub(super) const PROVIDER: &str = "http://provider.invalid";
const STATUSES: [u16; 8] = [200, 202, 204, 400, 401, 404, 417, 500];

/// An account.
pub(super) struct Account {
    pub adapter: Box<dyn Adapter>,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    entropy: SeededEntropy,
}

impl Account {
    /// An account with these settings, secret ones too.
    pub fn new(adapter: impl Adapter + 'static, all: &Value) -> Self {
        let mut settings = all.as_object().expect("settings are an object").clone();
        let mut secrets = SecretSettings::default();
        for field in adapter.manifest().settings.iter().filter(|field| field.secret) {
            if let Some(Value::String(text)) = settings.remove(field.name) {
                secrets.0.insert(field.name.to_owned(), Secret::from_text(&text));
            }
        }
        Self { adapter: Box::new(adapter), settings, secrets: vec![secrets], entropy: SeededEntropy::new(1) }
    }

    pub fn text(&self, name: &str) -> String {
        self.settings.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// What the adapter is handed for a call about `call`'s number.
    pub fn context(&self, call: Option<&Call>) -> Context<'_> {
        let account = AccountView {
            id: AccountId(RawId([3; 12])),
            mode: Mode::Test,
            settings: &self.settings,
            secrets: &self.secrets,
            notify_url: "http://127.0.0.1/notify/any/030303030303030303030303",
        };
        let now = Timestamp::from_millis(NOW);
        Context {
            now,
            entropy: &self.entropy,
            account,
            material: &[],
            subject: call.map(|call| Subject { number: number_of(call), numbered_at: now }),
            original: Some(Original { number: NUMBER, numbered_at: now, trade_number: TRADE, total: cny(1999) }),
        }
    }

    pub fn notified(&self, headers: Vec<(String, String)>, body: &[u8]) -> Notified {
        let raw = RawNotification { headers, query: String::new(), body: Bytes::copy_from_slice(body) };
        self.adapter.notification(&raw, &self.context(None))
    }

    pub fn interpreted(&self, call: &Call, status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Interpreted {
        let reply = HttpReply { status, headers, body: Bytes::copy_from_slice(body) };
        self.adapter.interpret(call, Step(0), &reply, &self.context(Some(call)))
    }

    /// The answer, where nothing has to be fetched for it.
    pub fn answer(&self, call: &Call, status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Answer {
        match self.interpreted(call, status, headers, body) {
            Interpreted::Done(answer) => answer,
            Interpreted::NeedMaterial(_) | Interpreted::Learned(_) | Interpreted::Next { .. } => {
                panic!("under a key that is known there is nothing to learn")
            }
        }
    }

    /// Without the provider's key a notice proves nothing; at most a certificate is asked for, of the provider.
    pub fn unsigned_notice(&self, bytes: &[u8]) {
        let (headers, body) = head_and_body(bytes);
        match self.notified(headers, body) {
            Notified::Unverified { refusal, reason } => assert!(refuses(&refusal) && !reason.is_empty(), "{refusal:?}"),
            Notified::NeedMaterial(request) => asks_the_provider(&request),
            Notified::Verified { facts, .. } => panic!("{facts:?} without the key"),
            Notified::Hint { number, .. } => panic!("a hint at {number} without the key"),
        }
    }

    /// Without the provider's key an answer is silence, but for the refusals that the manifest lists.
    pub fn unsigned_reply(&self, call: &Call, status: u16, bytes: &[u8]) {
        let (headers, body) = head_and_body(bytes);
        match self.interpreted(call, status, headers, body) {
            Interpreted::Done(Answer { number, owners, provider_time, outcome }) => {
                assert!(number.is_none() && owners.is_empty() && provider_time.is_none(), "{number:?} {owners:?}");
                let listed = |outcome: &Outcome| {
                    self.adapter.manifest().unsigned.iter().any(|answer| answer.proves == outcome.name())
                };
                assert!(matches!(outcome, Outcome::Unknown(_)) || listed(&outcome), "{outcome:?} without the key");
            }
            Interpreted::NeedMaterial(request) => asks_the_provider(&request),
            Interpreted::Learned(_) => panic!("something was learned without the key"),
            Interpreted::Next { .. } => panic!("no channel asks twice"),
        }
    }
}

fn asks_the_provider(request: &HttpRequest) {
    assert!(request.url.as_str().starts_with(PROVIDER), "{}", request.url);
}

pub(super) fn refuses(answer: &Acknowledgement) -> bool {
    answer.status >= 400
}

/// Header lines up to an empty line, and what stands behind it.
pub(super) fn head_and_body(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((&[][..], bytes), |end| (&bytes[..end], &bytes[end + 2..]));
    let lines = head.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let pairs = lines.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
    (pairs.collect(), body)
}

pub(super) fn cny(minor: u64) -> Money {
    Money::new(minor, Currency::CNY).expect("small")
}

pub(super) fn status_of(byte: u8) -> u16 {
    STATUSES[usize::from(byte) % STATUSES.len()]
}

/// A call of a code.
pub(super) fn call_of(byte: u8, code: &str) -> Call {
    let code = code.parse().expect("a code");
    let refund = RefundIntent { amount: cny(100), reason: None };
    match byte % 8 {
        0 | 1 => Call::Create { code, intent: intent(), original_api: OriginalApi::No },
        2 | 3 => Call::Query { code },
        4 => Call::Close { code },
        5 => Call::Refund { code, refund },
        6 => Call::QueryRefund { code, kind: RefundKind::Refund, refund },
        _ => Call::Void { code, refund },
    }
}

pub(super) fn intent() -> Intent {
    Intent {
        amount: cny(1999),
        subject: "tea".to_owned(),
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: Timestamp::from_millis(NOW + 3_600_000),
        token: None,
    }
}

fn number_of(call: &Call) -> &'static str {
    match call {
        Call::Refund { .. } | Call::QueryRefund { .. } | Call::Void { .. } => REFUND,
        Call::Create { .. }
        | Call::Query { .. }
        | Call::Close { .. }
        | Call::Maintain
        | Call::PayerSession { .. }
        | Call::Authorize { .. } => NUMBER,
    }
}

/// Money moved where the text says a word for *paid*, as much as it says, under the number it says. Nothing that says
/// so ends without money. `trade` is the provider's number, `amount` minor units and currency.
pub(super) fn money_holds(outcome: &Outcome, is_paid: bool, trade: &str, amount: (Option<u64>, &str)) {
    match outcome {
        Outcome::Succeeded(paid) | Outcome::PaidThenReturned { paid, .. } => {
            assert!(is_paid, "{outcome:?}, and the text does not say so");
            assert_eq!((Some(paid.amount.minor()), paid.amount.currency().code()), amount);
            assert!(!trade.is_empty() && paid.trade_number == trade, "{} is not {trade}", paid.trade_number);
        }
        Outcome::Closed | Outcome::NotFound | Outcome::Declined(_) | Outcome::NotExecuted(_) | Outcome::Unpaid => {
            assert!(!is_paid, "{outcome:?}, and the text says paid");
        }
        Outcome::AwaitingPayer(actions) => assert!(!actions.is_empty()),
        Outcome::AccountRefused(_) | Outcome::Held(_) | Outcome::Processing | Outcome::Unknown(_) => {}
    }
}

/// A key of 2048 bits that is made for this process.
pub(super) fn key() -> (Secret, Arc<PrivateKey>) {
    let secret = new_key();
    let key = PrivateKey::read(&secret).expect("a key that was just made");
    (secret, key)
}

/// What a certificate says that is valid at [`NOW`].
pub(super) fn says(subject: &str, serial: u64, authority: bool) -> Says<'_> {
    let from = Timestamp::from_millis(1_577_836_800_000);
    Says { subject, serial, from, life: Duration::from_hours(24 * 365 * 30), authority }
}

/// Bytes with up to 64 changes, each told by four bytes of `edits`: what, where (two bytes), and a byte.
pub(super) fn edited(bytes: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_be_bytes([edit[1], edit[2]])) % (bytes.len() + 1);
        match edit[0] % 6 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= edit[3]),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = edit[3]),
            2 => bytes.insert(at, edit[3]),
            3 => drop(bytes.drain(at..(at + usize::from(edit[3])).min(bytes.len()))),
            4 => bytes.extend_from_within(at..(at + usize::from(edit[3])).min(bytes.len())),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Pairs of a form, each name once; `None`: a name is empty or stands twice.
pub(super) fn pairs_of(form: &[u8]) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
    pairs.sort();
    let once = pairs.windows(2).all(|two| two[0].0 != two[1].0);
    (once && pairs.iter().all(|(name, _)| !name.is_empty())).then_some(pairs)
}

/// `name=value` joined by `&`, in order.
pub(super) fn joined(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let and = if text.is_empty() { "" } else { "&" };
        write!(text, "{and}{name}={value}").expect("a string takes any text");
    }
    text
}

/// The value of a name; empty when it is not there.
pub(super) fn value(pairs: &[(String, String)], name: &str) -> String {
    pairs.iter().find(|(have, _)| have == name).map_or_else(String::new, |(_, value)| value.clone())
}
