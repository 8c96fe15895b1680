//! Apps and their keys.

use maxpay_engine::model::{App, IssuedKey, KeyKind, LatePolicy, Mode, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// One integration of a merchant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub struct AppView {
    /// 24 hexadecimal digits, as in `X-ML-AppId`.
    pub id: String,
    /// For people.
    pub name: String,
    /// A disabled app is refused at every door.
    pub disabled: bool,
    /// Whether `/2.0` keeps the bill number rule of `/v1` too.
    pub strict_bill_numbers: bool,
    /// What a late success also publishes: `by_door`, `publish` or `hold`.
    #[schema(value_type = String)]
    pub late_policy: LatePolicy,
    /// Its keys, revoked ones included.
    pub keys: Vec<KeyView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<&App> for AppView {
    fn from(app: &App) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name.clone(),
            disabled: app.disabled,
            strict_bill_numbers: app.strict_bill_numbers,
            late_policy: app.late_policy,
            keys: app.keys.iter().map(KeyView::from).collect(),
            created_at: app.created_at,
        }
    }
}

/// A new app and its first keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedApp)]
pub struct CreatedAppView {
    /// The app.
    pub app: AppView,
    /// Its keys with their secrets, this once; empty when the answer repeats an earlier one.
    pub issued: Vec<KeyView>,
}

/// A key or session token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    /// Names it, for revoking.
    pub id: String,
    /// `client`, `api`, `master` or `session_token`.
    #[schema(value_type = String)]
    pub kind: KeyKind,
    /// `test` or `live`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// Its last four characters.
    pub hint: String,
    /// The key itself: in the answer to its creation, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// For whom a session token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a session token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<&IssuedKey> for KeyView {
    fn from(key: &IssuedKey) -> Self {
        Self {
            id: key.id.to_string(),
            kind: key.kind,
            mode: key.mode,
            hint: key.hint.clone(),
            secret: None,
            owner: key.owner.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}
