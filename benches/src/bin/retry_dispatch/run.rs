//! Runs: a backlog made beforehand, a copy of it for each engine, the receivers in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maxpay_benches::child::Child;
use maxpay_benches::receivers::{Manner, Receivers};
use maxpay_engine::clock::{Clock, System};
use maxpay_engine::model::Timestamp;
use tempfile::TempDir;

use crate::backlog::{Merchant, copy, fill, merchants};
use crate::engine::{Orders, Told, Until};
use crate::{Failure, Settings, bare, progress};

/// Tries of one subscription that an engine has under way at once: a constant of the engine.
pub const AT_ONCE: u32 = 8;
/// How long a child may take for anything.
pub const LIMIT: Duration = Duration::from_mins(5);

/// Receivers, and a store with their merchants but without deliveries.
pub struct World {
    manners: Vec<Manner>,
    receivers: Receivers,
    merchants: Vec<Merchant>,
    /// Requests that came so far.
    pub came: Arc<AtomicU64>,
    folder: TempDir,
    deadline_ms: u64,
}

impl World {
    /// One under `parent` as it is set.
    pub async fn new(settings: &Settings, parent: &Path) -> Result<Self, Failure> {
        let manners = manners(settings);
        let came = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&came);
        let heard = Arc::new(move |_: usize, _: &maxpay_benches::wire::Message| {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        let receivers = Receivers::start(&manners, heard).await?;
        let folder = tempfile::Builder::new().prefix("retry-dispatch-").tempdir_in(parent)?;
        let merchants = merchants(&folder.path().join("empty"), &receivers.addresses).await?;
        Ok(Self { manners, receivers, merchants, came, folder, deadline_ms: settings.deadline_ms })
    }

    /// A store with `count` deliveries beside, each due when `due` says.
    pub async fn backlog(&self, name: &str, count: u64, due: impl Fn(u64) -> Timestamp) -> Result<PathBuf, Failure> {
        let folder = self.folder.path().join(name);
        copy(&self.folder.path().join("empty"), &folder)?;
        fill(&folder, &self.merchants, count, due, |made| progress(&format!("{name}: {made} of {count} deliveries")))
            .await?;
        Ok(folder)
    }

    /// What an engine on that store is told.
    pub fn orders(&self, folder: &Path, until: Until) -> Orders {
        let hanging = self.merchants.iter().zip(&self.manners).filter(|(_, manner)| **manner == Manner::Hanging);
        Orders {
            folder: folder.to_owned(),
            jumps: false,
            deadline_ms: self.deadline_ms,
            hanging: hanging.map(|((_, id), _)| id.to_string()).collect(),
            until,
            limit_s: LIMIT.as_secs(),
        }
    }

    /// Of `count` deliveries in turn, those to receivers that answer.
    pub fn answered_of(&self, count: u64) -> u64 {
        let turns = self.manners.iter().cycle().zip(0..count);
        turns.map(|(manner, _)| u64::from(*manner != Manner::Hanging)).sum()
    }

    /// An engine on a copy of a backlog, which stays as it was. `room`: the copy's name.
    pub async fn engine(&self, backlog: &Path, room: &str, until: Until, jumps: bool) -> Result<Told, Failure> {
        let folder = self.folder.path().join(room);
        copy(backlog, &folder)?;
        let orders = Orders { jumps, ..self.orders(&folder, until) };
        let told = self.told("engine", serde_json::to_string(&orders)?).await?;
        std::fs::remove_dir_all(&folder)?;
        Ok(told)
    }

    /// The reference, with `count` requests in all.
    pub async fn bare(&self, count: u64) -> Result<Told, Failure> {
        let answers = self.manners.iter().map(|manner| *manner != Manner::Hanging);
        let orders = bare::Orders {
            receivers: self.receivers.addresses.iter().copied().zip(answers).collect(),
            each: count / u64::try_from(self.receivers.count())?,
            at_once: AT_ONCE,
            deadline_ms: self.deadline_ms,
            limit_s: LIMIT.as_secs(),
        };
        self.told("bare", serde_json::to_string(&orders)?).await
    }

    /// Runs a child to its end, off the threads that the receivers run on.
    async fn told(&self, role: &'static str, orders: String) -> Result<Told, Failure> {
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = Child::start(role, &[orders], None)?;
            child.hear(LIMIT)?;
            child.go()?;
            let mut said = child.hear(LIMIT)?;
            if said.get("started_ms").is_some() {
                said = child.hear(LIMIT)?;
            }
            Ok::<Told, Failure>(serde_json::from_value(said)?)
        });
        ended.await?
    }
}

/// So many that answer, that fail, that hang; those that do not answer well are spread among the others.
fn manners(settings: &Settings) -> Vec<Manner> {
    let of = |percent: u32| (settings.subscriptions * percent).div_ceil(100);
    let (failing, hanging) = (of(settings.failing), of(settings.hanging));
    let manner = |number| match number {
        number if number < hanging => Manner::Hanging,
        number if number < hanging + failing => Manner::Failing,
        _ => Manner::Well,
    };
    (0..settings.subscriptions).map(manner).collect()
}

/// The moment that an event of a backlog is due: all of them a second ago.
pub fn overdue(clock: &System) -> impl Fn(u64) -> Timestamp {
    let now = clock.now().wall.millis();
    move |_| Timestamp::from_millis(now.saturating_sub(1_000))
}

/// So many a second from then on.
pub fn paced(from: Timestamp, per_second: u64) -> impl Fn(u64) -> Timestamp {
    move |number| from.after(Duration::from_micros(number.saturating_mul(1_000_000) / per_second.max(1)))
}
