//! Alipay as a service that anybody can run: one application, in public-key or in certificate mode.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::Adapter;
use maxpay_engine::model::{Currency, Money, Timestamp};

use crate::alipay::Alipay;
use crate::simulator::words::{self, Command, Word};
use crate::simulator::{
    Due, FaultPlan, LedgerError, NotificationSink, ORDERS_MAX, Offer, OrderRow, Service, ServiceError, ServiceParts,
    Simulation, newest_first,
};

use super::keys::{KeptKeys, KeyMode, Keys};
use super::trade::{Trade, TradeState};
use super::{PayerCommand, Simulator, SimulatorParts};

/// Alipay, to be opened as a service.
pub const SIMULATION: Simulation = Simulation { name: "alipay", keys: &["public", "certificates"], open };

/// What people can do.
const WORDS: [Word<PayerCommand>; 15] = [
    Word::just("scan", PayerCommand::Scan, "scan the code: from now on there is a trade"),
    Word::just("pay", PayerCommand::Pay, "pay what is asked"),
    Word::with("pay_other", "amount_minor", PayerCommand::PayOther, "pay so many fen instead"),
    Word::just("pay_late", PayerCommand::PayLate, "take money although the trade is closed: Alipay's own fault"),
    Word::just("pay_before_close", PayerCommand::PayBeforeClose, "pay in the moment before the merchant's next close"),
    Word::with("refund", "amount_minor", PayerCommand::Refund, "give so many fen back in the merchant's console"),
    Word::with("notify_late", "after_ms", notify_late, "pay; the notice comes so many milliseconds later"),
    Word::just("notify_twice", PayerCommand::NotifyTwice, "pay; the notice comes twice"),
    Word::just("notify_never", PayerCommand::NotifyNever, "pay; no notice ever"),
    Word::just("notify_forged", PayerCommand::NotifyForged, "do not pay; a forged notice says so"),
    Word::just("notify_wrong_owner", PayerCommand::NotifyWrongOwner, "pay; the notice names another seller"),
    Word::just("notify_wrong_amount", PayerCommand::NotifyWrongAmount, "pay; the notice says one fen more"),
    Word::just("quiet_refund", PayerCommand::QuietRefund, "answer the next refund as if it had been done before"),
    Word::just("poor", PayerCommand::Poor(true), "the merchant's balance is too small for refunds"),
    Word::just("rich", PayerCommand::Poor(false), "the merchant's balance is large enough again"),
];

/// Application and seller: an application is in one of the modes.
const fn owner(mode: KeyMode) -> (&'static str, &'static str) {
    match mode {
        KeyMode::PublicKey => ("2021000000000101", "2088000000000101"),
        KeyMode::Certificates => ("2021000000000102", "2088000000000102"),
    }
}

fn notify_late(after_ms: u64) -> PayerCommand {
    PayerCommand::NotifyLate(Duration::from_millis(after_ms))
}

fn open(parts: ServiceParts) -> Result<Arc<dyn Service>, ServiceError> {
    let mode = if parts.keys == "certificates" { KeyMode::Certificates } else { KeyMode::PublicKey };
    let kept: KeptKeys = parts
        .ledger
        .row_or(&format!("keys/{}", parts.keys), || Ok::<_, ServiceError>(KeptKeys::make(&[owner(mode)])))?;
    let keys = Keys::read(mode, &kept).ok_or(ServiceError::Keys)?;
    let gateway = format!("{}/gateway.do", parts.base_url);
    Ok(Simulator::open(SimulatorParts { gateway, ledger: parts.ledger, clock: parts.clock, keys: Arc::new(keys) }))
}

impl Due for Simulator {
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>> {
        Box::pin(Self::tick(self))
    }

    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError> {
        Self::next_due(self)
    }
}

impl Service for Simulator {
    fn commands(&self) -> Vec<Command> {
        words::commands(&WORDS)
    }

    fn bring(&self, text: &str) -> Result<String, ServiceError> {
        let text = text.trim();
        if !text.starts_with("https://qr.alipay.com/") {
            return self.open_order(text).map_err(ServiceError::refused);
        }
        let trades = self.newest()?;
        let number =
            trades.into_iter().find(|trade| trade.codes(self.now()).any(|code| code == text)).map(|trade| trade.number);
        let number = number.ok_or_else(|| {
            ServiceError::refused("the code is none of the newest orders', or is older than two hours")
        })?;
        self.play(&number, "scan")?;
        Ok(number)
    }

    fn play(&self, number: &str, command: &str) -> Result<(), ServiceError> {
        let command = words::read(&WORDS, command).map_err(ServiceError::refused)?;
        match self.payer(owner(self.keys.mode()).0, number, command) {
            Ok(_) => Ok(()),
            Err(super::PayerError::Ledger(error)) => Err(error.into()),
            Err(refused) => Err(ServiceError::refused(refused)),
        }
    }

    fn orders(&self) -> Result<Vec<OrderRow>, LedgerError> {
        Ok(newest_first(self.newest()?.iter().map(row).collect()))
    }

    fn offers(&self) -> Result<Vec<Offer>, ServiceError> {
        let (mode, adapter) = (self.keys.mode(), Alipay::new());
        let label = match mode {
            KeyMode::PublicKey => "Simulated Alipay, public keys",
            KeyMode::Certificates => "Simulated Alipay, certificates",
        };
        let all = self.keys.settings(owner(mode).0, self.gateway(), self.rotations()?);
        Ok(vec![Offer::of(adapter.manifest(), label, all)])
    }

    fn rotate(&self) -> Result<(), ServiceError> {
        Ok(Self::rotate(self)?)
    }

    fn faults(&self) -> &FaultPlan {
        Self::faults(self)
    }

    fn notify_by(&self, sink: NotificationSink) {
        self.set_sink(sink);
    }
}

impl Simulator {
    /// The newest trades, by their numbers.
    fn newest(&self) -> Result<Vec<Trade>, LedgerError> {
        let _visit = self.enter();
        let rows = self.ledger.last_rows::<Trade>("trade/", ORDERS_MAX)?;
        Ok(rows.into_iter().map(|(_, trade)| trade.at(self.now())).collect())
    }
}

fn row(trade: &Trade) -> OrderRow {
    let money = |minor| Money::new(minor, Currency::CNY).unwrap_or_else(|_| Money::zero(Currency::CNY));
    OrderRow {
        number: trade.number.clone(),
        kind: trade.method.clone(),
        state: if trade.state == TradeState::Coded { "not scanned" } else { trade.status() }.to_owned(),
        amount: money(trade.amount_minor),
        paid: money(trade.payment.as_ref().map_or(0, |payment| payment.amount_minor)),
        returned: money(trade.returned_minor()),
        made_at: trade.made_at,
    }
}
