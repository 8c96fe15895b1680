//! One transaction's actor is flooded; what its neighbours notice of it.

mod scene;
mod summary;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use maxpay_benches::{Machine, target_folder};
use tokio::runtime::Handle;

use scene::{Crowd, Scene, Window};
use summary::report;

/// The server's allocator, so that its memory and its speed are what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the bench came to nothing.
pub type Failure = Box<dyn Error + Sync + Send>;

/// The crowds, in the order in which they take turns.
pub const CROWDS: [Crowd; 4] = [Crowd::Quiet, Crowd::Paced, Crowd::Readers, Crowd::Flooders];

const ABOUT: &str = "\
One transaction's actor is flooded; what its neighbours notice of it.

An engine in this process, on real files, with two arbiters unless told otherwise. So many callers (the flooders) ask one \
transaction for the same thing, each again as soon as it is answered: an operator's command that there is nothing to do \
about, so that the actor looks at its record and commits nothing. That is the highest rate the engine's doors take; over \
HTTP a credential has a rate of its own far below it. Most are told *busy*.

Neighbours are transactions on the flooded one's arbiter and on the others, each asked the same thing every 10 ms; besides, \
a new payment is made every 20 ms, durable, its create sent to a provider in this process and answered. Waits are from the \
request to the answer.

Four crowds take turns in each run, and which one begins changes with each: nobody; callers who ask 5,000 times a second \
all together, which is what ten credentials may over HTTP when nobody set another rate; as many callers as flooders who \
only read that transaction, past its actor, without a pause; the flooders, without a pause. `ratio` compares the 99th percentiles with those when \
there is nobody, medians of the runs. The crowd has one thread of its own, which it never lets rest: on a machine of few \
cores everybody else has a core less, and shares the others with what the engine does for the crowd.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "flood", about = "What the neighbours of a flooded actor notice", long_about = ABOUT)]
struct Settings {
    /// Callers who ask the flooded transaction without a pause
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=8_192))]
    flooders: u32,
    /// Arbiters of the engine
    #[arg(long, value_name = "A", default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=64))]
    arbiters: u32,
    /// Seconds of each crowd in each run
    #[arg(long, value_name = "S", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Runs; fewer than 5 are a glance
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Where the files lie while it runs; Cargo's target folder if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn main() -> Result<(), Failure> {
    let settings = Settings::parse();
    let machine = Machine::this();
    let target = target_folder();
    let parent = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(&parent)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("neighbours").enable_all().build()?;
    let outside =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("crowd").enable_all().build()?;
    let windows = runtime.block_on(measure(&settings, folder.path(), outside.handle().clone()))?;
    let report = report(&settings, &windows, machine, ABOUT);
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

/// The windows of each run, one of each crowd, in the order of [`CROWDS`].
async fn measure(settings: &Settings, folder: &Path, outside: Handle) -> Result<Vec<[Window; 4]>, Failure> {
    let scene = Scene::new(folder, usize::try_from(settings.arbiters)?, outside).await?;
    let time = Duration::from_secs(settings.seconds);
    // What is first of its kind is slower: nobody counts it.
    scene.window(Crowd::Flooders, settings.flooders, Duration::from_millis(500)).await?;
    let mut runs = Vec::new();
    for run in 0..settings.runs {
        let mut windows = std::array::from_fn(|_| Window::default());
        let begins = usize::try_from(run)? % CROWDS.len();
        for index in (0..CROWDS.len()).map(|index| (index + begins) % CROWDS.len()) {
            windows[index] = scene.window(CROWDS[index], settings.flooders, time).await?;
            progress(&format!("run {} of {}, {}", run + 1, settings.runs, windows[index]));
        }
        runs.push(windows);
    }
    scene.end().await;
    Ok(runs)
}

#[expect(clippy::print_stderr, reason = "progress, apart from the table")]
fn progress(line: &str) {
    eprintln!("{line}");
}
