//! A transaction: the intent to collect one amount for one bill.

use bincode::{Decode, Encode};

use super::{
    AccountId, AppId, Attempt, BillNum, ChannelCode, Currency, Mode, Money, NamedAction, PayerInputs, Receipt,
    Timestamp, TransactionId,
};

/// The record of a transaction. Only its actor changes it, by [`crate::machine`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    /// Its id; the first attempt's number at the channel.
    pub id: TransactionId,
    /// Whose it is.
    pub app_id: AppId,
    /// Of which world.
    pub mode: Mode,
    /// Raised by one with every commit.
    pub version: u64,
    /// Which API made it.
    pub door: Door,
    /// The merchant's number.
    pub bill_num: BillNum,
    /// SHA-256 of the canonical business fields as received; tells a repeat from a conflict.
    pub content_digest: [u8; 32],
    /// How the payer pays.
    pub channel: ChannelCode,
    /// What is asked for.
    pub amount: Money,
    /// What the payer reads; at most 256 bytes.
    pub subject: String,
    /// The merchant's own JSON text, at most 16 KiB.
    pub extras: Option<String>,
    /// Where the payer returns to; at most 2,048 characters.
    pub return_url: Option<String>,
    /// The product's page; at most 2,048 characters.
    pub show_url: Option<String>,
    /// What the channel needs to know of the payer.
    pub payer: PayerInputs,
    /// When it was made.
    pub created_at: Timestamp,
    /// After it the channel must refuse payment. A close request by the clock, never a status.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// Whether a close is asked for that has not been confirmed.
    pub close_requested: Option<CloseRequest>,
    /// Set while the answer to a call of ours is missing.
    pub in_doubt: Option<InDoubt>,
    /// What a person must look at; each at most once.
    pub attention: Vec<Attention>,
    /// Oldest first; the last one is current. Empty only while `created`.
    pub attempts: Vec<Attempt>,
    /// Oldest first.
    pub receipts: Vec<Receipt>,
    /// When it ended: paid, closed or failed.
    pub ended_at: Option<Timestamp>,
    /// Whether `payment.succeeded` of its late success is held back for a person, as the app's policy then was.
    pub success_held: bool,
    /// The transaction that was paid first under the same bill number.
    pub duplicate_of: Option<TransactionId>,
    /// When its own schedule looks at it next.
    pub look_at: Option<Timestamp>,
    /// When it is looked at next: the earliest of `look_at` and its attempts' hints; the row of the `due` table. An
    /// open transaction always has one; one that has ended has one while an attempt's outcome or a hint is not answered.
    pub due_at: Option<Timestamp>,
    /// Number of its newest transition.
    pub transitions: u32,
    /// SHA-256 of the row of its newest transition.
    pub transition_hash: [u8; 32],
    /// Number of refunds made (reserved).
    pub refunds: u32,
    /// Accounts that may take it over, the next one first, while nothing of it was executed and no payer has seen it.
    /// Empty in every other status.
    pub fallbacks: Vec<Fallback>,
}

impl Transaction {
    /// What was paid in all, in minor units of the asked currency: receipts that count. One of another currency that
    /// an operator accepted makes it paid, but is in no sum.
    ///
    /// `None` when the sum leaves the range of numbers, which no provider's amounts do.
    #[must_use]
    pub fn paid_minor(&self) -> Option<u64> {
        self.receipts
            .iter()
            .filter(|receipt| receipt.counts() && receipt.amount.currency() == self.amount.currency())
            .try_fold(0_u64, |sum, receipt| sum.checked_add(receipt.amount.minor()))
    }

    /// What was given back of it in all, in minor units.
    #[must_use]
    pub fn refunded_minor(&self) -> Option<u64> {
        self.receipts
            .iter()
            .filter(|receipt| receipt.counts() && receipt.amount.currency() == self.amount.currency())
            .try_fold(0_u64, |sum, receipt| {
                sum.checked_add(receipt.refunded_minor)?.checked_add(receipt.returned_minor())
            })
    }

    /// The currency asked for.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.amount.currency()
    }

    /// What the original API calls its status: `created`, `success` or `refund`.
    ///
    /// It knows no *failed* and no *closed*: what was never paid stays `created`. `refund` is a success of which
    /// everything went back.
    #[must_use]
    pub fn original_status(&self) -> &'static str {
        match self.status {
            Status::Succeeded { .. } => match (self.paid_minor(), self.refunded_minor()) {
                (Some(paid), Some(refunded)) if paid > 0 && refunded >= paid => "refund",
                _ => "success",
            },
            Status::Created
            | Status::Submitting { .. }
            | Status::AwaitingPayer { .. }
            | Status::Closing
            | Status::Failed { .. }
            | Status::Closed { .. } => "created",
        }
    }

    /// Whether the channel may still take money for it without that being a surprise.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.status {
            Status::Created | Status::Submitting { .. } | Status::AwaitingPayer { .. } | Status::Closing => true,
            Status::Succeeded { .. } | Status::Failed { .. } | Status::Closed { .. } => false,
        }
    }
}

impl Receipt {
    /// Whether it counts into what was paid.
    #[must_use]
    pub fn counts(&self) -> bool {
        use super::ReceiptState::{Accepted, Counted, Duplicate, Mismatch};
        match self.state {
            Counted | Duplicate | Accepted => true,
            Mismatch => false,
        }
    }

    /// What went back of it without a refund of ours, in minor units.
    #[must_use]
    pub fn returned_minor(&self) -> u64 {
        self.returned.as_ref().map_or(0, |returned| returned.amount_minor)
    }
}

/// An account that may take a transaction over: chosen when the transaction was made, and of the same adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Fallback {
    /// Which.
    pub account_id: AccountId,
    /// Its newest revision when it was chosen.
    pub revision: u32,
}

/// Which API made a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Door {
    /// The native one: a bill number is an idempotency key.
    Native,
    /// The original one (`/2.0`): a new transaction for every bill call.
    Original,
}

/// Where a transaction stands (payments.md section 2).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// Durable, nothing sent.
    Created,
    /// Sent or about to be; the outcome is not known.
    Submitting {
        /// What was submitted.
        what: Submission,
    },
    /// The channel holds it open.
    AwaitingPayer {
        /// What the payer's device needs.
        step: PayerStep,
    },
    /// Close asked for, not confirmed.
    Closing,
    /// Money confirmed, amount and currency equal (or accepted by an operator).
    Succeeded {
        /// Whether the money came after *closed* or *failed*.
        late: bool,
        /// When it was paid.
        paid_at: Timestamp,
    },
    /// Ended without money.
    Failed {
        /// Why, for people and programs: `declined: …`, `not_sent: …`.
        reason: String,
    },
    /// Ended without money.
    Closed {
        /// What proves it.
        evidence: CloseEvidence,
    },
}

impl Status {
    /// Every native name.
    pub const NAMES: [&'static str; 7] =
        ["created", "submitting", "awaiting_payer", "closing", "succeeded", "failed", "closed"];

    /// The native name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Submitting { .. } => "submitting",
            Self::AwaitingPayer { .. } => "awaiting_payer",
            Self::Closing => "closing",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Submission {
    /// An order for the payer to pay.
    Create,
    /// A charge by the payer's token.
    Charge,
}

/// What the payer's device needs next.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PayerStep {
    /// These actions.
    Actions(Vec<NamedAction>),
    /// The order is there, but its payer action was lost with the answer and cannot be had again: it ends by evidence,
    /// and the merchant starts anew.
    Lost,
}

/// What proves that a transaction is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CloseEvidence {
    /// Nothing was ever sent.
    NeverSent,
    /// The channel said *closed*.
    Channel,
    /// The channel did not know it, or knew it as unpaid, after the signed expiry had passed.
    Expired,
    /// An operator vouches for it.
    Operator,
    /// Every attempt had ended without money: declined, not sent or closed.
    AttemptsEnded,
}

/// Who asked for a close, and when.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CloseRequest {
    /// Who.
    pub by: Requester,
    /// When.
    pub at: Timestamp,
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Requester {
    /// The merchant.
    Merchant,
    /// The clock: `expires_at` has passed.
    Expiry,
    /// An operator.
    Operator,
}

/// The answer to a call of ours is missing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InDoubt {
    /// Since when.
    pub since: Timestamp,
    /// What happened, for people; at most 300 characters.
    pub reason: String,
    /// When the engine looks next.
    pub next_check_at: Timestamp,
}

/// Why a person must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// After the last scheduled look the outcome is still not known.
    InDoubt,
    /// Money of another amount or currency.
    Mismatch,
    /// A second payment.
    Duplicate,
    /// A success after *closed* or *failed*.
    LateSuccess,
    /// Money went back without a refund of ours.
    Returned,
    /// More was given back than was paid.
    OverRefunded,
}
