//! One try at a provider under one number: the frozen intent, and what became of its sends.

use bincode::{Decode, Encode};

use super::{AccountId, AttemptNumber, Money, PayerInputs, Timestamp};

/// One try at a provider under one number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Attempt {
    /// The number at the channel.
    pub number: AttemptNumber,
    /// When the number was given; UnionPay sends it as `txnTime`.
    pub numbered_at: Timestamp,
    /// The account it goes through.
    pub account_id: AccountId,
    /// The account's revision whose identity and wording it keeps.
    pub revision: u32,
    /// What it says, frozen before the first byte leaves.
    pub intent: Intent,
    /// Sends of the create or charge, oldest first; at most 16 are kept.
    pub sends: Vec<Send>,
    /// How many sends there were in all.
    pub sends_made: u32,
    /// The newest word about it.
    pub last_outcome: Option<LastOutcome>,
    /// Consecutive queries that settled nothing; picks the wait before the next one.
    pub looks: u32,
    /// Consecutive closes that settled nothing.
    pub closes: u32,
    /// Whether it ended without money. Money ends it too, but lies in the receipts.
    pub ended: Option<AttemptEnd>,
    /// A hint that the channel is to be asked about it, kept until a query has been answered.
    pub hint: Option<Hint>,
}

/// Somebody who proves nothing has said that there is news of an attempt: the channel is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Hint {
    /// When it came; a query that was asked before answers it not.
    pub at: Timestamp,
    /// When the channel is asked next.
    pub next_at: Timestamp,
    /// How often the channel was asked because of it.
    pub looks: u32,
}

/// Everything business-relevant that a create or charge says. Calls are rebuilt from it, never from today's settings.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Intent {
    /// What is asked for.
    pub amount: Money,
    /// What the payer reads.
    pub subject: String,
    /// Where the payer returns to.
    pub return_url: Option<String>,
    /// The product's page.
    pub show_url: Option<String>,
    /// What the channel needs to know of the payer.
    pub payer: PayerInputs,
    /// After it the channel must refuse payment.
    pub expires_at: Timestamp,
    /// Of a charge by token: once-key and token digest. Never card data.
    pub token: Option<([u8; 32], [u8; 32])>,
}

/// One send of a create or charge.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Send {
    /// When it was decided; the bytes leave after this is durable.
    pub at: Timestamp,
    /// What is known of it.
    pub state: SendState,
}

/// What is known of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SendState {
    /// Nothing: it may or may not have been executed.
    Unknown,
    /// Proved not to have been executed.
    NotExecuted,
    /// The channel answered: it was executed.
    Executed,
    /// The channel answered: it refuses.
    Declined,
}

/// The newest word about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LastOutcome {
    /// Which call or notice it came from.
    pub call: CallKind,
    /// Its kind, for people: `unpaid`, `unknown` …; at most 300 characters with its reason.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// How an attempt ended without money.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AttemptEnd {
    /// The channel says that it is closed, or section 2 of payments.md proves it.
    Closed,
    /// The channel declined it for good.
    Declined(String),
    /// No send was ever executed.
    NotSent(String),
}

/// One thing asked of a provider, without its content.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// Open an order.
    Create,
    /// Ask what became of an order.
    Query,
    /// Close an order.
    Close,
    /// Take back a payment of the same day.
    Void,
    /// Give money back.
    Refund,
    /// Ask what became of a refund.
    QueryRefund,
    /// Fetch a day's statement.
    Statement,
    /// Fetch certificates and other material.
    Maintain,
    /// Fetch a wallet session for the payer's page.
    PayerSession,
    /// Charge a wallet token.
    Authorize,
    /// No call: a notification of the provider's.
    Notification,
}
