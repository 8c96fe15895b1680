//! `subscriptions.*`.

use maxpay_engine::api::{CreateSubscription, TargetRequest, UpdateSubscription};
use maxpay_engine::model::{DeliveryMode, EventKind, SubscriptionId, SubscriptionState};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cursor::WhichPage;
use super::params::Nothing;
use super::views::{PageView, SubscriptionView, TestSendView};
use super::{Caller, Params, Problem, Reply};

/// A subscription to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSubscriptionRequest {
    /// Where to.
    pub target: TargetField,
    /// Sent along with every request; at most 16. Values are never shown again.
    #[serde(default)]
    pub headers: Vec<HeaderField>,
    /// Which events; none given: `payment.succeeded`.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// `events` (when not given), or `test_sends_only`.
    #[schema(value_type = Option<String>, pattern = "^(events|test_sends_only)$")]
    #[serde(default, deserialize_with = "super::shape::name_or_null")]
    pub delivery: Option<DeliveryMode>,
    /// The signing secret (`whsec_…`) to use; a new one is made when not given.
    pub secret: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// Where deliveries go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields, remote = "Self")]
#[schema(as = TargetRequest)]
pub enum TargetField {
    /// An address.
    Url {
        /// `http` or `https`.
        url: String,
    },
    /// A named handler.
    Function {
        /// Its name.
        #[schema(pattern = "^[A-Za-z0-9._-]{1,100}$")]
        name: String,
    },
}

impl From<TargetField> for TargetRequest {
    fn from(target: TargetField) -> Self {
        match target {
            TargetField::Url { url } => Self::Url(url),
            TargetField::Function { name } => Self::Function(name),
        }
    }
}

/// One header to send along.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = HeaderRequest)]
pub struct HeaderField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

super::shape::objects_only!(TargetField, HeaderField);

fn pairs(headers: Vec<HeaderField>) -> Vec<(String, String)> {
    headers.into_iter().map(|header| (header.name, header.value)).collect()
}

fn kinds(names: &[String]) -> Result<Vec<EventKind>, Problem> {
    let read = |(at, name): (usize, &String)| kind(&format!("event_types[{at}]"), name);
    names.iter().enumerate().map(read).collect()
}

fn kind(field: &str, name: &str) -> Result<EventKind, Problem> {
    EventKind::named(name).ok_or_else(|| {
        let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        Problem::field(field, format!("is none of {}", known.join(", ")))
    })
}

pub(super) async fn create(caller: Caller, params: Params) -> Result<Reply, Problem> {
    let scope = caller.scope()?;
    let request: CreateSubscriptionRequest = params.read()?;
    let request = CreateSubscription {
        target: request.target.into(),
        headers: pairs(request.headers),
        event_types: kinds(&request.event_types)?,
        delivery: request.delivery.unwrap_or(DeliveryMode::Events),
        secret: request.secret,
        description: request.description,
    };
    let created = caller.engine.create_subscription(scope, request, caller.idempotency).await?;
    let (first, secret) = (created.first, created.secret);
    let secret = secret.and_then(super::apps::shown_once);
    let location = format!("/v1/subscriptions/{}", created.subscription.id);
    let view = SubscriptionView { secret, ..SubscriptionView::from(&created.subscription) };
    Ok(Reply::made(first, &view)?.at(location))
}

pub(super) async fn list(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "subscriptions.list";
    let scope = caller.scope()?;
    let page = params.read::<WhichPage>()?.of(LIST)?;
    let found = caller.engine.subscriptions(scope, page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| SubscriptionView::from(record)))
}

pub(super) async fn get(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&SubscriptionView::from(&caller.engine.subscription(scope, id).await?))
}

/// What changes of a subscription; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSubscriptionRequest {
    /// Where to.
    pub target: Option<TargetField>,
    /// Replaces all headers.
    pub headers: Option<Vec<HeaderField>>,
    /// Which events.
    pub event_types: Option<Vec<String>>,
    /// `events` or `test_sends_only`.
    #[schema(value_type = Option<String>, pattern = "^(events|test_sends_only)$")]
    #[serde(default, deserialize_with = "super::shape::name_or_null")]
    pub delivery: Option<DeliveryMode>,
    /// Whether it is in use.
    #[serde(default, deserialize_with = "super::shape::name_or_null")]
    pub state: Option<SwitchField>,
    /// For people.
    pub description: Option<String>,
}

/// Whether a subscription is in use.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SubscriptionSwitch)]
pub enum SwitchField {
    /// It is.
    Enabled,
    /// New events are written as held deliveries.
    Disabled,
}

impl From<SwitchField> for SubscriptionState {
    fn from(state: SwitchField) -> Self {
        match state {
            SwitchField::Enabled => Self::Enabled,
            SwitchField::Disabled => Self::Disabled,
        }
    }
}

pub(super) async fn update(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: UpdateSubscriptionRequest = params.read()?;
    let change = UpdateSubscription {
        target: request.target.map(Into::into),
        headers: request.headers.map(pairs),
        event_types: request.event_types.as_deref().map(kinds).transpose()?,
        delivery: request.delivery,
        state: request.state.map(Into::into),
        description: request.description,
    };
    Reply::ok(&SubscriptionView::from(&caller.engine.update_subscription(scope, id, change).await?))
}

pub(super) async fn delete(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&SubscriptionView::from(&caller.engine.delete_subscription(scope, id).await?))
}

/// What to test.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// Which event; `payment.succeeded` when not given.
    pub event_type: Option<String>,
}

pub(super) async fn test(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: TestRequest = params.read()?;
    let kind =
        request.event_type.as_deref().map_or(Ok(EventKind::PaymentSucceeded), |name| kind("event_type", name))?;
    Reply::ok(&TestSendView::from(&caller.engine.test_subscription(scope, id, kind, caller.idempotency).await?))
}

fn id(params: &mut Params) -> Result<SubscriptionId, Problem> {
    params.id("id", "subscription")
}
