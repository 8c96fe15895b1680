//! Who is asking: bearer keys of the native API, and the proofs of the original one.

use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::api::{Credential, Principal, Proof, Right, Scope, SignRules, Unauthenticated};
use crate::directory::{LoadedApp, LoadedKey};
use crate::engine::Inner;
use crate::model::{AppId, KeyKind, KeyOwner, Timestamp};
use crate::secrets::Secret;
use crate::{Engine, Error};

impl Engine {
    /// Finds out who is asking, and what they may do.
    ///
    /// Of an app's proofs the first that holds decides, in the order session token, master key, API key, client key,
    /// sign. When none holds, the first one says why: so a valid sign wins over a session token of somebody else's
    /// user table that comes along with it.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    pub async fn authenticate(&self, credential: Credential) -> Result<Principal, Unauthenticated> {
        match credential {
            Credential::Bearer(key) => self.inner().bearer(&key).await,
            Credential::App { app_id, proofs } => self.inner().app_proofs(app_id, proofs).await,
        }
    }
}

impl Inner {
    async fn bearer(&self, key: &Secret) -> Result<Principal, Unauthenticated> {
        if key.is_empty() {
            return Err(Unauthenticated::Missing);
        }
        let owner = self.directory.key_owner(self.sealer.lookup_digest(key.expose())).await.map_err(unavailable)?;
        match owner.ok_or(Unauthenticated::KeyMismatch)? {
            owner @ KeyOwner::Operator(_) => Ok(Principal { owner, scope: None, right: Right::Operator }),
            KeyOwner::App(app, id) => {
                let app = self.enabled_app(app).await?;
                let found = app.key(id).filter(|found| found.secret == *key);
                found.map(|found| principal(&app, found)).ok_or(Unauthenticated::KeyMismatch)
            }
        }
    }

    async fn app_proofs(&self, app: AppId, proofs: Vec<Proof>) -> Result<Principal, Unauthenticated> {
        let app = self.enabled_app(app).await?;
        judge(&app, proofs, self.clock.now().wall, self.settings.sign_rules)
    }

    async fn enabled_app(&self, id: AppId) -> Result<std::sync::Arc<LoadedApp>, Unauthenticated> {
        let app = self.directory.app(id).await.map_err(unavailable)?;
        app.filter(|app| !app.record.disabled).ok_or(Unauthenticated::UnknownApp)
    }
}

fn unavailable(why: Error) -> Unauthenticated {
    tracing::error!(%why, "a credential cannot be checked");
    Unauthenticated::Unavailable
}

/// What the proofs come to.
fn judge(
    app: &LoadedApp,
    mut proofs: Vec<Proof>,
    now: Timestamp,
    rules: SignRules,
) -> Result<Principal, Unauthenticated> {
    proofs.sort_by_key(rank);
    let mut first_refusal = None;
    for proof in &proofs {
        match check(app, proof, now, rules) {
            Ok(principal) => return Ok(principal),
            Err(why) => first_refusal = first_refusal.or(Some(why)),
        }
    }
    Err(first_refusal.unwrap_or(Unauthenticated::Missing))
}

/// The order in which the original's gateway looks at credentials.
fn rank(proof: &Proof) -> u8 {
    match proof {
        Proof::SessionToken(_) => 0,
        Proof::MasterKey(_) => 1,
        Proof::ApiKey(_) => 2,
        Proof::ClientKey(_) => 3,
        Proof::Sign { .. } => 4,
    }
}

fn check(app: &LoadedApp, proof: &Proof, now: Timestamp, rules: SignRules) -> Result<Principal, Unauthenticated> {
    let named = |kind, secret: &Secret| {
        let key = app.keys.iter().find(|key| key.kind == kind && key.secret == *secret);
        key.map(|key| principal(app, key)).ok_or(Unauthenticated::KeyMismatch)
    };
    match proof {
        Proof::SessionToken(token) => session(app, token, now),
        Proof::MasterKey(key) => named(KeyKind::Master, key),
        Proof::ApiKey(key) => named(KeyKind::Api, key),
        Proof::ClientKey(key) => named(KeyKind::Client, key),
        Proof::Sign { digest, timestamp, master } => sign(app, digest, timestamp, *master, now, rules),
    }
}

/// A session token, or a master key in its place: the guide of early 2016 told people so.
fn session(app: &LoadedApp, token: &Secret, now: Timestamp) -> Result<Principal, Unauthenticated> {
    let counts = |kind| match kind {
        KeyKind::SessionToken | KeyKind::Master => true,
        KeyKind::Client | KeyKind::Api => false,
    };
    let found = app.keys.iter().find(|key| counts(key.kind) && key.secret == *token);
    let key = found.ok_or(Unauthenticated::SessionUnknown)?;
    match key.expires_at {
        Some(at) if at <= now => Err(Unauthenticated::SessionExpired),
        Some(_) | None => Ok(principal(app, key)),
    }
}

/// `md5(timestamp + key)` or `sha256(key + timestamp)`. The time stamp is digits only: nothing can be smuggled behind
/// the key by extending a hash.
fn sign(
    app: &LoadedApp,
    digest: &str,
    timestamp: &str,
    master: bool,
    now: Timestamp,
    rules: SignRules,
) -> Result<Principal, Unauthenticated> {
    let refused = Unauthenticated::SignInvalid;
    let shown = hex::decode(digest).map_err(|_| refused)?;
    let digits = (1..=19).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let millis: u64 = timestamp.parse().ok().filter(|_| digits).ok_or(refused)?;
    let at = Timestamp::from_millis(millis);
    let takes = |kind| match kind {
        KeyKind::Master => master,
        KeyKind::Client | KeyKind::Api => !master,
        KeyKind::SessionToken => false,
    };
    let made = |key: &LoadedKey| match shown.len() {
        16 => Md5::new().chain_update(timestamp).chain_update(key.secret.expose()).finalize().ct_eq(&shown).into(),
        32 => Sha256::new().chain_update(key.secret.expose()).chain_update(timestamp).finalize().ct_eq(&shown).into(),
        _ => false,
    };
    let key = app.keys.iter().find(|key| takes(key.kind) && made(key)).ok_or(refused)?;
    let age_max = match key.kind {
        KeyKind::Client => rules.max_age,
        KeyKind::Api | KeyKind::Master | KeyKind::SessionToken => rules.max_age_master,
    };
    let age = now.since(at).max(at.since(now));
    if age_max.is_some_and(|max| age > max) {
        return Err(refused);
    }
    Ok(principal(app, key))
}

fn principal(app: &LoadedApp, key: &LoadedKey) -> Principal {
    let right = match key.kind {
        KeyKind::Client => Right::Client,
        KeyKind::Api | KeyKind::SessionToken => Right::Payments,
        KeyKind::Master => Right::App,
    };
    let scope = Scope { app_id: app.record.id, mode: key.mode };
    Principal { owner: KeyOwner::App(app.record.id, key.id), scope: Some(scope), right }
}
