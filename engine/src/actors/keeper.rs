//! What a transaction's actor does with its record: step, commit, answer, hand on the effects.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::channel::CodeManifest;
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::front::{Claim, Claimed};
use crate::machine::transaction::{self as machine, AppPolicy};
use crate::machine::{Effect, Input, Moment, Refusal, Source, Step};
use crate::model::{Bill, CallKind, Timestamp, Transaction, TransactionId};
use crate::secrets::Secret;
use crate::store::keys::DueKind;
use crate::store::{Batch, CommitError, RowKey, Seq, Table, keys, notes};

use super::batch::{Before, batch_of};
use super::dispatcher::Job;
use super::failure::{Failure, caught, commit_failure, refused};
use super::ticket::Ticket;
use super::transaction::{Carried, Settled, What};

/// How often a step is made again because rows changed under it.
pub(super) const RETRIES: usize = 16;

/// A record and what belongs to it, as of certain commits.
pub(crate) struct Held {
    pub(super) record: Transaction,
    pub(super) seen: Seq,
    pub(super) bill: Bill,
    pub(super) bill_seen: Seq,
    pub(super) rules: Arc<CodeManifest>,
}

impl Held {
    /// Reads a record and what belongs to it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::SetAside`] when it does not decode; the store cannot answer.
    pub async fn read(inner: &Arc<Inner>, id: TransactionId) -> Result<Self, Error> {
        let (record, seen) = inner.reader.record::<Transaction>(keys::transaction(id)).await?;
        let record = record.ok_or(Error::NotFound("transaction"))?;
        let bill_key = keys::bill(record.app_id, record.mode, &record.bill_num);
        let (bill, bill_seen) =
            inner.reader.record::<Bill>(bill_key).await.map_err(|why| not_its_own(why, "the bill row"))?;
        let bill = bill.ok_or_else(|| Error::Internal(format!("the bill row of transaction {id} is missing")))?;
        let rules = rules_of(inner, &record).await?;
        Ok(Self { record, seen, bill, bill_seen, rules })
    }
}

/// The manifest by which a record is kept: of its code, as the adapter of its account serves it.
async fn rules_of(inner: &Inner, record: &Transaction) -> Result<Arc<CodeManifest>, Error> {
    let attempt =
        record.attempts.last().ok_or_else(|| Error::Internal(format!("transaction {} has no attempt", record.id)))?;
    let account = account_of(inner, attempt.account_id).await?;
    rules_by(inner, &account, record).cloned()
}

fn rules_by<'a>(
    inner: &'a Inner,
    account: &LoadedAccount,
    record: &Transaction,
) -> Result<&'a Arc<CodeManifest>, Error> {
    let adapter = &account.record.adapter;
    inner
        .adapters
        .rules(adapter, &record.channel)
        .ok_or_else(|| Error::Conflict(format!("no adapter called {adapter} that serves {} is here", record.channel)))
}

/// The account of that id.
///
/// # Errors
/// The store cannot answer; [`Error::Internal`] when there is none.
pub(crate) async fn account_of(inner: &Inner, id: crate::model::AccountId) -> Result<Arc<LoadedAccount>, Error> {
    let account = inner.directory.account(id).await.map_err(|why| not_its_own(why, "the account"))?;
    account.ok_or_else(|| Error::Internal(format!("account {id} is missing")))
}

/// A row beside the record that does not decode sets nothing aside: the record itself is sound.
fn not_its_own(why: Error, what: &str) -> Error {
    if why == Error::SetAside { Error::Internal(format!("{what} of a transaction does not decode")) } else { why }
}

/// Keeps one record.
pub(crate) struct Keeper {
    pub(super) inner: Arc<Inner>,
    pub(super) held: Option<Held>,
    /// Whether `resume` has said what goes on.
    pub(super) resumed: bool,
    /// Answers to calls that are awaited.
    pub(super) calling: u32,
}

impl Keeper {
    /// For a record that is about to be made.
    pub fn empty(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), held: None, resumed: true, calling: 0 }
    }

    /// For a record that was read.
    pub fn holding(inner: &Arc<Inner>, held: Held) -> Self {
        Self { inner: Arc::clone(inner), held: Some(held), resumed: false, calling: 0 }
    }

    /// Answers to calls that are awaited.
    pub fn calling(&self) -> u32 {
        self.calling
    }

    /// Works on one message.
    ///
    /// # Errors
    /// [`Failure`]; evidence is never refused by the machine, only by a store that cannot take it.
    pub async fn work(&mut self, what: What, ticket: Option<Ticket>) -> Result<Settled, Failure> {
        let is_due = |keeper: &Self| match &what {
            What::Due(at) => keeper.held.as_ref().is_some_and(|held| held.record.due_at == Some(*at)),
            What::Create(_) | What::Input(_) => false,
            #[cfg(test)]
            What::Panic => false,
        };
        let was_due = is_due(self);
        // A look that its account cannot take now is not counted as one: it stays due.
        if matches!(what, What::Due(_)) && !self.may_look() {
            return Err(Failure::Refused(Error::LimitReached("too many calls of the account wait".to_owned())));
        }
        let mut ticket = ticket;
        if !self.resumed {
            self.resume(was_due, if was_due { ticket.take() } else { None }).await?;
            self.resumed = true;
        }
        let still_due = is_due(self);
        match what {
            What::Create(creation) => self.create(*creation).await,
            What::Input(boxed) => {
                let (input, carried) = *boxed;
                self.apply(input, carried, ticket).await
            }
            What::Due(_) if still_due => self.apply(Input::Due, Carried::default(), ticket).await,
            // Waking up has done it.
            What::Due(_) if was_due => self.settled(),
            // A row that is there and not the record's own was written by somebody who wants it looked at: a hint, an
            // operator's retry.
            What::Due(at) if self.is_wanted(at).await? => self.apply(Input::QueryNow, Carried::default(), ticket).await,
            // It was fired while the record moved on.
            What::Due(_) => self.settled(),
            #[cfg(test)]
            What::Panic => panic!("told to"),
        }
    }

    fn held(&self) -> Result<&Held, Failure> {
        self.held.as_ref().ok_or(Failure::Distrust(Error::NotFound("transaction")))
    }

    /// Whether the account of the newest attempt can take another question.
    fn may_look(&self) -> bool {
        let attempt = self.held.as_ref().and_then(|held| held.record.attempts.last());
        attempt.is_none_or(|attempt| self.inner.dispatcher.room(attempt.account_id) > 0)
    }

    /// Whether the row of the due table is there.
    async fn is_wanted(&self, at: Timestamp) -> Result<bool, Failure> {
        let key = keys::due(at, DueKind::Transaction, self.held()?.record.id.0);
        let read = self.inner.reader.short(move |store| store.read(&key)).await?;
        Ok(read.map_err(Error::from)?.value.is_some())
    }

    pub(super) fn settled(&self) -> Result<Settled, Failure> {
        Ok(Settled::Now(Box::new(self.held()?.record.clone())))
    }

    /// What goes on after a start, a rest or a death: the machine alone says so.
    ///
    /// `is_due`: its due time is what woke it. That asks the channel by the schedule, so waking up need not ask too.
    async fn resume(&mut self, is_due: bool, mut ticket: Option<Ticket>) -> Result<(), Failure> {
        let held = self.held()?;
        let moment = self.moment(&held.record);
        let effects = caught(|| machine::resume(&held.record, moment, &held.rules))?;
        let (feeds, calls): (Vec<_>, Vec<_>) = effects.into_iter().partition(|it| matches!(it, Effect::Feed(_)));
        let may_look = self.may_look();
        if !is_due && may_look {
            self.hand_on(calls, Handed::none());
        }
        for feed in feeds {
            let Effect::Feed(input) = feed else { continue };
            if !may_look && input == Input::Due {
                continue;
            }
            match self.apply(input, Carried::default(), ticket.take()).await {
                // What is refused now is looked at when it is due.
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// One step and its commit, made again as often as rows change under it.
    async fn apply(&mut self, input: Input, carried: Carried, ticket: Option<Ticket>) -> Result<Settled, Failure> {
        let Carried { raw, idempotency, token, answers_call } = carried;
        if answers_call {
            self.calling = self.calling.saturating_sub(1);
        }
        let policy = self.policy(self.held()?.record.app_id).await?;
        for _ in 0..RETRIES {
            let claim = match self.inner.claim(idempotency.as_ref()).await? {
                // The command was done before, under the same key: the record as it is now.
                Claimed::Before(id) if id == self.held()?.record.id.0 => return self.settled(),
                Claimed::Before(_) => return Err(Failure::Refused(Error::IdempotencyMismatch)),
                Claimed::New(claim) => claim,
            };
            let held = self.held()?;
            // Before the step: what it decides to send leaves within its time, counted from here.
            let began = self.inner.clock.now().monotonic;
            let moment = self.moment(&held.record);
            let stepped = caught(|| machine::step(&held.record, &held.bill, &input, moment, &held.rules, &policy))?;
            let step = match stepped {
                Ok(step) => step,
                Err(Refusal::TokenKnown) => return self.settled(),
                Err(why) => return Err(Failure::Refused(refused(&why))),
            };
            let is_look = input == Input::Due;
            let handed = Handed { token: token.clone(), ticket: ticket.clone(), is_look, began };
            if !step.changed && idempotency.is_none() {
                self.hand_on(step.effects, handed);
                return self.settled();
            }
            match self.commit(step, claim, raw.as_ref()).await {
                Ok(effects) => {
                    self.hand_on(effects, handed);
                    return self.settled();
                }
                Err(Again::Reread) => self.reread().await?,
                Err(Again::Never(failure)) => return Err(failure),
            }
        }
        Err(Failure::Refused(Error::Busy))
    }

    async fn commit(
        &mut self,
        step: Step,
        claim: Claim,
        raw: Option<&crate::model::Sealed>,
    ) -> Result<Vec<Effect>, Again> {
        let held = self.held().map_err(Again::Never)?;
        let once_seen = match step.claims_once {
            Some(hash) => self.once_free(hash).await.map_err(Again::Never)?,
            None => Seq(0),
        };
        let (seen, bill_seen) = (held.seen, held.bill_seen);
        let before = Before { record: Some(&held.record), seen, bill_seen, once_seen };
        let (mut batch, record) = batch_of(&self.inner, &step, &before, raw);
        self.pause(&mut batch, &step).await.map_err(Again::Never)?;
        claim.join(&mut batch, "transaction", record.id.0, self.inner.clock.now().wall);
        match self.inner.store.commit(batch).await {
            Ok(committed) => {
                self.inner.metrics.commits.add(1);
                let held = self.held.as_mut().ok_or_else(|| Again::Never(Error::NotFound("transaction").into()))?;
                if step.changed {
                    held.record = record;
                    held.seen = committed.seq;
                }
                if let Some(bill) = step.bill {
                    held.bill = bill;
                    held.bill_seen = committed.seq;
                }
                Ok(step.effects)
            }
            Err(CommitError::Conflict(key)) if key.table == Table::Once => {
                Err(Again::Never(Failure::Refused(Error::TokenUsed)))
            }
            Err(CommitError::Conflict(_) | CommitError::Stale) => Err(Again::Reread),
            Err(why) => Err(Again::Never(commit_failure(why))),
        }
    }

    /// Pauses the account that its provider refuses, in the same commit.
    pub(super) async fn pause(&self, batch: &mut Batch, step: &Step) -> Result<(), Failure> {
        let Some(pause) = &step.pauses_account else { return Ok(()) };
        Ok(self.inner.pause_account(batch, pause).await?)
    }

    /// As of when nobody has used that once-key.
    async fn once_free(&self, hash: [u8; 32]) -> Result<Seq, Failure> {
        let key = RowKey::new(Table::Once, &[&hash]);
        match self.inner.reader.record::<notes::OnceOwner>(key).await? {
            (None, seen) => Ok(seen),
            (Some(_), _) => Err(Failure::Refused(Error::TokenUsed)),
        }
    }

    async fn reread(&mut self) -> Result<(), Failure> {
        let id = self.held()?.record.id;
        let read = Held::read(&self.inner, id).await;
        self.held = Some(read.map_err(Failure::Distrust)?);
        Ok(())
    }

    /// Hands effects on: after the commit that they follow from.
    pub(super) fn hand_on(&mut self, effects: Vec<Effect>, handed: Handed) {
        let Some(held) = self.held.as_ref().filter(|_| !effects.is_empty()) else { return };
        let record = Arc::new(held.record.clone());
        for effect in effects {
            let (number, kind, send, resign) = match effect {
                Effect::Call { number, kind, send } => (number, kind, send, false),
                Effect::Resign { number } => (number, CallKind::Create, 0, true),
                // Only waking up says so, and it takes care of it itself.
                Effect::Feed(_) => continue,
            };
            self.calling += 1;
            let job = Job {
                record: Arc::clone(&record),
                number,
                source: Source::Answer { call: kind, send },
                kind,
                resign,
                token: handed.token.clone(),
                ticket: handed.ticket.clone(),
                is_look: handed.is_look,
                leave_by: handed.began.saturating_add(machine::START_MAX),
            };
            self.inner.dispatcher.hand(&self.inner, job);
        }
    }

    pub(super) fn moment(&self, record: &Transaction) -> Moment {
        let now = self.inner.clock.now();
        Moment {
            wall: now.wall,
            alive: self.inner.births.alive(record.id, now.monotonic),
            clock_confirmed: self.inner.births.clock_confirmed(now),
        }
    }

    pub(super) async fn policy(&self, app: crate::model::AppId) -> Result<AppPolicy, Failure> {
        let app = self.inner.directory.app(app).await?.ok_or(Error::NotFound("app"))?;
        Ok(AppPolicy { late_policy: app.record.late_policy })
    }
}

/// What effects carry besides.
pub(super) struct Handed {
    /// The payer's token, of a charge.
    pub token: Option<Arc<Secret>>,
    pub ticket: Option<Ticket>,
    /// Whether the passing of time made the step.
    pub is_look: bool,
    /// When the step was made that they follow from, by the monotonic clock.
    pub began: Duration,
}

impl Handed {
    /// Of questions that nobody waits for, which may leave at any time.
    fn none() -> Self {
        Self { token: None, ticket: None, is_look: true, began: Duration::ZERO }
    }
}

enum Again {
    /// Rows changed: read them and step again.
    Reread,
    Never(Failure),
}
