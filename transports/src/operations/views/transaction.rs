//! Transactions.

use maxpay_engine::model::{
    Attention, CloseEvidence, Currency, Door, Mode, Money, PayerInputs, Requester, Status, Submission, Timestamp,
    Transaction,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{AttemptView, PayerView, ReceiptView};

/// An amount: an integer of minor units (fen for CNY) and its currency, always together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Money)]
pub struct MoneyView {
    /// Minor units.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub amount_minor: u64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    pub currency: String,
}

impl MoneyView {
    /// So many minor units of a currency.
    pub(super) fn minor(amount_minor: u64, currency: Currency) -> Self {
        Self { amount_minor, currency: currency.code().to_owned() }
    }
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self::minor(money.minor(), money.currency())
    }
}

/// A transaction: the intent to collect one amount for one bill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionView {
    /// 24 hexadecimal digits; also the first attempt's number at the channel.
    pub id: String,
    /// `test` or `live`.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// Raised by one with every change.
    pub version: u64,
    /// Which API made it: `native` or `original`.
    #[schema(value_type = String)]
    pub door: &'static str,
    /// The merchant's number.
    pub bill_num: String,
    /// The channel code.
    pub channel: String,
    /// What is asked for.
    pub amount: MoneyView,
    /// What the payer reads.
    pub subject: String,
    /// The merchant's own JSON, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub extras: Option<Box<RawValue>>,
    /// Where the payer returns to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The product's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_url: Option<String>,
    /// What the merchant said of the payer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payer_inputs: Option<PayerInputs>,
    /// `created`, `submitting`, `awaiting_payer`, `closing`, `succeeded`, `failed` or `closed`.
    #[schema(value_type = String)]
    pub status: &'static str,
    /// While `submitting`: `create` or `charge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub submitting: Option<&'static str>,
    /// While `awaiting_payer`: what the payer's device needs, or that it was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<PayerView>,
    /// Of `succeeded`: whether the money came after *closed* or *failed*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<bool>,
    /// Of `succeeded`: when it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paid_at: Option<Timestamp>,
    /// Of `failed`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of `closed`: what proves it: `never_sent`, `channel`, `expired`, `operator`, or `attempts_ended` (each attempt had
    /// ended without money).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub close_evidence: Option<&'static str>,
    /// A close that was asked for and is not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_requested: Option<CloseRequestView>,
    /// Set while the answer to a call of ours is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<InDoubtView>,
    /// Whether a person must look.
    pub needs_attention: bool,
    /// Why: `in_doubt`, `mismatch`, `duplicate`, `late_success`, `returned`, `over_refunded`.
    #[schema(value_type = Vec<String>)]
    pub attention: Vec<Attention>,
    /// What was paid in all.
    pub paid: MoneyView,
    /// What was given back in all.
    pub refunded: MoneyView,
    /// Every try at a provider, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Every proof of a payment, oldest first.
    pub receipts: Vec<ReceiptView>,
    /// The transaction that was paid first under the same bill number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// After it the channel must refuse payment.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl From<&Transaction> for TransactionView {
    fn from(record: &Transaction) -> Self {
        let currency = record.currency();
        let shown = ShownStatus::of(&record.status);
        Self {
            id: record.id.to_string(),
            mode: record.mode,
            version: record.version,
            door: match record.door {
                Door::Native => "native",
                Door::Original => "original",
            },
            bill_num: record.bill_num.to_string(),
            channel: record.channel.to_string(),
            amount: record.amount.into(),
            subject: record.subject.clone(),
            extras: record.extras.as_deref().and_then(super::raw),
            return_url: record.return_url.clone(),
            show_url: record.show_url.clone(),
            payer_inputs: Some(record.payer.clone()).filter(|inputs| *inputs != PayerInputs::default()),
            status: record.status.name(),
            submitting: shown.submitting,
            payer: shown.payer,
            late: shown.late,
            paid_at: shown.paid_at,
            reason: shown.reason,
            close_evidence: shown.close_evidence,
            close_requested: record
                .close_requested
                .as_ref()
                .map(|request| CloseRequestView { by: requester(request.by), at: request.at }),
            in_doubt: record.in_doubt.as_ref().map(|doubt| InDoubtView {
                since: doubt.since,
                reason: doubt.reason.clone(),
                next_check_at: doubt.next_check_at,
            }),
            needs_attention: !record.attention.is_empty(),
            attention: record.attention.clone(),
            paid: MoneyView::minor(record.paid_minor().unwrap_or(u64::MAX), currency),
            refunded: MoneyView::minor(record.refunded_minor().unwrap_or(u64::MAX), currency),
            attempts: record.attempts.iter().map(AttemptView::from).collect(),
            receipts: record.receipts.iter().map(ReceiptView::from).collect(),
            duplicate_of: record.duplicate_of.map(|id| id.to_string()),
            created_at: record.created_at,
            expires_at: record.expires_at,
            ended_at: record.ended_at,
        }
    }
}

/// What a status says beside its name.
#[derive(Default)]
struct ShownStatus {
    submitting: Option<&'static str>,
    payer: Option<PayerView>,
    late: Option<bool>,
    paid_at: Option<Timestamp>,
    reason: Option<String>,
    close_evidence: Option<&'static str>,
}

impl ShownStatus {
    fn of(status: &Status) -> Self {
        let nothing = Self::default();
        match status {
            Status::Created | Status::Closing => nothing,
            Status::Submitting { what } => Self {
                submitting: Some(match what {
                    Submission::Create => "create",
                    Submission::Charge => "charge",
                }),
                ..nothing
            },
            Status::AwaitingPayer { step } => Self { payer: Some(PayerView::from(step)), ..nothing },
            Status::Succeeded { late, paid_at } => Self { late: Some(*late), paid_at: Some(*paid_at), ..nothing },
            Status::Failed { reason } => Self { reason: Some(reason.clone()), ..nothing },
            Status::Closed { evidence } => Self {
                close_evidence: Some(match evidence {
                    CloseEvidence::NeverSent => "never_sent",
                    CloseEvidence::Channel => "channel",
                    CloseEvidence::Expired => "expired",
                    CloseEvidence::Operator => "operator",
                    CloseEvidence::AttemptsEnded => "attempts_ended",
                }),
                ..nothing
            },
        }
    }
}

/// A close that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CloseRequest)]
pub struct CloseRequestView {
    /// `merchant`, `expiry` or `operator`.
    #[schema(value_type = String)]
    pub by: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

fn requester(by: Requester) -> &'static str {
    match by {
        Requester::Merchant => "merchant",
        Requester::Expiry => "expiry",
        Requester::Operator => "operator",
    }
}

/// The answer to a call of ours is missing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InDoubt)]
pub struct InDoubtView {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What happened.
    pub reason: String,
    /// When the engine looks next.
    #[schema(value_type = String, format = DateTime)]
    pub next_check_at: Timestamp,
}
