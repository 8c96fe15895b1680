//! What open payments cost in memory, and how a server comes back after a kill with very many of them, some of them due.

mod child;
mod copies;
mod live;
mod load;
mod newcomers;
mod provider;
mod shops;
mod summary;

use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use maxpay_benches::{Machine, target_folder};

use child::Server;
use newcomers::watch;
use provider::Provider;
use summary::{Found, Live, Start, report};

/// The server's allocator, so that its memory and its speed are what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the bench came to nothing.
pub type Failure = Box<dyn Error + Sync + Send>;

const ABOUT: &str = "\
What open payments cost in memory, and how a server comes back after kill -9 with very many of them.

The data are real: an engine makes apps, accounts and two payments for each through its own doors, at a provider that \
answers; then a loader writes copies of those payments through the store, in the rows that the engine writes. Before it \
does, a copy under a payment's own id is compared with the engine's rows byte for byte, and one under another's id with \
the engine's rows of that: same keys, same lengths. The loader is killed with SIGKILL with its store open. The provider is \
the sandbox's simulator in this process, over loopback; it knows the due orders. The server is this program as `maxpay \
serve`, a process of its own.

parked: resident memory of a server with all payments that are not due on file, settled and with none live, less that of \
the same server with a handful; over the payments. It is what the system counts, caches and all.

live: an engine on a clock that stands still, so that nobody goes to rest; its transactions are woken in five parts by \
commands that change nothing. Resident memory between the first part and the last, over the transactions between. What \
waking reads was read before. Allocator and all, so that it is more than the sum of what is held.

start: from the start of the process to the first *ready* of /readyz, after the loader was killed and, a second time, after \
the server itself was killed while it worked off the due ones and took new payments.

new payments: one each 100 ms, of each app in turn, whether the last one was answered or not; from the request to the \
answer that the payer is awaited, while the due ones are worked off, on this one machine together with the provider and \
the clients. An account is asked 200 times a second at most, so that so many due ones of a few accounts take their time.";

/// What to measure.
#[derive(Debug, Parser)]
#[command(name = "recovery", about = "Memory of open payments, and the start after a kill", long_about = ABOUT)]
struct Settings {
    /// Payments that wait for their payer, in all
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    transactions: u64,
    /// Those of them that are due at the start
    #[arg(long, value_name = "M", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..))]
    due: u64,
    /// Apps, with an account each
    #[arg(long, value_name = "A", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    accounts: u32,
    /// Transactions that are woken to see what a live one costs
    #[arg(long, value_name = "L", default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(10..=50_000))]
    live: u64,
    /// Seconds before the second kill
    #[arg(long, value_name = "S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    kill_after: u64,
    /// Seconds that the due ones may take to be worked off
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=36_000))]
    limit: u64,
    /// Where the data lie while it runs; Cargo's target folder if not given
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let role = std::env::args().nth(1).unwrap_or_default();
    // The other processes of the bench are this program too; the first of them reads its arguments itself.
    let role_arguments = || std::env::args().skip(1);
    let ended = match role.as_str() {
        "serve" => return maxpay::main(&maxpay::TestParts::default()),
        "load" => load::run(&load::Load::parse_from(role_arguments())),
        "live" => live::run(&live::Live::parse_from(role_arguments())),
        _ => bench(&Settings::parse()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress(&format!("recovery: {why}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn bench(settings: &Settings) -> Result<(), Failure> {
    let machine = Machine::this();
    let target = target_folder();
    let parent = settings.folder.clone().unwrap_or_else(|| target.clone());
    std::fs::create_dir_all(&parent)?;
    let data = tempfile::tempdir_in(&parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(settings, data.path()));
    let found = measured.map_err(|why| {
        let log = std::fs::read_to_string(data.path().join("server.log")).unwrap_or_default();
        let end = log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        format!("{why}\n{end}")
    })?;
    let report = report(settings, &found, machine, ABOUT);
    println!("{report}\n{}", report.write(&target)?);
    Ok(())
}

async fn measure(settings: &Settings, data: &Path) -> Result<Found, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}", listener.local_addr()?);
    let accounts = usize::try_from(settings.accounts)?;
    let parked = settings.transactions.saturating_sub(settings.due);
    let load = async |parked, due| child::load_and_kill(data, &url, accounts, parked, due).await;

    progress("making apps, accounts and samples");
    load(0, 0).await?;
    let few = rest(data).await?;
    load(parked, 0).await?;
    let store_bytes = std::fs::metadata(data.join("store/tables.redb"))?.len();
    progress("a server with all that are not due");
    let many = rest(data).await?;
    progress("what live ones cost");
    let live = Live::from_json(&child::live(data, settings.live.min(parked)).await?)?;

    load(0, settings.due).await?;
    let shops = load::shops_of(data)?;
    let provider = Provider::serve(listener, data)?;
    let wanted = settings.due;
    let mut starts = Vec::new();
    for (what, limit) in [("the loader", settings.kill_after), ("the server at work", settings.limit)] {
        let server = Server::start(data).await?;
        progress(&format!("ready after {} ms; it works off the due ones", server.ready_after.as_millis()));
        let watched = watch(&server, &provider, &shops, wanted, Duration::from_secs(limit)).await?;
        progress(&format!("{} of {wanted} were asked about", watched.asked));
        let at_rest = if what == "the loader" { None } else { Some(server.memory()?.resident) };
        starts.push(Start { killed: what, ready_after: server.ready_after, watched, resident: at_rest });
        server.kill().await?;
    }
    let (_, queries) = provider.asked();
    provider.stop().await;
    Ok(Found { few, many, parked, store_bytes, live, wanted, queries, starts })
}

/// Resident memory of a server that has settled.
async fn rest(data: &Path) -> Result<u64, Failure> {
    let server = Server::start(data).await?;
    let resident = server.settled().await?;
    server.kill().await?;
    Ok(resident)
}

/// Says how far it is.
#[expect(clippy::print_stderr, reason = "progress, apart from the table")]
pub fn progress(line: &str) {
    eprintln!("{line}");
}
