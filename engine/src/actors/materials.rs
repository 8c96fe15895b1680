//! Material of accounts (certificates and the like), fetched when an adapter misses it: one fetch at a time for each
//! account, failures remembered for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::channel::http::HttpRequest;
use crate::channel::{Call, Interpreted, Material, Step};
use crate::directory::{LoadedAccount, material_note};
use crate::engine::Inner;
use crate::machine::transaction::new_attempt;
use crate::model::{AccountId, AttemptNumber, Currency, Intent, Money, PayerInputs, TransactionId};
use crate::store::{Batch, keys};

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

impl Materials {
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
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(id).or_default())
        };
        let mut past = turn.lock().await;
        let newest = inner.directory.account(id).await.map_err(|why| why.to_string())?;
        if let Some(newest) = newest
            && newest.material != account.material
        {
            return Ok(newest);
        }
        let now = inner.clock.now().monotonic;
        if let Some((at, why)) = &past.failed
            && now.saturating_sub(*at) < FAILURE_KEPT
        {
            return Err(why.clone());
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
