//! Payments from the create to the merchant's webhook, over HTTP and durable, and what one costs the server.

mod load;
mod provider;
mod run;
mod server;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use maxpay_benches::report::Report;
use maxpay_benches::{Machine, child, target_folder};
use maxpay_engine::clock::System;

use run::{Load, run};
use summary::{Runs, Summary};

/// Why a bench did not come to an end.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Time at the start of each run that does not count.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a sync is here.
const FSYNC: &str = "the server's own: one sync_data (fdatasync) a group of its journal, tables behind; the provider's books \
                     are in memory when it is apart";

const ABOUT: &str = "\
Payments from the create to the merchant's webhook, over HTTP and durable, and what one costs the server.

So many payers at once, each with a connection of its own: each creates a payment (POST /v1/transactions, channel wx_native \
of the sandbox), pays it at the provider when the create is answered, waits for its webhook, and begins again. The provider \
notifies the server, the server sends the webhook to one subscription. All three waits are taken by the payer's clock: \
create answered; from paying to the webhook's arrival; whole.

The server is the program as it is shipped (this bench starts itself in that role), in an empty folder on a disk, with its \
default settings but for the rate limits, which are raised because one credential asks for everything, and leave to send \
webhooks to loopback. It logs a line a request, as it does by default, into a file.

The provider is the sandbox's simulator. By default it is a process of its own: the server speaks to it over HTTP, with one \
connection a call, as to any provider, and its notifications come over HTTP too; so the server's processor time is the \
engine's and its doors' alone. With --provider inside it runs in the server, as in the demo: there its processor time, and \
the commits of its books, are in the server's figures, and pay is a request to the server.

Processor time is user and system time of the whole process in the window, over the payments whose webhook came in it. The \
load generator is payers and receiver, in this process. All of it shares this machine: payments/s is what server, provider \
and load generator together reach.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "payments", about = "Payments from create to webhook: rate, waits, processor time", long_about = ABOUT)]
struct Settings {
    /// Payments at once, one load after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16,256", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    concurrency: Vec<u32>,
    /// Seconds that count of each run
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Runs of each load; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Where the provider runs
    #[arg(long, value_enum, default_value_t = Provider::Apart)]
    provider: Provider,
    /// Where the server's files lie while it runs; Cargo's target folder if not given. Not a folder in memory
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Where the provider runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// In a process of its own, over HTTP.
    Apart,
    /// In the server, as in the demo.
    Inside,
}

fn main() -> ExitCode {
    let ended = match child::role().as_deref() {
        Some("server") => return maxpay::main(&maxpay::TestParts::default()),
        Some("provider") => provider::run(),
        Some(_) | None => bench(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress(&format!("payments: {why}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what a bench is for")]
fn bench() -> Result<(), Failure> {
    let settings = Settings::parse();
    let mut report = Report::new("payments", "Payments from create to webhook", ABOUT, Machine::this());
    let (target, clock) = (target_folder(), System::new());
    let folder = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&folder)?;
    let all = measure(&settings, &clock, &folder)?;
    let (runs, seconds) = (settings.runs, settings.seconds);
    report
        .setting("fsync", FSYNC)
        .setting("load", format!("{runs} runs of {seconds} s after a warm-up of 1 s, a new server each"))
        .setting(
            "provider",
            match settings.provider {
                Provider::Apart => "in a process of its own, over HTTP, its books in memory",
                Provider::Inside => "in the server, its books on the disk",
            },
        )
        .setting("server", format!("release settings but for these:\n{}", server::SETTINGS));
    summary::tell(&mut report, &all);
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

/// The loads take turns, so that what changes on the machine changes for all.
fn measure(settings: &Settings, clock: &System, folder: &Path) -> Result<Vec<Runs>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut all: Vec<Runs> = settings.concurrency.iter().map(|concurrency| (*concurrency, Vec::new())).collect();
    for number in 1..=settings.runs {
        for (concurrency, runs) in &mut all {
            let window = Duration::from_secs(settings.seconds);
            let load = Load { concurrency: *concurrency, warm_up: WARM_UP, window };
            let summary = Summary::of(run(&runtime, clock, load, settings.provider, folder)?);
            let (rate, cpu) = (summary.per_second, summary.cpu_us[0].unwrap_or(0));
            progress(&format!("run {number}, {concurrency} at once: {rate} payments/s, {cpu} µs of the server each"));
            runs.push(summary);
        }
    }
    Ok(all)
}

#[expect(clippy::print_stderr, reason = "progress, apart from the report")]
fn progress(line: &str) {
    eprintln!("{line}");
}
