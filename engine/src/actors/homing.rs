//! The way home of what a call told: through the router by id, again and again while the record is busy or the store
//! refuses. What its record cannot take goes to the inbox: evidence is never dropped while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::engine::Inner;
use crate::machine::{Input, Told};
use crate::model::{AlarmKind, InboxId, InboxItem, Sealed};
use crate::store::{Batch, CommitError, Health, keys};

use super::dispatcher::Job;
use super::transaction::{Carried, TransactionMessage, What};

/// Tries in the slot of the account; what takes longer goes on beside it.
const TRIES_IN_SLOT: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a call told, on its way home.
pub(crate) struct Homebound {
    pub job: Job,
    pub told: Told,
    pub raw: Option<Sealed>,
    /// Its place in the inbox, once it is to go there.
    inbox: Option<InboxId>,
}

/// What a try to bring it home came to.
enum Came {
    Home,
    /// Nothing is known against trying again.
    NotNow,
    Never(String),
}

impl Homebound {
    pub fn new(job: Job, told: Told, raw: Option<Sealed>) -> Self {
        Self { job, told, raw, inbox: None }
    }
}

/// Brings it home, however long that takes. Returns at once when it is home, or goes on by itself.
pub(crate) async fn bring_home(inner: &Arc<Inner>, mut home: Homebound) {
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES_IN_SLOT {
        if try_once(inner, &mut home).await {
            return;
        }
        pause(&mut wait).await;
    }
    // Whoever waits for the end of the call need not wait for a disk.
    home.job.ticket = None;
    match Arc::clone(&inner.dispatcher.homebound).try_acquire_owned() {
        Ok(place) => {
            let owner = Arc::clone(inner);
            inner.commands.spawn(async move {
                go_on(&owner, &mut home, wait).await;
                drop(place);
            });
        }
        // So much is on its way home already that the account makes no more calls meanwhile.
        Err(_) => go_on(inner, &mut home, wait).await,
    }
}

async fn go_on(inner: &Arc<Inner>, home: &mut Homebound, mut wait: Duration) {
    while !try_once(inner, home).await {
        // A drain does not wait for a store that is fenced: the durable intent has the channel asked again.
        if inner.commands.is_draining() && inner.store.health() != Health::Open {
            return tracing::warn!(number = %home.job.number, "what a call told is lost with the end of the engine");
        }
        pause(&mut wait).await;
    }
}

/// In real time: it is no matter of the engine's clock.
async fn pause(wait: &mut Duration) {
    tokio::time::sleep(*wait).await;
    *wait = wait.saturating_mul(2).min(LONGEST_WAIT);
}

/// Whether it has come to its end.
async fn try_once(inner: &Arc<Inner>, home: &mut Homebound) -> bool {
    if inner.store.health() != Health::Open {
        return false;
    }
    let came = match to_record(inner, home).await {
        Came::Never(why) => to_inbox(inner, home, &why).await,
        other @ (Came::Home | Came::NotNow) => other,
    };
    match came {
        Came::Home => true,
        Came::NotNow => false,
        Came::Never(why) => {
            tracing::error!(number = %home.job.number, why, "what a call told could not be kept");
            true
        }
    }
}

async fn to_record(inner: &Arc<Inner>, home: &Homebound) -> Came {
    let carried = Carried { raw: home.raw.clone(), answers_call: true, ..Carried::default() };
    let input = Input::Told(home.told.clone());
    let (message, answer) = TransactionMessage::new(What::Input(Box::new((input, carried))), None);
    // It is always there once calls are made.
    let Some(system) = inner.system() else { return Came::NotNow };
    system.transactions().send(home.job.record.id, message);
    match answer.await {
        Ok(Ok(_)) => Came::Home,
        Ok(Err(Error::Busy | Error::StoreUnavailable(_) | Error::OutcomeUnknown)) => Came::NotNow,
        Ok(Err(why)) => Came::Never(why.to_string()),
        Err(_) => Came::Never("its actor died of it".to_owned()),
    }
}

/// Keeps an answer that its record cannot take, for when that returns. Silence is not kept: it is asked about again.
async fn to_inbox(inner: &Arc<Inner>, home: &mut Homebound, why: &str) -> Came {
    let (Some(raw), Some(attempt)) = (home.raw.clone(), home.job.attempt()) else {
        return Came::Never(why.to_owned());
    };
    let account_id = attempt.account_id;
    if inner.inbox.is_full() {
        return Came::Never(format!("the inbox is full, and {why}"));
    }
    let id = *home.inbox.get_or_insert_with(|| inner.ids.next());
    let reason = format!("the answer to {:?} could not be taken by its record: {why}", home.job.kind);
    let text = format!("{}: {reason}", home.job.number);
    let item = InboxItem {
        id,
        account_id,
        number: home.job.number.to_string(),
        reason,
        digest: home.told.digest.unwrap_or_default(),
        raw,
        received_at: inner.clock.now().wall,
    };
    let mut batch = Batch::default();
    batch.put_record(keys::inbox(id), &item);
    inner.alarms.raise(&mut batch, AlarmKind::Inbox, id, &text);
    match inner.store.commit(batch).await {
        Ok(_) => Came::Home,
        Err(CommitError::TooLarge) => Came::Never(format!("it is too large, and {why}")),
        Err(
            CommitError::Busy
            | CommitError::Fenced(_)
            | CommitError::OutcomeUnknown
            | CommitError::Conflict(_)
            | CommitError::Stale,
        ) => Came::NotNow,
    }
}
