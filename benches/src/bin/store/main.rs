//! Durable transitions per second through the store's commit path, against append-only files in the same run.

mod actors;
mod calm;
mod filled;
mod groups;
mod log;
mod neighbour;
mod payments;
mod run;
mod summary;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use maxpay_benches::report::Report;
use maxpay_benches::{Machine, median, target_folder};
use maxpay_engine::clock::{Clock, System};

use run::{Failure, IN_FLIGHT_MAX, Load};
use summary::{Compared, chart, table};

/// Time at the start of each run that does not count.
const WARM_UP: Duration = Duration::from_millis(300);
/// How often the disk alone is asked, before the runs.
const PROBES: usize = 200;

/// What a sync is on either side.
const FSYNC: &str = "one sync_data (fdatasync) a group on either side; the store: redb's durable commit of its journal, \
                     one phase; its tables commit behind, every 50,000 rows or half a second";

const ABOUT: &str = "\
Durable transitions per second through the store's commit path, against append-only files in the same run.

The load: so many actix actors as are in flight, one a transaction, on an arbiter a core. Each makes the next transition of \
its payment, asks for its commit and waits until it is durable; when a payment has ended, the next one gets an actor of its \
own. A payment has five transitions. Each puts the transaction's record and a transition, and moves the due row (two rows); \
the first lists the payment in two indexes, the last ends it and publishes an event that nobody subscribed to. All but the \
first watch their record. The records are made up; their rows and sizes are like real ones. Making and encoding them costs \
store and reference the same and is in both figures.

store: RedbStore with a server's options, on real files in a fresh folder: preconditions, journal, overlay for readers, and \
the tables that an applier brings up behind it, which lag by at most 200,000 rows. `catch-up` is what they still need when \
the load ends; `settled/s` counts that time in, so that a short run does not look faster than a long one could be.

reference: the same actors over a file that is appended to. Its writer takes groups by the same rule (what waits, up to 2,048 \
rows or 1 MiB), writes the same bytes for each (the checksum's place stays empty) and calls sync_data. It has no \
preconditions, no reads, no tables, no recovery: a limit for this shape, not a rival.

bare log: the bytes of as many transitions as are in flight, made beforehand, appended and synced by one thread, over and \
over: what the disk allows when nobody makes payments at all. A file allocated beforehand would be faster still, because no \
sync would have to change a length.

The sides take turns, and which one begins changes with each run. Rates and waits are medians of the runs; a ratio is of \
medians, with the smallest and largest of the pairs behind it. Groups and bytes are of all groups of all runs, the warm-up \
of 0.3 s included.

calm: the store at half of its highest rate, each transition at a time of its own whether or not others are late; the wait \
of 99 in 100 for their commit, against that of the bare log for a group of the same size; the bare log once more at \
that rate, each transition at its own time, beside a file on the same disk that takes 8 MiB and a sync every third of a second, as the store's tables do at that rate: what the \
disk makes of two files, without a store.

The allocator is the system's, which an embedding service has unless it brings another. With the server's (mimalloc) store \
and reference are both faster, the reference by more.

filled (--filled N): the store with N ended payments on file, against a fresh one, in turns, at the largest load.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "store", about = "Durable transitions per second: the store against an append-only file", long_about = ABOUT)]
struct Settings {
    /// Commits in flight, one load after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "64,4096", value_parser = clap::value_parser!(u32).range(1..=i64::from(IN_FLIGHT_MAX)))]
    in_flight: Vec<u32>,
    /// Seconds that count of each run
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Runs of each side under each load; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Ended payments on file for the comparison of a filled store with a fresh one; 0 leaves it out. Ten millions take
    /// about 17 GB of disk, and minutes to make
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    filled: u64,
    /// Where the files lie while it runs; Cargo's target folder if not given. Not a folder in memory, where a sync is free
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Settings {
    fn load(&self, in_flight: u32) -> Load {
        Load { in_flight, warm_up: WARM_UP, window: Duration::from_secs(self.seconds), pace: None }
    }

    fn largest(&self) -> u32 {
        self.in_flight.iter().copied().max().unwrap_or(1)
    }
}

#[expect(clippy::print_stdout, reason = "the report is what a bench is for")]
fn main() -> Result<(), Failure> {
    let settings = Settings::parse();
    let (machine, clock) = (Machine::this(), System::new());
    let target = target_folder();
    let folder = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&folder)?;
    let sync_us = sync_alone(&clock, &folder)?;
    let mut report = Report::new("store", "Durable transitions of the store", ABOUT, machine);
    report.setting("fsync", FSYNC);
    report.setting("disk", format!("an append of 4 KiB and its sync_data took {sync_us} µs (median of {PROBES})"));
    report.setting("load", format!("{} runs a side of {} s after 0.3 s, in turns", settings.runs, settings.seconds));
    let mut loads = Vec::new();
    for in_flight in &settings.in_flight {
        loads.push(Compared::of_sides(&clock, &folder, settings.load(*in_flight), settings.runs)?);
    }
    for load in &loads {
        load.tell(&mut report);
    }
    report.table("Transitions a second", table(&loads));
    report.chart(chart(&loads));
    report.figure("loads", loads.iter().map(Compared::to_json).collect());
    let highest = loads.iter().map(Compared::store_per_second).max().unwrap_or(0);
    calm::measure(&clock, &folder, &settings, highest, &mut report)?;
    if settings.filled > 0 {
        filled::measure(&clock, &folder, &settings, &mut report)?;
    }
    println!("{report}");
    let written = report.write(&target)?;
    println!("report   {}\n         {}", written.html.display(), written.json.display());
    Ok(())
}

/// Microseconds that an append of 4 KiB and its sync take when nothing else asks: a disk that does not sync shows here.
fn sync_alone(clock: &System, folder: &Path) -> Result<u64, Failure> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    let mut times_us = Vec::new();
    for _ in 0..PROBES {
        let begun = clock.now().monotonic;
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times_us.push(u64::try_from(clock.now().monotonic.saturating_sub(begun).as_micros())?);
    }
    Ok(median(&times_us))
}

#[expect(clippy::print_stderr, reason = "progress, apart from the report")]
fn progress(line: &str) {
    eprintln!("{line}");
}
