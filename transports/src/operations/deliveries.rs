//! `deliveries.*`.

use maxpay_engine::api::DeliveryFilter;
use maxpay_engine::model::DeliveryId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::params::Nothing;
use super::problem::Fields;
use super::views::{DeliveryView, PageView, ResendView};
use super::{Caller, Order, Params, Problem, Reply, cursor};

const STATES: [&str; 5] = ["due", "held", "delivered", "exhausted", "cancelled"];

/// Which deliveries, and which page of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    /// To this subscription.
    #[schema(pattern = "^[0-9a-f]{24}$")]
    pub subscription_id: Option<String>,
    /// Of this transaction.
    #[schema(pattern = "^[0-9a-f]{24}$")]
    pub transaction_id: Option<String>,
    /// `due`, `held`, `delivered`, `exhausted` or `cancelled`.
    #[schema(pattern = "^(due|held|delivered|exhausted|cancelled)$")]
    pub state: Option<String>,
    /// 1 to 100; 20 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page begins, as the page before it said.
    pub cursor: Option<String>,
    /// `newest_first` (when not given) or `oldest_first`.
    pub order: Option<Order>,
}

pub(super) async fn list(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "deliveries.list";
    let scope = caller.scope()?;
    let request: ListDeliveries = params.read()?;
    let page = cursor::page(LIST, request.limit, request.cursor.as_deref(), request.order)?;
    let mut fields = Fields::default();
    if request.state.as_ref().is_some_and(|state| !STATES.contains(&state.as_str())) {
        fields.wrong("state", format!("is none of {}", STATES.join(", ")));
    }
    let filter = DeliveryFilter {
        subscription_id: request.subscription_id.and_then(|id| fields.take("subscription_id", id.parse())),
        transaction_id: request.transaction_id.and_then(|id| fields.take("transaction_id", id.parse())),
        state: request.state,
    };
    fields.check()?;
    let found = caller.engine.deliveries(scope, filter, page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| DeliveryView::from(record)))
}

pub(super) async fn get(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&DeliveryView::from(&caller.engine.delivery(scope, id).await?))
}

pub(super) async fn resend(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&ResendView::from(&caller.engine.resend_delivery(scope, id, caller.idempotency).await?))
}

pub(super) async fn resume(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&DeliveryView::from(&caller.engine.resume_delivery(scope, id, caller.idempotency).await?))
}

fn id(params: &mut Params) -> Result<DeliveryId, Problem> {
    params.id("id", "delivery")
}
