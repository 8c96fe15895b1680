//! The role *engine*: an engine on a store that holds a backlog. It dispatches until what was asked for is durable, and
//! tells what that took.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maxpay_benches::child;
use maxpay_benches::process::{cpu_time, memory};
use maxpay_engine::Engine;
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::machine::schedule::Schedule;
use maxpay_engine::store::{CommitListener, Scan, Store, Table, keys};
use maxpay_engine::webhook::GuardPolicy;
use maxpay_transports::client::{TargetClient, TrustedRoots};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Failure;
use crate::backlog::{open, sealer};
use crate::count::Count;
use crate::jumping::JumpingClock;

/// How often the end is looked for, and jumps are made.
const LOOK: Duration = Duration::from_millis(5);

/// When a run has come to its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Until {
    /// So many first tries to receivers that answer are durable.
    FirstAnswered(u64),
    /// So many deliveries have ended, whatever their schedule.
    Ended(u64),
    /// It is killed.
    Killed,
}

/// What an engine is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Its store.
    pub folder: PathBuf,
    /// Whether its clock jumps to what is due next.
    pub jumps: bool,
    /// The deadline of a try.
    pub deadline_ms: u64,
    /// Subscriptions whose receivers never answer.
    pub hanging: Vec<String>,
    /// When it ends.
    pub until: Until,
    /// After so long it gives up.
    pub limit_s: u64,
}

/// What an engine tells at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Told {
    /// Tries whose results are durable, or were answered, by then.
    pub tries: u64,
    /// How long that took.
    pub elapsed_us: u64,
    /// Processor time of the process in that time.
    pub cpu_us: u64,
    /// Bytes it held at the end.
    pub resident: u64,
    /// Milliseconds that each try began after its due time.
    pub late_ms: Vec<u64>,
}

/// Runs until the end that is ordered, or until it is killed.
pub fn run(orders: &Orders) -> Result<(), Failure> {
    let system = System::new();
    let opening = system.now().monotonic;
    let store = open(&orders.folder)?;
    let opened = system.now().monotonic;
    let hanging = orders.hanging.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    let count = Arc::new(Count::new(Schedule::default(), hanging));
    let listener: Arc<dyn CommitListener> = count.clone();
    store.listen(listener);
    let clock = JumpingClock::new();
    let builder = Engine::builder()
        .store(store.clone())
        .sealing_key(sealer()?)
        .clock(Arc::new(clock.clone()))
        .webhook_client(Arc::new(TargetClient::new(&TrustedRoots::default())?))
        .webhook_deadline(Duration::from_millis(orders.deadline_ms))
        .guard(GuardPolicy { allow_loopback_in_test: true, allow_networks: Vec::new() });
    let me = std::process::id();
    child::tell(&json!({ "opened_ms": u64::try_from(opened.saturating_sub(opening).as_millis())? }))?;
    child::wait_for_go()?;
    let (began, spent) = (system.now().monotonic, cpu_time(me)?);
    let engine = builder.start()?;
    let started_ms = u64::try_from(system.now().monotonic.saturating_sub(began).as_millis())?;
    child::tell(&json!({ "started_ms": started_ms, "resident": memory(me)?.resident }))?;
    if matches!(orders.until, Until::Killed) {
        // The end of the pipe is the end, where it is not killed.
        while child::wait_for_go().is_ok() {
            child::tell(&json!({ "resident": memory(me)?.resident, "tries": count.so_far().tries }))?;
        }
        return Ok(());
    }
    let limit = began + Duration::from_secs(orders.limit_s);
    while !reached(orders.until, &count) {
        if system.now().monotonic > limit {
            let counted = count.so_far();
            return Err(format!("only {} tries and {} ends in time", counted.tries, counted.ended).into());
        }
        if orders.jumps && engine.metrics().due_backlog == 0 {
            jump(store.as_ref(), &clock)?;
        }
        std::thread::sleep(LOOK);
    }
    let (elapsed, cpu) = (system.now().monotonic.saturating_sub(began), cpu_time(me)?.saturating_sub(spent));
    let mut counted = count.so_far();
    if counted.strange > 0 {
        return Err(format!("{} commits of deliveries are none of a try", counted.strange).into());
    }
    let told = Told {
        tries: counted.tries,
        elapsed_us: u64::try_from(elapsed.as_micros())?,
        cpu_us: u64::try_from(cpu.as_micros())?,
        resident: memory(me)?.resident,
        late_ms: std::mem::take(&mut counted.late_ms),
    };
    child::tell(&serde_json::to_value(told)?)?;
    Ok(())
}

fn reached(until: Until, count: &Count) -> bool {
    match until {
        Until::FirstAnswered(wanted) => count.so_far().first_answered >= wanted,
        Until::Ended(wanted) => count.so_far().ended >= wanted,
        Until::Killed => false,
    }
}

/// To what is due next, when that is ahead.
fn jump(store: &dyn Store, clock: &JumpingClock) -> Result<(), Failure> {
    let rows = store.scan(&Scan::prefix(Table::Due, &[], 64))?.rows;
    let delivery = |key: &[u8]| keys::parse_due(key).filter(|due| due.kind == keys::DueKind::Delivery);
    let next = rows.iter().find_map(|(key, _)| delivery(key));
    if let Some(next) = next {
        clock.jump(next.at.since(clock.now().wall));
    }
    Ok(())
}
