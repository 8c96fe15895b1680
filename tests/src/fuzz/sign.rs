//! `X-ML-Request-Sign`: what it says, and whether it lets anybody in.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use maxpay_engine::Engine;
use maxpay_engine::api::{CreateApp, Credential, Proof, Right, Scope, Unauthenticated};
use maxpay_engine::clock::VirtualClock;
use maxpay_engine::model::{AppId, KeyKind, LatePolicy, Mode, Timestamp};
use maxpay_transports::http::maxleap::read_sign;
use md5::{Digest, Md5};
use sha2::Sha256;
use tokio::runtime::Runtime;

/// The time, which stands still.
const NOW: u64 = 1_795_377_908_118;
/// How far from it a sign by a key other than a client's may be.
const AGE_MAX: u64 = 15 * 60 * 1000;

static SHOP: LazyLock<Shop> = LazyLock::new(Shop::open);

/// An app, and its keys in the clear.
struct Shop {
    engine: Engine,
    runtime: Runtime,
    app: AppId,
    keys: Vec<(KeyKind, Mode, String)>,
}

/// A header; or, behind `!` and two letters that choose a key and a digest, a time: then the header is made with them.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let shop = &*SHOP;
    match text.strip_prefix('!').and_then(|rest| rest.split_at_checked(2)) {
        Some((chosen, rest)) => shop.holds(&shop.made(chosen.as_bytes(), rest)),
        None => shop.holds(text),
    }
}

impl Shop {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = VirtualClock::at(Timestamp::from_millis(NOW));
        let engine = Engine::builder().memory().clock(Arc::new(clock)).start().expect("an engine in memory starts");
        let request = CreateApp { name: "Shop".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
        let created = runtime.block_on(engine.create_app(request, None)).expect("an app can be made");
        let keys = created.issued.iter().map(|issued| {
            let secret = issued.secret.as_ref().and_then(|secret| secret.expose_text()).expect("keys are text");
            (issued.key.kind, issued.key.mode, secret.to_owned())
        });
        Self { app: created.app.id, keys: keys.collect(), engine, runtime }
    }

    /// The header that the chosen key makes for `time`, whatever stands in that.
    fn made(&self, chosen: &[u8], time: &str) -> String {
        let [key, hash] = chosen else { return time.to_owned() };
        let key = &self.keys[usize::from(*key) % self.keys.len()].2;
        let said = time.split(',').next().unwrap_or_default().trim();
        let digest = if hash % 2 == 0 { md5(said, key) } else { sha256(said, key) };
        format!("{digest},{time}")
    }

    /// A sign that reads is spelled in one way, and lets its request in exactly when a key that it may claim made it.
    fn holds(&self, header: &str) {
        let Some(proof) = read_sign(header) else { return };
        let Proof::Sign { digest, timestamp, master } = &proof else { panic!("{header} became {proof:?}") };
        let written = format!("{digest},{timestamp}{}", if *master { ",master" } else { "" });
        assert_eq!(spelled(read_sign(&written)), spelled(read_sign(header)), "{header}");
        let wanted = self.allowed(digest, timestamp, *master);
        let shown = Credential::App { app_id: self.app, proofs: vec![proof] };
        let answer = async { tokio::time::timeout(Duration::from_secs(10), self.engine.authenticate(shown)).await };
        match (self.runtime.block_on(answer).expect("an answer in time"), wanted) {
            (Ok(principal), Some((mode, right))) => {
                assert_eq!(principal.scope, Some(Scope { app_id: self.app, mode }), "{header}");
                assert_eq!(principal.right, right, "{header}");
            }
            (Err(Unauthenticated::SignInvalid), None) => {}
            (answer, wanted) => panic!("{header}: {answer:?}, not {wanted:?}"),
        }
    }

    /// Whom a sign stands for, found without the engine.
    fn allowed(&self, digest: &str, timestamp: &str, master: bool) -> Option<(Mode, Right)> {
        let at: u64 = timestamp.parse().ok()?;
        let is_old = at.abs_diff(NOW) > AGE_MAX;
        let right = |kind: KeyKind| match kind {
            KeyKind::Master if master && !is_old => Some(Right::App),
            KeyKind::Api if !master && !is_old => Some(Right::Payments),
            KeyKind::Client if !master => Some(Right::Client),
            KeyKind::Master | KeyKind::Api | KeyKind::Client | KeyKind::SessionToken => None,
        };
        let made = |key: &str| [md5(timestamp, key), sha256(timestamp, key)].iter().any(|made| made == digest);
        self.keys.iter().find_map(|(kind, mode, key)| Some((*mode, right(*kind).filter(|_| made(key))?)))
    }
}

fn spelled(proof: Option<Proof>) -> Option<(String, String, bool)> {
    match proof? {
        Proof::Sign { digest, timestamp, master } => Some((digest, timestamp, master)),
        other @ (Proof::SessionToken(_) | Proof::MasterKey(_) | Proof::ApiKey(_) | Proof::ClientKey(_)) => {
            panic!("a sign became {other:?}")
        }
    }
}

fn md5(time: &str, key: &str) -> String {
    hex::encode(Md5::new().chain_update(time).chain_update(key).finalize())
}

fn sha256(time: &str, key: &str) -> String {
    hex::encode(Sha256::new().chain_update(key).chain_update(time).finalize())
}
