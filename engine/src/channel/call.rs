//! What is asked of a provider, and with what in hand.

use crate::clock::Entropy;
use crate::model::{CallKind, ChannelCode, Intent, Money, Timestamp};
use crate::secrets::Secret;

use super::http::HttpRequest;
use super::{AccountView, Answer, Material};

/// One thing asked of a provider. The number it is asked under is [`Context::subject`].
pub enum Call {
    /// Open an order as the frozen intent says.
    Create {
        /// The channel code.
        code: ChannelCode,
        /// What it says.
        intent: Intent,
        /// Whether the original API asked.
        original_api: OriginalApi,
    },
    /// Ask what became of the order.
    Query {
        /// The channel code.
        code: ChannelCode,
    },
    /// Close the order.
    Close {
        /// The channel code.
        code: ChannelCode,
    },
    /// Take a payment back before it is settled, wholly. [`Context::original`] is the payment; the subject is the void's
    /// own number.
    Void {
        /// The channel code of the payment.
        code: ChannelCode,
        /// What it says.
        refund: RefundIntent,
    },
    /// Give money back. [`Context::original`] is the payment; the subject is the refund's own number.
    Refund {
        /// The channel code of the payment.
        code: ChannelCode,
        /// What it says.
        refund: RefundIntent,
    },
    /// Ask what became of a void or a refund. [`Context::original`] is the payment; the subject is its own number.
    QueryRefund {
        /// The channel code of the payment.
        code: ChannelCode,
        /// Which of the two it was sent as.
        kind: RefundKind,
        /// What it says.
        refund: RefundIntent,
    },
    /// Fetch certificates and other material of the account. It has no subject.
    Maintain,
    /// Fetch a wallet session for the payer's page. Moves nothing.
    PayerSession {
        /// The channel code.
        code: ChannelCode,
        /// Where the wallet says the session is to be had: vetted by the adapter against its fixed hosts.
        validation_url: Option<String>,
    },
    /// Charge a wallet token that [`super::Adapter::verify_token`] has accepted.
    Authorize {
        /// The channel code.
        code: ChannelCode,
        /// What it says.
        intent: Intent,
        /// The token as it came from the payer's device: JSON text. Never stored.
        token: Secret,
    },
}

impl Call {
    /// Which kind of call it is.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Create { .. } => CallKind::Create,
            Self::Query { .. } => CallKind::Query,
            Self::Close { .. } => CallKind::Close,
            Self::Void { .. } => CallKind::Void,
            Self::Refund { .. } => CallKind::Refund,
            Self::QueryRefund { .. } => CallKind::QueryRefund,
            Self::Maintain => CallKind::Maintain,
            Self::PayerSession { .. } => CallKind::PayerSession,
            Self::Authorize { .. } => CallKind::Authorize,
        }
    }
}

/// Everything business-relevant that a void or a refund says, frozen before the first byte leaves. It is sent under one
/// number with these words, however often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundIntent {
    /// What goes back. A void's is the whole payment.
    pub amount: Money,
    /// Why, where the channel shows it to the payer.
    pub reason: Option<String>,
}

/// How money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundKind {
    /// Before settlement, wholly.
    Void,
    /// After it, wholly or in part.
    Refund,
}

/// Whether a create answers the original API, which shows the actions of every code of the group that the account
/// serves, and not of the asked one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalApi {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// What an adapter has in hand.
pub struct Context<'a> {
    /// The time now.
    pub now: Timestamp,
    /// Randomness, for nonces.
    pub entropy: &'a dyn Entropy,
    /// The account: identity and wording of the attempt's revision, keys of all.
    pub account: AccountView<'a>,
    /// What was downloaded for the account, newest first.
    pub material: &'a [Material],
    /// What is asked about; empty for `Maintain` and notifications.
    pub subject: Option<Subject<'a>>,
    /// The payment that a void, a refund or a query of one is about; `None` in all other calls.
    pub original: Option<Original<'a>>,
}

/// The number a call is asked under, and when that number was given: both from the durable intent.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// At the channel.
    pub number: &'a str,
    /// UnionPay's txnTime.
    pub numbered_at: Timestamp,
}

/// The payment that is voided or refunded: from its attempt's durable intent and its receipt.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its number at the channel.
    pub number: &'a str,
    /// When that number was given.
    pub numbered_at: Timestamp,
    /// The provider's number for it.
    pub trade_number: &'a str,
    /// What was paid.
    pub total: Money,
}

/// Which request of a call a reply belongs to: 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(pub u8);

/// What a call came to before anything is sent.
pub enum Prepared {
    /// Answered here; nothing is sent (locally signed channels).
    Done(Answer),
    /// Send this.
    Send(HttpRequest),
    /// Material is missing: fetch it with this, then prepare again.
    NeedMaterial(HttpRequest),
    /// The channel has no such operation.
    Unsupported,
}

/// A payer's token that was verified. Its once-key keeps it from being charged twice, in whatever transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// What no other token has, whichever account of the adapter it is for: two accounts of one merchant may take the
    /// same token, with different acquirers behind them. For Apple Pay: the token's transaction id.
    pub once_key: String,
    /// SHA-256 of the token as received.
    pub digest: [u8; 32],
}
