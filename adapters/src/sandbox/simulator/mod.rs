//! The provider's side of the sandbox: stateful, strict, and idempotent on (merchant, number).
//!
//! It keeps a ledger of its own and a clock that is handed in, opens no socket and sends nothing by itself:
//! [`Simulator::handle`] answers requests that a server or [`SandboxClient`] brings, and [`Simulator::tick`] does what
//! has fallen due and hands notices to the sink. What happens to an order is chosen by magic amounts ([`Magic`]) or by
//! payer commands ([`PayerCommand`]); what happens to the way there, by the fault plan.

mod births;
mod books;
mod client;
#[cfg(feature = "conformance")]
mod exam;
mod gateway;
mod magic;
mod merchants;
mod notices;
mod order;
mod payer;
mod provider;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::{Sealer, Secret};

use crate::simulator::{FaultPlan, Ledger, LedgerError, NotificationSink};

use books::Books;
use merchants::Merchants;
use order::Order;

pub use client::SandboxClient;
#[cfg(feature = "conformance")]
pub use exam::SandboxCandidate;
pub use magic::Magic;
pub use merchants::EnrolError;
pub use order::{LedgerPayment, LedgerRow, OrderState};
pub use payer::{PayerCommand, PayerCommandError, PayerError, PayerReport};

/// The base address of a simulator in process. `.invalid` never resolves, so nothing can leave by mistake.
pub const IN_PROCESS: &str = "http://sandbox.invalid";

/// The simulated provider.
pub struct Simulator {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    merchants: Merchants,
    faults: FaultPlan,
    base_url: String,
    sink: Mutex<Option<NotificationSink>>,
    /// One visit to the books at a time.
    visit: Mutex<()>,
    /// Rung when something may have fallen due earlier than before.
    bell: tokio::sync::Notify,
}

/// What a simulator is made of.
pub struct SimulatorParts {
    /// Where requests go: accounts name the same address. [`IN_PROCESS`] for one in process.
    pub base_url: String,
    /// Its books.
    pub ledger: Ledger,
    /// Its clock, which need not be the engine's.
    pub clock: Arc<dyn Clock>,
    /// Randomness for sealing.
    pub entropy: Arc<dyn Entropy>,
    /// Seals merchants' keys in the ledger.
    pub sealer: Arc<Sealer>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({}, {:?})", self.base_url, self.ledger)
    }
}

impl Simulator {
    /// Opens the provider on its books. Whatever had fallen due while they were closed is done by the next tick.
    ///
    /// # Errors
    /// The ledger cannot be read, or was sealed under another key.
    pub fn open(parts: SimulatorParts) -> Result<Arc<Self>, EnrolError> {
        let merchants = Merchants::open(&parts.ledger, parts.sealer, parts.entropy)?;
        Ok(Arc::new(Self {
            ledger: parts.ledger,
            clock: parts.clock,
            merchants,
            faults: FaultPlan::default(),
            base_url: parts.base_url.trim_end_matches('/').to_owned(),
            sink: Mutex::new(None),
            visit: Mutex::new(()),
            bell: tokio::sync::Notify::new(),
        }))
    }

    /// Makes a merchant known, or gives a known one new keys: requests under its last four keys are taken, notices are
    /// signed with the newest `notify_secret`, else the newest `secret`. The same keys again change nothing.
    ///
    /// # Errors
    /// The merchant or a key is not shaped as one (nothing was changed), or the ledger does not answer.
    pub fn enrol(&self, merchant_id: &str, secret: Secret, notify_secret: Option<Secret>) -> Result<(), EnrolError> {
        self.merchants.enrol(&self.ledger, merchant_id, secret, notify_secret)
    }

    /// Where notices go from now on. Until there is a sink they wait.
    pub fn set_sink(&self, sink: NotificationSink) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        self.bell.notify_one();
    }

    /// Planned faults of the way between a client and here.
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// The address that accounts name.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The provider's books: every order it knows, by number. For comparing them with the engine's records.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn ledger(&self) -> Result<Vec<LedgerRow>, LedgerError> {
        let _visit = self.enter();
        let rows = self.ledger.rows::<Order>("order/", usize::MAX)?;
        Ok(rows.iter().filter_map(|(_, order)| order.row()).collect())
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn enter(&self) -> MutexGuard<'_, ()> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits a visit, and rings if something was queued.
    fn leave(&self, books: Books<'_>) -> Result<(), LedgerError> {
        let queued = books.queued() > 0;
        books.commit()?;
        if queued {
            self.bell.notify_one();
        }
        Ok(())
    }
}
