//! The provider's rows: orders, refunds, and what falls due.

use maxpay_engine::model::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::parts::digest::{digits, sha256};

use super::super::request::rfc3339;
use super::super::wire::{PaidAmount, RefundedAmount, RefundedBody, TransactionBody};

/// Where an order stands at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It can be paid until it expires; then it stays as it is.
    NotPaid,
    /// The payer is entering a password: it can be neither closed nor paid by another.
    Paying,
    /// It was paid.
    Paid,
    /// It was closed.
    Closed,
}

/// In which dialect something was asked for: it is told of in the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dialect {
    /// JSON.
    #[default]
    V3,
    /// XML.
    V2 {
        /// How it is signed.
        sign_type: String,
    },
}

/// An order.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub mchid: String,
    pub appid: String,
    pub number: String,
    /// `app`, `jsapi`, `native` or `h5`.
    pub kind: String,
    /// Fen.
    pub amount: u64,
    pub notify_url: String,
    pub made_at: Timestamp,
    pub expires_at: Timestamp,
    /// Tells whether a second create says the same.
    pub content: String,
    pub state: OrderState,
    pub payments: Vec<Payment>,
    /// How often it was ordered: each time there is another handle.
    pub ordered: u32,
    /// When the newest handle was given.
    pub handle_at: Timestamp,
    /// When a refund of it was last accepted.
    pub refunded_at: Option<Timestamp>,
    #[serde(default)]
    pub dialect: Dialect,
}

/// One payment of an order.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Payment {
    pub transaction_id: String,
    /// Fen.
    pub amount: u64,
    pub at: Timestamp,
}

impl Order {
    pub fn key(&self) -> String {
        order_key(&self.number, &self.mchid)
    }

    /// Books a payment. Its number follows from the order and the count, so that a repetition cannot invent one.
    pub fn pay(&mut self, amount: u64, at: Timestamp) {
        let name = format!("{}/{}/{}", self.mchid, self.number, self.payments.len());
        let transaction_id = format!("42{}", digits(name.as_bytes(), 26));
        self.payments.push(Payment { transaction_id, amount, at });
        self.state = OrderState::Paid;
    }

    /// The newest handle: hexadecimal digits.
    pub fn handle(&self) -> String {
        self.handle_of(self.ordered)
    }

    /// Every handle that was given out, oldest first.
    pub fn handles(&self) -> impl Iterator<Item = String> {
        (1..=self.ordered).map(|time| self.handle_of(time))
    }

    /// The newest handle as apps and pages get it.
    pub fn prepay_id(&self) -> String {
        format!("wx{}", &self.handle()[..34])
    }

    /// The text of a code to scan, with the newest handle.
    pub fn code_url(&self) -> String {
        format!("weixin://wxpay/bizpayurl?pr={}", &self.handle()[..9])
    }

    /// The page that opens WeChat, with the newest handle.
    pub fn page(&self) -> String {
        format!("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={}&package=1", self.prepay_id())
    }

    fn handle_of(&self, time: u32) -> String {
        hex::encode(sha256(format!("handle/{}/{}/{time}", self.mchid, self.number).as_bytes()))
    }

    /// What kind of order it is, in the word of answers.
    pub fn trade_type(&self) -> &'static str {
        match self.kind.as_str() {
            "app" => "APP",
            "native" => "NATIVE",
            "h5" => "MWEB",
            _ => "JSAPI",
        }
    }

    /// Where it stands, in the word of answers. `refunded`: there is a refund of it.
    pub fn trade_state(&self, refunded: bool) -> &'static str {
        match self.state {
            OrderState::NotPaid => "NOTPAY",
            OrderState::Paying => "USERPAYING",
            OrderState::Paid if refunded => "REFUND",
            OrderState::Paid => "SUCCESS",
            OrderState::Closed => "CLOSED",
        }
    }

    /// As a query or a notification tells of it. `refunded`: there is a refund of it.
    pub fn told(&self, index: usize, refunded: bool) -> TransactionBody {
        let payment = self.payments.get(index);
        let amount = payment.map_or(self.amount, |payment| payment.amount);
        TransactionBody {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            out_trade_no: self.number.clone(),
            transaction_id: payment.map(|payment| payment.transaction_id.clone()),
            trade_type: payment.map(|_| self.trade_type().to_owned()),
            trade_state: self.trade_state(refunded).to_owned(),
            trade_state_desc: Some("simulated".to_owned()),
            success_time: payment.map(|payment| rfc3339(payment.at)),
            amount: Some(PaidAmount {
                total: Some(amount),
                payer_total: payment.map(|payment| payment.amount),
                currency: Some("CNY".to_owned()),
            }),
        }
    }
}

/// How a refund ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundState {
    /// Under way.
    Processing,
    /// The money went back.
    Success,
    /// The payer's account does not take it: it lies with the provider.
    Abnormal,
    /// It ended without money.
    Closed,
}

impl RefundState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
        }
    }
}

/// A refund.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Refund {
    pub mchid: String,
    #[serde(default)]
    pub appid: String,
    /// The merchant's number for it; empty: made in the console.
    pub number: String,
    pub order: String,
    pub id: String,
    pub transaction_id: String,
    /// Fen.
    pub amount: u64,
    /// Fen that were paid.
    pub total: u64,
    pub notify_url: String,
    pub content: String,
    pub state: RefundState,
    /// What it will be.
    pub ends: RefundState,
    pub made_at: Timestamp,
    pub done_at: Option<Timestamp>,
    #[serde(default)]
    pub dialect: Dialect,
}

impl Refund {
    /// Whether the money went back.
    pub fn is_done(&self) -> bool {
        self.state == RefundState::Success
    }

    pub fn key(&self) -> String {
        refund_key(&self.mchid, &self.order, &self.id)
    }

    /// As an answer tells of it.
    pub fn told(&self) -> RefundedBody {
        RefundedBody {
            mchid: None,
            refund_id: self.id.clone(),
            out_refund_no: self.number.clone(),
            transaction_id: self.transaction_id.clone(),
            out_trade_no: self.order.clone(),
            status: self.state.name().to_owned(),
            success_time: self.done_at.filter(|_| self.state == RefundState::Success).map(rfc3339),
            amount: RefundedAmount { refund: self.amount, total: self.total, currency: Some("CNY".to_owned()) },
        }
    }

    /// As a notification tells of it: with the merchant, under another name for the state, without a currency.
    pub fn noticed(&self) -> serde_json::Value {
        let mut body = RefundedBody { mchid: Some(self.mchid.clone()), ..self.told() };
        body.amount.currency = None;
        let mut body = serde_json::to_value(body).expect("a struct of texts and numbers");
        if let Some(state) = body.as_object_mut().and_then(|body| body.remove("status")) {
            body["refund_status"] = state;
        }
        body
    }
}

/// Key of an order.
pub(super) fn order_key(number: &str, mchid: &str) -> String {
    format!("order/{number}/{mchid}")
}

/// Key of a refund.
pub(super) fn refund_key(mchid: &str, order: &str, id: &str) -> String {
    format!("refund/{mchid}/{order}/{id}")
}

/// Key that leads from a refund's number to its row.
pub(super) fn refund_number_key(mchid: &str, number: &str) -> String {
    format!("refund-number/{mchid}/{number}")
}

/// Key that leads from a payment to its order.
pub(super) fn payment_key(mchid: &str, transaction_id: &str) -> String {
    format!("payment/{mchid}/{transaction_id}")
}

/// What falls due at the provider.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Due {
    /// A refund is decided.
    Settle { key: String },
    /// A notice is to be sent.
    Notice(Box<QueuedNotice>),
}

/// A notice that waits.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct QueuedNotice {
    pub url: String,
    /// Whose key seals or signs it.
    pub mchid: String,
    pub event: String,
    /// JSON text.
    pub content: String,
    /// `transaction` or `refund`.
    pub kind: String,
    #[serde(default)]
    pub dialect: Dialect,
    /// A test of whether signatures are checked: it must be refused.
    pub probe: bool,
    /// Under a key that is not the provider's.
    pub forged: bool,
    /// Tries so far.
    pub tries: usize,
}

/// An order as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The merchant's number for it.
    pub number: String,
    /// The merchant.
    pub mchid: String,
    /// What was asked for.
    pub amount: Money,
    /// Where it stands.
    pub state: OrderState,
    /// The provider's number and the amount of every payment, oldest first.
    pub payments: Vec<(String, Money)>,
    /// Every refund, oldest first: the merchant's number (`None`: made in the console), the amount, and its state.
    pub refunds: Vec<(Option<String>, Money, RefundState)>,
    /// When the provider learned of it.
    pub made_at: Timestamp,
    /// After it nobody can pay.
    pub expires_at: Timestamp,
}
