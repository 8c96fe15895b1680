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

/// What the last fetch of an account came to.
#[derive(Default)]
struct Past {
    failed: Option<(Duration, String)>,
}

impl Past {
    /// Why the last fetch failed, while that is remembered.
    fn failed_lately(&self, now: Duration) -> Option<&str> {
        let lately = self.failed.as_ref().filter(|(at, _)| now.saturating_sub(*at) < FAILURE_KEPT);
        lately.map(|(_, why)| why.as_str())
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
    ) -> Result<Arc<LoadedAccount>, String> {
        let id = account.record.id;
        let turn = self.turn(id);
        let mut past = turn.lock().await;
        let newest = inner.directory.account(id).await.map_err(|why| why.to_string())?;
        if let Some(newest) = newest
            && newest.material != account.material
        {
            return Ok(newest);
        }
        let now = inner.clock.now().monotonic;
        if let Some(why) = past.failed_lately(now) {
            return Err(why.to_owned());
        }
        let fetched = fetch(inner, account, request).await;
        match fetched {
            Ok(account) => {
                past.failed = None;
                Ok(account)
            }
            Err(why) => {
                past.failed = Some((now, why.clone()));
                Err(why)
            }
        }
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
    if past.failed_lately(inner.clock.now().monotonic).is_some() {
        return;
    }
    let (inner, account) = (Arc::clone(inner), Arc::clone(account));
    let owner = Arc::clone(&inner);
    owner.commands.spawn(async move {
        // Whoever noticed it may have held the account since before the fetch that has ended just now.
        let newest = inner.directory.account(account.record.id).await.ok().flatten();
        let fetched_at = newest.and_then(|newest| newest.fetched_at);
        if fetched_at.is_some_and(|fetched_at| !is_old(fetched_at, inner.clock.now().wall)) {
            return;
        }
        if let Err(why) = maintain(&inner, &account).await {
            tracing::warn!(account = %account.record.id, %why, "old material was not fetched anew");
            past.failed = Some((inner.clock.now().monotonic, why));
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
        let reply = calls::send(inner, request, DEADLINE).await.map_err(|why| why.to_string())?;
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
