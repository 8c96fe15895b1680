//! Alipay's side: the gateway, the payer and the console, over a ledger of its own.
//!
//! It verifies as the gateway does, knows a trade only once the payer has opened it, and is idempotent by the gateway's
//! own rules. It opens no socket: [`Simulator::handle`] answers what a server or [`AlipayClient`] brings, and
//! [`Simulator::tick`] hands notices to the sink.

mod client;
#[cfg(feature = "conformance")]
mod exam;
mod execute;
mod gateway;
mod keys;
mod notices;
mod payer;
mod service;
mod trade;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maxpay_engine::clock::Clock;
use maxpay_engine::model::Timestamp;

use crate::simulator::{Changes, FaultPlan, Ledger, LedgerError, NotificationSink};

pub use client::AlipayClient;
#[cfg(feature = "conformance")]
pub use exam::AlipayCandidate;
pub use keys::{KeyMode, Keys};
pub use payer::{PayerCommand, PayerError};
pub use service::SIMULATION;
pub use trade::{Payment, RefundRow, Trade, TradeState, Twists};

/// The gateway of a simulator in process. `.invalid` never resolves, so nothing can leave by mistake.
pub const IN_PROCESS: &str = "http://alipay.invalid/gateway.do";

const ROTATIONS: &str = "meta/rotations";

/// The simulated Alipay.
pub struct Simulator {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    keys: Arc<Keys>,
    faults: FaultPlan,
    gateway: String,
    sink: Mutex<Option<NotificationSink>>,
    /// One visit to the books at a time.
    visit: Mutex<()>,
}

/// What a simulator is made of.
pub struct SimulatorParts {
    /// Where requests go: accounts name the same address. [`IN_PROCESS`] for one in process.
    pub gateway: String,
    /// Its books.
    pub ledger: Ledger,
    /// Its clock, which need not be the engine's.
    pub clock: Arc<dyn Clock>,
    /// Its keys and those of its merchants.
    pub keys: Arc<Keys>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({}, {:?})", self.gateway, self.ledger)
    }
}

impl Simulator {
    /// Opens Alipay on its books.
    #[must_use]
    pub fn open(parts: SimulatorParts) -> Arc<Self> {
        Arc::new(Self {
            ledger: parts.ledger,
            clock: parts.clock,
            keys: parts.keys,
            faults: FaultPlan::default(),
            gateway: parts.gateway,
            sink: Mutex::new(None),
            visit: Mutex::new(()),
        })
    }

    /// Where notices go from now on. Until there is a sink they wait.
    pub fn set_sink(&self, sink: NotificationSink) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    /// Planned faults of the way between a client and here.
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// The address that accounts name.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Its keys and those of its merchants.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// In certificate mode, signs under the next certificate from now on, which adapters find by themselves. In
    /// public-key mode Alipay's key stays, and it is the application that changes its own: see [`Keys::settings`].
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn rotate(&self) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut changes = Changes::default();
        changes.put(ROTATIONS.to_owned(), &(self.rotations()? + 1));
        self.ledger.commit(changes)
    }

    /// How often keys were changed.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn rotations(&self) -> Result<usize, LedgerError> {
        Ok(self.ledger.row(ROTATIONS)?.unwrap_or(0))
    }

    /// The books: every trade, in the order of their numbers.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn trades(&self) -> Result<Vec<Trade>, LedgerError> {
        let _visit = self.enter();
        let rows = self.ledger.rows::<Trade>("trade/", usize::MAX)?;
        Ok(rows.into_iter().map(|(_, trade)| trade.at(self.now())).collect())
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn enter(&self) -> MutexGuard<'_, ()> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trade(&self, app_id: &str, number: &str) -> Result<Option<Trade>, LedgerError> {
        let row = self.ledger.row::<Trade>(&trade::key(app_id, number))?;
        Ok(row.map(|trade| trade.at(self.now())))
    }
}
