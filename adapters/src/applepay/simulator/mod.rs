//! The other side of Apple Pay: an authority that signs tokens and issues certificates, the server of merchant sessions,
//! and a sandbox acquirer.
//!
//! It keeps a ledger of its own and a clock that is handed in, opens no socket and sends nothing by itself:
//! [`Simulator::handle`] answers requests that a server or [`SimulatorClient`] brings. [`Simulator::token`] plays the
//! payer's device; what a card does is chosen by the card ([`PayerCard`]), what becomes of the way by the fault plan.
//! Accounts that use it are of test mode and name its root as `test_root`.

mod answers;
mod authority;
mod books;
mod certificates;
mod client;
#[cfg(feature = "conformance")]
mod exam;
mod payer;
mod provider;
mod service;
mod sessions;
#[cfg(any(feature = "conformance", test))]
mod stock;
mod tokens;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::Timestamp;
use maxpay_engine::secrets::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::simulator::{Changes, FaultPlan, Ledger, LedgerError};

use super::signature::Version;
use authority::AuthorityRow;
use tokens::Device;

pub use books::RowState;
pub use client::SimulatorClient;
#[cfg(feature = "conformance")]
pub use exam::ApplePayCandidate;
pub use payer::{LedgerPayment, LedgerRefund, LedgerRow, PayerCommand, PayerError};
pub use service::SIMULATION;
#[cfg(test)]
pub(super) use stock::stock;
pub use tokens::{CARDS, CRYPTOGRAM_HEAD, Flaw, PayerCard, TokenVersion, TokenWish};

/// The base address of a simulator in process. `.invalid` never resolves, so nothing can leave by mistake.
pub const IN_PROCESS: &str = "http://applepay.invalid";

const AUTHORITY: &str = "authority";
/// Acquirer secrets and processing certificates that a merchant may have at once; older ones are forgotten.
const GENERATIONS_MAX: usize = 4;

/// The simulated Apple, and the sandbox acquirer.
pub struct Simulator {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    authority: AuthorityRow,
    faults: FaultPlan,
    base_url: String,
    anybody_has_sessions: AtomicBool,
    /// One visit to the books at a time.
    visit: Mutex<()>,
}

/// What a simulator is made of.
pub struct SimulatorParts {
    /// Where requests go, without a path: accounts name the same address. [`IN_PROCESS`] for one in process.
    pub base_url: String,
    /// Its books. The keys of the made-up authority and of its merchants lie in them.
    pub ledger: Ledger,
    /// Its clock, which need not be the engine's.
    pub clock: Arc<dyn Clock>,
    /// Randomness for transaction ids, cryptograms and secrets. Keys come from the system's.
    pub entropy: Arc<dyn Entropy>,
}

/// Why the simulator does not do it.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No merchant is written like that.
    #[error("a merchant is merchant. and at most 200 letters, digits, dots or -")]
    Merchant,
    /// It is not enrolled.
    #[error("merchant {0} is not enrolled")]
    UnknownMerchant(String),
    /// A key or certificate in the ledger is not what it was.
    #[error("a key in the simulator's ledger cannot be read")]
    Damaged,
}

/// A merchant as Apple and the acquirer know it.
#[derive(Clone, Serialize, Deserialize)]
struct MerchantRow {
    domain: String,
    /// Newest first.
    generations: Vec<Generation>,
    /// PEM and the certificate alone, base64 of DER.
    identity_pem: String,
    identity: String,
}

/// What is replaced when a merchant's keys are.
#[derive(Clone, Serialize, Deserialize)]
struct Generation {
    acquirer_secret: String,
    /// PEM of both versions, certificates and keys.
    processing_pem: String,
    /// The certificates alone, base64 of DER.
    ec: String,
    rsa: String,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({}, {:?})", self.base_url, self.ledger)
    }
}

impl Simulator {
    /// Opens it on its books; on new ones it makes its authority's keys first, which takes up to a second.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn open(parts: SimulatorParts) -> Result<Arc<Self>, SimulatorError> {
        let make = || Ok::<_, SimulatorError>(AuthorityRow::make(parts.clock.now().wall));
        let authority = parts.ledger.row_or(AUTHORITY, make)?;
        Ok(Arc::new(Self {
            ledger: parts.ledger,
            clock: parts.clock,
            entropy: parts.entropy,
            authority,
            faults: FaultPlan::default(),
            base_url: parts.base_url.trim_end_matches('/').to_owned(),
            anybody_has_sessions: AtomicBool::new(false),
            visit: Mutex::new(()),
        }))
    }

    /// Makes a merchant known, with keys and certificates made for it; one that is known stays as it is.
    ///
    /// # Errors
    /// The merchant is not written as one; the ledger does not answer.
    pub fn enrol(&self, merchant_id: &str, domain: &str) -> Result<(), SimulatorError> {
        let name = merchant_id.strip_prefix("merchant.").unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if !(1..=200).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(SimulatorError::Merchant);
        }
        let _visit = self.enter();
        if self.merchant(merchant_id)?.is_some() {
            return Ok(());
        }
        let identity = self.authority.issue_identity(merchant_id, 100, self.now()).ok_or(SimulatorError::Damaged)?;
        let row = MerchantRow {
            domain: domain.to_owned(),
            generations: vec![self.generation(merchant_id, 0)?],
            identity_pem: identity.pem,
            identity: STANDARD.encode(identity.certificate),
        };
        self.put_merchant(merchant_id, &row)
    }

    /// Gives a merchant a new acquirer secret and new processing certificates. The old ones are still taken, and tokens
    /// are sealed for the new ones.
    ///
    /// # Errors
    /// The merchant is not enrolled; the ledger does not answer.
    pub fn rotate(&self, merchant_id: &str) -> Result<(), SimulatorError> {
        let _visit = self.enter();
        let mut row = self.enrolled(merchant_id)?;
        row.generations.insert(0, self.generation(merchant_id, row.generations.len())?);
        row.generations.truncate(GENERATIONS_MAX);
        self.put_merchant(merchant_id, &row)
    }

    /// Every setting of the merchant's account, secret ones too, as an integrator saves them in test mode.
    ///
    /// # Errors
    /// The merchant is not enrolled; the ledger does not answer.
    pub fn settings(&self, merchant_id: &str) -> Result<Map<String, Value>, SimulatorError> {
        let row = self.enrolled(merchant_id)?;
        let newest = row.generations.first().ok_or(SimulatorError::Damaged)?;
        let settings = json!({
            "merchant_id": merchant_id,
            "domain": row.domain,
            "display_name": "Simulated shop",
            "processing": newest.processing_pem,
            "merchant_identity": row.identity_pem,
            "test_root": self.root_pem()?,
            "test_session_url": self.base_url,
            "acquirer_url": format!("{}/acquirer", self.base_url),
            "acquirer_merchant_id": acquirer_merchant(merchant_id),
            "acquirer_secret": newest.acquirer_secret,
        });
        settings.as_object().cloned().ok_or(SimulatorError::Damaged)
    }

    /// The root of its authority, PEM: `test_root` of accounts.
    ///
    /// # Errors
    /// The ledger was damaged.
    pub fn root_pem(&self) -> Result<String, SimulatorError> {
        self.authority.root_pem().ok_or(SimulatorError::Damaged)
    }

    /// Plays the payer's device: a token for that merchant, made now, each time another. JSON text.
    ///
    /// # Errors
    /// The merchant is not enrolled; the ledger does not answer.
    pub fn token(&self, merchant_id: &str, wish: &TokenWish) -> Result<Secret, SimulatorError> {
        let row = self.enrolled(merchant_id)?;
        let newest = row.generations.first().ok_or(SimulatorError::Damaged)?;
        let certificate = if wish.version == TokenVersion::Ec { &newest.ec } else { &newest.rsa };
        let processing = STANDARD.decode(certificate).map_err(|_| SimulatorError::Damaged)?;
        let (authority, entropy, now) = (&self.authority, &*self.entropy, self.now());
        let device = Device { authority, processing: &processing, entropy, now };
        device.token(wish).map(|token| Secret::from_text(&token)).ok_or(SimulatorError::Damaged)
    }

    /// Gives merchant sessions from now on to whoever names a merchant rightly: for a service without TLS, where nobody
    /// can prove a certificate. The real one never does.
    pub fn give_sessions_to_anybody(&self) {
        self.anybody_has_sessions.store(true, Ordering::Relaxed);
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

    fn generation(&self, merchant_id: &str, count: usize) -> Result<Generation, SimulatorError> {
        let serial = 200 + 2 * u32::try_from(count).unwrap_or(u32::MAX / 4);
        let issue = |version, serial| {
            self.authority.issue_processing(merchant_id, version, serial, self.now()).ok_or(SimulatorError::Damaged)
        };
        let (ec, rsa) = (issue(Version::Ecdsa, serial)?, issue(Version::Rsa, serial + 1)?);
        let mut secret = [0; 32];
        self.entropy.fill(&mut secret);
        Ok(Generation {
            acquirer_secret: hex::encode(secret),
            processing_pem: format!("{}{}", ec.pem, rsa.pem),
            ec: STANDARD.encode(ec.certificate),
            rsa: STANDARD.encode(rsa.certificate),
        })
    }

    fn merchant(&self, merchant_id: &str) -> Result<Option<MerchantRow>, LedgerError> {
        self.ledger.row(&format!("merchant/{merchant_id}"))
    }

    fn enrolled(&self, merchant_id: &str) -> Result<MerchantRow, SimulatorError> {
        self.merchant(merchant_id)?.ok_or_else(|| SimulatorError::UnknownMerchant(merchant_id.to_owned()))
    }

    fn put_merchant(&self, merchant_id: &str, row: &MerchantRow) -> Result<(), SimulatorError> {
        let mut changes = Changes::default();
        changes.put(format!("merchant/{merchant_id}"), row);
        Ok(self.ledger.commit(changes)?)
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn enter(&self) -> MutexGuard<'_, ()> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The merchant as the acquirer knows it.
fn acquirer_merchant(merchant_id: &str) -> String {
    format!("acq_{}", merchant_id.trim_start_matches("merchant.").replace('.', "_"))
}
