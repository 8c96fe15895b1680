//! What a reply or a notification proves.

use bytes::Bytes;

use crate::model::{Money, NamedAction, Timestamp};

use super::http::HttpRequest;
use super::{Material, Step};

/// What a reply or a notification proves. Statuses are ours; outcomes are the provider's word.
///
/// About a void or a refund the same words are used: *succeeded* is that the money went back, with the provider's number
/// for it and how much; *closed* that the provider ended it without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The order is open; the payer's device needs these.
    AwaitingPayer(Vec<NamedAction>),
    /// Paid.
    Succeeded(Paid),
    /// The provider refuses, finally for the call that was asked.
    Declined(String),
    /// The order is closed and was never paid. An answer with any sign of a payment is not this one.
    Closed,
    /// The provider does not know the number.
    NotFound,
    /// The order is open and not paid.
    Unpaid,
    /// Proved not to have been executed: not sent, or refused at the door.
    NotExecuted(String),
    /// The provider refuses the account itself: key, permission, contract.
    AccountRefused(String),
    /// Accepted, not decided.
    Processing,
    /// Decided, but it waits for something a person must do.
    Held(String),
    /// Paid, and then given back by the channel or in its console.
    PaidThenReturned {
        /// The payment.
        paid: Paid,
        /// How much went back in all; nothing: how much is not told.
        returned: Money,
        /// The single returns, where they are told: provider's refund number and amount.
        refunds: Vec<(Option<String>, Option<Money>)>,
        /// Who gave it back.
        by: String,
        /// Whether the provider calls it final.
        is_final: bool,
    },
    /// Nothing can be concluded: timeout, unreadable, unsigned where a signature is due.
    Unknown(String),
}

impl Outcome {
    /// Its name, for the timeline.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AwaitingPayer(_) => "awaiting_payer",
            Self::Succeeded(_) => "succeeded",
            Self::Declined(_) => "declined",
            Self::Closed => "closed",
            Self::NotFound => "not_found",
            Self::Unpaid => "unpaid",
            Self::NotExecuted(_) => "not_executed",
            Self::AccountRefused(_) => "account_refused",
            Self::Processing => "processing",
            Self::Held(_) => "held",
            Self::PaidThenReturned { .. } => "paid_then_returned",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Proof of a payment, as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The provider's number for it.
    pub trade_number: String,
    /// What was paid. A single-currency channel implies its currency.
    pub amount: Money,
    /// When, if it says so.
    pub paid_at: Option<Timestamp>,
}

/// A verified answer to a call. The engine compares what it echoes with what was asked; what disagrees is *unknown*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number it names, where the dialect carries one.
    pub number: Option<String>,
    /// Whose it is, where the dialect carries that: name of the setting, and the value in the answer.
    pub owners: Vec<(&'static str, String)>,
    /// The provider's own time: a signed field. Without one the engine takes the `Date` of the reply.
    pub provider_time: Option<Timestamp>,
    /// What it proves.
    pub outcome: Outcome,
}

impl Answer {
    /// An answer that echoes nothing.
    #[must_use]
    pub fn bare(outcome: Outcome) -> Self {
        Self { number: None, owners: Vec::new(), provider_time: None, outcome }
    }
}

/// What a reply came to.
pub enum Interpreted {
    /// It answers the call.
    Done(Answer),
    /// The channel needs another request. One that moves money is durable before it leaves.
    Next {
        /// Which step the request is.
        step: Step,
        /// The request.
        request: HttpRequest,
    },
    /// The call was about material: keep it.
    Learned(Vec<Material>),
    /// Material is missing to verify the reply: fetch it with this, then interpret the same reply again.
    NeedMaterial(HttpRequest),
}

impl Interpreted {
    /// It answers the call, and echoes nothing.
    #[must_use]
    pub fn bare(outcome: Outcome) -> Self {
        Self::Done(Answer::bare(outcome))
    }
}

/// A notification as it came.
#[derive(Clone)]
pub struct RawNotification {
    /// Header names (as they came) and values, in order.
    pub headers: Vec<(String, String)>,
    /// The query of the address, without `?`.
    pub query: String,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for RawNotification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawNotification({} bytes)", self.body.len())
    }
}

impl RawNotification {
    /// The value of the first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What is answered to a notification, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// HTTP status.
    pub status: u16,
    /// Content type.
    pub content_type: String,
    /// Body.
    pub body: Bytes,
}

impl Acknowledgement {
    /// A plain text.
    #[must_use]
    pub fn text(status: u16, text: &'static str) -> Self {
        let body = Bytes::from_static(text.as_bytes());
        Self { status, content_type: "text/plain".to_owned(), body }
    }
}

/// What a notification came to.
pub enum Notified {
    /// It proves itself and says these. At least one fact.
    Verified {
        /// What it says.
        facts: Vec<Fact>,
        /// Answered once what it says is durable.
        ack: Acknowledgement,
        /// Answered when it cannot be kept, so that the provider repeats.
        refusal: Acknowledgement,
    },
    /// It proves nothing, but says where to look: a query is queued durably, then it is acknowledged.
    Hint {
        /// Where to look.
        number: String,
        /// Answered once the query is durable.
        ack: Acknowledgement,
        /// Answered otherwise.
        refusal: Acknowledgement,
    },
    /// Material is missing to verify it.
    NeedMaterial(HttpRequest),
    /// It does not prove itself: nothing changes.
    Unverified {
        /// Why, for the log.
        reason: String,
        /// The answer.
        refusal: Acknowledgement,
    },
}

/// One thing a verified notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// About what.
    pub subject: FactSubject,
    /// When that number was given, where the dialect carries it as part of the order's name (UnionPay's txnTime): the
    /// engine compares it with the attempt's, to the second.
    pub numbered_at: Option<Timestamp>,
    /// Whose it is: name of the setting, and the value in the notification.
    pub owners: Vec<(&'static str, String)>,
    /// The provider's own time, where signed.
    pub provider_time: Option<Timestamp>,
    /// What it proves.
    pub outcome: Outcome,
}

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactSubject {
    /// An attempt, by the number we gave it.
    Attempt(String),
    /// A refund, by the number we gave it.
    Refund(String),
    /// A trade, by the provider's number.
    Trade(String),
}
