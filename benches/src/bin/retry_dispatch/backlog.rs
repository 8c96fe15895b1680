//! The backlog: apps with one subscription each, made by the engine, and events published through the store's own commit,
//! which writes their deliveries as it does for payments. The payments behind the events are not there: no try reads them.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::Engine;
use maxpay_engine::api::{CreateApp, CreateSubscription, Scope, TargetRequest};
use maxpay_engine::clock::{IdSource, System};
use maxpay_engine::model::{AppId, DeliveryMode, Event, LatePolicy, Mode, SubscriptionId, Timestamp};
use maxpay_engine::secrets::{Sealer, SealingKey};
use maxpay_engine::store::redb::{RedbOptions, RedbStore};
use maxpay_engine::store::{Batch, CommitError, CommitFuture, Store};
use maxpay_engine::webhook::GuardPolicy;
use maxpay_engine::webhook::payload::test_event;

use crate::Failure;

/// The sealing key of every backlog. Not a secret.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Events of one batch: the most that the store takes.
const BATCH: u64 = 64;
/// Batches on their way at once.
const BATCHES: usize = 64;

/// An app and the subscription it has.
pub type Merchant = (AppId, SubscriptionId);

/// The sealer of every backlog.
pub fn sealer() -> Result<Sealer, Failure> {
    Ok(Sealer::new(&SealingKey::from_text(KEY)?))
}

/// A store with a server's options.
pub fn open(folder: &Path) -> Result<Arc<RedbStore>, Failure> {
    let system = Arc::new(System::new());
    Ok(RedbStore::open(folder, RedbOptions::new(system.clone(), system))?)
}

/// One event of a merchant: a payment that succeeded at that moment.
pub fn event(ids: &IdSource, app: AppId, at: Timestamp) -> Event {
    let mut event = test_event(app, Mode::Test, ids.next(), ids.next(), at);
    event.data.bill_num = format!("bench-{}", event.transaction_id);
    event
}

/// Makes one merchant for each receiver in a new store in `folder`.
pub async fn merchants(folder: &Path, receivers: &[SocketAddr]) -> Result<Vec<Merchant>, Failure> {
    let guard = GuardPolicy { allow_loopback_in_test: true, allow_networks: Vec::new() };
    let engine = Engine::builder().store(open(folder)?).sealing_key(sealer()?).guard(guard).start()?;
    let mut made = Vec::new();
    for receiver in receivers {
        let app = CreateApp { name: "Shop".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
        let app_id = engine.create_app(app, None).await?.app.id;
        let wish = CreateSubscription {
            target: TargetRequest::Url(format!("http://{receiver}/hook")),
            headers: Vec::new(),
            event_types: Vec::new(),
            delivery: DeliveryMode::Events,
            secret: None,
            description: String::new(),
        };
        let scope = Scope { app_id, mode: Mode::Test };
        made.push((app_id, engine.create_subscription(scope, wish, None).await?.subscription.id));
    }
    engine.shutdown(Duration::from_secs(10)).await;
    Ok(made)
}

/// Publishes `count` events to the merchants in turn, each due when `due` says, and leaves the store closed and settled.
pub async fn fill(
    folder: &Path,
    merchants: &[Merchant],
    count: u64,
    due: impl Fn(u64) -> Timestamp,
    progress: impl Fn(u64),
) -> Result<(), Failure> {
    let store = open(folder)?;
    let system = Arc::new(System::new());
    let ids = IdSource::new(system.clone(), system);
    let mut under_way: VecDeque<(Batch, CommitFuture)> = VecDeque::new();
    let mut turn = merchants.iter().cycle();
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let mut batch = Batch::default();
        for number in first..count.min(first + BATCH) {
            let (app, _) = turn.next().ok_or("there are no merchants")?;
            batch.publish(event(&ids, *app, due(number)));
        }
        if under_way.len() >= BATCHES {
            settle(&store, under_way.pop_front()).await?;
        }
        let committing = store.commit(batch.clone());
        under_way.push_back((batch, committing));
        if first % (BATCH * 2_000) == 0 {
            progress(first);
        }
    }
    while !under_way.is_empty() {
        settle(&store, under_way.pop_front()).await?;
    }
    store.checkpoint()?;
    store.close();
    Ok(())
}

/// Waits for a commit; one that the store had no room for is asked for again.
async fn settle(store: &Arc<RedbStore>, committing: Option<(Batch, CommitFuture)>) -> Result<(), Failure> {
    let Some((batch, mut committing)) = committing else { return Ok(()) };
    loop {
        match committing.await {
            Ok(_) => return Ok(()),
            Err(CommitError::Busy) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                committing = store.commit(batch.clone());
            }
            Err(why) => return Err(why.into()),
        }
    }
}

/// A copy of a closed store's folder.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
