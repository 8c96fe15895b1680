//! `accounts.*`.

use maxpay_engine::api::{AccountSettings, CreateAccount, UpdateAccount};
use maxpay_engine::model::{AccountId, ChannelCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::cursor::WhichPage;
use super::params::Nothing;
use super::views::{AccountView, PageView};
use super::{Caller, Params, Problem, Reply};

/// A contract with a provider to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccountRequest {
    /// Which adapter speaks for it: `sandbox`, `alipay` …
    pub adapter: String,
    /// The channel codes it serves; none given: all of the adapter's.
    #[serde(default)]
    pub codes: Vec<String>,
    /// For people.
    #[serde(default)]
    pub label: String,
    /// Among several accounts for one code, a higher one goes first; 0 when not given.
    #[serde(default)]
    #[schema(format = Int64, maximum = 4_294_967_295_u32)]
    pub priority: u32,
    /// Among accounts of equal priority, the share it takes; 1 when not given.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub weight: Option<u32>,
    /// All settings of the adapter by name, secret ones too.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

fn codes(names: &[String]) -> Result<Vec<ChannelCode>, Problem> {
    let read = |(at, name): (usize, &String)| {
        name.parse().map_err(|why| Problem::field(format!("codes[{at}]"), format!("{why}")))
    };
    names.iter().enumerate().map(read).collect::<Result<_, Problem>>()
}

fn weight(weight: u32) -> Result<u32, Problem> {
    if weight == 0 { Err(Problem::field("weight", "is not above zero")) } else { Ok(weight) }
}

pub(super) async fn create(caller: Caller, params: Params) -> Result<Reply, Problem> {
    let scope = caller.scope()?;
    let request: CreateAccountRequest = params.read()?;
    let request = CreateAccount {
        adapter: request.adapter,
        codes: codes(&request.codes)?,
        label: request.label,
        priority: request.priority,
        weight: weight(request.weight.unwrap_or(1))?,
        settings: AccountSettings(request.settings),
    };
    let created = caller.engine.create_account(scope, request, caller.idempotency).await?;
    let account = created.account;
    Ok(Reply::made(created.first, &AccountView::from(&account))?.at(format!("/v1/accounts/{}", account.id)))
}

pub(super) async fn list(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "accounts.list";
    let scope = caller.scope()?;
    let page = params.read::<WhichPage>()?.of(LIST)?;
    let found = caller.engine.accounts(scope, page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| AccountView::from(record)))
}

pub(super) async fn get(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&AccountView::from(&caller.engine.account(scope, id).await?))
}

/// What changes of an account; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccountRequest {
    /// The channel codes it serves.
    pub codes: Option<Vec<String>>,
    /// For people.
    pub label: Option<String>,
    /// Among several accounts for one code, a higher one goes first.
    #[schema(format = Int64, maximum = 4_294_967_295_u32)]
    pub priority: Option<u32>,
    /// Among accounts of equal priority, the share it takes.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub weight: Option<u32>,
    /// Settings to change; those not named stay. Saving them ends a pause.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
}

pub(super) async fn update(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: UpdateAccountRequest = params.read()?;
    let change = UpdateAccount {
        codes: request.codes.as_deref().map(codes).transpose()?,
        label: request.label,
        priority: request.priority,
        weight: request.weight.map(weight).transpose()?,
        settings: request.settings.map(AccountSettings),
    };
    Reply::ok(&AccountView::from(&caller.engine.update_account(scope, id, change).await?))
}

pub(super) async fn disable(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&AccountView::from(&caller.engine.disable_account(scope, id).await?))
}

fn id(params: &mut Params) -> Result<AccountId, Problem> {
    params.id("id", "account")
}
