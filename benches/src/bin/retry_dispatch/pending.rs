//! A large number of pending deliveries, a part of them due: what an engine holds in memory, and how soon it dispatches
//! after it was killed.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maxpay_benches::child::Child;
use maxpay_engine::clock::{Clock, System};
use serde_json::Value;

use crate::engine::Until;
use crate::run::{LIMIT, World};
use crate::{Failure, progress};

/// One of so many is due; the others are due an hour later and after that.
const DUE_ONE_OF: u64 = 10;
/// How long the first engine works before it is killed.
const WORKS: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Deliveries that are pending.
    pub count: u64,
    /// Those that are due.
    pub due: u64,
    /// Bytes that the engine held when it had started.
    pub resident_started: u64,
    /// Bytes that it held after two seconds of dispatching.
    pub resident_working: u64,
    /// Tries that were durable by then.
    pub tries: u64,
    /// After the kill: from the process's start until the store was open, in milliseconds.
    pub opened_ms: u64,
    /// From then until the engine had started.
    pub started_ms: u64,
    /// From the process's start until the first request came to a receiver.
    pub first_ms: u64,
}

/// Makes them, has an engine work, kills it, starts another.
pub async fn measure(world: &World, clock: &System, count: u64) -> Result<Pending, Failure> {
    let now = clock.now().wall;
    let due = |number: u64| match number % (DUE_ONE_OF * 64) {
        // Whole rounds of the merchants, so that every receiver has its share.
        place if place < 64 => now,
        place => now.after(Duration::from_hours(1)).after(Duration::from_millis(number + place)),
    };
    let folder = world.backlog("pending", count, due).await?;
    let (mut first, _, started) = start(world, clock, &folder).await?;
    tokio::time::sleep(WORKS).await;
    let working = ask(&mut first)?;
    progress(&format!("killing an engine with {count} pending deliveries"));
    first.kill()?;
    let before = world.came.load(Ordering::Relaxed);
    let began = clock.now().monotonic;
    let (mut second, opened, again) = start(world, clock, &folder).await?;
    while world.came.load(Ordering::Relaxed) == before {
        if clock.now().monotonic.saturating_sub(began) > LIMIT {
            return Err("nothing was dispatched after the kill".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first_ms = u64::try_from(clock.now().monotonic.saturating_sub(began).as_millis())?;
    second.kill()?;
    let number = |said: &Value, name: &str| said[name].as_u64().ok_or_else(|| format!("an engine said {said}"));
    Ok(Pending {
        count,
        due: (0..count).filter(|number| number % (DUE_ONE_OF * 64) < 64).map(|_| 1).sum(),
        resident_started: number(&started, "resident")?,
        resident_working: number(&working, "resident")?,
        tries: number(&working, "tries")?,
        opened_ms: number(&opened, "opened_ms")?,
        started_ms: number(&again, "started_ms")?,
        first_ms,
    })
}

async fn start(world: &World, clock: &System, folder: &Path) -> Result<(Child, Value, Value), Failure> {
    let orders = serde_json::to_string(&world.orders(folder, Until::Killed))?;
    let begun = clock.now().monotonic;
    let started = tokio::task::spawn_blocking(move || {
        let mut child = Child::start("engine", &[orders], None)?;
        let opened = child.hear(LIMIT)?;
        child.go()?;
        let started = child.hear(LIMIT)?;
        Ok::<_, Failure>((child, opened, started))
    });
    let started = started.await??;
    progress(&format!("an engine started within {:?}", clock.now().monotonic.saturating_sub(begun)));
    Ok(started)
}

fn ask(child: &mut Child) -> Result<Value, Failure> {
    child.go()?;
    Ok(child.hear(LIMIT)?)
}
