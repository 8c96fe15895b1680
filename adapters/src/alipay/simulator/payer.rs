//! What the payer, the merchant's console or a fault of Alipay's does to a trade.

use std::time::Duration;

use crate::simulator::LedgerError;

use super::Simulator;
use super::gateway::Asked;
use super::notices::Telling;
use super::trade::{Trade, TradeState};

/// What happens to a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerCommand {
    /// The payer scans the code: from now on there is a trade.
    Scan,
    /// The payer pays.
    Pay,
    /// The payer pays this many fen instead of what was asked.
    PayOther(u64),
    /// Money is taken although the trade is closed: Alipay's own fault.
    PayLate,
    /// The payer pays in the moment before the merchant's next close arrives.
    PayBeforeClose,
    /// The merchant gives so many fen back in the console.
    Refund(u64),
    /// The next refund by the gateway is done and answered with `fund_change` *N*.
    QuietRefund,
    /// Whether the merchant's balance is too small for refunds.
    Poor(bool),
    /// Pays; the notice comes so much later.
    NotifyLate(Duration),
    /// Pays; the notice comes twice.
    NotifyTwice,
    /// Pays; no notice ever.
    NotifyNever,
    /// Does not pay; a notice under a stranger's key says that it was.
    NotifyForged,
    /// Pays; the notice, rightly signed, names another seller.
    NotifyWrongOwner,
    /// Pays; the notice, rightly signed, says one fen more.
    NotifyWrongAmount,
}

/// Why a command was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// No trade or code of that number is known.
    #[error("the simulated Alipay does not know order {0}: an order that was signed by the merchant is opened first")]
    UnknownNumber(String),
    /// The trade's state does not allow it.
    #[error("the trade is {0:?}, which does not allow it")]
    State(TradeState),
    /// What the payer brings is refused, with the gateway's sub-code.
    #[error("the gateway refuses the order: {0}")]
    Refused(&'static str),
    /// The books do not answer. It may have been done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Simulator {
    /// The payer opens an order that the merchant signed: an order text, or an address. Opening it again changes
    /// nothing. Gives its number.
    ///
    /// # Errors
    /// The signature is wrong, or the order says what Alipay does not take.
    pub fn open_order(&self, text: &str) -> Result<String, PayerError> {
        let query = if text.starts_with("http") { text.split_once('?').map_or("", |(_, query)| query) } else { text };
        let asked = Asked::read(query, b"").ok_or(PayerError::Refused("isv.invalid-parameter"))?;
        self.admit(&asked)
    }

    pub(super) fn admit(&self, asked: &Asked) -> Result<String, PayerError> {
        let methods = ["alipay.trade.app.pay", "alipay.trade.page.pay", "alipay.trade.wap.pay"];
        if !methods.contains(&asked.text("method")) {
            return Err(PayerError::Refused("isv.invalid-method"));
        }
        self.at_the_door(asked).map_err(|(_, sub_code)| PayerError::Refused(sub_code))?;
        let mut trade = self.trade_asked(asked, &asked.biz()).map_err(PayerError::Refused)?;
        let _visit = self.enter();
        match self.trade(&trade.app_id, &trade.number)? {
            // The three texts of one number are one order; the method of the last one opened is the trade's.
            Some(known) if known.content == trade.content => {
                if known.state == TradeState::Wait && known.method != trade.method {
                    self.put(&Trade { method: trade.method, ..known.clone() })?;
                }
                return Ok(known.number);
            }
            Some(_) => return Err(PayerError::Refused("CONTEXT_INCONSISTENT")),
            None if trade.expires_at <= self.now() => return Err(PayerError::Refused("INVALID_PARAMETER")),
            None => {}
        }
        trade.state = TradeState::Wait;
        trade.is_opened = true;
        self.put(&trade)?;
        Ok(trade.number)
    }

    /// Does something to the trade of that number and application. It is durable when this returns; notices leave with
    /// the next tick.
    ///
    /// # Errors
    /// The trade is not known, or its state does not allow it.
    pub fn payer(&self, app_id: &str, number: &str, command: PayerCommand) -> Result<Trade, PayerError> {
        let _visit = self.enter();
        let now = self.now();
        let trade = self.trade(app_id, number)?;
        let mut trade = trade.ok_or_else(|| PayerError::UnknownNumber(number.to_owned()))?;
        let refused = PayerError::State(trade.state);
        let open = matches!(trade.state, TradeState::Coded | TradeState::Wait);
        let amount = trade.amount_minor;
        let (paid, telling) = match command {
            PayerCommand::PayOther(other) => (other, Telling::Once),
            PayerCommand::NotifyLate(wait) => (amount, Telling::Late(wait)),
            PayerCommand::NotifyTwice => (amount, Telling::Twice),
            PayerCommand::NotifyNever => (amount, Telling::Never),
            PayerCommand::NotifyWrongOwner => (amount, Telling::WrongOwner),
            PayerCommand::NotifyWrongAmount => (amount, Telling::WrongAmount),
            PayerCommand::NotifyForged => (amount, Telling::Forged),
            PayerCommand::Pay
            | PayerCommand::Scan
            | PayerCommand::PayLate
            | PayerCommand::PayBeforeClose
            | PayerCommand::Refund(_)
            | PayerCommand::QuietRefund
            | PayerCommand::Poor(_) => (amount, Telling::Once),
        };
        match command {
            PayerCommand::Pay
            | PayerCommand::PayOther(_)
            | PayerCommand::NotifyLate(_)
            | PayerCommand::NotifyTwice
            | PayerCommand::NotifyNever
            | PayerCommand::NotifyWrongOwner
            | PayerCommand::NotifyWrongAmount => {
                if !open {
                    return Err(refused);
                }
                trade.is_opened = true;
                trade.pay(paid, now);
                self.put(&trade)?;
                self.tell(&trade, telling)?;
            }
            PayerCommand::NotifyForged => {
                let mut lie = trade.clone();
                lie.pay(amount, now);
                self.tell(&lie, telling)?;
            }
            PayerCommand::PayLate => {
                if trade.state != TradeState::Closed || trade.payment.is_some() {
                    return Err(refused);
                }
                trade.is_opened = true;
                trade.pay(amount, now);
                self.put_and_tell(&trade)?;
            }
            PayerCommand::Refund(back) => {
                let left = trade.total_minor().saturating_sub(trade.returned_minor());
                if trade.state != TradeState::Success || back == 0 || back > left {
                    return Err(refused);
                }
                trade.give_back(None, back, now);
                self.put_and_tell(&trade)?;
            }
            PayerCommand::Scan => {
                if !open {
                    return Err(refused);
                }
                trade.state = TradeState::Wait;
                trade.is_opened = true;
                self.put(&trade)?;
            }
            PayerCommand::PayBeforeClose => {
                trade.twists.pays_before_close = true;
                self.put(&trade)?;
            }
            PayerCommand::QuietRefund => {
                trade.twists.quiet_refund = true;
                self.put(&trade)?;
            }
            PayerCommand::Poor(poor) => {
                trade.twists.poor = poor;
                self.put(&trade)?;
            }
        }
        Ok(trade)
    }
}
