//! Material of accounts (certificates and the like), fetched when an adapter misses it: one fetch at a time for each
//! account, failures remembered for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::channel::http::HttpRequest;
use crate::channel::{Call, Interpreted, Material, Prepared, Step};
use crate::directory::{LoadedAccount, material_note};
use crate::engine::Inner;
use crate::machine::transaction::new_attempt;
use crate::model::{AccountId, AttemptNumber, Currency, Intent, Money, PayerInputs, Timestamp, TransactionId};
use crate::store::{Batch, keys};

use super::adapting::prepare;
use super::calls::{self, Asked};

/// How long a failure is remembered.
const FAILURE_KEPT: Duration = Duration::from_mins(1);
/// For one request.
const DEADLINE: Duration = Duration::from_secs(10);
/// Requests that one fetch may need.
const STEPS_MAX: usize = 4;
/// Pieces of material that an account keeps.
const KEPT_MAX: usize = 16;

/// Fetches under way, and failures of late.
#[derive(Default)]
pub(crate) struct Materials(Mutex<BTreeMap<AccountId, Arc<tokio::sync::Mutex<Past>>>>);

/// Who misses material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A call of ours, or the age of what is there.
    Call,
    /// A notification: anybody can send one that names what nobody has.
    Notification,
}

/// What the last fetches of an account came to.
#[derive(Default)]
struct Past {
    of_call: Option<Failed>,
    of_notification: Option<Failed>,
}

/// When a fetch failed, by the monotonic clock, and why.
struct Failed(Duration, String);

impl Past {
    /// Why the last fetch failed, while that is remembered. What a stranger's notification asked for in vain says
    /// nothing about what a call needs.
    fn failed_lately(&self, asker: Asker, now: Duration) -> Option<&str> {
        let lately = |failed: &&Failed| now.saturating_sub(failed.0) < FAILURE_KEPT;
        let of_notification = self.of_notification.as_ref().filter(|_| asker == Asker::Notification);
        let failed = self.of_call.as_ref().filter(lately).or(of_notification.filter(lately));
        failed.map(|Failed(_, why)| why.as_str())
    }

    fn note(&mut self, asker: Asker, failed: Option<Failed>) {
        match asker {
            Asker::Call => self.of_call = failed,
            Asker::Notification => self.of_notification = failed,
        }
    }
}

impl Materials {
    fn turn(&self, id: AccountId) -> Arc<tokio::sync::Mutex<Past>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id).or_default())
    }

    /// Fetches what is missing and returns the account with it. Whoever comes while another one fetches takes what
    /// that one brought.
    ///
    /// # Errors
    /// Why it could not be had, for people.
    pub async fn refresh(
        &self,
        inner: &Arc<Inner>,
        account: &Arc<LoadedAccount>,
        request: HttpRequest,
        asker: Asker,
    ) -> Result<Arc<LoadedAccount>, String> {
        let (id, had) = (account.record.id, &account.material);
        let turn = self.turn(id);
        let mut past = turn.lock().await;
        let newest = inner.directory.account(id).await.map_err(|why| why.to_string())?;
        let account = &newest.unwrap_or_else(|| Arc::clone(account));
        if account.material != *had {
            return Ok(Arc::clone(account));
        }
        let now = inner.clock.now().monotonic;
        if let Some(why) = past.failed_lately(asker, now) {
            return Err(why.to_owned());
        }
        let fetched = fetch(inner, account, request).await;
        past.note(asker, fetched.as_ref().err().map(|why| Failed(now, why.clone())));
        fetched
    }
}

/// Has material that is older than its adapter keeps it fetched anew, beside whatever noticed that: a provider that
/// changes its keys is followed before an answer comes that nobody can verify. A fetch that is under way, or has failed
/// a while ago, is enough.
pub(crate) fn freshen(inner: &Arc<Inner>, account: &Arc<LoadedAccount>) {
    let kept = inner.adapters.named(&account.record.adapter).and_then(|adapter| adapter.manifest().material_kept);
    let (Some(kept), Some(fetched_at), false) = (kept, account.fetched_at, account.material.is_empty()) else { return };
    let is_old = move |fetched_at: Timestamp, now: Timestamp| now >= fetched_at.after(kept);
    if !is_old(fetched_at, inner.clock.now().wall) {
        return;
    }
    let Ok(mut past) = inner.materials.turn(account.record.id).try_lock_owned() else { return };
    if past.failed_lately(Asker::Call, inner.clock.now().monotonic).is_some() {
        return;
    }
    let (inner, id) = (Arc::clone(inner), account.record.id);
    let owner = Arc::clone(&inner);
    owner.commands.spawn(async move {
        // Whoever noticed it may have held the account since before its settings were saved, or since before the fetch
        // that has ended just now.
        let Ok(Some(account)) = inner.directory.account(id).await else { return };
        if account.fetched_at.is_none_or(|fetched_at| !is_old(fetched_at, inner.clock.now().wall)) {
            return;
        }
        if let Err(why) = maintain(&inner, &account).await {
            tracing::warn!(account = %id, %why, "old material was not fetched anew");
            past.note(Asker::Call, Some(Failed(inner.clock.now().monotonic, why)));
        }
    });
}

async fn maintain(inner: &Arc<Inner>, account: &Arc<LoadedAccount>) -> Result<(), String> {
    let asked = about_account(inner, account)?;
    match calls::patiently(|| prepare(inner, &asked)).await.map_err(|why| why.to_string())? {
        Prepared::Send(request) | Prepared::NeedMaterial(request) => fetch(inner, account, request).await.map(drop),
        Prepared::Done(_) | Prepared::Unsupported => Err("the adapter has no way to fetch it".to_owned()),
    }
}

async fn fetch(
    inner: &Arc<Inner>,
    account: &Arc<LoadedAccount>,
    mut request: HttpRequest,
) -> Result<Arc<LoadedAccount>, String> {
    let asked = about_account(inner, account)?;
    let mut step = Step(0);
    for _ in 0..STEPS_MAX {
        let reply =
            calls::send(inner, account.record.app_id, request, DEADLINE).await.map_err(|why| why.to_string())?;
        match calls::interpret(inner, &asked, step, &reply).await? {
            Interpreted::Learned(learned) => return keep(inner, account, learned).await,
            Interpreted::Next { step: next, request: following } => (step, request) = (next, following),
            Interpreted::Done(answer) => return Err(format!("material was refused: {}", answer.outcome.name())),
            Interpreted::NeedMaterial(_) => return Err("material needs other material".to_owned()),
        }
    }
    Err("material needs too many requests".to_owned())
}

async fn keep(
    inner: &Arc<Inner>,
    account: &Arc<LoadedAccount>,
    learned: Vec<Material>,
) -> Result<Arc<LoadedAccount>, String> {
    let id = account.record.id;
    let mut material = learned;
    for old in &account.material {
        if !material.iter().any(|new| new.name == old.name) {
            material.push(old.clone());
        }
    }
    material.truncate(KEPT_MAX);
    let mut batch = Batch::default();
    batch.put_record(keys::material(id), &material_note(&material, inner.clock.now().wall));
    inner.store.commit(batch).await.map_err(|why| why.to_string())?;
    let account = inner.directory.account(id).await.map_err(|why| why.to_string())?;
    account.ok_or_else(|| "the account is gone".to_owned())
}

/// A call about the account itself: it has no subject, so the attempt is an empty one of the newest revision.
pub(crate) fn about_account(inner: &Inner, account: &Arc<LoadedAccount>) -> Result<Asked, String> {
    let revision = account.record.revisions.last().map(|revision| revision.number);
    let revision = revision.ok_or_else(|| "the account has no revision".to_owned())?;
    let now = inner.clock.now().wall;
    let number = AttemptNumber { transaction: TransactionId(account.record.id.0), index: 0 };
    let intent = Intent {
        amount: Money::zero(Currency::CNY),
        subject: String::new(),
        return_url: None,
        show_url: None,
        payer: PayerInputs::default(),
        expires_at: now,
        token: None,
    };
    let attempt = new_attempt(number, now, account.record.id, revision, intent);
    Ok(Asked { call: Arc::new(Call::Maintain), number: String::new(), attempt, account: Arc::clone(account) })
}
