//! An app: one integration of a merchant, with the keys it was given.

use bincode::{Decode, Encode};

use super::{AppId, KeyId, Mode, Sealed, Timestamp};

/// One integration of a merchant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct App {
    /// 24 hexadecimal digits, as in `X-ML-AppId`.
    pub id: AppId,
    /// For people; at most 100 characters.
    pub name: String,
    /// Raised by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// A disabled app is refused at every door.
    pub disabled: bool,
    /// Whether `/2.0` keeps the bill number rule of `/v1` too.
    pub strict_bill_numbers: bool,
    /// What a success after *closed* or *failed* publishes besides `payment.succeeded_late`.
    pub late_policy: LatePolicy,
    /// Keys and session tokens, revoked ones included; at most 256.
    pub keys: Vec<IssuedKey>,
}

impl App {
    /// Whether it has a master key of `mode` that is not revoked.
    #[must_use]
    pub fn has_master_key(&self, mode: Mode) -> bool {
        self.keys.iter().any(|key| key.kind == KeyKind::Master && key.mode == mode && key.revoked_at.is_none())
    }
}

/// Whether a late success also publishes `payment.succeeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePolicy {
    /// Yes for a transaction made by `/2.0`, whose clients never learn of *closed*; no for one made by `/v1`.
    ByDoor,
    /// Always.
    Publish,
    /// Never: a person decides.
    Hold,
}

/// A key or a session token that was issued or imported.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IssuedKey {
    /// Names it, for revoking.
    pub id: KeyId,
    /// What it may do.
    pub kind: KeyKind,
    /// Which world it opens.
    pub mode: Mode,
    /// The key itself, sealed: request signs are computed from it.
    pub secret: Sealed,
    /// Its last four characters, to tell keys apart.
    pub hint: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Session tokens end; keys do not.
    pub expires_at: Option<Timestamp>,
    /// For whom a session token was issued; free text of at most 100 characters.
    pub owner: Option<String>,
    /// From when on it is refused.
    pub revoked_at: Option<Timestamp>,
}

/// What kind of key it is. Rights: design.md section 5.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// In the merchant's apps: create, and read by bill number only.
    Client,
    /// On the merchant's servers: everything of payments.
    Api,
    /// Everything of its own app except apps and keys; also signs webhooks.
    Master,
    /// Everything of payments, until it expires.
    SessionToken,
}

/// A credential of the operator's, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OperatorCredential {
    /// Names it, for revoking.
    pub id: KeyId,
    /// The digest by which it is found; the credential itself is not kept.
    pub digest: [u8; 32],
    /// Its last four characters, to tell credentials apart.
    pub hint: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub revoked_at: Option<Timestamp>,
}

/// To whom a bearer key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum KeyOwner {
    /// To an app.
    App(AppId, KeyId),
    /// To the operator of the service.
    Operator(KeyId),
}
