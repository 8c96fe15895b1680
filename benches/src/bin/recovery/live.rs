//! The process that measures what a live transaction costs: an engine on a clock that stands still, so that nobody goes to
//! rest, and commands that wake one transaction after the other and change nothing.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use maxpay_benches::process::memory;
use maxpay_engine::clock::{Clock, System, VirtualClock};
use maxpay_engine::model::{Transaction, TransactionId};
use maxpay_engine::store::records::decode_row;
use maxpay_engine::store::{RowKey, SCAN_ROWS_MAX, Scan, Store, Table, keys};
use maxpay_engine::{Engine, Error};
use serde_json::json;

use crate::shops::{self, AGE};
use crate::{Failure, progress};

/// Commands under way.
const AT_ONCE: usize = 32;
/// Parts that the transactions are woken in, with a look at memory after each.
const PARTS: usize = 5;
/// Looks whether all are at rest, one each 10 ms of real time.
const REST_LOOKS: usize = 6_000;

/// What to wake.
#[derive(Debug, Parser)]
pub struct Live {
    /// The data folder
    #[arg(long)]
    data: PathBuf,
    /// How many transactions
    #[arg(long)]
    count: usize,
}

/// Measures, says what it found on standard output, and ends.
pub fn run(live: &Live) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let store = shops::open_store(&live.data)?;
    let (ids, bytes) = first_of_all(store.as_ref(), live.count)?;
    // Before the first of them is due.
    let clock = VirtualClock::at(System::new().now().wall.before(AGE * 12));
    let mut builder = Engine::builder().store(store).sealing_key(shops::sealer()).clock(Arc::new(clock.clone()));
    for adapter in maxpay_adapters::builtin() {
        builder = builder.adapter(adapter);
    }
    let engine = builder.start()?;
    let resident = || Ok::<_, Failure>(memory(std::process::id())?.resident);
    let mut seen = vec![(0, resident()?)];
    let mut woken = 0;
    for part in ids.chunks(ids.len().div_ceil(PARTS).max(1)) {
        runtime.block_on(wake(&engine, part))?;
        woken += part.len();
        seen.push((woken, resident()?));
        progress(&format!("{woken} transactions are live"));
    }
    // The count follows the routers' tick.
    clock.advance(Duration::from_secs(1));
    let live_now = || engine.metrics().live_transactions;
    wait(|| live_now() == woken)?;
    clock.advance(Duration::from_secs(10));
    wait(|| {
        clock.advance(Duration::from_secs(1));
        live_now() == 0
    })?;
    let after = resident()?;
    let said = json!({ "seen": seen, "record_bytes": bytes, "after_rest": after });
    let mut out = std::io::stdout();
    writeln!(out, "{said}")?;
    out.flush()?;
    runtime.block_on(engine.shutdown(Duration::from_secs(10)));
    Ok(())
}

/// The first transactions of the store and the mean length of their records. All that waking them reads is read once, so
/// that what the store keeps of its file in memory is not counted as theirs.
fn first_of_all(store: &dyn Store, count: usize) -> Result<(Vec<TransactionId>, usize), Failure> {
    let (mut ids, mut bytes, mut from) = (Vec::new(), 0, Vec::new());
    while ids.len() < count {
        let limit = SCAN_ROWS_MAX.min(count - ids.len());
        let scan = Scan { table: Table::Transaction, from, to: Vec::new(), newest_first: false, limit };
        let page = store.scan(&scan)?;
        for (key, value) in page.rows {
            bytes += value.len();
            let row = RowKey { table: Table::Transaction, key };
            let record: Transaction = decode_row(&row, &value)?;
            store.read(&row)?;
            store.read(&keys::bill(record.app_id, record.mode, &record.bill_num))?;
            ids.push(record.id);
        }
        match ids.last() {
            Some(last) if page.more => from = [last.bytes().as_slice(), &[0]].concat(),
            Some(_) | None => break,
        }
    }
    if ids.is_empty() {
        return Err("there are no transactions".into());
    }
    let mean = bytes / ids.len();
    Ok((ids, mean))
}

async fn wake(engine: &Engine, ids: &[TransactionId]) -> Result<(), Failure> {
    for some in ids.chunks(AT_ONCE) {
        let mut under_way = tokio::task::JoinSet::new();
        for id in some.iter().copied() {
            let engine = engine.clone();
            under_way.spawn(async move { engine.accept_mismatch(id, "none", "bench", "to wake it", None).await });
        }
        for answer in under_way.join_all().await {
            // There is nothing to accept: whoever says so has looked at its record.
            match answer {
                Err(Error::Conflict(_)) => {}
                Err(why) => return Err(why.into()),
                Ok(_) => return Err("there was something to accept".into()),
            }
        }
    }
    Ok(())
}

fn wait(so: impl Fn() -> bool) -> Result<(), Failure> {
    for _ in 0..REST_LOOKS {
        if so() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("the transactions do not come to rest".into())
}
