//! Books with an authority and its merchants in them, made once a process: new RSA keys take a while, and whoever opens
//! many simulators on new books does not care whose they are.

use std::sync::{Arc, Mutex, PoisonError};

use maxpay_engine::clock::{SeededEntropy, VirtualClock};
use maxpay_engine::model::Timestamp;
use serde_json::Value;

use crate::simulator::{Changes, Ledger};

use super::{IN_PROCESS, Simulator, SimulatorError, SimulatorParts};

/// Rows by the merchants they are for.
type Stock = Vec<(Vec<String>, Vec<(String, Value)>)>;

static STOCK: Mutex<Stock> = Mutex::new(Vec::new());

/// Puts an authority and these merchants (identifier and domain) into books that have none.
pub(in crate::applepay) fn stock(
    ledger: &Ledger,
    merchants: &[(&str, &str)],
    now: Timestamp,
) -> Result<(), SimulatorError> {
    if ledger.row::<Value>(super::AUTHORITY)?.is_some() {
        return Ok(());
    }
    let wanted: Vec<String> = merchants.iter().map(|(merchant_id, _)| (*merchant_id).to_owned()).collect();
    let mut stock = STOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if !stock.iter().any(|(made, _)| *made == wanted) {
        stock.push((wanted.clone(), made(merchants, now)?));
    }
    let mut changes = Changes::default();
    for (key, row) in stock.iter().filter(|(made, _)| *made == wanted).flat_map(|(_, rows)| rows) {
        changes.put(key.clone(), row);
    }
    Ok(ledger.commit(changes)?)
}

fn made(merchants: &[(&str, &str)], now: Timestamp) -> Result<Vec<(String, Value)>, SimulatorError> {
    let simulator = Simulator::open(SimulatorParts {
        base_url: IN_PROCESS.to_owned(),
        ledger: Ledger::memory(),
        clock: Arc::new(VirtualClock::at(now)),
        entropy: Arc::new(SeededEntropy::new(11)),
    })?;
    for (merchant_id, domain) in merchants {
        simulator.enrol(merchant_id, domain)?;
    }
    Ok(simulator.ledger.rows("", usize::MAX)?)
}
