//! The process that fills the store and is then killed: it makes the shops, writes the copies in bulk, says that it has,
//! and waits for its end with the store open.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use maxpay_adapters::simulator::{Changes, Ledger};
use maxpay_benches::report::grouped;
use maxpay_engine::clock::{Clock, IdSource, System, VirtualClock};
use maxpay_engine::model::Timestamp;
use maxpay_engine::store::{Batch, Store};
use serde_json::Value;

use crate::copies::{Difference, Sample};
use crate::shops::{self, Shop};
use crate::{Failure, progress};

/// Payments in one commit.
const TOGETHER: u64 = 125;
/// Commits under way.
const IN_FLIGHT: usize = 8;
/// Orders in one commit of the provider's books.
const ORDERS_TOGETHER: usize = 10_000;
/// When those are due that are not due: long after the bench, spread over an hour.
const FAR: Duration = Duration::from_hours(12);
/// When the engine looks at a payment for the first time that waits for its payer.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// What it says when everything is durable.
pub const LOADED: &str = "loaded";
/// The file that it leaves for the other processes.
const SHOPS: &str = "shops.json";

/// What to load.
#[derive(Debug, Parser)]
pub struct Load {
    /// The data folder
    #[arg(long)]
    data: PathBuf,
    /// Where the provider is
    #[arg(long)]
    provider: String,
    /// Apps, each with an account of its own, when there are none yet
    #[arg(long)]
    accounts: usize,
    /// Payments that wait and are not due
    #[arg(long)]
    parked: u64,
    /// Payments that are due
    #[arg(long)]
    due: u64,
}

/// The shops of a data folder.
pub fn shops_of(data: &Path) -> Result<Vec<Shop>, Failure> {
    let text = std::fs::read_to_string(data.join(SHOPS))?;
    let Value::Array(shops) = serde_json::from_str(&text)? else { return Err("no list of shops".into()) };
    shops.iter().map(Shop::from_json).collect()
}

/// Loads, says so on standard output, and waits to be killed.
pub fn run(load: &Load) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let is_new = !load.data.join(SHOPS).exists();
    let shops = if is_new {
        let made = runtime.block_on(shops::make(&load.data, &load.provider, load.accounts))?;
        let text = Value::from(made.iter().map(Shop::to_json).collect::<Vec<_>>()).to_string();
        std::fs::write(load.data.join(SHOPS), text)?;
        made
    } else {
        shops_of(&load.data)?
    };
    let (store, sealer) = (shops::open_store(&load.data)?, shops::sealer());
    let mut samples = Vec::new();
    let now = System::new().now().wall;
    let far = |index: u64| now.after(FAR + Duration::from_millis(index % 3_600_000));
    for shop in &shops {
        let [sample, other] = shop.samples.map(|id| Sample::read(store.as_ref(), &sealer, id));
        let (sample, other) = (sample?, other?);
        if is_new {
            let rows = sample.compare(store.as_ref(), &sealer, &other)?;
            progress(&format!("a copy is the {rows} rows that the engine writes"));
            // So that they are the same still when more is copied later.
            let (one, two) = (sample.put_off(far(0)), other.put_off(far(0)));
            runtime.block_on(store.commit(one))?;
            runtime.block_on(store.commit(two))?;
        }
        samples.push(sample);
    }
    write(&runtime, store.as_ref(), &samples, "parked", load.parked, far)?;
    // From when the samples would have been due to a moment ago.
    let made_at = samples.iter().map(Sample::made_at).max().ok_or("there is no sample")?;
    let first = made_at.after(FIRST_LOOK);
    let span = u64::try_from(now.since(first).as_millis())?.saturating_sub(10_000);
    let overdue = |index: u64| first.after(Duration::from_millis(index.saturating_mul(span) / load.due.max(1)));
    let due = write(&runtime, store.as_ref(), &samples, "due", load.due, overdue)?;
    write_orders(&load.data, &samples, &due)?;
    let mut out = std::io::stdout();
    writeln!(out, "{LOADED}")?;
    out.flush()?;
    loop {
        // Its end is a kill, with the store as it is now.
        std::thread::park();
    }
}

/// Writes so many copies, of the shops in turn. Their ids and of which sample each is.
fn write(
    runtime: &tokio::runtime::Runtime,
    store: &dyn Store,
    samples: &[Sample],
    name: &str,
    count: u64,
    due_at: impl Fn(u64) -> Timestamp,
) -> Result<Vec<(usize, String)>, Failure> {
    let (entropy, sealer) = (System::new(), shops::sealer());
    // As if made when the samples were.
    let made_at = samples.iter().map(Sample::made_at).max().ok_or("there is no sample")?;
    let ids = IdSource::new(Arc::new(VirtualClock::at(made_at)), Arc::new(entropy.clone()));
    let (mut made, mut under_way) = (Vec::new(), VecDeque::new());
    let mut index = 0;
    while index < count {
        let mut batch = Batch::default();
        for index in index..count.min(index + TOGETHER) {
            let place = usize::try_from(index)? % samples.len();
            let bill_num = format!("{name:.6}-{index:012}").parse()?;
            let it = Difference { id: ids.next(), bill_num, due_at: due_at(index) };
            samples[place].write(&mut batch, &sealer, &entropy, &it);
            made.push((place, it.id.to_string()));
        }
        index += TOGETHER;
        under_way.push_back(store.commit(batch));
        if under_way.len() >= IN_FLIGHT
            && let Some(oldest) = under_way.pop_front()
        {
            runtime.block_on(oldest)?;
        }
        if index % 100_000 == 0 {
            progress(&format!("{} {name} payments written", grouped(index)));
        }
    }
    for commit in under_way {
        runtime.block_on(commit)?;
    }
    Ok(made)
}

/// Has the provider know the orders of those that will be asked about.
fn write_orders(data: &Path, samples: &[Sample], copies: &[(usize, String)]) -> Result<(), Failure> {
    let ledger = Ledger::open(&shops::ledger_file(data))?;
    let mut orders = Vec::new();
    for sample in samples {
        let number = sample.id().to_string();
        let known = ledger.rows::<Value>(&format!("order/{number}/"), 2)?;
        let (key, order) = known.into_iter().next().ok_or("the provider does not know a sample")?;
        orders.push((number, key, order));
    }
    for some in copies.chunks(ORDERS_TOGETHER) {
        let mut changes = Changes::default();
        for (place, copy) in some {
            let (number, key, order) = &orders[*place];
            let mut order = order.clone();
            order["number"] = Value::from(copy.as_str());
            changes.put(key.replace(number, copy), &order);
        }
        ledger.commit(changes)?;
    }
    Ok(())
}
