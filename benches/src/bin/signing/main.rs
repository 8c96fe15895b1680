//! Payments that are signed here, against the signatures alone.

mod bare;
mod scene;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use maxpay_benches::process::cpu_time;
use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, grouped};
use maxpay_benches::{Machine, Table, median, per_second, quantile, target_folder};
use maxpay_engine::clock::System;

use scene::Scene;

/// The server's allocator, so that its speed is what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the bench came to nothing.
pub type Failure = Box<dyn Error + Sync + Send>;

/// Time at the start of each run that does not count.
const WARM_UP: Duration = Duration::from_millis(300);

const ABOUT: &str = "\
Payments that are signed here, against the signatures alone.

An engine in this process, on real files, with an Alipay account in public-key mode. So many callers each make one `ali_app` \
payment after the other, by the rules of the native API: checked, its order signed once with RSA-2048 and SHA-256, committed \
in one durable step, and answered with the order text for the payer's app. Nothing is sent to a provider.

The limit: a thread a core signs texts as long as such an order with the same key, which stays parsed, and does nothing else.

The sides take turns, and which one begins changes with each run; rates are medians of the runs. What is missing from 1 is \
what a payment costs besides its signature: the engine, its store and its disk share the cores with the signing.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "signing", about = "Payments signed here against the bare signing limit", long_about = ABOUT)]
struct Settings {
    /// Callers, each with one payment under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    callers: u32,
    /// Seconds that count of each run
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=10))]
    seconds: u64,
    /// Runs of each side; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Where the files lie while it runs; Cargo's target folder if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// The figures of one side's runs.
#[derive(Default)]
struct Side {
    per_second: Vec<u64>,
    cpu_us: Vec<u64>,
    waits_us: Vec<u64>,
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn main() -> Result<(), Failure> {
    let settings = Settings::parse();
    let (machine, clock, target) = (Machine::this(), System::new(), target_folder());
    let parent = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&parent)?;
    let window = Duration::from_secs(settings.seconds);
    let (mut payments, mut bare) = (Side::default(), Side::default());
    for run in 0..settings.runs {
        for of_payments in [run % 2 == 0, run % 2 == 1] {
            if of_payments {
                let folder = tempfile::tempdir_in(&parent)?;
                let scene = Scene::new(folder.path(), clock.clone())?;
                scene.work(settings.callers, WARM_UP)?;
                let before = cpu_time(std::process::id())?;
                let waits_us = scene.work(settings.callers, window)?;
                note(&mut payments, waits_us, before, window)?;
                scene.end();
            } else {
                let before = cpu_time(std::process::id())?;
                let waits_us = bare::sign(&clock, window)?;
                note(&mut bare, waits_us, before, window)?;
            }
        }
        progress(&format!(
            "run {} of {}: {} payments/s, {} signatures/s alone",
            run + 1,
            settings.runs,
            payments.per_second.last().copied().unwrap_or(0),
            bare.per_second.last().copied().unwrap_or(0)
        ));
    }
    let mut report = Report::new("signing", "Payments signed here against the signing limit", ABOUT, machine);
    report
        .setting(
            "runs",
            format!("{} of {} s a side, interleaved, {} callers", settings.runs, settings.seconds, settings.callers),
        )
        .setting("fsync", "the engine's store: one sync a group of the journal; tables behind, every 0.5 s")
        .setting("key", "RSA-2048, SHA-256, PKCS#1 v1.5, aws-lc-rs; parsed once");
    let mut table = Table::new(&["side (medians of runs)", "a second", "CPU-µs each", "wait p50 µs", "p99 µs"]);
    for (name, side) in [("payments", &payments), ("signatures alone", &bare)] {
        table.row(vec![
            name.to_owned(),
            grouped(median(&side.per_second)),
            median(&side.cpu_us).to_string(),
            grouped(quantile(&side.waits_us, 500)),
            grouped(quantile(&side.waits_us, 990)),
        ]);
    }
    report.table("Signatures", table);
    let chart = Chart::quantiles("How long one takes", "µs").scale(Scale::Log);
    report.chart(chart.measured("payment", &payments.waits_us).measured("signature", &bare.waits_us));
    report.figure("payments", payments.per_second.clone().into()).figure("alone", bare.per_second.clone().into());
    let (of_payments, alone) = (median(&payments.per_second), median(&bare.per_second));
    let what = "payments signed here over signatures alone";
    report.ratio(Ratio::of(what, "signatures/s", of_payments, alone, Wanted::AtLeast(0.8)));
    let cpu = (median(&payments.cpu_us), median(&bare.cpu_us));
    report.ratio(Ratio::of("CPU of a payment over that of a signature", "µs", cpu.0, cpu.1, Wanted::Told));
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

fn note(side: &mut Side, waits_us: Vec<u64>, before: Duration, window: Duration) -> Result<(), Failure> {
    let made = u64::try_from(waits_us.len())?;
    let spent = cpu_time(std::process::id())?.saturating_sub(before);
    side.per_second.push(per_second(made, window));
    side.cpu_us.push(u64::try_from(spent.as_micros())? / made.max(1));
    side.waits_us.extend(waits_us);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress, apart from the table")]
fn progress(line: &str) {
    eprintln!("{line}");
}
