//! The provider's rows: orders, what falls due, merchants.

use std::time::Duration;

use maxpay_engine::model::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::parts::digest::{digits, sha256};

use super::super::signed::SignedOrder;
use super::super::wire::{AnswerBody, OrderBody, PaymentBody, ReturnedBody, WireState};

const H5_LIFE: Duration = Duration::from_mins(5);

/// Where an order stands at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It can be paid.
    Open,
    /// A charge that is not decided.
    Processing,
    /// It was paid.
    Paid,
    /// It ended without money.
    Closed,
    /// It was refused for good.
    Declined,
}

impl OrderState {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Paid => "paid",
            Self::Closed => "closed",
            Self::Declined => "declined",
        }
    }
}

/// An order at the provider.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub merchant_id: String,
    pub number: String,
    pub channel: String,
    /// Minor units.
    pub amount: u64,
    pub currency: String,
    pub notify_url: String,
    pub expires_at: Timestamp,
    pub made_at: Timestamp,
    /// Tells whether a second create says the same.
    pub content: String,
    pub state: OrderState,
    pub payments: Vec<Payment>,
    /// Given back in the console, minor units.
    pub returned: u64,
    /// When the payer was last given an address; `None`: never, or long before this was kept.
    #[serde(default)]
    pub handle_at: Option<Timestamp>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Payment {
    pub trade_number: String,
    /// Minor units.
    pub amount: u64,
    pub at: Timestamp,
}

impl Order {
    /// An order as a create or a charge asks for it.
    pub fn asked(body: &OrderBody, content: String, now: Timestamp) -> Self {
        Self {
            merchant_id: body.merchant_id.clone(),
            number: body.number.clone(),
            channel: body.channel.clone(),
            amount: body.amount,
            currency: body.currency.clone(),
            notify_url: body.notify_url.clone(),
            expires_at: body.expires_at,
            made_at: now,
            content,
            state: OrderState::Open,
            payments: Vec::new(),
            returned: 0,
            handle_at: Some(now),
        }
    }

    /// An order as the payer brings it.
    pub fn opened(signed: &SignedOrder, content: String, now: Timestamp) -> Self {
        Self {
            merchant_id: signed.merchant_id.clone(),
            number: signed.number.clone(),
            channel: signed.channel.to_owned(),
            amount: signed.amount.minor(),
            currency: signed.amount.currency().to_string(),
            notify_url: signed.notify_url.clone(),
            expires_at: signed.expires_at,
            made_at: now,
            content,
            state: OrderState::Open,
            payments: Vec::new(),
            returned: 0,
            handle_at: None,
        }
    }

    /// Its key in the ledger.
    pub fn key(&self) -> String {
        order_key(&self.number, &self.merchant_id)
    }

    /// Whether the payer's time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Whether what the payer was given has ended before the order does: an address of `wx_h5` lives five minutes, like
    /// the real one. Each create gives another one.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.channel == "wx_h5" && self.handle_at.is_some_and(|at| now.since(at) > H5_LIFE)
    }

    /// The address of a `wx_h5` order.
    pub fn h5_link(&self) -> String {
        let at = self.handle_at.unwrap_or(self.made_at).millis();
        format!("https://wx.sandbox.invalid/h5?prepay_id=wx{}&at={at}", &self.token("handle")[..34])
    }

    /// Books a payment. The trade number follows from the order and the count, so that a repetition cannot invent one.
    pub fn pay(&mut self, amount: u64, at: Timestamp) {
        let name = format!("{}/{}/{}", self.merchant_id, self.number, self.payments.len());
        self.payments.push(Payment { trade_number: digits(name.as_bytes(), 28), amount, at });
        self.state = OrderState::Paid;
    }

    /// Text that stands for this order alone, for handles and addresses.
    pub fn token(&self, purpose: &str) -> String {
        hex::encode(sha256(format!("{purpose}/{}/{}", self.merchant_id, self.number).as_bytes()))
    }

    /// The body that tells of it, with the payment of that index.
    pub fn told(&self, index: usize) -> AnswerBody {
        let state = match self.state {
            OrderState::Open => WireState::Open,
            OrderState::Processing => WireState::Processing,
            OrderState::Paid => WireState::Paid,
            OrderState::Closed => WireState::Closed,
            OrderState::Declined => WireState::Declined,
        };
        let mut body = AnswerBody::bare(&self.merchant_id, &self.number, state);
        body.amount = Some(self.amount);
        body.currency = Some(self.currency.clone());
        body.payment = self.payments.get(index).map(|payment| PaymentBody {
            trade_number: payment.trade_number.clone(),
            amount: payment.amount,
            currency: self.currency.clone(),
            paid_at: payment.at,
        });
        if self.state == OrderState::Declined {
            body.reason = Some("the payer's bank declines".to_owned());
        }
        if self.returned > 0 && index == 0 {
            body.returned = Some(ReturnedBody {
                refund_number: digits(self.token("refund").as_bytes(), 28),
                amount: self.returned,
                by: "console".to_owned(),
            });
        }
        body
    }

    /// As tests compare it. `None`: its amounts are no money, which only a damaged file can bring about.
    pub fn row(&self) -> Option<LedgerRow> {
        let currency: Currency = self.currency.parse().ok()?;
        let payments = self.payments.iter().map(|payment| {
            let amount = Money::new(payment.amount, currency).ok()?;
            Some(LedgerPayment { trade_number: payment.trade_number.clone(), amount, at: payment.at })
        });
        Some(LedgerRow {
            number: self.number.clone(),
            merchant_id: self.merchant_id.clone(),
            channel: self.channel.clone(),
            amount: Money::new(self.amount, currency).ok()?,
            state: self.state,
            payments: payments.collect::<Option<_>>()?,
            returned: Money::new(self.returned, currency).ok()?,
            made_at: self.made_at,
            expires_at: self.expires_at,
        })
    }
}

/// Key of an order.
pub(super) fn order_key(number: &str, merchant_id: &str) -> String {
    format!("order/{number}/{merchant_id}")
}

/// An order as the provider's books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The merchant's number for it.
    pub number: String,
    /// The merchant.
    pub merchant_id: String,
    /// The channel code.
    pub channel: String,
    /// What was asked for.
    pub amount: Money,
    /// Where it stands. A locally signed order stands nowhere until the payer opens it.
    pub state: OrderState,
    /// Every payment, oldest first.
    pub payments: Vec<LedgerPayment>,
    /// What went back in the provider's console.
    pub returned: Money,
    /// When the provider learned of it.
    pub made_at: Timestamp,
    /// After it nobody can pay.
    pub expires_at: Timestamp,
}

/// One payment in the provider's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPayment {
    /// The provider's number for it.
    pub trade_number: String,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// What falls due at the provider.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Due {
    /// The payer pays.
    Pay {
        merchant_id: String,
        number: String,
        /// Also if it was paid before.
        again: bool,
    },
    /// The console gives everything back.
    Return { merchant_id: String, number: String },
    /// A notice is to be sent.
    Notice(Box<QueuedNotice>),
}

/// A notice that waits.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct QueuedNotice {
    pub url: String,
    /// Whose key signs it.
    pub merchant_id: String,
    pub body: AnswerBody,
    /// Under a key that is not the provider's.
    pub forged: bool,
    /// Tries so far.
    pub tries: usize,
}
