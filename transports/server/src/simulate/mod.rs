//! `maxpay simulate`: a provider's side of a channel as a process of its own, so that anybody can integrate and play
//! without a provider. Which there are is the adapters' affair; this room serves one, keeps its books and its keys in a
//! folder, hands out its merchants' accounts, and shows its payers a page.

mod face;
mod guard;
mod issued;
mod page;
mod played;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maxpay_adapters::simulator::{
    self, Ledger, LedgerError, Service, ServiceError, ServiceParts, Simulation, over_http,
};
use maxpay_engine::clock::System;
use maxpay_transports::client::{ClientError, ProviderClient, TrustedRoots};
use maxpay_transports::http::{self, HttpSettings};
use tokio::sync::{Notify, oneshot};
use url::{Host, Url};

use crate::cli::SimulateArgs;
use crate::shutdown::Signals;
use face::{Counter, Ready};

/// Books, keys included, in the data folder.
const LEDGER: &str = "ledger.redb";
/// Where the data is when nobody says: a folder a provider.
const DATA: &str = "maxpay-simulator";
/// Longest request body: a page that a payer brings, for instance.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Late answers are late by less than this.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
/// How long requests and notices under way may take at the end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why a simulator does not run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The address is not this machine's alone, and nobody said that this is meant.
    #[error(
        "{0} can be reached from beyond this machine, and whoever reaches a simulator may pay, refund and change its \
         keys: say --open if that is meant"
    )]
    NotOpen(String),
    /// There are no such keys.
    #[error("--keys: {provider} has {}", if .choices.is_empty() { "one kind only, leave it out".to_owned() } else { .choices.join(" or ") })]
    Keys {
        /// Of which provider.
        provider: &'static str,
        /// What there is.
        choices: &'static [&'static str],
    },
    /// The address for accounts is none.
    #[error("--public-url: must be an http or https address without path and query, for example http://192.0.2.1:7481")]
    PublicUrl,
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be made")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ledger does not open.
    #[error("the books do not open; only one simulator can run on a folder")]
    Ledger(#[from] LedgerError),
    /// The simulator does not open on its books.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Notices cannot be sent.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Doors(#[from] http::Error),
    /// No signal handlers or threads.
    #[error("the operating system refuses")]
    System(#[source] std::io::Error),
    /// What is to be told cannot be.
    #[error("cannot tell where it is and which accounts it has")]
    Told(#[source] std::io::Error),
    /// Serving ended by itself.
    #[error("the doors closed by themselves")]
    DoorsClosed,
}

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(args: &SimulateArgs) -> Result<(), SimulateError> {
    let mut signals = Signals::listen().map_err(SimulateError::System)?;
    let simulation = chosen(&args.provider)?;
    let keys = keys(simulation, args.keys.as_deref())?;
    if !args.listen.ip().is_loopback() && !args.open {
        return Err(SimulateError::NotOpen(args.listen.to_string()));
    }
    let public = args.public_url.as_deref().map(read_public_url).transpose()?;
    if let Some(url) = public.as_ref().filter(|url| !args.open && !is_at_home(url)) {
        return Err(SimulateError::NotOpen(url.to_string()));
    }
    // The address first: accounts name it.
    let listener = http::listen(args.listen)?;
    let address = listener.local_addr().map_err(SimulateError::System)?;
    let base_url =
        public.map_or_else(|| format!("http://{address}"), |url| url.as_str().trim_end_matches('/').to_owned());
    let data = args.data.clone().unwrap_or_else(|| Path::new(DATA).join(simulation.name));
    let opened = tokio::task::spawn_blocking({
        let base_url = base_url.clone();
        // The first time it makes keys, which takes a second or two.
        move || open(simulation, keys, &data, base_url)
    });
    let service = opened.await.map_err(|_| SimulateError::DoorsClosed)??;
    service.notify_by(over_http(Arc::new(ProviderClient::new(&TrustedRoots::default())?)));

    let bell = Arc::new(Notify::new());
    let ready = Ready::new(simulation.name, &base_url, args.ready_file.clone());
    let counter = Counter::new(Arc::clone(&service), Arc::clone(&bell), ready, address, &base_url);
    let text = counter.ready().text(service.as_ref())?;
    let mut doors = http::serve_face(listener, settings(args.listen), counter.mount())?;
    counter.ready().put(&text).map_err(SimulateError::Told)?;
    writeln!(std::io::stdout(), "{text}").map_err(SimulateError::Told)?;
    tracing::info!(provider = simulation.name, payer = %format!("{base_url}/payer"), "the simulator is ready");

    let (stop, stopped) = oneshot::channel::<()>();
    let ticking = tokio::spawn(async move {
        let stopped = async {
            // Dropping the sender stops it as well.
            let _ = stopped.await;
        };
        simulator::run(service.as_ref(), &bell, stopped).await;
    });
    let abort = ticking.abort_handle();
    let signal = tokio::select! {
        signal = signals.next() => Some(signal),
        () = doors.ended() => None,
    };
    drop(stop);
    let Some(signal) = signal else { return Err(SimulateError::DoorsClosed) };
    tracing::info!(signal, "stopping");
    doors.stop().await;
    if tokio::time::timeout(STOP_LIMIT, ticking).await.is_err() {
        // A notice that nobody acknowledges: it is still due, and goes out again at the next start.
        abort.abort();
    }
    Ok(())
}

fn chosen(name: &str) -> Result<Simulation, SimulateError> {
    let found = maxpay_adapters::simulations().into_iter().find(|simulation| simulation.name == name);
    found.ok_or_else(|| ServiceError::refused(format!("there is no simulator of {name}")).into())
}

fn keys(simulation: Simulation, given: Option<&str>) -> Result<&'static str, SimulateError> {
    let Simulation { name: provider, keys: choices, .. } = simulation;
    match given {
        None => Ok(choices.first().copied().unwrap_or_default()),
        Some(given) => {
            let known = choices.iter().copied().find(|choice| *choice == given);
            known.ok_or(SimulateError::Keys { provider, choices })
        }
    }
}

/// The address that accounts name where it is not the one listened on.
fn read_public_url(given: &str) -> Result<Url, SimulateError> {
    let url: Url = given.parse().map_err(|_| SimulateError::PublicUrl)?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if bare { Ok(url) } else { Err(SimulateError::PublicUrl) }
}

/// Whether the address leads to this machine and nowhere else.
fn is_at_home(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn open(simulation: Simulation, keys: &str, data: &Path, base_url: String) -> Result<Arc<dyn Service>, SimulateError> {
    let ledger = data.join(LEDGER);
    let folder = |source| SimulateError::Folder { path: data.to_owned(), source };
    private_folder(data).and_then(|()| private_file(&ledger)).map_err(folder)?;
    let system = Arc::new(System::new());
    let parts = ServiceParts {
        base_url,
        ledger: Ledger::open(&ledger)?,
        clock: system.clone(),
        entropy: system,
        keys: keys.to_owned(),
    };
    Ok((simulation.open)(parts)?)
}

/// Keys lie in it: it is for its owner alone.
fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    Ok(())
}

fn settings(listen: SocketAddr) -> HttpSettings {
    HttpSettings {
        listen,
        body_max_bytes: BODY_BYTES_MAX,
        request_deadline: ANSWER_LIMIT,
        connections_max: 512,
        workers: 2,
        stop_limit: STOP_LIMIT,
        ..HttpSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_name_where_it_is() {
        // An address and nothing but; one that leads elsewhere needs a word of its own.
        let at_home = |given: &str| read_public_url(given).ok().map(|url| is_at_home(&url));
        for given in ["http://127.0.0.1:7481", "https://localhost/", "http://[::1]:80"] {
            assert_eq!(at_home(given), Some(true), "{given}");
        }
        for given in ["https://sim.example.com", "http://192.0.2.1:80/", "http://localhost.example.com"] {
            assert_eq!(at_home(given), Some(false), "{given}");
        }
        for given in [
            "sim.example.com",
            "ftp://sim.example.com",
            "http://sim.example.com/a",
            "http://sim.example.com?a",
            "http://a:b@sim.example.com",
        ] {
            assert_eq!(at_home(given), None, "{given}");
        }
    }

    #[test]
    fn keys_are_of_a_kind_that_there_is() {
        // The first kind when nobody says; an unknown one is refused with what there is.
        for simulation in maxpay_adapters::simulations() {
            assert_eq!(keys(simulation, None).ok(), Some(simulation.keys.first().copied().unwrap_or_default()));
            for kind in simulation.keys {
                assert_eq!(keys(simulation, Some(kind)).ok(), Some(*kind));
            }
            let refused = keys(simulation, Some("golden")).expect_err("no such kind").to_string();
            assert!(refused.contains(simulation.name), "{refused}");
        }
    }
}
