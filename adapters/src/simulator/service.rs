//! A simulator as a service of its own: what whoever serves it, plays its payers and hands out its accounts needs.
//!
//! Whoever serves one carries requests to [`Host::serve`], runs [`run`] beside it, and shows people
//! [`Service::commands`] and [`Service::orders`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use maxpay_engine::channel::Manifest;
use maxpay_engine::clock::{Clock, Entropy};
use maxpay_engine::model::{Money, Timestamp};
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::words::Command;
use super::{FaultPlan, Host, Ledger, LedgerError, NotificationSink};

/// Orders that a service shows at most: the newest.
pub const ORDERS_MAX: usize = 1_000;
/// How long [`run`] sleeps at most, so that a wall clock that jumped is noticed.
const SLEEP_MAX: Duration = Duration::from_mins(1);

/// A simulator in which things fall due.
pub trait Due: Host {
    /// Does what has fallen due by its clock, at most 64 things, and hands notices to the sink. Gives how much was done;
    /// 0: nothing is due, or nothing but notices and there is no sink.
    fn tick(&self) -> BoxFuture<'_, Result<usize, LedgerError>>;

    /// When something falls due next; `None`: nothing waits.
    ///
    /// # Errors
    /// The ledger does not answer.
    fn next_due(&self) -> Result<Option<Timestamp>, LedgerError>;
}

/// A simulator that anybody can run. Everything it is told is durable in its ledger when a method returns; methods may
/// wait for a disk.
pub trait Service: Due {
    /// What can be done to an order, in the order in which people look for it.
    fn commands(&self) -> Vec<Command>;

    /// The payer's device brings what the merchant gave it: an order text, an address, a code's text, a page. Gives the
    /// order's number.
    ///
    /// # Errors
    /// It is not understood, or the provider refuses it.
    fn bring(&self, text: &str) -> Result<String, ServiceError>;

    /// Does something to an order: one of [`Service::commands`], as text.
    ///
    /// # Errors
    /// There is no such command or order, or its state does not allow it.
    fn play(&self, number: &str, command: &str) -> Result<(), ServiceError>;

    /// The newest orders, newest first, at most [`ORDERS_MAX`].
    ///
    /// # Errors
    /// The ledger does not answer.
    fn orders(&self) -> Result<Vec<OrderRow>, LedgerError>;

    /// The accounts of its merchants, as they are to be saved now.
    ///
    /// # Errors
    /// The ledger does not answer.
    fn offers(&self) -> Result<Vec<Offer>, ServiceError>;

    /// Uses new keys from now on. What merchants have to save then is among [`Service::offers`].
    ///
    /// # Errors
    /// The ledger does not answer.
    fn rotate(&self) -> Result<(), ServiceError>;

    /// Planned faults of the way between a client and here.
    fn faults(&self) -> &FaultPlan;

    /// Where notices go from now on. Until there is a sink they wait.
    fn notify_by(&self, sink: NotificationSink);

    /// The payer's device, where there are tokens.
    fn wallet(&self) -> Option<&dyn Wallet> {
        None
    }
}

/// A payer's device that makes tokens.
pub trait Wallet {
    /// What the cards in it do when they are charged, by name; the first pays.
    fn cards(&self) -> Vec<Command>;

    /// A token for a charge, each time another. JSON text.
    ///
    /// # Errors
    /// What was asked for is not there.
    fn token(&self, wish: &TokenAsked) -> Result<Secret, ServiceError>;
}

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAsked {
    /// For how much.
    pub amount: Money,
    /// One of [`Wallet::cards`].
    pub card: String,
    /// The form of the token, by its name in the dialect; `None`: the usual one.
    pub version: Option<String>,
    /// What the page bound it to.
    pub application_data: Option<String>,
}

/// Why a service does not do it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// What was asked is wrong, or cannot be now. Nothing was changed. For people.
    #[error("{0}")]
    Refused(String),
    /// The ledger does not answer. It may have been done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Keys in the ledger are not what they were.
    #[error("the keys in the simulator's ledger cannot be read")]
    Keys,
}

impl ServiceError {
    /// A refusal, in the words of whoever refuses.
    pub fn refused(why: impl ToString) -> Self {
        Self::Refused(why.to_string())
    }
}

/// An order, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The merchant's number for it.
    pub number: String,
    /// How it is paid, in the dialect's word.
    pub kind: String,
    /// Where it stands, in the dialect's word.
    pub state: String,
    /// What was asked for.
    pub amount: Money,
    /// What was paid.
    pub paid: Money,
    /// What went back.
    pub returned: Money,
    /// When the provider learned of it.
    pub made_at: Timestamp,
}

/// Sorts by the moment they were made, newest first, and keeps what is shown.
#[must_use]
pub fn newest_first(mut rows: Vec<OrderRow>) -> Vec<OrderRow> {
    rows.sort_by(|one, other| (other.made_at, &other.number).cmp(&(one.made_at, &one.number)));
    rows.truncate(ORDERS_MAX);
    rows
}

/// A merchant's account at a simulator, to be saved with an engine.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which adapter speaks for it.
    pub adapter: &'static str,
    /// For people.
    pub label: String,
    /// Settings that may be seen.
    pub settings: Map<String, Value>,
    /// The merchant's keys.
    pub secrets: BTreeMap<String, Secret>,
}

impl Offer {
    /// An account with all its settings; which of them are secret is the manifest's word.
    #[must_use]
    pub fn of(manifest: &Manifest, label: &str, all: Map<String, Value>) -> Self {
        let is_secret = |name: &str| manifest.settings.iter().any(|field| field.name == name && field.secret);
        let (mut settings, mut secrets) = (Map::new(), BTreeMap::new());
        for (name, value) in all {
            if let Some(text) = value.as_str().filter(|_| is_secret(&name)) {
                secrets.insert(name, Secret::from_text(text));
            } else {
                settings.insert(name, value);
            }
        }
        Self { adapter: manifest.adapter, label: label.to_owned(), settings, secrets }
    }
}

/// A simulator that can be opened as a service.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// What it is called where one is chosen.
    pub name: &'static str,
    /// Kinds of keys its merchant may have, the usual one first; empty: there is nothing to choose.
    pub keys: &'static [&'static str],
    /// Opens it.
    pub open: fn(ServiceParts) -> Result<Arc<dyn Service>, ServiceError>,
}

/// What a service is opened with.
pub struct ServiceParts {
    /// Where requests come in, without a path: accounts name it.
    pub base_url: String,
    /// Its books. Its keys and its merchants' lie in them, made when there are none.
    pub ledger: Ledger,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// One of [`Simulation::keys`]; without meaning where there are none.
    pub keys: String,
}

/// Ticks by the simulator's clock until `stop` completes; a tick that has begun is finished. `bell` is rung when
/// something may have fallen due earlier than before.
pub async fn run<S: Due + ?Sized>(simulator: &S, bell: &tokio::sync::Notify, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let wait = match simulator.tick().await {
            Ok(0) => idle_time(simulator),
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::error!(%error, "the simulated provider cannot use its books");
                SLEEP_MAX
            }
        };
        let slept = std::pin::pin!(simulator.clock().sleep(wait));
        let rung = std::pin::pin!(bell.notified());
        if let Either::Left(_) = select(stop.as_mut(), select(slept, rung)).await {
            return;
        }
    }
}

fn idle_time<S: Due + ?Sized>(simulator: &S) -> Duration {
    let next = simulator.next_due().ok().flatten();
    let wait = next.map_or(SLEEP_MAX, |next| next.since(simulator.clock().now().wall).min(SLEEP_MAX));
    // Due and yet nothing was done: there is no sink. The bell rings when there is one.
    if wait.is_zero() { Duration::from_secs(1) } else { wait }
}
