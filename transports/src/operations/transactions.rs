//! `transactions.*`.

use std::time::Duration;

use maxpay_engine::api::{Authorize, CreateTransaction, Right, TransactionFilter};
use maxpay_engine::model::{
    BillNum, ChannelCode, Currency, Door, Money, PayerInputs, Status, Timestamp, Transaction, TransactionId,
};
use maxpay_engine::secrets::Secret;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::params::Nothing;
use super::problem::Fields;
use super::views::{NamedActionView, PageView, SessionView, TimelineEntryView, TransactionView};
use super::{Caller, Order, Params, Problem, Reply, WAIT_MAX_SECONDS, cursor};

/// How long an answer is waited for when nobody says.
const WAIT_DEFAULT_SECONDS: u64 = 10;
/// Statuses by their native names.
const STATUSES: [&str; 7] = ["created", "submitting", "awaiting_payer", "closing", "succeeded", "failed", "closed"];

/// A payment to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTransactionRequest {
    /// The merchant's number: 1 to 128 characters. While a transaction of this number is open or paid, the same
    /// request returns it, and another one is `bill_number_conflict`.
    #[schema(min_length = 1, max_length = 128)]
    pub bill_num: String,
    /// How the payer pays: `ali_app`, `wx_native` …
    #[schema(pattern = "^[a-z][a-z0-9_]{0,31}$")]
    pub channel: String,
    /// How much; above zero.
    pub amount: AmountField,
    /// What the payer reads.
    #[schema(min_length = 1, pattern = r"\S")]
    pub subject: String,
    /// The merchant's own JSON object, given back as it came.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "super::shape::object_text_or_null")]
    pub extras: Option<Box<RawValue>>,
    /// Where the payer returns to; some channels need it.
    pub return_url: Option<String>,
    /// The product's page.
    pub show_url: Option<String>,
    /// Seconds until it expires; the channel's default when not given.
    #[serde(alias = "timeout")]
    pub timeout_seconds: Option<u64>,
    /// What the channel needs to know of the payer.
    pub payer: Option<PayerFields>,
    /// Seconds to wait for the channel's answer: 0 to 60, 10 when not given.
    #[schema(maximum = 60)]
    #[serde(alias = "wait")]
    pub wait_seconds: Option<u64>,
}

/// An amount: minor units and currency, always together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = Amount)]
pub struct AmountField {
    /// Minor units: fen for CNY.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub amount_minor: u64,
    /// ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
}

impl AmountField {
    /// The amount, or notes on what is wrong with it.
    pub(super) fn check(&self, fields: &mut Fields) -> Option<Money> {
        let currency: Currency = fields.take("amount.currency", self.currency.parse())?;
        fields.take("amount.amount_minor", Money::new(self.amount_minor, currency))
    }
}

/// What the channel needs to know of the payer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = PayerInputs)]
pub struct PayerFields {
    /// The payer's id at a WeChat public account or mini program.
    pub openid: Option<String>,
    /// The address the payer comes from.
    pub client_ip: Option<String>,
    /// Kind of the page for WeChat H5: `Wap`, `iOS` or `Android`.
    pub h5_type: Option<String>,
    /// How Alipay's embedded code is drawn: 0 to 4.
    pub qr_mode: Option<u8>,
}

super::shape::objects_only!(AmountField, PayerFields);

impl From<PayerFields> for PayerInputs {
    fn from(fields: PayerFields) -> Self {
        Self { openid: fields.openid, client_ip: fields.client_ip, h5_type: fields.h5_type, qr_mode: fields.qr_mode }
    }
}

pub(super) async fn create(caller: Caller, params: Params) -> Result<Reply, Problem> {
    let scope = caller.scope()?;
    let request = checked(params.read()?)?;
    let request = CreateTransaction { wait: request.wait.min(caller.longest_wait), ..request };
    let created = caller.engine.create_transaction(scope, request, caller.idempotency).await?;
    let record = &created.transaction;
    let made = if created.first { 201 } else { 200 };
    let reply = Reply::new(while_submitting(record).unwrap_or(made), &TransactionView::from(record))?;
    Ok(reply.at(format!("/v1/transactions/{}", record.id)))
}

fn checked(request: CreateTransactionRequest) -> Result<CreateTransaction, Problem> {
    let mut fields = Fields::default();
    let bill_num = fields.take("bill_num", request.bill_num.parse::<BillNum>());
    let channel = fields.take("channel", request.channel.parse::<ChannelCode>());
    let amount = request.amount.check(&mut fields);
    if request.amount.amount_minor == 0 {
        fields.wrong("amount.amount_minor", "is not above zero");
    }
    if request.subject.trim().is_empty() {
        fields.wrong("subject", "is empty");
    }
    let wait = fields.take("wait_seconds", wait_of(request.wait_seconds));
    fields.check()?;
    let (Some(bill_num), Some(channel), Some(amount), Some(wait)) = (bill_num, channel, amount, wait) else {
        return Err(fields.problem());
    };
    Ok(CreateTransaction {
        door: Door::Native,
        bill_num,
        channel,
        amount,
        subject: request.subject,
        extras: request.extras.map(|extras| extras.get().to_owned()),
        return_url: request.return_url,
        show_url: request.show_url,
        timeout: request.timeout_seconds.map(Duration::from_secs),
        payer: request.payer.map(PayerInputs::from).unwrap_or_default(),
        wait,
    })
}

fn wait_of(seconds: Option<u64>) -> Result<Duration, &'static str> {
    match seconds.unwrap_or(WAIT_DEFAULT_SECONDS) {
        seconds @ 0..=WAIT_MAX_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err("is not from 0 to 60"),
    }
}

/// 202 while the outcome of what was sent is not known, first or repeat.
fn while_submitting(record: &Transaction) -> Option<u16> {
    match record.status {
        Status::Submitting { .. } => Some(202),
        Status::Created
        | Status::AwaitingPayer { .. }
        | Status::Closing
        | Status::Succeeded { .. }
        | Status::Failed { .. }
        | Status::Closed { .. } => None,
    }
}

/// Which transactions, and which page of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTransactions {
    /// One of the seven statuses.
    #[schema(pattern = "^(created|submitting|awaiting_payer|closing|succeeded|failed|closed)$")]
    pub status: Option<String>,
    /// Channel codes, separated by commas.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,31}(,[a-z][a-z0-9_]{0,31})*$")]
    pub channel: Option<String>,
    /// `test` or `live`. A credential sees its own mode only: the other one's list is empty.
    #[schema(pattern = "^(test|live)$")]
    pub mode: Option<String>,
    /// Exactly this bill number.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub bill_num: Option<String>,
    /// Made at or after this moment.
    #[schema(format = DateTime)]
    pub created_from: Option<String>,
    /// Made at or before this moment.
    #[schema(format = DateTime)]
    pub created_to: Option<String>,
    /// Only those a person must look at, or only those nobody must.
    pub needs_attention: Option<bool>,
    /// 1 to 100; 20 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page begins, as the page before it said.
    pub cursor: Option<String>,
    /// `newest_first` (when not given) or `oldest_first`.
    pub order: Option<Order>,
}

pub(super) async fn list(caller: Caller, params: Params) -> Result<Reply, Problem> {
    const LIST: &str = "transactions.list";
    let scope = caller.scope()?;
    let request: ListTransactions = params.read()?;
    if caller.principal.right == Right::Client && request.bill_num.is_none() {
        return Err(Problem::new(403, "forbidden", "a client key reads by bill number only: give bill_num"));
    }
    let page = cursor::page(LIST, request.limit, request.cursor.as_deref(), request.order)?;
    let filter = filter(&request)?;
    if let Some(mode) = &request.mode
        && *mode != scope.mode.to_string()
    {
        return Reply::ok(&PageView::<TransactionView> { items: Vec::new(), next_cursor: None });
    }
    let found = caller.engine.transactions(scope, filter, page).await?;
    Reply::ok(&PageView::of(LIST, &page, &found, |record| TransactionView::from(record)))
}

fn filter(request: &ListTransactions) -> Result<TransactionFilter, Problem> {
    let mut fields = Fields::default();
    if request.status.as_ref().is_some_and(|status| !STATUSES.contains(&status.as_str())) {
        fields.wrong("status", format!("is none of {}", STATUSES.join(", ")));
    }
    if request.mode.as_ref().is_some_and(|mode| mode.parse::<maxpay_engine::model::Mode>().is_err()) {
        fields.wrong("mode", "is neither test nor live");
    }
    let channels = request.channel.as_ref().map(|text| text.split(',').map(|code| code.trim().parse()).collect());
    let channels = channels.and_then(|codes: Result<Vec<ChannelCode>, _>| fields.take("channel", codes));
    let bill_num = request.bill_num.as_ref().and_then(|text| fields.take("bill_num", text.parse()));
    let mut moment = |name: &str, text: &Option<String>| -> Option<Timestamp> {
        text.as_ref().and_then(|text| fields.take(name, Timestamp::nearest(text)))
    };
    let created_from = moment("created_from", &request.created_from);
    let created_to = moment("created_to", &request.created_to);
    fields.check()?;
    Ok(TransactionFilter {
        status: request.status.clone(),
        channels,
        bill_num,
        created_from,
        created_to,
        needs_attention: request.needs_attention,
    })
}

pub(super) async fn get(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    params.read::<Nothing>()?;
    Reply::ok(&TransactionView::from(&caller.engine.transaction(scope, id).await?))
}

/// How long to wait.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Seconds to wait for the channel's answer: 0 to 60, 10 when not given.
    #[schema(maximum = 60)]
    #[serde(alias = "wait")]
    pub wait_seconds: Option<u64>,
}

impl Wait {
    fn check(&self) -> Result<Duration, Problem> {
        wait_of(self.wait_seconds).map_err(|why| Problem::field("wait_seconds", why))
    }
}

pub(super) async fn close(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let wait = params.read::<Wait>()?.check()?.min(caller.longest_wait);
    let record = caller.engine.close_transaction(scope, id, wait, caller.idempotency).await?;
    let status = if record.is_open() { 202 } else { 200 };
    Reply::new(status, &TransactionView::from(&record))
}

pub(super) async fn query(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let wait = params.read::<Wait>()?.check()?.min(caller.longest_wait);
    let record = caller.engine.query_transaction(scope, id, wait, caller.idempotency).await?;
    Reply::new(while_submitting(&record).unwrap_or(200), &TransactionView::from(&record))
}

/// A payer's token to charge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeRequest {
    /// The token as it came from the payer's device: a JSON object of at most 64 KiB. Never stored.
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "super::shape::object_text")]
    pub token: Box<RawValue>,
    /// Seconds to wait for the charge: 0 to 60, 10 when not given.
    #[schema(maximum = 60)]
    #[serde(alias = "wait")]
    pub wait_seconds: Option<u64>,
}

pub(super) async fn authorize(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: AuthorizeRequest = params.read()?;
    let wait = wait_of(request.wait_seconds).map_err(|why| Problem::field("wait_seconds", why))?;
    let wait = wait.min(caller.longest_wait);
    let authorize = Authorize { token: Secret::from_text(request.token.get()), wait };
    let record = caller.engine.authorize_transaction(scope, id, authorize, caller.idempotency).await?;
    Reply::new(while_submitting(&record).unwrap_or(200), &TransactionView::from(&record))
}

/// A wallet session to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayerSessionRequest {
    /// Where the wallet says the session is to be had.
    pub validation_url: Option<String>,
}

pub(super) async fn payer_session(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: PayerSessionRequest = params.read()?;
    let actions = caller.engine.payer_session(scope, id, request.validation_url, caller.idempotency).await?;
    Reply::ok(&SessionView { actions: actions.iter().map(NamedActionView::from).collect() })
}

/// Which page of a timeline.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTimeline {
    /// 1 to 100; 100 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Where the page begins, as the page before it said.
    pub cursor: Option<String>,
}

pub(super) async fn timeline(caller: Caller, mut params: Params) -> Result<Reply, Problem> {
    let (scope, id) = (caller.scope()?, id(&mut params)?);
    let request: ListTimeline = params.read()?;
    let list = format!("transactions.timeline {id}");
    let place = request.cursor.as_deref().map(|text| cursor::read(&list, text)).transpose()?.unwrap_or_default();
    let [.., a, b, c, d] = place;
    let limit = cursor::limit_of(request.limit, 100)?;
    let entries = caller.engine.timeline(scope, id, u32::from_be_bytes([a, b, c, d]), limit).await?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| {
        let mut place = [0; 12];
        place[8..].copy_from_slice(&entry.transition.number.to_be_bytes());
        cursor::write(&list, place)
    });
    Reply::ok(&PageView { items: entries.iter().map(TimelineEntryView::from).collect(), next_cursor: next })
}

fn id(params: &mut Params) -> Result<TransactionId, Problem> {
    params.id("id", "transaction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_a_create_is_named() {
        // One answer tells all that is wrong, each by the field's own name.
        let text =
            r#"{"bill_num":"","channel":"Ali","amount":{"amount_minor":0,"currency":"yuan"},"subject":" ","wait":61}"#;
        let problem =
            Params::from_json(text.as_bytes()).and_then(|params| params.read()).and_then(checked).expect_err("wrong");
        let named: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        let wanted = ["bill_num", "channel", "amount.currency", "amount.amount_minor", "subject", "wait_seconds"];
        assert_eq!((problem.status, named), (422, wanted.to_vec()));
    }

    #[test]
    fn a_create_is_read_as_it_is_written() {
        // Extras keep their text, the wait has its default, and the door is the native one.
        let text = r#"{"bill_num":"b-1","channel":"ali_app","amount":{"amount_minor":100,"currency":"CNY"},"subject":"a toy","extras":{"n":1.50}}"#;
        let request =
            Params::from_json(text.as_bytes()).and_then(|params| params.read()).and_then(checked).expect("right");
        assert_eq!(request.extras.as_deref(), Some(r#"{"n":1.50}"#));
        assert_eq!((request.wait, request.door, request.amount.minor()), (Duration::from_secs(10), Door::Native, 100));
    }

    #[test]
    fn filters_are_checked_by_name() {
        // An unknown status, a wrong time and a wrong code each say which filter it is.
        let text = r#"{"status":"paid","channel":"ali_app,?","created_from":"yesterday","mode":"dev"}"#;
        let request = Params::from_json(text.as_bytes()).and_then(|params| params.read()).expect("reads");
        let problem = filter(&request).expect_err("wrong");
        let named: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["status", "mode", "channel", "created_from"]);
    }
}
