//! What payers' devices, Apple and the acquirer send, read by the adapter of Apple Pay: tokens, the signatures in them,
//! sessions and answers.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use maxpay_adapters::applepay::simulator::{Simulator, SimulatorParts, TokenVersion, TokenWish};
use maxpay_adapters::applepay::{ApplePay, Https, SIGNATURE_HEADER, SIGNATURE_WINDOW};
use maxpay_adapters::simulator::Ledger;
use maxpay_engine::channel::{Answer, Call, Interpreted, Outcome};
use maxpay_engine::clock::{SeededEntropy, VirtualClock};
use maxpay_engine::model::{ChannelCode, PayerAction, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::account::{Account, NOW, NUMBER, PROVIDER, call_of, cny, edited, intent, money_holds, status_of};

const MERCHANT: &str = "merchant.com.example.shop";

static WORLD: LazyLock<World> = LazyLock::new(World::new);

struct World {
    account: Account,
    /// Genuine tokens, EC_v1 and RSA_v1.
    tokens: [Value; 2],
    secret: String,
}

/// First byte `t`: a token nobody signed. `T`: a genuine one, by its version, with changes of its text. `w`: a session
/// behind a status. `r`: an answer nobody signed, behind a call and a status. `R`: one that the acquirer signs, behind
/// call, status and the minutes since (a digit).
pub fn check(bytes: &[u8]) {
    let world = &*WORLD;
    match bytes {
        [b't', rest @ ..] => assert!(world.once_key(rest).is_none(), "a token that nobody signed is taken"),
        [b'T', version, rest @ ..] => {
            let token = &world.tokens[usize::from(version % 2)];
            world.same_or_refused(token, &edited(token.to_string().as_bytes(), rest));
        }
        [b'w', status, rest @ ..] => world.session(status_of(*status), rest),
        [b'r', call, status, rest @ ..] => {
            world.account.unsigned_reply(&charge_of(*call), status_of(*status), rest);
        }
        [b'R', call, status, age, body @ ..] => world.signed_reply(&charge_of(*call), status_of(*status), *age, body),
        _ => {}
    }
}

/// First byte `s`: a signature in BER that stands in a token of ours. `S`: a genuine one, by its version, with changes.
pub fn check_signature(bytes: &[u8]) {
    let world = &*WORLD;
    match bytes {
        [b's', version, rest @ ..] => {
            let token = World::signed_by(&world.tokens[usize::from(version % 2)], rest);
            assert!(world.once_key(token.to_string().as_bytes()).is_none(), "a stranger's signature is taken");
        }
        [b'S', version, rest @ ..] => {
            let token = &world.tokens[usize::from(version % 2)];
            let genuine = token["paymentData"]["signature"].as_str().expect("a text");
            let genuine = STANDARD.decode(genuine).expect("base64");
            let changed = World::signed_by(token, &edited(&genuine, rest));
            world.same_or_refused(token, changed.to_string().as_bytes());
        }
        _ => {}
    }
}

impl World {
    fn new() -> Self {
        let simulator = Simulator::open(SimulatorParts {
            base_url: PROVIDER.to_owned(),
            ledger: Ledger::memory(),
            clock: Arc::new(VirtualClock::at(Timestamp::from_millis(NOW))),
            entropy: Arc::new(SeededEntropy::new(1)),
        });
        let simulator = simulator.expect("new books");
        simulator.enrol(MERCHANT, "shop.example.com").expect("a merchant");
        let settings = Value::Object(simulator.settings(MERCHANT).expect("it is enrolled"));
        let token = |version| {
            let wish = TokenWish { version, ..TokenWish::of(cny(1999)) };
            let token = simulator.token(MERCHANT, &wish).expect("a token");
            serde_json::from_slice(token.expose()).expect("JSON")
        };
        Self {
            tokens: [token(TokenVersion::Ec), token(TokenVersion::Rsa)],
            secret: settings["acquirer_secret"].as_str().expect("a text").to_owned(),
            account: Account::new(ApplePay::new(Https), &settings),
        }
    }

    /// Under which key a token is taken; `None`: it is refused.
    fn once_key(&self, token: &[u8]) -> Option<String> {
        let call = Call::Query { code: code() };
        let context = self.account.context(Some(&call));
        let token = Secret::from_bytes(token.to_vec());
        match self.account.adapter.verify_token(&code(), &intent(), &token, &context) {
            Ok(verified) => Some(verified.once_key),
            Err(why) => {
                assert!(!why.is_empty());
                None
            }
        }
    }

    /// A genuine token that was changed is taken for itself or not at all.
    fn same_or_refused(&self, genuine: &Value, changed: &[u8]) {
        let wanted = genuine["paymentData"]["header"]["transactionId"].as_str().expect("a text");
        match self.once_key(changed) {
            Some(once_key) => assert_eq!(once_key, wanted.to_lowercase()),
            None => assert!(changed != genuine.to_string().as_bytes(), "a genuine token is refused"),
        }
    }

    fn signed_by(token: &Value, signature: &[u8]) -> Value {
        let mut token = token.clone();
        token["paymentData"]["signature"] = STANDARD.encode(signature).into();
        token
    }

    /// A session is an object that came with 200, as it came.
    fn session(&self, status: u16, body: &[u8]) {
        let call = Call::PayerSession { code: code(), validation_url: None };
        match self.account.interpreted(&call, status, Vec::new(), body) {
            Interpreted::Done(Answer { outcome: Outcome::AwaitingPayer(actions), .. }) => {
                let [one] = &actions[..] else { panic!("{actions:?}") };
                let PayerAction::WalletSession { session: Some(session) } = &one.action else { panic!("{one:?}") };
                assert!(status == 200 && session.as_bytes() == body);
                assert!(serde_json::from_slice::<Value>(body).is_ok_and(|value| value.is_object()));
            }
            Interpreted::Done(answer) => {
                assert!(matches!(answer.outcome, Outcome::Unknown(_) | Outcome::Declined(_)), "{answer:?}");
            }
            Interpreted::Learned(_) | Interpreted::Next { .. } | Interpreted::NeedMaterial(_) => panic!("one answer"),
        }
    }

    /// With the key, and in time, an answer says what its body says and nothing more.
    fn signed_reply(&self, call: &Call, status: u16, age: u8, body: &[u8]) {
        let at = NOW - 60_000 * u64::from(age.saturating_sub(b'0'));
        let path = path_of(call);
        let text = format!("reply\n{at}\n{path} {status}\n{}\n", hex::encode(Sha256::digest(body)));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length will do");
        mac.update(text.as_bytes());
        let header = format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()));
        let answer = self.account.answer(call, status, vec![(SIGNATURE_HEADER.to_owned(), header)], body);
        if matches!(answer.outcome, Outcome::Unknown(_)) {
            return;
        }
        let at = Timestamp::from_millis(at);
        assert!(answer.provider_time == Some(at) && Timestamp::from_millis(NOW).since(at) <= SIGNATURE_WINDOW);
        // What stands in fields that nobody reads need not be UTF-8.
        let said: Value = serde_json::from_str(&String::from_utf8_lossy(body)).expect("what counts is JSON");
        let text = |name: &str| said[name].as_str().unwrap_or_default();
        assert_eq!(answer.number.as_deref(), Some(text("number")));
        assert_eq!(answer.owners, [("acquirer_merchant_id", text("merchant_id").to_owned())]);
        let amount = (said["amount"].as_u64(), text("currency"));
        money_holds(&answer.outcome, text("state") == "approved", text("trade_number"), amount);
    }
}

fn code() -> ChannelCode {
    "apple_pay".parse().expect("a code")
}

/// What the acquirer is asked.
fn charge_of(byte: u8) -> Call {
    match call_of(byte, "apple_pay") {
        Call::Create { .. } => Call::Authorize { code: code(), intent: intent(), token: Secret::from_text("{}") },
        Call::Close { .. } => Call::Query { code: code() },
        call @ (Call::Query { .. }
        | Call::Void { .. }
        | Call::Refund { .. }
        | Call::QueryRefund { .. }
        | Call::Maintain
        | Call::PayerSession { .. }
        | Call::Authorize { .. }) => call,
    }
}

fn path_of(call: &Call) -> &'static str {
    match call {
        Call::Authorize { .. } => "/v1/charges",
        Call::Query { .. } => "/v1/charges/query",
        Call::Void { .. } => "/v1/voids",
        Call::Refund { .. } => "/v1/refunds",
        Call::QueryRefund { .. } => "/v1/refunds/query",
        Call::Create { .. } | Call::Close { .. } | Call::Maintain | Call::PayerSession { .. } => NUMBER,
    }
}
