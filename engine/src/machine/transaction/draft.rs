//! How a transaction begins: its record, with the first attempt's intent frozen in it.

use std::time::Duration;

use crate::channel::CodeManifest;
use crate::model::{
    AccountId, AppId, Attempt, AttemptNumber, BillNum, ChannelCode, Door, Fallback, Intent, Mode, Money, PayerInputs,
    Status, Timestamp, Transaction, TransactionId,
};

/// What a new transaction is made of. Checked before: amounts, lengths and the payer's inputs fit the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id; the first attempt's number at the channel.
    pub id: TransactionId,
    /// Whose it is.
    pub app_id: AppId,
    /// Of which world.
    pub mode: Mode,
    /// Which API makes it.
    pub door: Door,
    /// The merchant's number.
    pub bill_num: BillNum,
    /// SHA-256 of the canonical business fields as received.
    pub content_digest: [u8; 32],
    /// How the payer pays.
    pub channel: ChannelCode,
    /// What is asked for; above zero.
    pub amount: Money,
    /// What the payer reads.
    pub subject: String,
    /// The merchant's own JSON text.
    pub extras: Option<String>,
    /// Where the payer returns to.
    pub return_url: Option<String>,
    /// The product's page.
    pub show_url: Option<String>,
    /// What the channel needs to know of the payer.
    pub payer: PayerInputs,
    /// Time until it expires; `None`: the channel's default. Brought into the channel's bounds, both ends inclusive.
    pub timeout: Option<Duration>,
    /// The account it goes through.
    pub account_id: AccountId,
    /// That account's newest revision.
    pub revision: u32,
    /// The accounts that may take it over, the next one first. Of the same adapter.
    pub fallbacks: Vec<Fallback>,
}

/// The record of a new transaction: `created`, version 1, attempt 0 with its frozen intent in it and nothing sent.
#[must_use]
pub fn create(draft: Draft, now: Timestamp, rules: &CodeManifest) -> Transaction {
    let (shortest, longest) = rules.expiry;
    let life = draft.timeout.unwrap_or(rules.expiry_default).min(longest).max(shortest);
    let expires_at = now.after(life);
    let intent = Intent {
        amount: draft.amount,
        subject: draft.subject.clone(),
        return_url: draft.return_url.clone(),
        show_url: draft.show_url.clone(),
        payer: draft.payer.clone(),
        expires_at,
        token: None,
    };
    let number = AttemptNumber { transaction: draft.id, index: 0 };
    Transaction {
        id: draft.id,
        app_id: draft.app_id,
        mode: draft.mode,
        version: 1,
        door: draft.door,
        bill_num: draft.bill_num,
        content_digest: draft.content_digest,
        channel: draft.channel,
        amount: draft.amount,
        subject: draft.subject,
        extras: draft.extras,
        return_url: draft.return_url,
        show_url: draft.show_url,
        payer: draft.payer,
        created_at: now,
        expires_at,
        status: Status::Created,
        close_requested: None,
        in_doubt: None,
        attention: Vec::new(),
        attempts: vec![new_attempt(number, now, draft.account_id, draft.revision, intent)],
        receipts: Vec::new(),
        ended_at: None,
        success_held: false,
        duplicate_of: None,
        look_at: Some(now),
        due_at: Some(now),
        transitions: 0,
        transition_hash: [0; 32],
        refunds: 0,
        fallbacks: draft.fallbacks,
    }
}

/// An attempt that was never sent.
pub(crate) fn new_attempt(
    number: AttemptNumber,
    now: Timestamp,
    account_id: AccountId,
    revision: u32,
    intent: Intent,
) -> Attempt {
    Attempt {
        number,
        numbered_at: now,
        account_id,
        revision,
        intent,
        sends: Vec::new(),
        sends_made: 0,
        last_outcome: None,
        looks: 0,
        closes: 0,
        ended: None,
        hint: None,
    }
}
