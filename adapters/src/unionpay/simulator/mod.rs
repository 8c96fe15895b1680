//! UnionPay's side of the dialect: stateful, as strict about signatures as the real one, idempotent on orderId.
//!
//! It keeps a ledger of its own, tells the time by a clock that is handed in, opens no socket and sends nothing by
//! itself: [`Simulator::handle`] answers requests that a server or [`SimulatorClient`] brings, [`Simulator::payer`] plays
//! the payer, and [`Simulator::tick`] does what has fallen due and hands notices to the sink. What goes wrong on the way
//! is planned in [`Simulator::faults`].

mod archive;
mod authority;
mod client;
#[cfg(feature = "conformance")]
mod exam;
mod gateway;
mod notices;
mod order;
mod payer;
mod requests;
mod service;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maxpay_engine::clock::Clock;
use maxpay_engine::model::Timestamp;

use crate::parts::x509::{Certificate, CertificateError};
use crate::simulator::{Changes, FaultPlan, Ledger, LedgerError, NotificationSink, due_key};

use super::account::is_merchant_id;
use authority::Signer;
use order::Due;

#[cfg(test)]
pub(super) use gateway::sign_answer;

pub use authority::{Authority, AuthorityError, MerchantKey};
pub use client::SimulatorClient;
#[cfg(feature = "conformance")]
pub use exam::UnionPayCandidate;
pub use order::{Order, OrderState};
pub use payer::{PayerCommand, PayerError};
pub use service::SIMULATION;

/// The base address of a simulator in process. `.invalid` never resolves, so nothing can leave by mistake.
pub const IN_PROCESS: &str = "http://unionpay.invalid";

/// Certificates a merchant may have at once; older ones are forgotten.
const CERTIFICATES_MAX: usize = 4;
const SEQUENCE: &str = "meta/sequence";
const SIGNER: &str = "meta/signer";

/// The simulated UnionPay.
pub struct Simulator {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    authority: Arc<Authority>,
    faults: FaultPlan,
    base_url: String,
    sink: Mutex<Option<NotificationSink>>,
    wrong: Mutex<Option<WrongSigner>>,
    /// One visit to the books at a time.
    visit: Mutex<()>,
}

/// What a simulator is made of.
pub struct SimulatorParts {
    /// Where requests go: accounts name the same address. [`IN_PROCESS`] for one in process.
    pub base_url: String,
    /// Its books.
    pub ledger: Ledger,
    /// Its clock, which need not be the engine's.
    pub clock: Arc<dyn Clock>,
    /// Who signs for it.
    pub authority: Arc<Authority>,
}

/// Somebody who signs answers and notices, and must not be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongSigner {
    /// UnionPay's name under another root.
    Stranger,
    /// A merchant of the same authority: only its name gives it away.
    Merchant,
    /// UnionPay itself, under a certificate whose time is over.
    Expired,
}

/// Why a merchant cannot be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No merchant is written like that.
    #[error("a merchant is 15 letters and digits")]
    Merchant,
    /// The certificate is none.
    #[error("the merchant's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({}, {:?})", self.base_url, self.ledger)
    }
}

impl Simulator {
    /// Opens UnionPay on its books. Whatever had fallen due while they were closed is done by the next tick.
    #[must_use]
    pub fn open(parts: SimulatorParts) -> Arc<Self> {
        Arc::new(Self {
            ledger: parts.ledger,
            clock: parts.clock,
            authority: parts.authority,
            faults: FaultPlan::default(),
            base_url: parts.base_url.trim_end_matches('/').to_owned(),
            sink: Mutex::new(None),
            wrong: Mutex::new(None),
            visit: Mutex::new(()),
        })
    }

    /// Makes a merchant's signing certificate (PEM) known. Requests under its last four are taken; one again changes
    /// nothing.
    ///
    /// # Errors
    /// Merchant or certificate are none (nothing was changed), or the ledger does not answer.
    pub fn enrol(&self, merchant_id: &str, certificate: &str) -> Result<(), EnrolError> {
        if !is_merchant_id(merchant_id) {
            return Err(EnrolError::Merchant);
        }
        Certificate::read_one(certificate.as_bytes())?;
        let _visit = self.enter();
        let mut known = self.certificates_of(merchant_id)?;
        known.retain(|other| other != certificate);
        known.insert(0, certificate.to_owned());
        known.truncate(CERTIFICATES_MAX);
        let mut changes = Changes::default();
        changes.put(format!("merchant/{merchant_id}"), &known);
        Ok(self.ledger.commit(changes)?)
    }

    /// Signs with the other of its two certificates from now on.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn rotate(&self) -> Result<(), LedgerError> {
        let _visit = self.enter();
        let mut changes = Changes::default();
        changes.put(SIGNER.to_owned(), &1);
        self.ledger.commit(changes)
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
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// UnionPay's books: every payment, void and refund, oldest first.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn books(&self) -> Result<Vec<Order>, LedgerError> {
        let _visit = self.enter();
        let rows = self.ledger.rows::<Order>("order/", usize::MAX)?;
        let mut orders: Vec<_> = rows.into_iter().map(|(_, order)| order).collect();
        orders.sort_by_key(|order| order.made_at);
        Ok(orders)
    }

    fn certificates_of(&self, merchant_id: &str) -> Result<Vec<String>, LedgerError> {
        Ok(self.ledger.row(&format!("merchant/{merchant_id}"))?.unwrap_or_default())
    }

    /// Lets somebody else sign everything from now on; `None`: UnionPay itself again. Not kept in the ledger.
    pub fn sign_as(&self, wrong: Option<WrongSigner>) {
        *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = wrong;
    }

    fn signer(&self) -> &Signer {
        match *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(WrongSigner::Stranger) => return &self.authority.stranger,
            Some(WrongSigner::Merchant) => return &self.authority.merchant_type,
            Some(WrongSigner::Expired) => return &self.authority.expired,
            None => {}
        }
        let second = self.ledger.row::<usize>(SIGNER).ok().flatten().is_some();
        &self.authority.signers[usize::from(second)]
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn enter(&self) -> MutexGuard<'_, ()> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something fall due. Within a visit.
    fn queue(&self, changes: &mut Changes, at: Timestamp, due: &Due) -> Result<(), LedgerError> {
        let sequence: u64 = self.ledger.row(SEQUENCE)?.unwrap_or(0) + 1;
        changes.put(due_key(at, sequence), due);
        changes.put(SEQUENCE.to_owned(), &sequence);
        Ok(())
    }
}
