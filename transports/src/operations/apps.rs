//! `apps.*` and `keys.*`: the operator's.

use maxpay_engine::api::{CreateApp, IssueKey, Issued, UpdateApp};
use maxpay_engine::model::{AppId, KeyId, KeyKind, LatePolicy, Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::cursor::WhichPage;
use super::params::Nothing;
use super::views::{AppView, CreatedAppView, KeyView, PageView};
use super::{Caller, Params, Problem, Reply};

/// An app to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAppRequest {
    /// For people; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Whether `/2.0` keeps the bill number rule of `/v1` too.
    #[serde(default)]
    pub strict_bill_numbers: bool,
    /// What a late success also publishes: `by_door` (when not given), `publish` or `hold`.
    #[schema(value_type = Option<String>, pattern = "^(by_door|publish|hold)$")]
    #[serde(default, deserialize_with = "super::shape::name_or_null")]
    pub late_policy: Option<LatePolicy>,
}

pub(super) async fn create(caller: Caller, params: Params) -> Result<Reply, Problem> {
    let request: CreateAppRequest = params.read()?;
    let request = CreateApp {
        name: request.name,
        strict_bill_numbers: request.strict_bill_numbers,
        late_policy: request.late_policy.unwrap_or(LatePolicy::ByDoor),
    };
    let created = caller.engine.create_app(request, caller.idempotency).await?;
    let first = created.first;
    let location = format!("/v1/apps/{}", created.app.id);
    let view = CreatedAppView {
        app: AppView::from(&created.app),
        issued: created.issued.into_iter().map(issued_view).collect(),
    };
    Ok(Reply::made(first, &view)?.at(location))
}

pub(super) async fn list(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "apps.list";
    let page = params.read::<WhichPage>()?.of(LIST)?;
    let found = caller.engine.apps(page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| AppView::from(record)))
}

pub(super) async fn get(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = id(&mut params)?;
    params.read::<Nothing>()?;
    Reply::ok(&AppView::from(&caller.engine.app(id).await?))
}

/// What changes of an app; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAppRequest {
    /// For people; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Disables or enables it.
    pub disabled: Option<bool>,
    /// Whether `/2.0` keeps the bill number rule of `/v1` too.
    pub strict_bill_numbers: Option<bool>,
    /// What a late success also publishes: `by_door`, `publish` or `hold`.
    #[schema(value_type = Option<String>, pattern = "^(by_door|publish|hold)$")]
    #[serde(default, deserialize_with = "super::shape::name_or_null")]
    pub late_policy: Option<LatePolicy>,
}

pub(super) async fn update(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = id(&mut params)?;
    let request: UpdateAppRequest = params.read()?;
    let change = UpdateApp {
        name: request.name,
        disabled: request.disabled,
        strict_bill_numbers: request.strict_bill_numbers,
        late_policy: request.late_policy,
    };
    Reply::ok(&AppView::from(&caller.engine.update_app(id, change).await?))
}

/// A key to issue, or to import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueKeyRequest {
    /// `client`, `api`, `master` or `session_token`.
    #[schema(value_type = String, pattern = "^(client|api|master|session_token)$")]
    #[serde(deserialize_with = "super::shape::name")]
    pub kind: KeyKind,
    /// `test` or `live`.
    #[schema(value_type = String, pattern = "^(test|live)$")]
    #[serde(deserialize_with = "super::shape::name")]
    pub mode: Mode,
    /// The key itself, when it is one that merchants' apps hold already: 16 to 128 visible ASCII characters.
    pub import: Option<String>,
    /// For whom a session token is issued; at most 100 characters.
    pub owner: Option<String>,
    /// When a session token ends; after 180 days when not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

pub(super) async fn issue_key(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = id(&mut params)?;
    let request: IssueKeyRequest = params.read()?;
    let request = IssueKey {
        kind: request.kind,
        mode: request.mode,
        import: request.import.map(|text| Secret::from_bytes(text.into_bytes())),
        owner: request.owner,
        expires_at: request.expires_at,
    };
    let issued = caller.engine.issue_key(id, request, caller.idempotency).await?;
    Reply::made(issued.first, &issued_view(issued))
}

pub(super) async fn list_keys(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = id(&mut params)?;
    params.read::<Nothing>()?;
    let app = caller.engine.app(id).await?;
    Reply::ok(&PageView { items: app.keys.iter().map(KeyView::from).collect(), next_cursor: None })
}

pub(super) async fn revoke_key(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = id(&mut params)?;
    let key: KeyId = params.id("key_id", "key")?;
    params.read::<Nothing>()?;
    Reply::ok(&KeyView::from(&caller.engine.revoke_key(id, key).await?))
}

fn issued_view(issued: Issued) -> KeyView {
    KeyView { secret: issued.secret.and_then(shown_once), ..KeyView::from(&issued.key) }
}

/// The text of a secret that was made a moment ago, for the one who asked for it.
pub(super) fn shown_once(secret: Secret) -> Option<String> {
    secret.reveal_once()
}

fn id(params: &mut Params) -> Result<AppId, Problem> {
    params.id("id", "app")
}
