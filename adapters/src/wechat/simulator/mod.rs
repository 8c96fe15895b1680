//! WeChat Pay's side of API v3 and, behind a door of its own ([`v2`]), of v2: stateful, as strict as the provider, with
//! its rules of repetition. An order is told of in the dialect it was made in.
//!
//! It keeps a ledger of its own and a clock that is handed in, opens no socket and sends nothing by itself:
//! [`Simulator::handle`] answers requests that a server or [`SimulatorClient`] brings, [`Simulator::tick`] does what has fallen
//! due and hands notices to the sink, [`Simulator::payer`] plays the payer and the provider's console.

mod asked;
mod books;
mod client;
mod door;
#[cfg(feature = "conformance")]
mod exam;
mod faulted;
mod keys;
mod notices;
mod payer;
mod provider;
mod rows;
mod rules;
mod service;
#[cfg(feature = "conformance")]
mod stock;
pub mod v2;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;

use crate::simulator::{FaultPlan, Ledger, LedgerError, NotificationSink};

use books::Books;
use rows::Order;

pub use client::SimulatorClient;
#[cfg(feature = "conformance")]
pub use exam::WeChatCandidate;
pub use keys::{KeyPair, ProviderKeys};
pub use payer::{PayerCommand, PayerError, PayerReport};
pub use rows::{LedgerRow, OrderState, RefundState};
pub use service::SIMULATION;
#[cfg(feature = "conformance")]
pub use stock::KeyKind;

/// The base address of a simulator in process. `.invalid` never resolves, so nothing can leave by mistake.
pub const IN_PROCESS: &str = "http://wechat.invalid";

/// The simulated provider.
pub struct Simulator {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    base_url: String,
    keys: Mutex<ProviderKeys>,
    merchants: Mutex<BTreeMap<String, Merchant>>,
    merchants_v2: Mutex<BTreeMap<String, v2::Merchant>>,
    faults: FaultPlan,
    refund_plans: Mutex<VecDeque<RefundPlan>>,
    sink: Mutex<Option<NotificationSink>>,
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
    /// Randomness for nonces.
    pub entropy: Arc<dyn Entropy>,
    /// What it signs with.
    pub keys: ProviderKeys,
}

/// A merchant of the provider's. Not kept in the ledger: whoever opens the provider enrols its merchants.
#[derive(Clone)]
pub struct Merchant {
    /// The merchant number.
    pub mchid: String,
    /// The app ids that are bound to it.
    pub appids: Vec<String>,
    /// The API keys whose requests are taken.
    pub api_keys: Vec<KeyPair>,
    /// Seals notices and certificates: 32 bytes.
    pub api_v3_key: Secret,
    /// Whether platform certificates can be downloaded; new merchants only have the public key.
    pub certificates: bool,
    /// Whether notices are signed with the public key, and not yet with a platform certificate.
    pub notices_by_public_key: bool,
}

/// What becomes of the next refund that is accepted or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundPlan {
    /// It is accepted, and ends so. Without a plan it succeeds.
    Ends(RefundState),
    /// The merchant's balance is too small: not accepted, and may be repeated.
    NotEnough,
    /// It is accepted, and the answer says 429 as if it were not.
    AcceptedAs429,
    /// It is not accepted, and the answer says 429.
    Refused429,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({}, {:?})", self.base_url, self.ledger)
    }
}

impl Simulator {
    /// Opens the provider on its books. Whatever had fallen due while they were closed is done by the next tick.
    #[must_use]
    pub fn open(parts: SimulatorParts) -> Arc<Self> {
        Arc::new(Self {
            ledger: parts.ledger,
            clock: parts.clock,
            entropy: parts.entropy,
            base_url: parts.base_url.trim_end_matches('/').to_owned(),
            keys: Mutex::new(parts.keys),
            merchants: Mutex::default(),
            merchants_v2: Mutex::default(),
            faults: FaultPlan::default(),
            refund_plans: Mutex::default(),
            sink: Mutex::new(None),
            visit: Mutex::new(()),
        })
    }

    /// Makes a merchant known, or gives a known one other keys.
    pub fn enrol(&self, merchant: Merchant) {
        let mut merchants = self.merchants.lock().unwrap_or_else(PoisonError::into_inner);
        merchants.insert(merchant.mchid.clone(), merchant);
    }

    /// Signs with a new platform certificate from now on; the old ones are listed for download beside it.
    pub fn rotate(&self, newest: KeyPair) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).platform.push(newest);
    }

    /// Signs with a new public key from now on. With `beside`, the ones before it still sign answers to requests that name
    /// them in `Wechatpay-Serial`; otherwise they are gone, and such a request is answered under the new one.
    pub fn rotate_public(&self, newest: KeyPair, beside: bool) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !beside {
            keys.public.clear();
        }
        keys.public.push(newest);
    }

    /// Plans what becomes of the next refund that has no plan yet.
    pub fn plan_refund(&self, plan: RefundPlan) {
        self.refund_plans.lock().unwrap_or_else(PoisonError::into_inner).push_back(plan);
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

    /// The provider's books: every order it knows, by number. For comparing them with the engine's records.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn ledger(&self) -> Result<Vec<LedgerRow>, LedgerError> {
        let _visit = self.enter();
        let books = Books::open(&self.ledger, self.now());
        let mut found = Vec::new();
        for (_, order) in self.ledger.rows::<Order>("order/", usize::MAX)? {
            found.extend(books.row(&order)?);
        }
        Ok(found)
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn merchant(&self, mchid: &str) -> Option<Merchant> {
        self.merchants.lock().unwrap_or_else(PoisonError::into_inner).get(mchid).cloned()
    }

    fn keys(&self) -> ProviderKeys {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self) -> MutexGuard<'_, ()> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
