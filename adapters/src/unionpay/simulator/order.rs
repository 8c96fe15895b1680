//! Transactions as the simulated UnionPay keeps them: payments, voids and refunds, each under a number of its own.

use maxpay_engine::model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parts::beijing;
use crate::parts::digest::{digits, sha256};

use super::super::message::Message;
use super::super::request::TYPE_PAYMENT;

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderState {
    /// The payer has not paid.
    Open,
    /// Taken, not decided: a void or a refund on its way.
    Underway,
    /// It succeeded.
    Done,
    /// A payment that succeeded after its time-out; it goes back.
    DoneTooLate,
    /// A void or a refund that failed.
    Failed,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose.
    pub merchant_id: String,
    /// The merchant's number (orderId).
    pub number: String,
    /// When it was given, as it was sent (txnTime).
    pub txn_time: String,
    /// 01 a payment, 31 a void, 04 a refund.
    pub txn_type: String,
    /// What was asked for, in fen.
    pub amount: u64,
    /// What was paid, in fen, where it was.
    pub paid: Option<u64>,
    /// Where it stands.
    pub state: OrderState,
    /// UnionPay's number (queryId).
    pub query_id: String,
    /// Of a void or a refund: the queryId of its payment.
    pub original: Option<String>,
    /// After it nobody can pay (payTimeout).
    pub expires_at: Option<Timestamp>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// When it came to be.
    pub made_at: Timestamp,
    pub(super) opened: bool,
    pub(super) declined: Option<String>,
    pub(super) notify_url: String,
    /// What the request said: the same again is the same order.
    pub(super) content: String,
}

impl Order {
    /// What a verified request asks for.
    pub(super) fn asked(message: &Message, amount: u64, now: Timestamp) -> Self {
        let (merchant_id, number) = (message.field("merId"), message.field("orderId"));
        let txn_time = message.field("txnTime");
        let named = format!("{merchant_id}/{number}/{txn_time}");
        let original = Some(message.field("origQryId").to_owned()).filter(|original| !original.is_empty());
        Self {
            merchant_id: merchant_id.to_owned(),
            number: number.to_owned(),
            txn_time: txn_time.to_owned(),
            txn_type: message.field("txnType").to_owned(),
            amount,
            paid: None,
            state: if message.field("txnType") == TYPE_PAYMENT { OrderState::Open } else { OrderState::Underway },
            query_id: digits(named.as_bytes(), 21),
            original,
            expires_at: beijing::read_packed(message.field("payTimeout")),
            decided_at: None,
            made_at: now,
            opened: false,
            declined: None,
            notify_url: message.field("backUrl").to_owned(),
            content: content_of(message),
        }
    }

    pub(super) fn key(&self) -> String {
        order_key(&self.merchant_id, &self.number)
    }

    pub(super) fn is_payment(&self) -> bool {
        self.txn_type == TYPE_PAYMENT
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }

    /// The serial for the phone's SDK.
    pub(super) fn tn(&self) -> String {
        digits(format!("tn/{}", self.key()).as_bytes(), 21)
    }

    /// origRespCode. `None`: nobody has heard of it yet. A payment is known once its payer has opened the cashier.
    pub(super) fn code(&self, now: Timestamp) -> Option<&str> {
        Some(match self.state {
            OrderState::Done => "00",
            OrderState::DoneTooLate => "42",
            OrderState::Failed => "01",
            OrderState::Underway => "05",
            OrderState::Open => match &self.declined {
                Some(code) => code,
                None if !self.opened => return None,
                // The payer let it pass.
                None if self.is_expired(now) => "69",
                None => "05",
            },
        })
    }

    /// What a query or a notice says of it.
    pub(super) fn told(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("txnType", self.txn_type.clone()),
            ("txnSubType", if self.is_payment() { "01" } else { "00" }.to_owned()),
            ("bizType", "000201".to_owned()),
            ("currencyCode", "156".to_owned()),
            ("txnAmt", self.paid.unwrap_or(self.amount).to_string()),
        ];
        if let Some(at) = self.decided_at {
            let amount = self.paid.unwrap_or(self.amount).to_string();
            pairs.extend([
                ("queryId", self.query_id.clone()),
                ("settleAmt", amount),
                ("settleCurrencyCode", "156".to_owned()),
                ("settleDate", beijing::packed(at)[4..8].to_owned()),
                ("traceNo", digits(self.query_id.as_bytes(), 6)),
                ("traceTime", beijing::packed(at)[4..].to_owned()),
            ]);
        }
        if let Some(original) = &self.original {
            pairs.push(("origQryId", original.clone()));
        }
        pairs
    }
}

pub(super) fn order_key(merchant_id: &str, number: &str) -> String {
    format!("order/{number}/{merchant_id}")
}

/// What a request says, without who signed it.
pub(super) fn content_of(message: &Message) -> String {
    let pairs = message.pairs().into_iter().filter(|(name, _)| !matches!(name.as_str(), "signature" | "certId"));
    let said: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    hex::encode(sha256(said.join("&").as_bytes()))
}

/// What falls due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Due {
    /// A void or a refund is decided.
    Settle { key: String },
    /// The merchant is told, after so many tries.
    Notice { key: String, tries: usize },
}
