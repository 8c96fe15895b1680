//! Transactions: create, read, list, close, query, authorize.

use std::time::Duration;

use crate::model::{BillNum, ChannelCode, Door, Money, PayerInputs, Timestamp, Transaction, TransactionId, Transition};
use crate::secrets::Secret;

/// A payment to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTransaction {
    /// Which API asks.
    pub door: Door,
    /// The merchant's number.
    pub bill_num: BillNum,
    /// How the payer pays.
    pub channel: ChannelCode,
    /// How much; above zero.
    pub amount: Money,
    /// What the payer reads; not empty.
    pub subject: String,
    /// The merchant's own JSON text.
    pub extras: Option<String>,
    /// Where the payer returns to.
    pub return_url: Option<String>,
    /// The product's page.
    pub show_url: Option<String>,
    /// Time until it expires; `None`: the channel's default. Too short for the channel: raised for
    /// [`Door::Original`], refused for [`Door::Native`].
    pub timeout: Option<Duration>,
    /// What the channel needs to know of the payer.
    pub payer: PayerInputs,
    /// How long to wait for the channel's answer before the answer says `submitting`; at most 60 s,
    /// and not at all while very many commands are under way.
    pub wait: Duration,
}

/// A payment that was started, or found.
#[derive(Debug, Clone)]
pub struct Created {
    /// As it is now.
    pub transaction: Transaction,
    /// Whether this request made it.
    pub first: bool,
}

/// A payer's token to charge.
#[derive(Debug)]
pub struct Authorize {
    /// The token as it came from the payer's device: JSON text of at most 64 KiB.
    pub token: Secret,
    /// How long to wait for the charge; at most 60 s, and not at all while very many commands are under way.
    pub wait: Duration,
}

/// Which transactions of a list. Every filter that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Native status name.
    pub status: Option<String>,
    /// One of these codes.
    pub channels: Option<Vec<ChannelCode>>,
    /// Exactly this bill number.
    pub bill_num: Option<BillNum>,
    /// Made at or after this moment.
    pub created_from: Option<Timestamp>,
    /// Made at or before this moment.
    pub created_to: Option<Timestamp>,
    /// Only those a person must look at.
    pub needs_attention: Option<bool>,
}

/// A query of the original API's `records`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsQuery {
    /// As for lists. The status here is an original one: `created`, `success`, `refund`.
    pub filter: TransactionFilter,
    /// Leave out so many; at most 10,000.
    pub skip: usize,
    /// At most so many; 1 to 1,000.
    pub limit: usize,
    /// Newest first.
    pub newest_first: bool,
}

/// One line of a transaction's timeline.
#[derive(Debug, Clone)]
pub struct TimelineEntry {
    /// Of which transaction.
    pub transaction_id: TransactionId,
    /// What happened.
    pub transition: Transition,
}
