//! Which of an app's accounts takes a payment, and which may take it over.

use std::sync::Arc;

use crate::Error;
use crate::api::Scope;
use crate::clock::Entropy;
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::machine::transaction::Draft;
use crate::model::{AccountState, ChannelCode, Fallback};

/// So many accounts may take one payment over, one after the other.
const FALLBACKS_MAX: usize = 7;

/// The way of a payment to a provider.
pub(super) struct Route {
    /// Through whom it goes.
    pub account: Arc<LoadedAccount>,
    /// How it was chosen, for the timeline.
    pub why: String,
    rest: Vec<Arc<LoadedAccount>>,
}

impl Inner {
    /// The accounts that take a payment of this code, in the order in which they are tried: those of higher priority
    /// first, among equals by weight. Paused ones are passed over, and so are those of another adapter than the first,
    /// because a number, an expiry and an answer mean something else there.
    ///
    /// # Errors
    /// [`Error::NoAccount`]; [`Error::AccountPaused`] when every account is; the store cannot answer.
    pub(super) async fn route(&self, scope: Scope, code: &ChannelCode) -> Result<Route, Error> {
        let mut serving = self.directory.accounts_for(scope, code).await?;
        serving.retain(|account| self.adapters.rules(&account.record.adapter, code).is_some());
        let all = serving.len();
        let reason = serving.first().map(|account| match &account.record.state {
            AccountState::Paused { reason, .. } => reason.clone(),
            AccountState::Active | AccountState::Disabled => String::new(),
        });
        serving.retain(|account| account.record.state == AccountState::Active);
        let active = serving.len();
        let mut ordered = by_priority_and_weight(serving, self.entropy.as_ref()).into_iter();
        let Some(account) = ordered.next() else {
            let reason = reason.ok_or_else(|| Error::NoAccount(code.to_string()))?;
            return Err(Error::AccountPaused(code.to_string(), reason));
        };
        let same = |other: &Arc<LoadedAccount>| other.record.adapter == account.record.adapter;
        let rest: Vec<_> = ordered.filter(same).take(FALLBACKS_MAX).collect();
        let why = told(&account, all, active);
        Ok(Route { account, why, rest })
    }
}

impl Route {
    /// The route through the next account, because nothing can be made through this one.
    pub(super) fn next(mut self, failed: &str) -> Option<Self> {
        if self.rest.is_empty() {
            return None;
        }
        let account = self.rest.remove(0);
        let why = format!("{}; {failed}; account {} instead", self.why, account.record.id);
        Some(Self { account, why, rest: self.rest })
    }

    /// The accounts that may take it over, the next one first.
    pub(super) fn fallbacks(&self) -> Vec<Fallback> {
        let fallback = |account: &Arc<LoadedAccount>| Fallback {
            account_id: account.record.id,
            revision: newest_revision(account),
        };
        self.rest.iter().map(fallback).collect()
    }

    /// Has a draft go this way.
    pub(super) fn put_into(&self, draft: &mut Draft) {
        draft.account_id = self.account.record.id;
        draft.revision = newest_revision(&self.account);
        draft.fallbacks = self.fallbacks();
    }
}

/// The number of the account's newest revision.
pub(super) fn newest_revision(account: &LoadedAccount) -> u32 {
    account.record.revisions.last().map_or(1, |revision| revision.number)
}

fn told(chosen: &LoadedAccount, all: usize, active: usize) -> String {
    let crate::model::Account { id, priority, weight, .. } = &chosen.record;
    match (all, active) {
        (0 | 1, _) => format!("through account {id}, the only one"),
        (_, 1) => format!("through account {id}, the only one of {all} that is not paused"),
        _ => format!("through account {id}, priority {priority} and weight {weight}, of {active} that can take it"),
    }
}

/// All of them: those of higher priority first, among equals each place drawn by weight.
fn by_priority_and_weight(mut left: Vec<Arc<LoadedAccount>>, entropy: &dyn Entropy) -> Vec<Arc<LoadedAccount>> {
    if left.len() < 2 {
        return left;
    }
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(best) = left.iter().map(|account| account.record.priority).max() {
        let weight = |account: &Arc<LoadedAccount>| {
            if account.record.priority == best { u64::from(account.record.weight.max(1)) } else { 0 }
        };
        let weights: Vec<u64> = left.iter().map(weight).collect();
        ordered.push(left.remove(drawn(&weights, entropy)));
    }
    ordered
}

/// A place, each as likely as its weight; one with weight 0 never. There is one above 0.
fn drawn(weights: &[u64], entropy: &dyn Entropy) -> usize {
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let mut point = u64::from_be_bytes(random) % weights.iter().sum::<u64>().max(1);
    for (place, weight) in weights.iter().enumerate() {
        if point < *weight {
            return place;
        }
        point -= weight;
    }
    0
}
