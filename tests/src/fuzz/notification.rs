//! What a provider sends, read by the sandbox's adapter: notifications, and replies to calls.

use std::sync::LazyLock;

use bytes::Bytes;
use hmac::{Hmac, Mac};
use maxpay_adapters::sandbox::{SIGNATURE_HEADER, SIGNATURE_WINDOW, Sandbox};
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    AccountView, Acknowledgement, Adapter, Answer, Call, Context, Fact, FactSubject, Interpreted, Notified,
    OriginalApi, Outcome, RawNotification, SecretSettings, Step,
};
use maxpay_engine::clock::SeededEntropy;
use maxpay_engine::model::{AccountId, Currency, Intent, Mode, Money, PayerInputs, RawId, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sha2::Sha256;

const NOW: u64 = 1_795_377_908_118;
const SECRET: &str = "a secret between engine and sandbox";
const MERCHANT: &str = "2088000000000001";

static ACCOUNT: LazyLock<Account> = LazyLock::new(Account::new);

/// First byte: `n`, and header line and body of a notification follow; `N`, and the minutes since it was signed (a
/// digit) and a body follow; `r` and `R`, the same of replies, behind one byte for the call and one for the status.
pub fn check(bytes: &[u8]) {
    let account = &*ACCOUNT;
    match bytes {
        [b'n', rest @ ..] => account.unsigned_notification(rest),
        [b'N', age, body @ ..] => account.signed_notification(signed_at(*age), body),
        [b'r', call, status, rest @ ..] => account.unsigned_reply(&call_of(*call).0, status_of(*status), rest),
        [b'R', call, status, age, body @ ..] => {
            account.signed_reply(&call_of(*call), status_of(*status), signed_at(*age), body);
        }
        _ => {}
    }
}

/// One account of the sandbox.
struct Account {
    sandbox: Sandbox,
    settings: Map<String, Value>,
    secrets: Vec<SecretSettings>,
    entropy: SeededEntropy,
}

/// What a signed body must say before it counts, read independently of the adapter.
#[derive(Deserialize)]
struct Said {
    merchant_id: String,
    number: String,
    state: String,
    payment: Option<SaidPayment>,
    returned: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct SaidPayment {
    trade_number: String,
    amount: u64,
    currency: String,
    // Last, as in the dialect: serde also takes an array of the values in order.
    #[serde(rename = "paid_at")]
    _paid_at: IgnoredAny,
}

impl Said {
    fn read(body: &[u8]) -> Option<Self> {
        if body.trim_ascii_start().starts_with(b"{") { serde_json::from_slice(body).ok() } else { None }
    }
}

impl Account {
    fn new() -> Self {
        let settings = [("merchant_id", MERCHANT), ("base_url", "http://sandbox.invalid")];
        let secrets = SecretSettings([("secret".to_owned(), Secret::from_text(SECRET))].into());
        Self {
            sandbox: Sandbox::new(),
            settings: settings.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect(),
            secrets: vec![secrets],
            entropy: SeededEntropy::new(1),
        }
    }

    fn context(&self) -> Context<'_> {
        let account = AccountView {
            id: AccountId(RawId([3; 12])),
            mode: Mode::Test,
            settings: &self.settings,
            secrets: &self.secrets,
            notify_url: "http://127.0.0.1/notify/sandbox/030303030303030303030303",
        };
        Context {
            now: Timestamp::from_millis(NOW),
            entropy: &self.entropy,
            account,
            material: &[],
            subject: None,
            original: None,
        }
    }

    fn notified(&self, header: &str, body: &[u8]) -> Notified {
        let headers = vec![(SIGNATURE_HEADER.to_owned(), header.to_owned())];
        let raw = RawNotification { headers, query: String::new(), body: Bytes::copy_from_slice(body) };
        self.sandbox.notification(&raw, &self.context())
    }

    fn answer(&self, call: &Call, status: u16, header: &str, body: &[u8]) -> Answer {
        let headers =
            if header.is_empty() { Vec::new() } else { vec![(SIGNATURE_HEADER.to_owned(), header.to_owned())] };
        let reply = HttpReply { status, headers, body: Bytes::copy_from_slice(body) };
        match self.sandbox.interpret(call, Step(0), &reply, &self.context()) {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                panic!("the sandbox asks once and needs nothing")
            }
        }
    }

    /// Without the key nothing is proved.
    fn unsigned_notification(&self, bytes: &[u8]) {
        let (header, body) = head_and_body(bytes);
        match self.notified(&header, body) {
            Notified::Unverified { refusal, reason } => assert!(refuses(&refusal) && !reason.is_empty(), "{refusal:?}"),
            Notified::Verified { .. } | Notified::Hint { .. } | Notified::NeedMaterial(_) => panic!("{header} counts"),
        }
    }

    /// With the key, and in time, it says what its body says and nothing more.
    fn signed_notification(&self, at: Timestamp, body: &[u8]) {
        let header = signature(at, format!("notice\n{}\n", at.millis()).as_bytes(), body);
        let said = Said::read(body);
        match self.notified(&header, body) {
            Notified::Verified { facts, ack, refusal } => {
                let said = said.expect("what counts can be read");
                let [Fact { subject, numbered_at: None, owners, provider_time, outcome }] = &facts[..] else {
                    panic!("{facts:?}")
                };
                assert_eq!(*subject, FactSubject::Attempt(said.number.clone()));
                assert_eq!(owners, &[("merchant_id", said.merchant_id.clone())]);
                assert!(*provider_time == Some(at) && in_time(at), "{provider_time:?}");
                assert!(ack.status == 200 && refuses(&refusal), "{ack:?} {refusal:?}");
                outcome_holds(outcome, &said);
            }
            Notified::Hint { number, ack, refusal } => {
                assert!(in_time(at) && said.is_some_and(|said| said.number == number), "{number}");
                assert!(ack.status == 200 && refuses(&refusal), "{ack:?} {refusal:?}");
            }
            Notified::Unverified { refusal, .. } => assert!(refuses(&refusal), "{refusal:?}"),
            Notified::NeedMaterial(_) => panic!("the sandbox needs nothing"),
        }
    }

    /// Without the key a reply is silence, but for the door's refusals, which come with 401.
    fn unsigned_reply(&self, call: &Call, status: u16, bytes: &[u8]) {
        let (header, body) = head_and_body(bytes);
        let answer = self.answer(call, status, &header, body);
        assert!(answer.number.is_none() && answer.owners.is_empty() && answer.provider_time.is_none(), "{answer:?}");
        let is_silence = matches!(answer.outcome, Outcome::Unknown(_));
        let is_refusal = matches!(answer.outcome, Outcome::AccountRefused(_) | Outcome::NotExecuted(_));
        let may_refuse = status == 401 && header.is_empty();
        assert!(is_silence || is_refusal && may_refuse, "{status} without a signature proves {:?}", answer.outcome);
    }

    /// With the key, and in time, a reply says what its body says and nothing more.
    fn signed_reply(&self, (call, path): &(Call, &str), status: u16, at: Timestamp, body: &[u8]) {
        let header = signature(at, format!("reply\n{}\n{path} {status}\n", at.millis()).as_bytes(), body);
        let answer = self.answer(call, status, &header, body);
        if answer.number.is_none() {
            assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{answer:?}");
            return;
        }
        let said = Said::read(body).expect("what counts can be read");
        assert_eq!(answer.number.as_deref(), Some(said.number.as_str()));
        assert_eq!(answer.owners, [("merchant_id", said.merchant_id.clone())]);
        assert!(answer.provider_time == Some(at) && in_time(at), "{answer:?}");
        outcome_holds(&answer.outcome, &said);
    }
}

/// Money moved only where the body says *paid* and how much; nothing is closed or declined by another word.
fn outcome_holds(outcome: &Outcome, said: &Said) {
    match outcome {
        Outcome::Succeeded(paid) | Outcome::PaidThenReturned { paid, .. } => {
            assert_eq!(said.state, "paid");
            let payment = said.payment.as_ref().expect("a payment is named");
            assert_eq!((paid.amount.minor(), paid.amount.currency().code()), (payment.amount, &*payment.currency));
            assert_eq!(paid.trade_number, payment.trade_number);
            assert_eq!(matches!(outcome, Outcome::PaidThenReturned { .. }), said.returned.is_some());
        }
        Outcome::Closed => {
            assert!(said.state == "closed" && said.payment.is_none() && said.returned.is_none(), "{}", said.state);
        }
        Outcome::Declined(_) => assert!(["declined", "invalid"].contains(&&*said.state), "{}", said.state),
        Outcome::NotFound => assert_eq!(said.state, "not_found"),
        Outcome::NotExecuted(_) => assert_eq!(said.state, "busy"),
        Outcome::Processing => assert_eq!(said.state, "processing"),
        Outcome::Unpaid => assert!(["open", "duplicate"].contains(&&*said.state), "{}", said.state),
        Outcome::AwaitingPayer(actions) => {
            assert!(["open", "session"].contains(&&*said.state) && !actions.is_empty(), "{}", said.state);
        }
        Outcome::Unknown(_) => {}
        Outcome::AccountRefused(_) | Outcome::Held(_) => panic!("the sandbox says no {outcome:?} under a signature"),
    }
}

fn refuses(answer: &Acknowledgement) -> bool {
    answer.status >= 400
}

fn head_and_body(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.get(end + 1..).unwrap_or_default())
}

fn signature(at: Timestamp, head: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    mac.update(head);
    mac.update(body);
    format!("t={},v1={}", at.millis(), hex::encode(mac.finalize().into_bytes()))
}

/// So many minutes ago as the digit says.
fn signed_at(age: u8) -> Timestamp {
    let minutes = u64::from(age.saturating_sub(b'0'));
    Timestamp::from_millis(NOW - minutes * 60_000)
}

fn in_time(at: Timestamp) -> bool {
    Timestamp::from_millis(NOW).since(at) <= SIGNATURE_WINDOW
}

fn status_of(byte: u8) -> u16 {
    [200, 201, 400, 401, 404, 500, 503][usize::from(byte) % 7]
}

/// A call, and the path that its reply is signed with.
fn call_of(byte: u8) -> (Call, &'static str) {
    let code = ["ali_qrcode", "wx_app", "wx_native", "wx_h5", "unipay_app", "apple_pay"][usize::from(byte / 8) % 6];
    let code = code.parse().expect("a code");
    let intent = Intent {
        amount: Money::new(1999, Currency::CNY).expect("small"),
        subject: "tea".to_owned(),
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: Timestamp::from_millis(NOW + 3_600_000),
        token: None,
    };
    match byte % 8 {
        0..=2 => (Call::Create { code, intent, original_api: OriginalApi::No }, "/v1/orders"),
        3 | 4 => (Call::Query { code }, "/v1/orders/query"),
        5 => (Call::Close { code }, "/v1/orders/close"),
        6 => (Call::PayerSession { code, validation_url: None }, "/v1/sessions"),
        _ => (Call::Authorize { code, intent, token: Secret::from_text("{}") }, "/v1/charges"),
    }
}
