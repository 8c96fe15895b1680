//! Alipay's rows: trades, their payments and refunds.

use std::time::Duration;

use maxpay_engine::model::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::parts::beijing;
use crate::parts::digest::{digits, sha256};

/// How long after its payment a trade takes refunds: contracts say three to twelve months, and the longest it is here.
const REFUND_WINDOW: Duration = Duration::from_hours(365 * 24);
/// How long a code can be scanned (alipay.trade.precreate).
const CODE_LIFE: Duration = Duration::from_hours(2);
/// Codes of one trade that are kept.
const CODES_MAX: usize = 16;

/// Where a trade stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TradeState {
    /// A code was given out and nobody has scanned it: no trade yet, as far as queries go.
    Coded,
    /// `WAIT_BUYER_PAY`
    Wait,
    /// `TRADE_SUCCESS`
    Success,
    /// `TRADE_CLOSED`: timed out or closed, or wholly given back.
    Closed,
    /// `TRADE_FINISHED`: paid, and the time for refunds is over.
    Finished,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// In fen.
    pub amount_minor: u64,
    /// When.
    pub at: Timestamp,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRow {
    /// The merchant's number for it; `None`: made in the console.
    pub request_no: Option<String>,
    /// In fen.
    pub amount_minor: u64,
    /// When.
    pub at: Timestamp,
}

/// A trade, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The application.
    pub app_id: String,
    /// The merchant.
    pub seller_id: String,
    /// The merchant's number for it.
    pub number: String,
    /// Alipay's number for it.
    pub trade_no: String,
    /// The method it was made by.
    pub method: String,
    /// In fen.
    pub amount_minor: u64,
    /// What the payer reads.
    pub subject: String,
    /// Where notices go.
    pub notify_url: String,
    /// After it nobody can pay.
    pub expires_at: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// Where it stands.
    pub state: TradeState,
    /// The payment, if there was one.
    pub payment: Option<Payment>,
    /// Every refund, oldest first.
    pub refunds: Vec<RefundRow>,
    /// What it says, to tell a repeat from another order.
    pub content: String,
    /// Whether the payer has opened it once.
    pub is_opened: bool,
    /// When codes for it were given out, the newest last. Each create gives another one.
    #[serde(default)]
    pub codes: Vec<Timestamp>,
    /// What is to go another way than usual.
    pub twists: Twists,
}

/// What is to go another way than usual with a trade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twists {
    /// The payer pays in the moment before the next close.
    pub pays_before_close: bool,
    /// The next refund is done and answered as if it had been done before.
    pub quiet_refund: bool,
    /// The merchant's balance is too small for refunds.
    pub poor: bool,
}

/// The row of a trade.
pub(super) fn key(app_id: &str, number: &str) -> String {
    format!("trade/{number}/{app_id}")
}

/// Alipay's number for a trade: the day and twenty digits.
pub(super) fn trade_no(app_id: &str, number: &str, now: Timestamp) -> String {
    format!("{}{}", &beijing::packed(now)[..8], digits(format!("{app_id}/{number}").as_bytes(), 20))
}

impl Trade {
    /// The trade as of `now`: one whose time is over is closed, or finished where it was paid.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if matches!(self.state, TradeState::Coded | TradeState::Wait) && now >= self.expires_at {
            self.state = TradeState::Closed;
        }
        let paid_at = self.payment.as_ref().map(|payment| payment.at);
        if self.state == TradeState::Success && paid_at.is_some_and(|at| now.since(at) > REFUND_WINDOW) {
            self.state = TradeState::Finished;
        }
        self
    }

    /// Gives out a code for it.
    pub(super) fn give_code(&mut self, now: Timestamp) {
        self.codes.push(now);
        let before = self.codes.len().saturating_sub(CODES_MAX);
        self.codes.drain(..before);
    }

    /// The codes that can be scanned at `now`, the newest last.
    pub(super) fn codes(&self, now: Timestamp) -> impl Iterator<Item = String> {
        let live = self.codes.iter().filter(move |at| now.since(**at) < CODE_LIFE);
        live.map(|at| {
            let named = format!("{}/{}", self.trade_no, at.millis());
            format!("https://qr.alipay.com/bax{}", &hex::encode(sha256(named.as_bytes()))[..20])
        })
    }

    /// Whether queries know it: a code that nobody scanned is no trade.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self.state {
            TradeState::Coded => false,
            TradeState::Wait | TradeState::Success | TradeState::Finished => true,
            TradeState::Closed => self.is_opened,
        }
    }

    /// Its status in Alipay's words.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.state {
            TradeState::Coded | TradeState::Wait => "WAIT_BUYER_PAY",
            TradeState::Success => "TRADE_SUCCESS",
            TradeState::Closed => "TRADE_CLOSED",
            TradeState::Finished => "TRADE_FINISHED",
        }
    }

    /// What was paid, or is to be, in fen.
    #[must_use]
    pub fn total_minor(&self) -> u64 {
        self.payment.as_ref().map_or(self.amount_minor, |payment| payment.amount_minor)
    }

    /// What went back so far, in fen.
    #[must_use]
    pub fn returned_minor(&self) -> u64 {
        self.refunds.iter().map(|refund| refund.amount_minor).sum()
    }

    /// Books a payment.
    pub fn pay(&mut self, amount_minor: u64, now: Timestamp) {
        self.payment = Some(Payment { amount_minor, at: now });
        self.state = TradeState::Success;
    }

    /// Books a refund; one of all that is left closes the trade.
    pub fn give_back(&mut self, request_no: Option<String>, amount_minor: u64, now: Timestamp) {
        self.refunds.push(RefundRow { request_no, amount_minor, at: now });
        if self.returned_minor() >= self.total_minor() {
            self.state = TradeState::Closed;
        }
    }
}

/// Fen as Alipay writes them.
pub(super) fn yuan(minor: u64) -> String {
    Money::new(minor, Currency::CNY).map(|money| money.major()).unwrap_or_default()
}
