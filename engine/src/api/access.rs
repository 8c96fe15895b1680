//! Who is asking.

use std::time::Duration;

use crate::model::{AppId, KeyOwner};
use crate::secrets::Secret;

use super::Scope;

/// What a caller shows.
#[derive(Debug)]
pub enum Credential {
    /// A bearer key of the native API: `sk_test_…`, `mk_live_…`, `op_…`.
    Bearer(Secret),
    /// An app and a proof, as the original API's headers carry them.
    App {
        /// `X-ML-AppId`.
        app_id: AppId,
        /// In any order: they are tried as the original's gateway does, session token, master key, API key, client
        /// key, sign; the first that holds decides.
        proofs: Vec<Proof>,
    },
}

/// One proof beside an app id. Its `Debug` says which, and nothing of it: a sign may be used again.
pub enum Proof {
    /// `X-ML-Session-Token`; also a master key, as the guide of early 2016 told people.
    SessionToken(Secret),
    /// `X-ML-MasterKey`.
    MasterKey(Secret),
    /// `X-ML-APIKey`.
    ApiKey(Secret),
    /// `X-ML-ClientKey`.
    ClientKey(Secret),
    /// `X-ML-Request-Sign`: hex of md5(timestamp + key), or of sha256(key + timestamp).
    Sign {
        /// Lower-case hex digits, 32 or 64.
        digest: String,
        /// Its milliseconds, exactly as written.
        timestamp: String,
        /// Whether it claims the master key; else the API or the client key.
        master: bool,
    },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SessionToken(_) => "SessionToken",
            Self::MasterKey(_) => "MasterKey",
            Self::ApiKey(_) => "ApiKey",
            Self::ClientKey(_) => "ClientKey",
            Self::Sign { master: false, .. } => "Sign",
            Self::Sign { master: true, .. } => "Sign(master)",
        })
    }
}

/// How old a request sign may be. `None`: any age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignRules {
    /// Signs by client keys; phones have wrong clocks.
    pub max_age: Option<Duration>,
    /// Signs by API and master keys, which servers hold.
    pub max_age_master: Option<Duration>,
}

/// Who is asking, proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// Whose key it is.
    pub owner: KeyOwner,
    /// The app and mode of the key; `None` for an operator.
    pub scope: Option<Scope>,
    /// What the key may do.
    pub right: Right,
}

/// What a key may do (design.md section 5 "Rights").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Create, and read by bill number only.
    Client,
    /// Everything of payments: API keys and session tokens.
    Payments,
    /// Everything of its own app except apps and keys.
    App,
    /// Apps, keys and `/v1/ops`; nothing of payments.
    Operator,
}

/// Why a caller is not let in. What each door says of it is the door's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No such app, or it is disabled.
    #[error("there is no such app")]
    UnknownApp,
    /// The session token is not known.
    #[error("the session token is not known")]
    SessionUnknown,
    /// The session token has expired.
    #[error("the session token has expired")]
    SessionExpired,
    /// App and key do not match, or the key is not known or revoked.
    #[error("app and key do not match")]
    KeyMismatch,
    /// The request sign does not hold, or is too old.
    #[error("the request sign does not hold or is too old")]
    SignInvalid,
    /// Nothing was shown.
    #[error("no credential was shown")]
    Missing,
    /// The store cannot say.
    #[error("the credential cannot be checked now")]
    Unavailable,
}
