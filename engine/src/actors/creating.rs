//! A transaction's first commit: the bill number rule, the record, its first step.

use std::sync::Arc;

use crate::Error;
use crate::channel::CodeManifest;
use crate::directory::LoadedAccount;
use crate::front::Claimed;
use crate::machine::transaction::{self as machine, BillDecision};
use crate::model::{Bill, Transaction, TransactionId};
use crate::store::{CommitError, Seq, Store, keys};

use super::batch::{Before, batch_of};
use super::bills;
use super::failure::{Failure, caught, commit_failure, refused};
use super::keeper::{Handed, Held, Keeper, RETRIES, account_of};
use super::transaction::{Creation, Settled};

impl Keeper {
    /// Makes the record, unless another one stands for the request.
    pub(super) async fn create(&mut self, creation: Creation) -> Result<Settled, Failure> {
        if self.held.is_some() {
            return Err(Failure::Refused(Error::Internal("the record is there already".to_owned())));
        }
        let Creation { draft, made_at, first, route, strict, idempotency, mut standing } = creation;
        let account = account_of(&self.inner, draft.account_id).await?;
        let policy = self.policy(draft.app_id).await?;
        for _ in 0..RETRIES {
            let claim = match self.inner.claim(idempotency.as_ref()).await? {
                Claimed::Before(id) => return Ok(Settled::Other(TransactionId(id))),
                Claimed::New(claim) => claim,
            };
            // The commit finds out whether what was looked at before still stands.
            let (bill, bill_seen) = if let Some(standing) = standing.take() {
                standing
            } else {
                let key = keys::bill(draft.app_id, draft.mode, &draft.bill_num);
                self.inner.reader.record::<Bill>(key).await?
            };
            match self.bill_decision(bill.as_ref(), &draft, strict).await? {
                BillDecision::New => {}
                BillDecision::Reuse(id) => return Ok(Settled::Other(id)),
                BillDecision::Conflict(id) => return Err(Error::BillNumberConflict(id).into()),
            }
            let rules = self.rules_for(&account, &draft)?.clone();
            let now = self.inner.clock.now();
            let record = caught(|| machine::create(draft.clone(), made_at, &rules))?;
            self.inner.births.born(record.id, now.monotonic);
            let bill = machine::bill_after_create(bill.as_ref(), record.id);
            let moment = self.moment(&record);
            let step = caught(|| machine::step(&record, &bill, &first, moment, &rules, &policy))?;
            let mut step = step.map_err(|why| Failure::Refused(refused(&why)))?.led_to_by(&route);
            step.bill = Some(step.bill.take().unwrap_or(bill));
            let before = Before { record: None, seen: Seq(0), bill_seen, once_seen: Seq(0) };
            let (mut batch, record) = batch_of(&self.inner, &step, &before, None);
            self.pause(&mut batch, &step).await?;
            claim.join(&mut batch, "transaction", record.id.0, now.wall);
            match self.inner.store.commit(batch).await {
                Ok(committed) => {
                    let bill = step.bill.take().ok_or_else(|| Error::Internal("a bill row was made".to_owned()))?;
                    self.held = Some(Held { record, seen: committed.seq, bill, bill_seen: committed.seq, rules });
                    self.inner.metrics.commits.add(1);
                    self.hand_on(
                        step.effects,
                        Handed { token: None, ticket: None, is_look: false, began: now.monotonic },
                    );
                    return self.settled();
                }
                Err(CommitError::Conflict(_) | CommitError::Stale) => {}
                Err(why) => return Err(commit_failure(why)),
            }
        }
        Err(Failure::Refused(Error::Busy))
    }

    fn rules_for(&self, account: &LoadedAccount, draft: &machine::Draft) -> Result<&Arc<CodeManifest>, Failure> {
        let rules = self.inner.adapters.rules(&account.record.adapter, &draft.channel);
        rules.ok_or_else(|| Failure::Refused(Error::UnknownChannel(draft.channel.to_string())))
    }

    async fn bill_decision(
        &self,
        bill: Option<&Bill>,
        draft: &machine::Draft,
        strict: bool,
    ) -> Result<BillDecision, Failure> {
        let mut candidates = Vec::new();
        if strict && let Some(bill) = bill.cloned() {
            let (app, mode, number) = (draft.app_id, draft.mode, draft.bill_num.clone());
            let read = move |store: &dyn Store| bills::candidates(store, &bill, (app, mode, &number));
            candidates = self.inner.reader.run(read).await??;
        }
        let candidates: Vec<&Transaction> = candidates.iter().collect();
        caught(|| machine::bill_decision(bill, &candidates, draft.door, &draft.content_digest, strict))
    }
}
