//! Webhook deliveries from a backlog, every result durable, against a bare loop of the same HTTP client.

mod backlog;
mod bare;
mod count;
mod engine;
mod jumping;
mod pending;
mod run;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use maxpay_benches::report::Report;
use maxpay_benches::{Machine, child, median, target_folder};
use maxpay_engine::clock::{Clock, System};

use engine::Until;
use run::{AT_ONCE, World, overdue, paced};
use summary::{Found, rate};

/// The server's allocator, so that its memory and its speed are what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a bench did not come to an end.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Before paced deliveries fall due: time to start, and to make so many a second.
const PACED_AHEAD: Duration = Duration::from_secs(3);
const MADE_PER_SECOND: u64 = 5_000;

const FSYNC: &str = "the store's own: one sync_data (fdatasync) a group of its journal, tables behind";

const ABOUT: &str = "\
Webhook deliveries from a backlog, every result durable, against a bare loop of the same HTTP client.

The backlog: events published through the store's own commit, which writes a delivery for each as it does for payments; one \
app with one subscription for each receiver, one event for each delivery. The receivers are in this process, over loopback, \
each on a port of its own: most answer 200, a share answers 500, a share never answers and costs its senders the deadline. \
They keep nothing and are the same for both sides.

engine: an engine in a process of its own on a copy of the backlog's store, with its own HTTP client, eight tries of a \
subscription at once (a constant of the engine). It reads each delivery, its event, its subscription and its secrets, makes \
and signs the request, sends it, and keeps the result: a try counts when that is durable. It is measured from its start \
until every delivery to a receiver that answers has had its first try; later tries of failing ones are due a minute later.

bare loop: the same client in a process of its own: as many requests to as many receivers, eight at once each, all with the \
same headers and body, made once. Nothing is read, signed, decided or kept: a limit for this client, not a rival.

The two take turns, and which one begins changes with each run. Processor time is user and system time of the whole process \
over all tries; the receivers' is in neither.

Lateness is from a delivery's due time to the start of its try. All due at once, it is the place in the queue; the run \
whose deliveries fall due at half of that rate, spread evenly, shows what a delivery waits when the engine keeps up. With \
--time virtual one more engine works off the whole schedule (55 h 46 m) by a clock that jumps to what is due next whenever \
nothing is to be done; receivers that hang are left out of it, because they hang in real time.

With --pending N, N deliveries wait, a tenth of them due: what the engine holds in memory, and how soon it dispatches after \
it was killed by SIGKILL in the midst of it.";

/// What to measure.
#[derive(Debug, Clone, Parser)]
#[command(name = "retry_dispatch", about = "Webhook deliveries from a backlog, against a bare loop", long_about = ABOUT)]
pub struct Settings {
    /// Deliveries of the backlog
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    backlog: u64,
    /// Subscriptions that share it, with a receiver each
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    subscriptions: u32,
    /// Percent of the receivers that answer 500
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=50))]
    failing: u32,
    /// Percent of the receivers that never answer
    #[arg(long, value_name = "PERCENT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=49))]
    hanging: u32,
    /// Deadline of a try; the server's default is 15,000
    #[arg(long, value_name = "MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    deadline_ms: u64,
    /// Runs of each side; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Seconds in which deliveries fall due at half of the rate
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    paced_seconds: u64,
    /// Whether the whole schedule is worked off, too, by a clock that jumps
    #[arg(long, value_enum, default_value_t = Time::Real)]
    time: Time,
    /// Pending deliveries to hold and to be killed with; 0: none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pending: u64,
    /// Where the files lie while it runs; Cargo's target folder if not given. Not a folder in memory
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Which clock there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Time {
    /// The machine's.
    Real,
    /// One more run by a clock that jumps.
    Virtual,
}

fn main() -> ExitCode {
    let orders = || std::env::args().nth(1).ok_or("a child without orders");
    let ended = match child::role().as_deref() {
        Some("engine") => orders().map_err(Failure::from).and_then(|it| engine::run(&serde_json::from_str(&it)?)),
        Some("bare") => orders().map_err(Failure::from).and_then(|it| bare::run(&serde_json::from_str(&it)?)),
        Some(_) | None => bench(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress(&format!("retry_dispatch: {why}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what a bench is for")]
fn bench() -> Result<(), Failure> {
    let settings = Settings::parse();
    let title = "Webhook deliveries from a backlog";
    let mut report = Report::new("retry_dispatch", title, ABOUT, Machine::this());
    let target = target_folder();
    // The receivers have one thread, as one neutral peer of both sides.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let found = runtime.block_on(measure(&settings, &settings.folder.clone().unwrap_or_else(|| target.clone())))?;
    let Settings { backlog, subscriptions, failing, hanging, deadline_ms, runs, .. } = settings;
    report
        .setting("fsync", FSYNC)
        .setting("backlog", format!("{backlog} deliveries of as many events to {subscriptions} subscriptions"))
        .setting("receivers", format!("{failing} % answer 500, {hanging} % never (deadline {deadline_ms} ms)"))
        .setting("at once", format!("{AT_ONCE} tries of a subscription on either side"))
        .setting("load", format!("{runs} runs a side, interleaved, a copy of the backlog for each engine"));
    summary::tell(&mut report, &found);
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

async fn measure(settings: &Settings, parent: &std::path::Path) -> Result<Found, Failure> {
    std::fs::create_dir_all(parent)?;
    let (clock, count, mut found) = (System::new(), settings.backlog, Found::default());
    let world = World::new(settings, parent).await?;
    let backlog = world.backlog("backlog", count, overdue(&clock)).await?;
    let until = Until::FirstAnswered(world.answered_of(count));
    for number in 1..=settings.runs {
        for engine_now in [number % 2 == 1, number % 2 == 0] {
            let told = if engine_now {
                world.engine(&backlog, "copy", until, false).await?
            } else {
                world.bare(count).await?
            };
            let side = if engine_now { "engine" } else { "bare loop" };
            let cpu = told.cpu_us / told.tries.max(1);
            progress(&format!("run {number}, {side}: {} tries/s, {cpu} µs of its processor time each", rate(&told)));
            if engine_now { found.engine.push(told) } else { found.bare.push(told) }
        }
    }
    found.paced = Some(at_half_rate(settings, &world, &clock, &found).await?);
    if settings.pending > 0 {
        found.pending = Some(pending::measure(&world, &clock, settings.pending).await?);
    }
    drop(world);
    if settings.time == Time::Virtual {
        let answering = Settings { hanging: 0, ..settings.clone() };
        let world = World::new(&answering, parent).await?;
        let backlog = world.backlog("whole schedule", count, overdue(&clock)).await?;
        found.whole = Some(world.engine(&backlog, "copy", Until::Ended(count), true).await?);
    }
    Ok(found)
}

/// An engine whose deliveries fall due at half of the rate it has from a backlog, from a moment on when it has started.
async fn at_half_rate(
    settings: &Settings,
    world: &World,
    clock: &System,
    found: &Found,
) -> Result<(u64, engine::Told), Failure> {
    let half = median(&found.engine.iter().map(rate).collect::<Vec<_>>()) / 2;
    let count = half * settings.paced_seconds;
    let until = Until::FirstAnswered(world.answered_of(count));
    for slower in [1, 2, 4, 8] {
        let made_in = Duration::from_secs(count * slower / MADE_PER_SECOND);
        let from = clock.now().wall.after(PACED_AHEAD + made_in);
        let folder = world.backlog(&format!("paced {slower}"), count, paced(from, half)).await?;
        if clock.now().wall.after(PACED_AHEAD / 2) < from {
            return Ok((half, world.engine(&folder, "copy", until, false).await?));
        }
    }
    Err("this machine makes a backlog too slowly for its deliveries to fall due later".into())
}

#[expect(clippy::print_stderr, reason = "progress, apart from the report")]
fn progress(line: &str) {
    eprintln!("{line}");
}
