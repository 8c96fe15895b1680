//! The long kill storm: the server is ended by force thousands of times under load, and nothing may be lost, doubled or
//! told wrongly.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use maxpay_benches::report::Report;
use maxpay_benches::{Machine, Table, target_folder};
use maxpay_tests::storm;
use maxpay_tests::under_test::{self, Plant};
use serde_json::json;

/// Set in the environment of a child that is to be the server under test.
const AS_SERVER: &str = "MAXPAY_STORM_SERVER";

const ABOUT: &str = "\
Ends the server by force, again and again, under a mixed load on /v1 and /2.0, and judges by ledgers kept outside of it.

The server is a child of this process (this program again) with real files and real HTTP. The provider, its payers, the \
merchants and two webhook receivers (one well, one that fails up to five times in a row an event) live here, over loopback. \
Every other kill is a SIGKILL at a random moment, the others come at the nine named points of a commit in turn. Between \
kills, and with the server left alone every so often, seven laws are judged: nothing acknowledged is lost; no transaction, \
and on /v1 no bill number, is open or paid at the provider under two numbers, and on /2.0 every second success is flagged; \
what was paid is reported; no status stands without evidence; every success event reaches both receivers under one \
webhook-id; nothing is stuck; the server starts again.

The seed chooses payments, payers, what becomes of answers and notifications, and the kills. When a random kill falls \
relative to what the server does is the machine's doing, so a failing run may have to be repeated to fail again.";

/// What to do.
#[derive(Debug, Parser)]
#[command(name = "kill_storm", about = "Kills the server under load and judges by outside ledgers", long_about = ABOUT)]
struct Arguments {
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    kills: u64,
    /// What chooses everything that is chosen
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Kills between two times when everything is judged
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    calm_every: u64,
    /// Merchants at once
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    merchants: u64,
    /// Plants a fault, to see it found: acknowledge_before_commit, webhook_outside_batch or resend_under_new_number
    #[arg(long, value_name = "FAULT")]
    plant: Option<Plant>,
    /// Where the server's files lie while it runs; Cargo's target folder if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    if std::env::var_os(AS_SERVER).is_some() {
        return Ok(under_test::main());
    }
    let arguments = Arguments::parse();
    let (machine, target) = (Machine::this(), target_folder());
    let folder = arguments.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&folder)?;
    let folder = tempfile::Builder::new().prefix("kill-storm-").tempdir_in(folder)?;
    let settings = storm::Settings {
        program: std::env::current_exe()?,
        environment: vec![(AS_SERVER.to_owned(), "1".to_owned())],
        folder: folder.path().to_owned(),
        kills: arguments.kills,
        payments_min: 0,
        calm_every: arguments.calm_every,
        merchants: arguments.merchants,
        seed: arguments.seed,
        plant: arguments.plant,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(storm::run(settings, progress));
    let told = tell(machine, &arguments, &report);
    show(&told, &arguments, &report);
    let written = told.write(&target)?;
    progress(&format!("report   {}\n         {}", written.html.display(), written.json.display()));
    // A planted fault that is not found is as bad as one that nobody planted.
    let as_it_should = report.violations.is_empty() == arguments.plant.is_none();
    Ok(if as_it_should { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(machine: Machine, arguments: &Arguments, report: &storm::Report) -> Report {
    let mut told = Report::new("kill_storm", "A storm of kills", ABOUT, machine);
    let per_minute = report.kills * 60 / report.took.as_secs().max(1);
    let plant = arguments.plant.map_or("none", Plant::name);
    told.setting("seed", arguments.seed)
        .setting("planted fault", plant)
        .setting("took", format!("{} s, {per_minute} kills a minute", report.took.as_secs()));
    let mut table = Table::new(&["what", "times"]);
    table.row(vec!["kills".to_owned(), report.kills.to_string()]);
    for (name, count) in &report.counts {
        table.row(vec![(*name).to_owned(), count.to_string()]);
    }
    table.row(vec!["laws broken".to_owned(), report.violations.len().to_string()]);
    let violations: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    told.table("What happened", table).figure("counts", json!(report.counts)).figure("violations", json!(violations));
    told
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn show(told: &Report, arguments: &Arguments, report: &storm::Report) {
    println!("{told}");
    for violation in report.violations.iter().take(20) {
        println!("{violation}");
    }
    if !report.violations.is_empty() {
        let plant = arguments.plant.map(|plant| format!(" --plant {plant}")).unwrap_or_default();
        let Arguments { seed, calm_every, merchants, .. } = arguments;
        println!(
            "\nrepeat with: cargo run --release -p maxpay-benches --bin kill_storm -- --kills {} --seed {seed} \
             --calm-every {calm_every} --merchants {merchants}{plant}",
            report.kills
        );
    }
}

#[expect(clippy::print_stderr, reason = "progress, apart from the table")]
fn progress(line: &str) {
    eprintln!("{line}");
}
