//! What happens to a charge besides the merchant's calls, and the books for whoever compares them.

use maxpay_engine::model::{Money, Timestamp};

use crate::simulator::LedgerError;

use super::Simulator;
use super::books::{BackRow, Books, ChargeRow, RowState};

/// What happens to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCommand {
    /// An undecided charge is approved.
    Approve,
    /// An undecided charge is approved over this many minor units instead.
    ApproveOther(u64),
    /// An undecided charge is declined.
    Decline,
    /// Money is taken although the charge was declined: the acquirer's own fault.
    ApproveLate,
    /// What was paid goes back wholly in the acquirer's console.
    Return,
    /// The merchant's balance is too small for what is to go back of it.
    Hold,
    /// It is large enough again.
    Release,
}

/// Why the acquirer would not let it happen.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// The number is not known.
    #[error("there is no charge {0}")]
    UnknownNumber(String),
    /// The charge's state forbids it.
    #[error("the charge is {0:?}")]
    State(RowState),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A charge as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The merchant's number for it.
    pub number: String,
    /// Whose it is, as the acquirer names merchants.
    pub merchant_id: String,
    /// Where it stands.
    pub state: RowState,
    /// What was asked for.
    pub amount: Money,
    /// After it nothing is charged.
    pub expires_at: Timestamp,
    /// Every payment, oldest first.
    pub payments: Vec<LedgerPayment>,
    /// Every void and refund that was accepted, those of the console too.
    pub refunds: Vec<LedgerRefund>,
}

/// Money taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPayment {
    /// The acquirer's number for it.
    pub trade_number: String,
    /// How much.
    pub amount: Money,
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRefund {
    /// The merchant's number for it; `None`: made in the console.
    pub number: Option<String>,
    /// How much.
    pub amount: Money,
    /// Whether the money went back.
    pub is_done: bool,
}

impl Simulator {
    /// Lets something happen to every charge of that number.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn payer(&self, number: &str, command: PayerCommand) -> Result<(), PayerError> {
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        let rows = books.charges(number)?;
        if rows.is_empty() {
            return Err(PayerError::UnknownNumber(number.to_owned()));
        }
        for mut row in rows {
            happen(&mut row, command, books.now)?;
            books.put_charge(&row);
        }
        Ok(books.commit()?)
    }

    /// The acquirer's books: every charge it knows, oldest first. For comparing them with the engine's records.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn ledger(&self) -> Result<Vec<LedgerRow>, LedgerError> {
        let _visit = self.enter();
        let backs = self.ledger.rows::<BackRow>("back/", usize::MAX)?;
        let mut charges: Vec<_> = self.ledger.rows::<ChargeRow>("charge/", usize::MAX)?;
        charges.sort_by_key(|(_, row)| row.made_at);
        Ok(charges.iter().filter_map(|(_, charge)| row(charge, &backs)).collect())
    }
}

fn happen(row: &mut ChargeRow, command: PayerCommand, now: Timestamp) -> Result<(), PayerError> {
    let fits = match command {
        PayerCommand::Approve | PayerCommand::ApproveOther(_) | PayerCommand::Decline => {
            row.state == RowState::Processing
        }
        PayerCommand::ApproveLate => row.state == RowState::Declined,
        PayerCommand::Return => row.state == RowState::Done && row.returned.is_none(),
        PayerCommand::Hold | PayerCommand::Release => row.state == RowState::Done,
    };
    if !fits {
        return Err(PayerError::State(row.state));
    }
    match command {
        PayerCommand::Approve | PayerCommand::ApproveLate => row.pay(row.asked, now),
        PayerCommand::ApproveOther(amount) => row.pay(amount, now),
        PayerCommand::Decline => {
            row.state = RowState::Declined;
            row.reason = Some("the card's bank declines".to_owned());
        }
        PayerCommand::Hold => row.is_held = true,
        PayerCommand::Release => row.is_held = false,
        PayerCommand::Return => {
            let amount = row.payments.last().map_or(0, |payment| payment.amount);
            row.returned = Some((super::books::trade_number("return", &row.merchant_id, &row.number, 0), amount));
        }
    }
    Ok(())
}

fn row(charge: &ChargeRow, backs: &[(String, BackRow)]) -> Option<LedgerRow> {
    let payment = |payment: &super::books::PaymentRow| {
        Some(LedgerPayment { trade_number: payment.trade_number.clone(), amount: charge.money(payment.amount)? })
    };
    let ours = |back: &&BackRow| back.merchant_id == charge.merchant_id && back.charge_number == charge.number;
    let accepted = backs.iter().map(|(_, back)| back).filter(|back| back.state != RowState::Declined).filter(ours);
    let given = accepted.filter_map(|back| {
        let is_done = back.state == RowState::Done;
        Some(LedgerRefund { number: Some(back.number.clone()), amount: charge.money(back.amount)?, is_done })
    });
    let returned = charge
        .returned
        .as_ref()
        .and_then(|(_, amount)| Some(LedgerRefund { number: None, amount: charge.money(*amount)?, is_done: true }));
    Some(LedgerRow {
        number: charge.number.clone(),
        merchant_id: charge.merchant_id.clone(),
        state: charge.state,
        amount: charge.money(charge.asked)?,
        expires_at: charge.expires_at,
        payments: charge.payments.iter().filter_map(payment).collect(),
        refunds: given.chain(returned).collect(),
    })
}
