//! The door to whoever takes the money: Apple Pay brings the card, an acquirer charges it.
//!
//! An acquirer is to this adapter what an adapter is to the engine: pure, without I/O, clock or state. Charges are made
//! under the number of the attempt, which is the acquirer's key of idempotency; refunds and voids go to the acquirer's
//! own number for the charge. [`Https`] is the one that is built in.

mod https;
pub(super) mod wire;

use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{
    Acknowledgement, Context, FieldError, Interpreted, Notified, Prepared, QueryRules, RawNotification, RefundIntent,
    RefundKind, RefundRules, SecretSettings, SettingField, Step, UnsignedAnswer, VoidRules,
};
use maxpay_engine::model::{Currency, Intent, Mode, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::card::Card;

pub use https::Https;
pub use wire::{SIGNATURE_HEADER, SIGNATURE_WINDOW};

/// Who takes the money. Every method is a pure function of its arguments.
///
/// What the engine makes of an answer is told in the outcome: silence and what is not proved is `Unknown`, and only a
/// refusal that certainly was not executed is `Declined` or `NotExecuted`.
pub trait Acquirer: Send + Sync + 'static {
    /// What it can do and what its answers prove. The same at every call.
    fn terms(&self) -> Terms;

    /// Checks its own settings of an account. Names of settings must not be those of the adapter.
    ///
    /// Returns the identity they name, as [`maxpay_engine::channel::Adapter::validate`] does.
    ///
    /// # Errors
    /// Every field that is wrong, with why and what would be right.
    fn validate(
        &self,
        mode: Mode,
        settings: &Map<String, Value>,
        secrets: &SecretSettings,
        now: Timestamp,
    ) -> Result<String, Vec<FieldError>>;

    /// The request that charges `payment` under [`Context::subject`]'s number, as `intent` says. It leaves once.
    fn charge(&self, intent: &Intent, payment: &Payment<'_>, context: &Context<'_>) -> Prepared;

    /// The request of anything but a charge.
    fn prepare(&self, asked: &Asked<'_>, context: &Context<'_>) -> Prepared;

    /// Reads the reply to the request of `step`.
    fn interpret(&self, asked: &Asked<'_>, step: Step, reply: &HttpReply, context: &Context<'_>) -> Interpreted;

    /// Reads a notification that came to the account's address. The default refuses every one: it is for an acquirer
    /// that sends none.
    fn notification(&self, raw: &RawNotification, context: &Context<'_>) -> Notified {
        let _ = (raw, context);
        let refusal = Acknowledgement::text(404, "");
        Notified::Unverified { reason: "this acquirer sends no notifications".to_owned(), refusal }
    }
}

/// What is asked of an acquirer, without card data.
pub enum Asked<'a> {
    /// Charge the payment.
    Charge(&'a Intent),
    /// What became of a charge.
    Query,
    /// Take a charge back before it is settled, wholly.
    Void(&'a RefundIntent),
    /// Give money back.
    Refund(&'a RefundIntent),
    /// What became of a void or a refund.
    QueryRefund(RefundKind, &'a RefundIntent),
}

/// What is charged: a token that was verified, in one of two forms. It has no `Debug`.
pub struct Payment<'a> {
    /// The card network, as the device named it. It is not among what Apple signs.
    pub network: Option<&'a str>,
    /// The form.
    pub form: PaymentForm<'a>,
}

/// In which form a payment is handed on. It has no `Debug`.
pub enum PaymentForm<'a> {
    /// Opened here. Whoever sends this on is in the scope of the card networks' rules (PCI DSS).
    Card(&'a Card),
    /// As it came from the device, JSON text: the acquirer opens it again with the same processing key.
    Token(&'a Secret),
}

/// What an acquirer can do, and what its answers prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its settings of an account, beside the adapter's own.
    pub settings: Vec<SettingField>,
    /// Currencies it takes.
    pub currencies: Vec<Currency>,
    /// Smallest and largest amount in minor units, both inclusive.
    pub amount_minor: (u64, u64),
    /// Longest subject in bytes of UTF-8.
    pub subject_bytes_max: usize,
    /// No charge leaves later than this before its order's expiry.
    pub min_life: Duration,
    /// How long after that expiry it may still charge.
    pub grace: Duration,
    /// How a query is asked and believed. Only the payer's schedule is left empty.
    pub query: QueryRules,
    /// How money goes back; `None`: it does not.
    pub refund: Option<RefundRules>,
    /// How a charge is voided; `None`: it is not.
    pub void: Option<VoidRules>,
    /// Its answers that come without a signature, each with the most it may prove.
    pub unsigned: Vec<UnsignedAnswer>,
    /// How long one call may take, whole.
    pub call_deadline: Duration,
}
