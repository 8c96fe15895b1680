//! `ops.*`: every state that waits for a person has an operation here.

use maxpay_engine::api::AlarmFilter;
use maxpay_engine::machine::{Vouched, VouchedOutcome};
use maxpay_engine::model::{AccountId, AlarmId, AttemptNumber, InboxId, KeyId, TransactionId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cursor::{self, WhichPage};
use super::params::Nothing;
use super::problem::Fields;
use super::transactions::AmountField;
use super::views::{
    AccountView, AlarmView, Done, InboxItemView, OperatorKeyView, PageView, SetAsideView, TransactionView,
};
use super::{Caller, Order, Params, Problem, Reply};

/// Who.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authored {
    /// Who does it: a name; 1 to 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub author: String,
}

impl Authored {
    fn check(self) -> Result<String, Problem> {
        let mut fields = Fields::default();
        said("author", &self.author, 100, &mut fields);
        fields.check().map(|()| self.author)
    }
}

/// Who, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// Who does it: a name; 1 to 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub author: String,
    /// Why; 1 to 300 characters.
    #[schema(
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub reason: String,
}

impl Reasoned {
    fn check(self) -> Result<(String, String), Problem> {
        let mut fields = Fields::default();
        said("author", &self.author, 100, &mut fields);
        said("reason", &self.reason, 300, &mut fields);
        fields.check().map(|()| (self.author, self.reason))
    }
}

fn said(field: &str, text: &str, longest: usize, fields: &mut Fields) {
    if text.trim().is_empty() || text.chars().count() > longest {
        fields.wrong(field, format!("is not 1 to {longest} characters"));
    }
}

pub(super) async fn transaction(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = transaction_id(&mut params)?;
    params.read::<Nothing>()?;
    Reply::ok(&TransactionView::from(&caller.engine.transaction_for_operator(id).await?))
}

/// What became of an attempt, as an operator vouches for it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VouchRequest {
    /// The attempt's number at the channel: the transaction's id, or the id and two hexadecimal digits from 01 on.
    #[schema(pattern = "^[0-9a-f]{24}([0-9a-f]{2})?$")]
    pub number: String,
    /// What became of it.
    #[serde(deserialize_with = "super::shape::name")]
    pub outcome: OutcomeField,
    /// Of `paid`: how much.
    pub amount: Option<AmountField>,
    /// Of `paid`: the provider's number; 1 to 128 characters.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub channel_trade_number: Option<String>,
    /// Who vouches: a name; 1 to 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub author: String,
    /// Why; 1 to 300 characters.
    #[schema(
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub reason: String,
}

/// What an operator says became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VouchedOutcome)]
pub enum OutcomeField {
    /// It was paid.
    Paid,
    /// It ended without money.
    NotPaid,
}

pub(super) async fn vouch(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = transaction_id(&mut params)?;
    let vouched = vouched(params.read()?)?;
    Reply::ok(&TransactionView::from(&caller.engine.vouch(id, vouched, caller.idempotency).await?))
}

fn vouched(request: VouchRequest) -> Result<Vouched, Problem> {
    let mut fields = Fields::default();
    let number = AttemptNumber::parse(&request.number).ok_or("is no attempt's number");
    let number = fields.take("number", number);
    said("author", &request.author, 100, &mut fields);
    said("reason", &request.reason, 300, &mut fields);
    let outcome = match request.outcome {
        OutcomeField::Paid => paid(&request, &mut fields),
        OutcomeField::NotPaid => {
            if request.amount.is_some() || request.channel_trade_number.is_some() {
                fields.wrong("outcome", "not_paid goes without amount and channel_trade_number");
            }
            Some(VouchedOutcome::NotPaid)
        }
    };
    fields.check()?;
    let (Some(number), Some(outcome)) = (number, outcome) else { return Err(fields.problem()) };
    Ok(Vouched { number, outcome, author: request.author, reason: request.reason })
}

fn paid(request: &VouchRequest, fields: &mut Fields) -> Option<VouchedOutcome> {
    let amount = fields.take("amount", request.amount.as_ref().ok_or("is missing, and paid needs it"));
    let amount = amount.and_then(|amount| amount.check(fields));
    let trade_number = request.channel_trade_number.clone().filter(|number| !number.trim().is_empty());
    let trade_number = fields.take("channel_trade_number", trade_number.ok_or("is missing, and paid needs it"));
    Some(VouchedOutcome::Paid { trade_number: trade_number?, amount: amount? })
}

/// A receipt of another amount or currency to accept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptMismatchRequest {
    /// The receipt, by the provider's number; 1 to 128 characters.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub channel_trade_number: String,
    /// Who accepts: a name; 1 to 100 characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub author: String,
    /// Why; 1 to 300 characters.
    #[schema(
        min_length = 1,
        max_length = 300,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$"
    )]
    pub reason: String,
}

pub(super) async fn accept_mismatch(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = transaction_id(&mut params)?;
    let request: AcceptMismatchRequest = params.read()?;
    let (author, reason) = Reasoned { author: request.author, reason: request.reason }.check()?;
    let (engine, trade_number) = (caller.engine, request.channel_trade_number);
    let record = engine.accept_mismatch(id, &trade_number, &author, &reason, caller.idempotency).await?;
    Reply::ok(&TransactionView::from(&record))
}

pub(super) async fn accept_late(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id = transaction_id(&mut params)?;
    let (author, reason) = params.read::<Reasoned>()?.check()?;
    Reply::ok(&TransactionView::from(&caller.engine.accept_late(id, &author, &reason, caller.idempotency).await?))
}

pub(super) async fn resume_account(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id: AccountId = params.id("id", "account")?;
    let author = params.read::<Authored>()?.check()?;
    Reply::ok(&AccountView::from(&caller.engine.resume_account(id, &author, caller.idempotency).await?))
}

pub(super) async fn inbox(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "ops.inbox";
    let page = params.read::<WhichPage>()?.of(LIST)?;
    let found = caller.engine.inbox(page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |item| InboxItemView::from(item)))
}

pub(super) async fn apply_inbox(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id: InboxId = params.id("id", "inbox item")?;
    params.read::<Nothing>()?;
    caller.engine.apply_inbox(id, caller.idempotency).await?;
    Reply::ok(&Done::yes())
}

pub(super) async fn discard_inbox(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id: InboxId = params.id("id", "inbox item")?;
    let (author, reason) = params.read::<Reasoned>()?.check()?;
    caller.engine.discard_inbox(id, &author, &reason, caller.idempotency).await?;
    Reply::ok(&Done::yes())
}

pub(super) async fn set_aside(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "ops.set_aside";
    let page = params.read::<WhichPage>()?.of(LIST)?;
    let found = caller.engine.set_aside(page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| SetAsideView::from(record)))
}

pub(super) async fn retry_set_aside(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (kind, id): (String, String) = (params.take("kind")?, params.take("id")?);
    params.read::<Nothing>()?;
    caller.engine.retry_set_aside(&kind, &id, caller.idempotency).await?;
    Reply::ok(&Done::yes())
}

pub(super) async fn keys(caller: Caller, params: Params) -> Result<Reply, Problem> {
    params.read::<Nothing>()?;
    let keys = caller.engine.operator_keys().await?;
    Reply::ok(&PageView { items: keys.iter().map(OperatorKeyView::from).collect(), next_cursor: None })
}

pub(super) async fn revoke_key(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id: KeyId = params.id("id", "key")?;
    params.read::<Nothing>()?;
    Reply::ok(&OperatorKeyView::from(&caller.engine.revoke_operator_key(id).await?))
}

/// Which alarms, and which page of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAlarms {
    /// Only those nobody has acknowledged.
    #[serde(default)]
    pub open_only: bool,
    /// 1 to 100; 20 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page begins, as the page before it said.
    pub cursor: Option<String>,
    /// `newest_first` (when not given) or `oldest_first`.
    pub order: Option<Order>,
}

pub(super) async fn alarms(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "ops.alarms";
    let request: ListAlarms = params.read()?;
    let page = cursor::page(LIST, request.limit, request.cursor.as_deref(), request.order)?;
    let found = caller.engine.alarms(AlarmFilter { open_only: request.open_only }, page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |alarm| AlarmView::from(alarm)))
}

pub(super) async fn acknowledge_alarm(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let id: AlarmId = params.id("id", "alarm")?;
    let author = params.read::<Authored>()?.check()?;
    Reply::ok(&AlarmView::from(&caller.engine.acknowledge_alarm(id, &author, caller.idempotency).await?))
}

fn transaction_id(params: &mut Params) -> Result<TransactionId, Problem> {
    params.id("id", "transaction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_of_money_needs_the_money() {
        // Paid without amount or trade number, and not paid with either, are refused by field.
        let number = "66f0a1b2c3d4e5f607182930";
        let rest = r#""author":"ann","reason":"bank statement""#;
        for (text, wrong) in [
            (format!(r#"{{"number":"{number}","outcome":"paid",{rest}}}"#), vec!["amount", "channel_trade_number"]),
            (format!(r#"{{"number":"x","outcome":"not_paid",{rest}}}"#), vec!["number"]),
            (
                format!(r#"{{"number":"{number}","outcome":"not_paid","channel_trade_number":"t",{rest}}}"#),
                vec!["outcome"],
            ),
            (
                format!(r#"{{"number":"{number}","outcome":"not_paid","author":" ","reason":""}}"#),
                vec!["author", "reason"],
            ),
            (format!(r#"{{"number":"{number}","outcome":"not_paid",{rest}}}"#), vec![]),
            (
                format!(
                    r#"{{"number":"{number}","outcome":"paid","amount":{{"amount_minor":1,"currency":"CNY"}},"channel_trade_number":"t",{rest}}}"#
                ),
                vec![],
            ),
        ] {
            let read = Params::from_json(text.as_bytes()).and_then(|params| params.read()).and_then(vouched);
            let named: Vec<_> = read
                .err()
                .map(|problem| problem.errors.into_iter().map(|error| error.field).collect())
                .unwrap_or_default();
            assert_eq!(named, wrong, "{text}");
        }
    }
}
