//! The sandbox acquirer's rows, and one visit to them: reads, collects changes, commits them together.
//!
//! No row holds card data: of a charge there is the digest of what was asked, of a cryptogram that it was used.

use maxpay_engine::model::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::parts::digest::{digits, sha256};
use crate::simulator::{Changes, Ledger, LedgerError};

use super::super::acquirer::wire::{AnswerBody, ReturnedBody, State};

/// Where a charge, a void or a refund stands in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Accepted, not decided.
    Processing,
    /// Money moved.
    Done,
    /// Refused for good.
    Declined,
}

/// A charge.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ChargeRow {
    pub merchant_id: String,
    pub number: String,
    /// Digest of what was asked.
    pub content: String,
    pub asked: u64,
    pub currency: String,
    pub expires_at: Timestamp,
    pub made_at: Timestamp,
    pub state: RowState,
    pub reason: Option<String>,
    pub payments: Vec<PaymentRow>,
    /// What went back in the console.
    pub returned: Option<(String, u64)>,
    /// Whether the merchant's balance is too small for what is to go back.
    #[serde(default)]
    pub is_held: bool,
}

/// Money taken.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PaymentRow {
    pub trade_number: String,
    pub amount: u64,
    pub at: Timestamp,
}

/// A void or a refund.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct BackRow {
    pub merchant_id: String,
    pub number: String,
    pub content: String,
    pub charge_number: String,
    pub is_void: bool,
    pub amount: u64,
    pub currency: String,
    pub state: RowState,
    pub reason: Option<String>,
    pub trade_number: String,
    pub at: Timestamp,
}

/// A visit. What it changed is nothing until [`Books::commit`].
pub(super) struct Books<'l> {
    ledger: &'l Ledger,
    changes: Changes,
    pub now: Timestamp,
}

impl<'l> Books<'l> {
    pub fn open(ledger: &'l Ledger, now: Timestamp) -> Self {
        Self { ledger, changes: Changes::default(), now }
    }

    pub fn charge(&self, merchant_id: &str, number: &str) -> Result<Option<ChargeRow>, LedgerError> {
        self.ledger.row(&charge_key(merchant_id, number))
    }

    /// The charges of that number, whoever's they are: at most one a merchant.
    pub fn charges(&self, number: &str) -> Result<Vec<ChargeRow>, LedgerError> {
        Ok(self.ledger.rows(&format!("charge/{number}/"), 16)?.into_iter().map(|(_, row)| row).collect())
    }

    pub fn back(&self, merchant_id: &str, number: &str) -> Result<Option<BackRow>, LedgerError> {
        self.ledger.row(&format!("back/{number}/{merchant_id}"))
    }

    /// Voids and refunds of a charge that were accepted.
    pub fn backs(&self, merchant_id: &str, charge_number: &str) -> Result<Vec<BackRow>, LedgerError> {
        let rows = self.ledger.rows::<BackRow>("back/", usize::MAX)?;
        let ours = |row: &BackRow| row.merchant_id == merchant_id && row.charge_number == charge_number;
        Ok(rows.into_iter().map(|(_, row)| row).filter(|row| ours(row) && row.state != RowState::Declined).collect())
    }

    /// Under which number a cryptogram was charged.
    pub fn cryptogram(&self, merchant_id: &str, cryptogram: &str) -> Result<Option<String>, LedgerError> {
        self.ledger.row(&cryptogram_key(merchant_id, cryptogram))
    }

    pub fn use_cryptogram(&mut self, merchant_id: &str, cryptogram: &str, number: &str) {
        self.changes.put(cryptogram_key(merchant_id, cryptogram), &number);
    }

    pub fn put_charge(&mut self, row: &ChargeRow) {
        self.changes.put(charge_key(&row.merchant_id, &row.number), row);
    }

    pub fn put_back(&mut self, row: &BackRow) {
        self.changes.put(format!("back/{}/{}", row.number, row.merchant_id), row);
    }

    pub fn commit(self) -> Result<(), LedgerError> {
        self.ledger.commit(self.changes)
    }
}

fn charge_key(merchant_id: &str, number: &str) -> String {
    format!("charge/{number}/{merchant_id}")
}

fn cryptogram_key(merchant_id: &str, cryptogram: &str) -> String {
    format!("cryptogram/{merchant_id}/{}", hex::encode(sha256(cryptogram.as_bytes())))
}

/// A number of the acquirer's: the same for the same thing.
pub(super) fn trade_number(kind: &str, merchant_id: &str, number: &str, count: usize) -> String {
    format!("acq{}", digits(format!("{kind}/{merchant_id}/{number}/{count}").as_bytes(), 20))
}

impl ChargeRow {
    /// Takes money.
    pub fn pay(&mut self, amount: u64, now: Timestamp) {
        let trade_number = trade_number("charge", &self.merchant_id, &self.number, self.payments.len());
        self.payments.push(PaymentRow { trade_number, amount, at: now });
        self.state = RowState::Done;
        self.reason = None;
    }

    pub fn money(&self, minor: u64) -> Option<Money> {
        Money::read(minor, &self.currency).ok()
    }

    pub fn told(&self) -> AnswerBody {
        let payment = self.payments.last();
        let returned = self.returned.as_ref().map(|(refund_number, amount)| ReturnedBody {
            refund_number: refund_number.clone(),
            amount: *amount,
            by: "the acquirer's console".to_owned(),
        });
        AnswerBody {
            merchant_id: self.merchant_id.clone(),
            number: self.number.clone(),
            state: self.state.told(),
            trade_number: payment.map(|payment| payment.trade_number.clone()),
            amount: payment.map(|payment| payment.amount),
            currency: payment.map(|_| self.currency.clone()),
            done_at: payment.map(|payment| payment.at),
            reason: self.reason.clone(),
            returned,
        }
    }
}

impl BackRow {
    pub fn told(&self) -> AnswerBody {
        let done = self.state == RowState::Done;
        AnswerBody {
            merchant_id: self.merchant_id.clone(),
            number: self.number.clone(),
            state: self.state.told(),
            trade_number: done.then(|| self.trade_number.clone()),
            amount: done.then_some(self.amount),
            currency: done.then(|| self.currency.clone()),
            done_at: done.then_some(self.at),
            reason: self.reason.clone(),
            returned: None,
        }
    }
}

impl RowState {
    fn told(self) -> State {
        match self {
            Self::Processing => State::Processing,
            Self::Done => State::Approved,
            Self::Declined => State::Declined,
        }
    }
}

/// An answer without a row.
pub(super) fn bare(merchant_id: &str, number: &str, state: State, reason: Option<&str>) -> AnswerBody {
    AnswerBody {
        merchant_id: merchant_id.to_owned(),
        number: number.to_owned(),
        state,
        trade_number: None,
        amount: None,
        currency: None,
        done_at: None,
        reason: reason.map(str::to_owned),
        returned: None,
    }
}
