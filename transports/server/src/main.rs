//! `maxpay`: the engine as a process of its own. The only place that names all crates.
//!
//! This file reads what was asked and turns an error into one text and an exit code; the rooms beside it do the work.
#![expect(dead_code, reason = "most settings are used by the composition alone")]

mod cli;
mod logging;
mod ready;
mod settings;
mod shutdown;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, ConfigArgs, ConfigCommand, ServeArgs, StdioArgs};
use settings::{Settings, SettingsError};

/// Why the binary ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    #[error("this build has no {0}: it can only check settings files")]
    NotComposed(&'static str),
}

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve(ServeArgs::default()));
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Not through the log: what went wrong may be the log's own settings.
            let _ = writeln!(std::io::stderr(), "maxpay: {}", with_causes(&failure));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve(args),
        Command::Stdio(args) => stdio(args),
        Command::Config(ConfigArgs { command: ConfigCommand::Check { config } }) => {
            Settings::check_file(config)?;
            writeln!(std::io::stdout(), "{} is right", config.display()).map_err(Failure::Output)
        }
    }
}

fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let settings = Settings::for_serve(args)?;
    logging::start(settings.log_level, settings.log_format);
    Err(Failure::NotComposed("server"))
}

fn stdio(args: &StdioArgs) -> Result<(), Failure> {
    let settings = Settings::for_stdio(args)?;
    logging::start(settings.log_level, settings.log_format);
    Err(Failure::NotComposed("stdio transport"))
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
