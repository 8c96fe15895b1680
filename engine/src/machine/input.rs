//! What goes into the machine of a transaction, and what comes out.

use std::time::Duration;

use crate::channel::Outcome;
use crate::model::{
    AccountId, AlarmKind, AttemptNumber, Bill, CallKind, Cause, EventKind, Money, Requester, Timestamp, Transaction,
};

/// Longest note, in characters.
pub(super) const NOTE_MAX: usize = 300;

/// When a step happens, as far as clocks can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall time.
    pub wall: Timestamp,
    /// Monotonic time since the transaction was made, when this process made it.
    pub alive: Option<Duration>,
    /// Whether the wall clock has agreed with some provider's signed time or `Date` since this process started.
    pub clock_confirmed: bool,
}

/// What happens to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Send the create of the attempt that stands in the record. Committed together with the making of the record.
    Submit,
    /// The create of a locally signed channel was signed: what came of it. Instead of `Submit`.
    Signed(Outcome),
    /// Somebody asks for a close.
    Close(Requester),
    /// Somebody asks to look now.
    QueryNow,
    /// A payer's token was verified: charge it as a new attempt.
    Authorize {
        /// Hash of the token's once-key; the same commit claims it.
        once_key: [u8; 32],
        /// SHA-256 of the token.
        token_digest: [u8; 32],
        /// The account it goes through.
        account_id: AccountId,
        /// That account's newest revision.
        revision: u32,
    },
    /// Somebody reads or repeats: renew payer actions that are past their time, where the channel allows.
    RenewActions,
    /// Verified evidence, or the lack of it after a call.
    Told(Told),
    /// Somebody who proves nothing says that there is news of this attempt: the channel is asked soon, in whatever
    /// status, and again until it has answered.
    Hint(AttemptNumber),
    /// Its due time has come.
    Due,
    /// An operator vouches for what became of an attempt.
    Vouch(Vouched),
    /// An operator accepts money of another amount or currency as the payment.
    AcceptMismatch {
        /// The receipt, by the provider's number.
        trade_number: String,
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
    /// An operator accepts a late success: `payment.succeeded` is published if it was held.
    AcceptLate {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
}

/// What a call or a notification told about an attempt. Verified, and compared with the account it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The attempt it names; it may not be one of the record's.
    pub number: AttemptNumber,
    /// Where it comes from.
    pub source: Source,
    /// What it proves.
    pub outcome: Outcome,
    /// The provider's own time: signed, else the `Date` of the answer.
    pub provider_time: Option<Timestamp>,
    /// Wall time when the call that it answers was begun, at the latest when its first byte left. `None`: not known, and
    /// never after a moment that the answer would have to come from.
    pub asked_at: Option<Timestamp>,
    /// The newest revision of the account when the call was made, with whose keys it was signed; `None`: not known.
    pub account_revision: Option<u32>,
    /// SHA-256 of the evidence as received.
    pub digest: Option<[u8; 32]>,
}

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The answer to a call of ours.
    Answer {
        /// Which kind.
        call: CallKind,
        /// For creates and charges: which send it answers, counted from 0 ([`crate::model::Attempt::sends_made`]
        /// before the send). 0 for the others.
        send: u32,
    },
    /// A notification.
    Notification,
}

/// What an operator vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The attempt.
    pub number: AttemptNumber,
    /// What became of it.
    pub outcome: VouchedOutcome,
    /// Who.
    pub author: String,
    /// Why; at most 300 characters.
    pub reason: String,
}

/// What an operator says became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VouchedOutcome {
    /// It was paid.
    Paid {
        /// The provider's number.
        trade_number: String,
        /// How much.
        amount: Money,
    },
    /// It ended without money. Never changes *succeeded*.
    NotPaid,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The whole record after it. Its version is one higher when `changed`. Number and hash of the newest transition
    /// are set by whoever commits.
    pub record: Transaction,
    /// Whether anything is to be committed. When not, `effects` may still be there.
    pub changed: bool,
    /// What brought it about, for the transition.
    pub cause: Cause,
    /// Why, for people; at most 300 characters.
    pub note: String,
    /// SHA-256 of the evidence.
    pub evidence_digest: Option<[u8; 32]>,
    /// The Bill row after it, when it changes.
    pub bill: Option<Bill>,
    /// A once-key (hashed) that this step claims; the commit has *free* as its precondition.
    pub claims_once: Option<[u8; 32]>,
    /// The provider refused this account: pause its sends, in the same commit.
    pub pauses_account: Option<AccountPause>,
    /// What is published, in the same commit.
    pub events: Vec<NewEvent>,
    /// What a person must look at, in the same commit.
    pub alarms: Vec<NewAlarm>,
    /// What to do after the commit.
    pub effects: Vec<Effect>,
}

impl Step {
    /// Puts what led to the step before why it was made.
    #[must_use]
    pub fn led_to_by(mut self, what: &str) -> Self {
        self.note = format!("{what}; {}", self.note).chars().take(NOTE_MAX).collect();
        self
    }
}

/// An account whose sends are to pause because its provider refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPause {
    /// Which.
    pub account_id: AccountId,
    /// The revision that was refused. One that is not the newest any more pauses nothing: the account was repaired.
    pub revision: u32,
    /// Why, as the provider says; at most 300 characters.
    pub reason: String,
}

/// An event to publish; its data is the record after the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Which.
    pub kind: EventKind,
    /// The provider's number of the payment it is about.
    pub trade_number: Option<String>,
    /// The amount it is about, where it differs from the amount asked.
    pub moved: Option<Money>,
    /// Why, where there is a reason to tell.
    pub reason: Option<String>,
}

/// An alarm to raise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlarm {
    /// Which kind.
    pub kind: AlarmKind,
    /// What happened, for people.
    pub text: String,
}

/// What to do after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a handful of them live for the length of one commit")]
pub enum Effect {
    /// Ask the provider. The answer comes back as [`Input::Told`].
    Call {
        /// Under which number.
        number: AttemptNumber,
        /// What.
        kind: CallKind,
        /// As in [`Source::Answer`].
        send: u32,
    },
    /// Sign the frozen create again (locally signed channels). Comes back as [`Input::Told`] with the outcome of a
    /// create.
    Resign {
        /// Under which number.
        number: AttemptNumber,
    },
    /// Step again at once: only [`crate::machine::transaction::resume`] says so.
    Feed(Input),
}

/// Why a command is refused. The record stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The transaction has ended; commands change it no more.
    #[error("the transaction has ended as {0}")]
    Ended(&'static str),
    /// The command does not fit its status.
    #[error("the transaction is {0}, which does not allow it")]
    Status(&'static str),
    /// A close was asked for.
    #[error("a close was asked for")]
    CloseRequested,
    /// It expires too soon to send anything.
    #[error("the transaction expires too soon")]
    TooLate,
    /// The channel has no such operation.
    #[error("the channel has no such operation")]
    Unsupported,
    /// The transaction holds this token already: answer it as it is now.
    #[error("this token was taken before")]
    TokenKnown,
    /// No such attempt or receipt.
    #[error("the transaction has no {0}")]
    Unknown(String),
    /// What the operator says contradicts the record.
    #[error("{0}")]
    Contradicts(String),
    /// A number has left its range; nothing can be counted any more.
    #[error("an amount or a count left its range")]
    Range,
    /// There are 64 attempts already.
    #[error("the transaction was tried 64 times, which is as often as it may be")]
    AttemptsUsedUp,
}
