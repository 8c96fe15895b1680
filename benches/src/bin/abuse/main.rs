//! Clients that break the rules; what honest ones notice of it.

mod attack;
mod scene;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use maxpay_benches::{Machine, child, target_folder};
use maxpay_tests::open_files;
use tokio::runtime::Handle;

use attack::{Kind, Scale};
use scene::{Scene, Window};

/// Why the bench came to nothing.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of each run, what each kind of attack did to honest clients, in the order of [`Kind::EACH`].
pub type Run = Vec<Window>;

/// Files beside idle connections.
const FILES: u64 = 2_000;

const ABOUT: &str = "\
Clients that break the rules, and what honest clients notice of it.

The server is the program as it is shipped (this bench starts itself in that role), with its default deadlines, in an empty \
folder. Eight honest clients read the newest payment every 10 ms, each on a connection of its own; a ninth makes a payment \
every 20 ms, durable, answered once the provider in the server has. A wait is counted from the moment at which the request \
was due.

The attacks: idle connections, half of which asked once; heads, bodies and chunks that come a byte each 100 ms and never end; \
requests that are none, wrong keys and wrong notifications, each on a connection of its own, so many a second; a hundred \
requests in one go, read to the end by four clients twenty times a second and never read by four others; bodies of a \
megabyte from four clients; and all of these at once. Their pace is their own and does not rise when the server is quick.

Nobody and each attack take turns in each run, and which begins changes with each. `ratio` compares the 99th percentile of \
the honest clients' waits beside an attack with that of the same run's quiet window, medians of the runs: it is to be 3 at \
most. The attackers have one thread of their own and share the machine with server and honest clients: what they and the \
server spend is told, because on two cores an attack takes from everybody what it costs by itself.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "abuse", about = "What honest clients notice of those that break the rules", long_about = ABOUT)]
struct Settings {
    /// Connections that stay and ask nothing
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    idle: u32,
    /// Requests under way that never end
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slow: u32,
    /// Requests a second that are none
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    broken: u32,
    /// Seconds of each window
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Runs; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Where the files lie while it runs; Cargo's target folder if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let ended = match child::role().as_deref() {
        Some("server") => return maxpay::main(&maxpay::TestParts::default()),
        Some(_) | None => bench(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress(&format!("abuse: {why}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn bench() -> Result<(), Failure> {
    let settings = Settings::parse();
    let machine = Machine::this();
    let wanted = u64::from(settings.idle) + FILES;
    let allowed = open_files::allow(wanted);
    if allowed < wanted {
        return Err(
            format!("this machine allows {allowed} open files: raise the hard limit, or ask for fewer --idle").into()
        );
    }
    let target = target_folder();
    let parent = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(&parent)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("clients").enable_all().build()?;
    let crowd =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("crowd").enable_all().build()?;
    let runs = runtime.block_on(measure(&settings, folder.path(), crowd.handle().clone()))?;
    let report = summary::report(&settings, &runs, machine, ABOUT);
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

async fn measure(settings: &Settings, folder: &Path, crowd: Handle) -> Result<Vec<Run>, Failure> {
    let scale =
        Scale { idle: usize::try_from(settings.idle)?, slow: usize::try_from(settings.slow)?, broken: settings.broken };
    let scene = Scene::new(folder, crowd, scale).await?;
    let time = Duration::from_secs(settings.seconds);
    // What is first of its kind is slower: nobody counts it.
    scene.window(Kind::All, Duration::from_secs(1)).await?;
    let mut runs = Vec::new();
    for run in 0..settings.runs {
        let mut windows = vec![Window::default(); Kind::EACH.len()];
        let begins = usize::try_from(run)? % Kind::EACH.len();
        for index in (0..Kind::EACH.len()).map(|index| (index + begins) % Kind::EACH.len()) {
            windows[index] = scene.window(Kind::EACH[index], time).await?;
            let p99 = maxpay_benches::quantile(&windows[index].reads_us, 990);
            progress(&format!(
                "run {} of {}, {}: reads {p99} µs p99",
                run + 1,
                settings.runs,
                Kind::EACH[index].name()
            ));
        }
        runs.push(windows);
    }
    Ok(runs)
}

#[expect(clippy::print_stderr, reason = "progress, apart from the table")]
fn progress(line: &str) {
    eprintln!("{line}");
}
