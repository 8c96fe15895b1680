//! Attempts of a transaction, and the receipts they came to.

use maxpay_engine::model::{
    Attempt, AttemptEnd, CallKind, ExternalReturn, Receipt, ReceiptState, Send, SendState, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::MoneyView;

/// One try at a provider under one number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// The number at the channel.
    pub number: String,
    /// When the number was given.
    #[schema(value_type = String, format = DateTime)]
    pub numbered_at: Timestamp,
    /// The account it goes through.
    pub account_id: String,
    /// The account's revision whose identity and wording it keeps.
    pub revision: u32,
    /// How many sends there were in all.
    pub sends_made: u32,
    /// Sends, oldest first; at most 16.
    pub sends: Vec<SendView>,
    /// Which call the newest word came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub last_call: Option<CallKind>,
    /// The newest word about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<String>,
    /// When that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_outcome_at: Option<Timestamp>,
    /// How it ended without money: `closed`, `declined: …`, `not_sent: …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        let last = attempt.last_outcome.as_ref();
        Self {
            number: attempt.number.to_string(),
            numbered_at: attempt.numbered_at,
            account_id: attempt.account_id.to_string(),
            revision: attempt.revision,
            sends_made: attempt.sends_made,
            sends: attempt.sends.iter().map(SendView::from).collect(),
            last_call: last.map(|last| last.call),
            last_outcome: last.map(|last| last.text.clone()),
            last_outcome_at: last.map(|last| last.at),
            ended: attempt.ended.as_ref().map(|end| match end {
                AttemptEnd::Closed => "closed".to_owned(),
                AttemptEnd::Declined(why) => format!("declined: {why}"),
                AttemptEnd::NotSent(why) => format!("not_sent: {why}"),
            }),
        }
    }
}

/// One send of a create or charge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Send)]
pub struct SendView {
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `unknown`, `not_executed`, `executed` or `declined`.
    #[schema(value_type = String)]
    pub state: &'static str,
}

impl From<&Send> for SendView {
    fn from(send: &Send) -> Self {
        let state = match send.state {
            SendState::Unknown => "unknown",
            SendState::NotExecuted => "not_executed",
            SendState::Executed => "executed",
            SendState::Declined => "declined",
        };
        Self { at: send.at, state }
    }
}

/// Proof of one payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptView {
    /// The attempt that was paid.
    pub number: String,
    /// The provider's number for it.
    pub channel_trade_number: String,
    /// What was paid, as the provider says.
    pub amount: MoneyView,
    /// When, as the provider says.
    #[schema(value_type = String, format = DateTime)]
    pub paid_at: Timestamp,
    /// When the proof came.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    /// `counted`, `duplicate`, `mismatch` or `accepted`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Given back, in minor units.
    pub refunded_minor: u64,
    /// Promised to refunds under way, in minor units.
    pub reserved_minor: u64,
    /// Given back by the channel or in the provider's console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnView>,
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        Self {
            number: receipt.number.to_string(),
            channel_trade_number: receipt.trade_number.clone(),
            amount: receipt.amount.into(),
            paid_at: receipt.paid_at,
            recorded_at: receipt.recorded_at,
            state: match receipt.state {
                ReceiptState::Counted => "counted",
                ReceiptState::Duplicate => "duplicate",
                ReceiptState::Mismatch => "mismatch",
                ReceiptState::Accepted => "accepted",
            },
            refunded_minor: receipt.refunded_minor,
            reserved_minor: receipt.reserved_minor,
            returned: receipt.returned.as_ref().map(ReturnView::from),
        }
    }
}

/// Money of a receipt that went back without a refund of ours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Return)]
pub struct ReturnView {
    /// The provider's refund number, else `returned`.
    pub key: String,
    /// How much in all, in minor units.
    pub amount_minor: u64,
    /// Who gave it back, as the provider says.
    pub by: String,
    /// Whether the provider calls it final.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the newest word of it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<&ExternalReturn> for ReturnView {
    fn from(returned: &ExternalReturn) -> Self {
        Self {
            key: returned.key.clone(),
            amount_minor: returned.amount_minor,
            by: returned.by.clone(),
            is_final: returned.is_final,
            at: returned.at,
        }
    }
}
