//! The command line: what can be said there, and nothing of what it does.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// MaxPay, a payment engine.
///
/// Without a command it serves on 127.0.0.1:7480 with the sandbox channel and keeps its data in ./maxpay-data.
#[derive(Debug, Parser, PartialEq, Eq)]
#[command(name = "maxpay", version)]
pub struct Cli {
    /// What to do; without one: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the binary can do.
#[derive(Debug, Subcommand, PartialEq, Eq)]
pub enum Command {
    /// Serve the HTTP APIs until SIGTERM or Ctrl-C, then drain.
    Serve(ServeArgs),
    /// Speak JSON-RPC 2.0 on standard input and output, one message a line, until the input ends; logs go to stderr.
    Stdio(DataArgs),
    /// Issue a new operator key and print it, this once. The server must not be running on the same folder.
    OperatorKey(DataArgs),
    /// Look at a settings file without starting anything.
    Config(ConfigArgs),
    /// Play a provider: its side of a channel as a process of its own, with a page on which you are the payer. Prints
    /// one JSON object with its address and with accounts, ready to be posted to /v1/accounts.
    Simulate(SimulateArgs),
    /// Write a channel of your own as a crate that builds and passes the exam (see docs/custom-channel.md).
    NewAdapter(NewAdapterArgs),
}

/// How to serve. What is said here wins over the settings file.
#[derive(Debug, Default, Args, PartialEq, Eq)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Folder of the store; made on first start.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings file (see maxpay.example.toml). Without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write one JSON object with the URL, and a new demo app's keys, to FILE once ready (mode 0600).
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Run the sandbox channel and its demo app, also where they are not the default.
    #[arg(long)]
    pub sandbox: bool,
}

/// Where the data is. What is said here wins over the settings file.
#[derive(Debug, Default, Args, PartialEq, Eq)]
pub struct DataArgs {
    /// Folder of the store; made on first start.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings file (see maxpay.example.toml). Without it every setting has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run the sandbox channel, also where it is not the default. Its demo app is made by serve alone.
    #[arg(long)]
    pub sandbox: bool,
}

/// What to do with a settings file.
#[derive(Debug, Args, PartialEq, Eq)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What can be done with a settings file.
#[derive(Debug, Subcommand, PartialEq, Eq)]
pub enum ConfigCommand {
    /// Say whether a settings file is right, and what accounts lack before they can go live. Nothing is started or asked.
    Check(CheckArgs),
}

/// What to look at.
#[derive(Debug, Args, PartialEq, Eq)]
#[group(required = true, multiple = true, args = ["config", "account"])]
pub struct CheckArgs {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An account as `POST /v1/accounts` takes it, a JSON object; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub account: Vec<PathBuf>,
    /// The mode that the accounts are to work in.
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: CheckMode,
}

/// In which mode accounts are to work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckMode {
    /// Without real money.
    Test,
    /// With it.
    #[default]
    Live,
}

/// Which provider to play, and where.
#[derive(Debug, Args, PartialEq, Eq)]
pub struct SimulateArgs {
    /// Which provider.
    #[arg(value_parser = PossibleValuesParser::new(maxpay_adapters::simulations().into_iter().map(|it| it.name)))]
    pub provider: String,
    /// Address and port to listen on; port 0 takes a free one. Accounts name it: keep it over restarts.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7481")]
    pub listen: SocketAddr,
    /// Folder of its books and keys, made on first start; without it ./maxpay-simulator/PROVIDER.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Write the JSON object to FILE too (mode 0600), and again whenever keys change.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// How engines reach it, where that is not the address it listens on.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Which keys its merchant has, where there is a choice: public or certificates.
    #[arg(long, value_name = "KIND")]
    pub keys: Option<String>,
    /// Listen beyond this machine: whoever reaches it may pay, refund and change its keys.
    #[arg(long)]
    pub open: bool,
}

/// What to write, and where.
#[derive(Debug, Args, PartialEq, Eq)]
pub struct NewAdapterArgs {
    /// Name of the adapter and of its crate: a lower-case letter and up to 19 more letters or digits.
    pub name: String,
    /// Folder to make; the name, in the current folder, when nobody says.
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Folder of MaxPay's sources, which the crate depends on; the one around the current folder when nobody says.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Option<Command>) {
        let given = Cli::try_parse_from(std::iter::once(&"maxpay").chain(words)).expect("it is a command of ours");
        assert_eq!(given.command, expected, "{words:?}");
    }

    #[test]
    fn says_what_is_meant() {
        // Every command of the README is read as it is meant.
        check(&[], None);
        check(&["serve"], Some(Command::Serve(ServeArgs::default())));
        check(
            &["serve", "--listen", "127.0.0.1:0", "--data", "d", "--ready-file", "r", "--sandbox"],
            Some(Command::Serve(ServeArgs {
                listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
                data: Some("d".into()),
                config: None,
                ready_file: Some("r".into()),
                sandbox: true,
            })),
        );
        check(
            &["stdio", "--config", "c"],
            Some(Command::Stdio(DataArgs { data: None, config: Some("c".into()), sandbox: false })),
        );
        check(
            &["new-adapter", "lamp", "--into", "i", "--source", "s"],
            Some(Command::NewAdapter(NewAdapterArgs {
                name: "lamp".to_owned(),
                into: Some("i".into()),
                source: Some("s".into()),
            })),
        );
        let simulate = |provider: &str| SimulateArgs {
            provider: provider.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7481)),
            data: None,
            ready_file: None,
            public_url: None,
            keys: None,
            open: false,
        };
        for simulation in maxpay_adapters::simulations() {
            check(&["simulate", simulation.name], Some(Command::Simulate(simulate(simulation.name))));
        }
        check(
            &[
                "simulate",
                "wechat",
                "--listen",
                "0.0.0.0:1",
                "--data",
                "d",
                "--ready-file",
                "r",
                "--public-url",
                "http://s",
                "--keys",
                "k",
                "--open",
            ],
            Some(Command::Simulate(SimulateArgs {
                listen: SocketAddr::from(([0, 0, 0, 0], 1)),
                data: Some("d".into()),
                ready_file: Some("r".into()),
                public_url: Some("http://s".to_owned()),
                keys: Some("k".to_owned()),
                open: true,
                ..simulate("wechat")
            })),
        );
        check(
            &["config", "check", "--config", "c"],
            Some(Command::Config(ConfigArgs {
                command: ConfigCommand::Check(CheckArgs {
                    config: Some("c".into()),
                    account: Vec::new(),
                    mode: CheckMode::Live,
                }),
            })),
        );
        check(
            &["config", "check", "--account", "a", "--account", "b", "--mode", "test"],
            Some(Command::Config(ConfigArgs {
                command: ConfigCommand::Check(CheckArgs {
                    config: None,
                    account: vec!["a".into(), "b".into()],
                    mode: CheckMode::Test,
                }),
            })),
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        // A word that means nothing is an error, never ignored.
        for words in [
            &["serv"][..],
            &["serve", "--port", "1"],
            &["simulate"],
            &["simulate", "nobody"],
            &["serve", "--listen", "localhost"],
            &["config"],
            &["config", "check"],
        ] {
            assert!(Cli::try_parse_from(std::iter::once(&"maxpay").chain(words)).is_err(), "{words:?}");
        }
    }
}
