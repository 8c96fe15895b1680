//! What UnionPay sends, read by its adapter: notices and answers.

use std::sync::{Arc, LazyLock};

use maxpay_adapters::parts::rsa::PrivateKey;
use maxpay_adapters::simulator::authority::Authority;
use maxpay_adapters::unionpay::UnionPay;
use maxpay_engine::channel::{Call, FactSubject, Notified, Outcome};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::account::{Account, PROVIDER, call_of, joined, key, money_holds, pairs_of, refuses, says, status_of, value};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

struct World {
    account: Account,
    unionpay: Signer,
    /// Another merchant of the same authority: only its name gives it away.
    merchant: Signer,
    /// UnionPay's name under another root.
    stranger: Signer,
}

struct Signer(Arc<PrivateKey>, String);

/// First byte `n`: a notice nobody signed. `N`: a form that UnionPay signs. `m`, `s`: one that another merchant, a
/// stranger signs. `r`: an answer nobody signed, behind a call and a status. `R`: values that UnionPay signs, behind a call.
pub fn check(bytes: &[u8]) {
    let world = &*WORLD;
    match bytes {
        [b'n', rest @ ..] => world.account.unsigned_notice(rest),
        [b'N', rest @ ..] => world.signed_notice(rest),
        [b'm', rest @ ..] => world.forged(rest, &world.merchant),
        [b's', rest @ ..] => world.forged(rest, &world.stranger),
        [b'r', call, status, rest @ ..] => {
            world.account.unsigned_reply(&call_of(*call, "unipay_app"), status_of(*status), rest);
        }
        [b'R', call, rest @ ..] => world.signed_reply(&call_of(*call, "unipay_app"), rest),
        _ => {}
    }
}

impl World {
    fn new() -> Self {
        const NAME: &str = "CN=041@8310000000083040@中国银联股份有限公司@00016495,C=CN";
        let (_, above) = key();
        let root = Authority::root(Arc::clone(&above), says("CN=Root,C=CN", 1, true));
        let middle = root.below(above, says("CN=Middle,C=CN", 2, true));
        let strange = Authority::root(key().1, says("CN=Middle,C=CN", 2, true));
        let signer = |authority: &Authority, name: &str| {
            let (_, key) = key();
            let pem = authority.issue(says(name, 69_678_957_876, false), &key).pem();
            Signer(key, pem)
        };
        let settings = json!({
            "merchant_id": "777290058110048",
            "gateway": PROVIDER,
            "certificates": format!("{}{}", root.certificate().pem(), middle.certificate().pem()),
        });
        Self {
            account: Account::new(UnionPay::new(), &settings),
            unionpay: signer(&middle, NAME),
            merchant: signer(&middle, "CN=041@Z2026-1-1@777290058110048:SIGN@00000001,C=CN"),
            stranger: signer(&strange, NAME),
        }
    }

    /// With the key a notice says what its form says and nothing more.
    fn signed_notice(&self, form: &[u8]) {
        let Some((pairs, body)) = signed(form, &self.unionpay) else { return };
        let said = |name: &str| value(&pairs, name);
        match self.account.notified(Vec::new(), body.as_bytes()) {
            Notified::Verified { facts, ack, refusal } => {
                let [fact] = &facts[..] else { panic!("{facts:?}") };
                let payment = FactSubject::Attempt(said("orderId"));
                let subject = if said("txnType") == "01" { payment } else { FactSubject::Refund(said("orderId")) };
                assert_eq!(fact.subject, subject);
                assert_eq!(fact.owners, [("merchant_id", said("merId"))]);
                assert!(fact.numbered_at.is_some() && ack.status == 200 && refuses(&refusal));
                assert!(["01", "04", "31"].contains(&&*said("txnType")));
                money(&fact.outcome, &said, "respCode");
            }
            Notified::Hint { number, .. } => {
                assert_eq!((number, said("merId")), (said("orderId"), self.account.text("merchant_id")));
            }
            Notified::Unverified { refusal, .. } => assert!(refuses(&refusal)),
            Notified::NeedMaterial(_) => panic!("the certificate is in the notice"),
        }
    }

    fn forged(&self, form: &[u8], signer: &Signer) {
        let Some((_, body)) = signed(form, signer) else { return };
        self.account.unsigned_notice(&[b"\n\n", body.as_bytes()].concat());
        let call = Call::Query { code: "unipay_app".parse().expect("a code") };
        self.account.unsigned_reply(&call, 200, &[b"\n\n", body.as_bytes()].concat());
    }

    /// With the key an answer says what its values say and nothing more.
    fn signed_reply(&self, call: &Call, form: &[u8]) {
        let Some((mut pairs, _)) = signed(form, &self.unionpay) else { return };
        // Answers are not url-encoded: a value that parts pairs would say something else.
        let plain = |text: &str, not: &[char]| !text.contains(not);
        if !pairs.iter().all(|(name, value)| plain(name, &['=', '&', '{', '[']) && plain(value, &['&', '{', '['])) {
            return;
        }
        let text = joined(&pairs);
        if text.ends_with(['\r', '\n']) {
            return;
        }
        let answer = self.account.answer(call, 200, Vec::new(), text.as_bytes());
        if matches!(answer.outcome, Outcome::Unknown(_)) {
            return;
        }
        pairs.sort();
        let said = |name: &str| value(&pairs, name);
        assert_eq!(answer.number, Some(said("orderId")));
        assert_eq!(answer.owners, [("merchant_id", said("merId"))]);
        if matches!(call, Call::Query { .. } | Call::QueryRefund { .. }) && said("respCode") == "00" {
            money(&answer.outcome, &said, "origRespCode");
        } else {
            let moved = matches!(answer.outcome, Outcome::Succeeded(_) | Outcome::PaidThenReturned { .. });
            assert!(!moved && !matches!(answer.outcome, Outcome::Closed), "{answer:?}");
        }
        if let Outcome::AwaitingPayer(_) = answer.outcome {
            assert!(!said("tn").is_empty() && said("respCode") == "00");
        }
    }
}

/// The pairs with certificate and signature, and the form of them. Empty values are as if they were not there.
fn signed(form: &[u8], signer: &Signer) -> Option<(Vec<(String, String)>, String)> {
    let mut pairs = pairs_of(form)?;
    pairs
        .retain(|(name, value)| !value.is_empty() && !["signature", "signPubKeyCert", "signMethod"].contains(&&**name));
    pairs.push(("signPubKeyCert".to_owned(), signer.1.clone()));
    pairs.push(("signMethod".to_owned(), "01".to_owned()));
    pairs.sort();
    let digest = hex::encode(Sha256::digest(joined(&pairs).as_bytes()));
    pairs.push(("signature".to_owned(), signer.0.sign_sha256_base64(digest.as_bytes())));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    Some((pairs, body))
}

/// What the text says of money; `code` names the field that speaks of the transaction.
fn money(outcome: &Outcome, said: &dyn Fn(&str) -> String, code: &str) {
    let is_paid = ["00", "A6", "42"].contains(&&*said(code));
    assert!(!matches!(outcome, Outcome::Closed), "UnionPay closes nothing");
    money_holds(outcome, is_paid, &said("queryId"), (said("txnAmt").parse().ok(), "CNY"));
    if let Outcome::PaidThenReturned { .. } = outcome {
        assert_eq!(said(code), "42");
    }
}
