//! `maxpay`: the engine as a process of its own. The only place that names all crates.
//!
//! This file reads what was asked and turns an error into one text and an exit code; the rooms beside it do the work.
#![deny(missing_docs)]

mod announce;
mod check;
mod cli;
mod compose;
mod demo;
mod logging;
mod new_adapter;
mod open_files;
mod ready;
mod reopen;
mod sandbox;
mod sealing;
mod serve;
mod settings;
mod shutdown;
mod simulate;
mod stdio;
mod test_parts;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use cli::{CheckArgs, Cli, Command, ConfigArgs, ConfigCommand, DataArgs, NewAdapterArgs, ServeArgs};
use compose::ComposeError;
use maxpay_engine::clock::{Clock as _, System as SystemClock};
use settings::{LogFormat, LogLevel, Settings, SettingsError};

pub use maxpay_engine::store::redb::{CrashPoint, CrashPoints};
pub use test_parts::{AdapterAround, FilesAt, StoreAround, TestParts};

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("cannot open the doors")]
    Doors(#[source] maxpay_transports::http::Error),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    #[error("cannot read or write the pipe")]
    Pipe(#[source] std::io::Error),
    #[error("cannot write the ready file")]
    ReadyFile(#[source] std::io::Error),
    #[error("the operating system refuses a runtime or a signal handler")]
    System(#[source] std::io::Error),
    #[error("the engine refused: {0}")]
    Engine(#[from] maxpay_engine::Error),
    #[error("the simulator does not run")]
    Simulate(#[from] simulate::SimulateError),
    #[error("no adapter was written")]
    NewAdapter(#[from] new_adapter::NewAdapterError),
    #[error(transparent)]
    Check(#[from] check::CheckError),
    #[error("not ready: what is lacking stands above")]
    NotReady,
    #[error("the doors closed by themselves")]
    DoorsClosed,
}

/// Runs the program with the process's own arguments, and with what a test puts in; the program proper gives nothing.
#[must_use]
pub fn main(parts: &TestParts) -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve(ServeArgs::default()));
    match run(&command, parts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Not through the log: what went wrong may be the log's own settings.
            let _ = writeln!(std::io::stderr(), "maxpay: {}", with_causes(&failure));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, parts: &TestParts) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => {
            let settings = started(Settings::for_serve(args)?);
            on_runtime(serve::run(&settings, args.ready_file.as_deref(), parts))
        }
        Command::Stdio(args) => {
            let settings = started(Settings::for_data(args)?);
            on_runtime(stdio::run(&settings, parts))
        }
        Command::OperatorKey(args) => operator_key(args),
        Command::Config(ConfigArgs { command: ConfigCommand::Check(args) }) => check(args),
        Command::Simulate(args) => {
            logging::start(LogLevel::Info, LogFormat::Text);
            on_runtime(async { Ok(simulate::run(args).await?) })
        }
        Command::NewAdapter(args) => new_adapter(args),
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let (report, ready) = check::report(args, SystemClock::new().now().wall)?;
    write!(std::io::stdout(), "{report}").map_err(Failure::Output)?;
    if ready { Ok(()) } else { Err(Failure::NotReady) }
}

fn new_adapter(args: &NewAdapterArgs) -> Result<(), Failure> {
    let folder = new_adapter::write(args)?;
    writeln!(std::io::stdout(), "{} is there: cd into it and run `cargo test`", folder.display())
        .map_err(Failure::Output)
}

fn operator_key(args: &DataArgs) -> Result<(), Failure> {
    let settings = started(Settings::for_data(args)?);
    on_runtime(async {
        let composed = compose::compose(&settings, settings.listen, &TestParts::default())?;
        tell_made_key(&composed)?;
        let key = demo::operator_key(&composed.engine).await?;
        composed.engine.shutdown(settings.drain_ms.duration()).await;
        writeln!(std::io::stdout(), "{key}").map_err(Failure::Output)
    })
}

/// Says on standard error that a sealing key was made: standard output has another use.
fn tell_made_key(composed: &compose::Composed) -> Result<(), Failure> {
    let Some(path) = &composed.made_key else { return Ok(()) };
    std::io::stderr().write_all(announce::made_key(path).as_bytes()).map_err(Failure::Output)
}

fn started(settings: Settings) -> Settings {
    logging::start(settings.log_level, settings.log_format);
    settings
}

/// Runs on the program's own runtime: it waits for signals, writes and reads pipes. The engine and the doors have
/// their own.
fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("maxpay-main")
        .enable_all()
        .build()
        .map_err(Failure::System)?;
    let done = runtime.block_on(work);
    // A thread may be blocked for ever on a pipe that nobody reads: it does not keep the process.
    runtime.shutdown_background();
    done
}

/// The error and what caused it, outermost first, as one text.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
