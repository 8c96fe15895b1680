//! The settings: one TOML file, read whole and checked before anything is opened or bound.
//!
//! This room knows names, units, bounds and defaults; what is done with them is the composition's business. Every
//! setting stands in `maxpay.example.toml` with its default.

mod mistake;
mod values;

use std::io::Read;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::{DataArgs, ServeArgs};

pub use mistake::Mistake;
pub use values::{BaseUrl, Millis, Schedule, TrustedProxy, Whole};

/// A settings file larger than this, in bytes, is refused: it is some other file.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Everything an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Folder of the store.
    pub data_dir: PathBuf,
    sealing_key_file: Option<PathBuf>,
    /// Address under which channels and payers reach this server; notify addresses are built from it.
    pub public_url: Option<BaseUrl>,
    /// Which peers may say who the client is and that it came over TLS.
    pub trusted_proxy: TrustedProxy,
    sandbox: Option<bool>,
    /// Oldest acceptable signature of a client key, in milliseconds; `None`: any age.
    pub sign_max_age_client_ms: Option<Millis<1_000, 86_400_000>>,
    /// Oldest acceptable signature of an API or master key, in milliseconds.
    pub sign_max_age_master_ms: Millis<1_000, 86_400_000>,
    /// Gaps between the attempts of a delivery.
    pub webhook_schedule_ms: Schedule,
    /// One deadline for one attempt, from name lookup to the last byte read.
    pub webhook_deadline_ms: Millis<100, 60_000>,
    webhook_allow_loopback_test: Option<bool>,
    /// Whether targets may be private addresses, in either mode.
    pub webhook_allow_private: bool,
    provider_allow_private: Option<bool>,
    /// Largest request body, and largest line over stdio.
    pub body_max_bytes: Whole<16_384, 16_777_216>,
    /// Largest request head.
    pub header_max_bytes: Whole<4_096, 65_536>,
    /// How long a request's head may take to arrive.
    pub head_deadline_ms: Millis<100, 60_000>,
    /// How long a request's body may take to arrive.
    pub body_deadline_ms: Millis<100, 60_000>,
    /// How long a connection is kept on which nothing is asked.
    pub keep_alive_ms: Millis<100, 600_000>,
    /// Open connections.
    pub connections_max: Whole<64, 1_000_000>,
    /// After it a request is answered, whatever it waits for.
    pub request_deadline_ms: Millis<1_000, 20_000>,
    /// Requests a second of one credential, or of one client address where there is none.
    pub rate_per_second: NonZeroU32,
    /// How many of them may come at once.
    pub rate_burst: NonZeroU32,
    /// Questions a second that one account's provider is asked.
    pub account_queries_per_second: NonZeroU32,
    /// Threads that run actors; `None`: one a core.
    pub arbiters: Option<Whole<1, 64>>,
    /// How long a shutdown may take to drain.
    pub drain_ms: Millis<0, 600_000>,
    /// How often a fenced store is tried again.
    pub reopen_every_ms: Millis<100, 3_600_000>,
    /// How much our own crates say.
    pub log_level: LogLevel,
    /// In which shape.
    pub log_format: LogFormat,
    /// Whether these came from a file: an operator who wrote one is asked for nothing that he did not write there.
    #[serde(skip)]
    from_file: bool,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// And what may come to need one.
    Warn,
    /// And one line a request.
    Info,
    /// And what the engine decides.
    Debug,
    /// And every step.
    Trace,
}

/// In which shape log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7480)),
            data_dir: PathBuf::from("./maxpay-data"),
            sealing_key_file: None,
            public_url: None,
            trusted_proxy: TrustedProxy::Nobody,
            sandbox: None,
            sign_max_age_client_ms: None,
            sign_max_age_master_ms: Millis::of(900_000),
            webhook_schedule_ms: Schedule::original(),
            webhook_deadline_ms: Millis::of(15_000),
            webhook_allow_loopback_test: None,
            webhook_allow_private: false,
            provider_allow_private: None,
            body_max_bytes: Whole::of(262_144),
            header_max_bytes: Whole::of(16_384),
            head_deadline_ms: Millis::of(10_000),
            body_deadline_ms: Millis::of(10_000),
            keep_alive_ms: Millis::of(75_000),
            connections_max: Whole::of(20_000),
            request_deadline_ms: Millis::of(20_000),
            rate_per_second: const { NonZeroU32::new(500).expect("not zero") },
            rate_burst: const { NonZeroU32::new(1_000).expect("not zero") },
            account_queries_per_second: const { NonZeroU32::new(200).expect("not zero") },
            arbiters: None,
            drain_ms: Millis::of(25_000),
            reopen_every_ms: Millis::of(10_000),
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
            from_file: false,
        }
    }
}

impl Settings {
    /// Settings for `maxpay serve`: the file's, then what the command line says.
    pub fn for_serve(args: &ServeArgs) -> Result<Self, SettingsError> {
        let mut settings = Self::load(args.config.as_deref())?;
        settings.listen = args.listen.unwrap_or(settings.listen);
        settings.take(args.data.as_deref(), args.sandbox);
        settings.refuse_open_plaintext()?;
        Ok(settings)
    }

    /// Settings for what works on a data folder without listening: the file's, then what the command line says.
    pub fn for_data(args: &DataArgs) -> Result<Self, SettingsError> {
        let mut settings = Self::load(args.config.as_deref())?;
        settings.take(args.data.as_deref(), args.sandbox);
        Ok(settings)
    }

    /// The settings of the file at `path`, if it is right.
    pub fn check_file(path: &Path) -> Result<Self, SettingsError> {
        let settings = Self::load(Some(path))?;
        settings.refuse_open_plaintext()?;
        Ok(settings)
    }

    /// The settings in `text`, a whole file.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let settings: Self = toml::from_str(text).map_err(|error| Mistake::new(text, &error))?;
        Ok(Self { from_file: true, ..settings })
    }

    /// Whether the sandbox channel and its demo app run. Unless set: where only this machine can reach the server and
    /// nobody wrote a settings file.
    pub fn sandbox(&self) -> bool {
        self.sandbox.unwrap_or_else(|| self.is_for_a_newcomer())
    }

    /// Whether targets of test mode may be loopback addresses. Unless set: under the same condition.
    pub fn webhook_allow_loopback_test(&self) -> bool {
        self.webhook_allow_loopback_test.unwrap_or_else(|| self.is_for_a_newcomer())
    }

    /// Whether accounts may name providers at private and loopback addresses. Unless set: under the same condition.
    pub fn provider_allow_private(&self) -> bool {
        self.provider_allow_private.unwrap_or_else(|| self.is_for_a_newcomer())
    }

    /// Where the sealing key lies, unless the environment holds it.
    pub fn sealing_key_file(&self) -> PathBuf {
        self.sealing_key_file.clone().unwrap_or_else(|| self.data_dir.join("sealing.key"))
    }

    /// Whether somebody tries the server: nobody wrote a settings file, and only this machine can reach it.
    pub fn is_for_a_newcomer(&self) -> bool {
        self.listen.ip().is_loopback() && !self.from_file
    }

    fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let Some(path) = file else { return Ok(Self::default()) };
        let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if !u64::try_from(bytes.len()).is_ok_and(|len| len <= FILE_MAX_BYTES) {
            return Err(SettingsError::TooLarge { path: path.to_owned() });
        }
        let text = String::from_utf8(bytes).map_err(|_| SettingsError::NotText { path: path.to_owned() })?;
        Self::parse(&text).map_err(|source| SettingsError::Wrong { path: path.to_owned(), source })
    }

    fn take(&mut self, data: Option<&Path>, sandbox: bool) {
        if let Some(data) = data {
            data.clone_into(&mut self.data_dir);
        }
        if sandbox {
            self.sandbox = Some(true);
        }
    }

    /// The server does no TLS of its own, and every API of it is spoken with keys that pay.
    fn refuse_open_plaintext(&self) -> Result<(), SettingsError> {
        match self.trusted_proxy {
            TrustedProxy::Nobody if !self.listen.ip().is_loopback() => {
                Err(SettingsError::OpenPlaintext { listen: self.listen })
            }
            TrustedProxy::Anybody | TrustedProxy::Networks(_)
                if !self.listen.ip().is_loopback() && self.public_url.is_none() =>
            {
                Err(SettingsError::NoPublicUrl { listen: self.listen })
            }
            TrustedProxy::Nobody | TrustedProxy::Anybody | TrustedProxy::Networks(_) => Ok(()),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Providers would be given an address that leads nowhere.
    #[error("listening on {listen} needs `public_url`: providers and payers are given it, and {listen} leads nowhere")]
    NoPublicUrl {
        /// Where to listen.
        listen: SocketAddr,
    },
    /// The file cannot be read.
    #[error("cannot read the settings file {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a settings file.
    #[error("the settings file {path} is larger than {FILE_MAX_BYTES} bytes", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("the settings file {path} is not UTF-8", path = path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// A line of it is wrong.
    #[error("the settings file {path} is wrong", path = path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Where, and what would be right.
        source: Mistake,
    },
    /// Keys would cross a network in the clear.
    #[error(
        "listening on {listen} would take keys in the clear: put a TLS proxy in front and name it in `trusted_proxy`, \
         or listen on loopback"
    )]
    OpenPlaintext {
        /// Where it would listen.
        listen: SocketAddr,
    },
}

#[cfg(test)]
mod tests;
