//! Who may speak to the provider, and under which keys. Keys stand sealed in the ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use maxpay_engine::clock::Entropy;
use maxpay_engine::model::Sealed;
use maxpay_engine::secrets::{SealContext, Sealer, Secret};
use serde::{Deserialize, Serialize};

use crate::simulator::{Changes, Ledger, LedgerError};

use super::super::account::is_merchant_id;

/// Keys a merchant may have at once; older ones are forgotten.
const KEYS_MAX: usize = 4;
const PURPOSE: &str = "sandbox merchant key";

/// Why a merchant cannot be enrolled or read.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No merchant is written like that.
    #[error("a merchant is 4 to 32 letters, digits, _ or -")]
    Merchant,
    /// A key is too short or too long.
    #[error("a secret is 16 to 256 bytes")]
    Secret,
    /// The keys in the ledger were sealed under another key.
    #[error("the keys of merchant {0} do not open: they were sealed under another key")]
    Sealed(String),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// One generation of a merchant's keys.
#[derive(Clone)]
struct Keys {
    secret: Secret,
    notify: Option<Secret>,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeysRow {
    secret: Vec<u8>,
    notify: Option<Vec<u8>>,
}

/// The merchants, newest keys first.
pub(super) struct Merchants {
    known: Mutex<BTreeMap<String, Vec<Keys>>>,
    sealer: Arc<Sealer>,
    entropy: Arc<dyn Entropy>,
}

impl Merchants {
    /// Reads every merchant of the ledger.
    pub fn open(ledger: &Ledger, sealer: Arc<Sealer>, entropy: Arc<dyn Entropy>) -> Result<Self, EnrolError> {
        let mut known = BTreeMap::new();
        for (key, rows) in ledger.rows::<Vec<KeysRow>>("merchant/", usize::MAX)? {
            let merchant_id = key.trim_start_matches("merchant/").to_owned();
            let open = |sealed: Vec<u8>| {
                let context = SealContext { purpose: PURPOSE, record: merchant_id.as_bytes() };
                sealer.open(context, &Sealed(sealed)).map_err(|_| EnrolError::Sealed(merchant_id.clone()))
            };
            let mut keys = Vec::new();
            for row in rows {
                keys.push(Keys { secret: open(row.secret)?, notify: row.notify.map(open).transpose()? });
            }
            known.insert(merchant_id.clone(), keys);
        }
        Ok(Self { known: Mutex::new(known), sealer, entropy })
    }

    /// Adds keys, in front; the same ones again change nothing.
    pub fn enrol(
        &self,
        ledger: &Ledger,
        merchant_id: &str,
        secret: Secret,
        notify: Option<Secret>,
    ) -> Result<(), EnrolError> {
        if !is_merchant_id(merchant_id) {
            return Err(EnrolError::Merchant);
        }
        let fits = |secret: &Secret| (16..=256).contains(&secret.len());
        if !fits(&secret) || notify.as_ref().is_some_and(|notify| !fits(notify)) {
            return Err(EnrolError::Secret);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = known.get(merchant_id).cloned().unwrap_or_default();
        if keys.first().is_some_and(|newest| newest.secret == secret && newest.notify == notify) {
            return Ok(());
        }
        keys.retain(|old| old.secret != secret);
        keys.insert(0, Keys { secret, notify });
        keys.truncate(KEYS_MAX);
        let seal = |secret: &Secret| {
            let context = SealContext { purpose: PURPOSE, record: merchant_id.as_bytes() };
            self.sealer.seal(context, secret, &*self.entropy).0
        };
        let rows: Vec<KeysRow> = keys
            .iter()
            .map(|keys| KeysRow { secret: seal(&keys.secret), notify: keys.notify.as_ref().map(seal) })
            .collect();
        let mut changes = Changes::default();
        changes.put(format!("merchant/{merchant_id}"), &rows);
        ledger.commit(changes)?;
        known.insert(merchant_id.to_owned(), keys);
        Ok(())
    }

    /// Keys that requests of the merchant may be signed with, newest first; empty: it is not known.
    pub fn secrets(&self, merchant_id: &str) -> Vec<Secret> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(merchant_id).into_iter().flatten().map(|keys| keys.secret.clone()).collect()
    }

    /// The key that signs notices to the merchant.
    pub fn notify_secret(&self, merchant_id: &str) -> Option<Secret> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = known.get(merchant_id)?.first()?;
        Some(newest.notify.clone().unwrap_or_else(|| newest.secret.clone()))
    }
}
