//! Notifications from providers: proved, compared with whom they belong to, made durable, then acknowledged.
//!
//! What does not prove itself changes nothing. What proves itself and has no home goes to the inbox, with an alarm.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::actors::batch::evidence_place;
use crate::actors::calls::{self, Asked};
use crate::actors::materials::{Asker, about_account};
use crate::actors::owners::disagreement;
use crate::actors::transaction::{Carried, What};
use crate::api::NotificationReply;
use crate::channel::{Acknowledgement, Fact, FactSubject, Notified, Outcome, RawNotification};
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::machine::{Input, Source, Told};
use crate::model::{AccountId, AlarmKind, AttemptNumber, Sealed, Timestamp};
use crate::secrets::Secret;
use crate::store::keys;
use crate::{Engine, Error};

/// Characters of a refused notification's reason that are logged.
const REASON_SHOWN: usize = 300;
/// Facts of one notification.
const FACTS_MAX: usize = 16;
/// How long a busy record is waited for, each time twice as long as before: some seconds in all, well below what a
/// provider waits for its answer.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Engine {
    /// Takes a notification that came to `/notify/{adapter}/{account}`. Never fails: what is not taken is answered with
    /// the adapter's refusal, so that the provider repeats it.
    pub async fn notification(&self, adapter: &str, account: &str, raw: RawNotification) -> NotificationReply {
        let inner = Arc::clone(self.inner());
        let (adapter, account) = (adapter.to_owned(), account.to_owned());
        let taken = self.detached_first(async move {
            let Some(account) = inner.notified_account(&adapter, &account).await? else {
                return Ok(refused(text(404, "no such address")));
            };
            Ok(inner.take_notification(&account, &raw).await)
        });
        taken.await.unwrap_or_else(|why| refused(text(503, why.code())))
    }
}

/// What one fact came to.
pub(super) enum Taken {
    /// It is durable.
    Kept,
    /// It is verified, but has no home.
    Homeless(String),
    /// Its record has too much to do.
    Busy,
    /// It belongs to somebody else.
    Wrong(String),
    /// It cannot be kept now: the provider is to repeat it.
    NotNow(Error),
}

impl Inner {
    async fn notified_account(&self, adapter: &str, account: &str) -> Result<Option<Arc<LoadedAccount>>, Error> {
        let Ok(id) = account.parse::<AccountId>() else { return Ok(None) };
        let account = self.directory.account(id).await?;
        Ok(account.filter(|account| account.record.adapter == adapter && self.adapters.named(adapter).is_some()))
    }

    async fn take_notification(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
    ) -> NotificationReply {
        let (facts, ack, refusal) = match self.read_notification(account, raw, self.clock.now().wall).await {
            Ok(Notified::Verified { facts, ack, refusal }) => (facts, ack, refusal),
            Ok(Notified::Hint { number, ack, refusal }) => {
                return match self.follow_hint(account, &number).await {
                    Ok(()) => NotificationReply { acknowledgement: ack, accepted: true },
                    Err(why) => {
                        tracing::info!(account = %account.record.id, %why, "a hint is not followed");
                        refused(refusal)
                    }
                };
            }
            Ok(Notified::Unverified { reason, refusal }) => {
                // It may repeat what a stranger sent.
                let reason: String = reason.chars().take(REASON_SHOWN).collect();
                tracing::warn!(account = %account.record.id, reason, "a notification does not prove itself");
                return refused(refusal);
            }
            Ok(Notified::NeedMaterial(_)) => return refused(text(503, "material to verify it is missing")),
            Err(why) => {
                tracing::warn!(account = %account.record.id, %why, "a notification could not be read");
                return refused(text(500, "it could not be read"));
            }
        };
        match self.keep_facts(account, raw, &facts).await {
            Ok(()) => NotificationReply { acknowledgement: ack, accepted: true },
            Err(why) => {
                tracing::warn!(account = %account.record.id, why, "a notification is refused");
                refused(refusal)
            }
        }
    }

    /// What a notification says that came at `at`, with material fetched once if that is missing.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Error::ShuttingDown`] say nothing about it; what else goes wrong does.
    pub(super) async fn read_notification(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
        at: Timestamp,
    ) -> Result<Notified, Error> {
        match self.interpret_notification(account, raw, at).await? {
            Notified::NeedMaterial(request) => {
                let refreshed = self.materials.refresh(self, account, request, Asker::Notification).await;
                self.interpret_notification(&refreshed.map_err(Error::Internal)?, raw, at).await
            }
            read @ (Notified::Verified { .. } | Notified::Hint { .. } | Notified::Unverified { .. }) => Ok(read),
        }
    }

    async fn interpret_notification(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
        at: Timestamp,
    ) -> Result<Notified, Error> {
        let asked: Asked = about_account(self, account).map_err(Error::Internal)?;
        let (owner, raw) = (Arc::clone(self), raw.clone());
        let read =
            move || calls::with_context_at(at, &owner, &asked, |adapter, context| adapter.notification(&raw, context));
        calls::on_pool(self, read).await
    }

    /// Keeps every fact, or says why the provider is to repeat all of them. A fact that is kept twice changes nothing.
    async fn keep_facts(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
        facts: &[Fact],
    ) -> Result<(), String> {
        if facts.len() > FACTS_MAX {
            return Err("it says too many things".to_owned());
        }
        let (mut homeless, mut busy) = (None, false);
        for fact in facts {
            let mut wait = FIRST_WAIT;
            let mut taken = self.keep_fact(account, raw, fact).await;
            while matches!(taken, Taken::Busy) && wait < LONGEST_WAIT {
                // In real time: a busy record is mostly a matter of milliseconds.
                tokio::time::sleep(wait).await;
                wait *= 2;
                taken = self.keep_fact(account, raw, fact).await;
            }
            match taken {
                Taken::Kept => {}
                Taken::Homeless(reason) => homeless = Some((number_of(fact).to_owned(), reason)),
                Taken::Busy => {
                    homeless = Some((number_of(fact).to_owned(), "too much waits for the record".to_owned()));
                    busy = true;
                }
                Taken::Wrong(why) => {
                    let text = format!("a notification about {} is somebody else's: {why}", number_of(fact));
                    calls::raise(self, AlarmKind::WrongOwner, account.record.id, &text).await;
                    return Err(why);
                }
                Taken::NotNow(why) => return Err(why.to_string()),
            }
        }
        match homeless {
            None => Ok(()),
            Some(why) => self.to_inbox(account, raw, why, busy).await.map_err(|why| why.to_string()),
        }
    }

    pub(super) async fn keep_fact(
        self: &Arc<Self>,
        account: &Arc<LoadedAccount>,
        raw: &RawNotification,
        fact: &Fact,
    ) -> Taken {
        if let Some(why) = account.view(None).and_then(|view| disagreement(view.settings, &fact.owners)) {
            return Taken::Wrong(why);
        }
        let number = match self.home_of(account, fact).await {
            Ok(number) => number,
            Err(taken) => return taken,
        };
        if let Some(time) = fact.provider_time {
            self.births.overhear(time, self.clock.now());
        }
        let body = Secret::from_bytes(raw.body.to_vec());
        let sealed = self.sealer.seal(evidence_place(&number.transaction), &body, self.entropy.as_ref());
        // It proves itself and says nothing certain: the channel is to be asked.
        if matches!(fact.outcome, Outcome::Unknown(_)) {
            return match self.hint(&number, Some(sealed)).await {
                Ok(()) => Taken::Kept,
                Err(why) => Taken::NotNow(why),
            };
        }
        let told = Told {
            number: number.clone(),
            source: Source::Notification,
            outcome: fact.outcome.clone(),
            provider_time: fact.provider_time,
            asked_at: None,
            account_revision: None,
            digest: Some(Sha256::digest(&raw.body).into()),
        };
        let carried = Carried { raw: Some(sealed), ..Carried::default() };
        let what = What::Input(Box::new((Input::Told(told), carried)));
        match self.tell(number.transaction, what, None).await {
            Ok(_) => Taken::Kept,
            Err(Error::Busy) => Taken::Busy,
            Err(Error::SetAside) => Taken::Homeless("the record is set aside".to_owned()),
            Err(Error::Internal(why)) => Taken::Homeless(format!("the record cannot take it: {why}")),
            Err(why) => Taken::NotNow(why),
        }
    }

    /// The attempt of the account that a fact is about, or what becomes of a fact that is about none.
    async fn home_of(&self, account: &LoadedAccount, fact: &Fact) -> Result<AttemptNumber, Taken> {
        let homeless = |why: &str| Err(Taken::Homeless(why.to_owned()));
        let FactSubject::Attempt(number) = &fact.subject else {
            return homeless("it is about a refund or a trade that is not ours");
        };
        let Some(number) = AttemptNumber::parse(number) else { return homeless("the number is none of ours") };
        match self.whose(&number).await {
            Ok(Some((owner, _))) if owner != account.record.id => {
                Err(Taken::Wrong("it names another account's order".to_owned()))
            }
            Ok(Some((_, given))) if fact.numbered_at.is_some_and(|told| told.seconds() != given.seconds()) => {
                Err(Taken::Wrong("it names another time of the order".to_owned()))
            }
            Ok(Some(_)) => Ok(number),
            Ok(None) => homeless("there is no such order"),
            Err(Error::SetAside) => homeless("the record is set aside"),
            Err(why) => Err(Taken::NotNow(why)),
        }
    }

    /// To which account the attempt of that number belongs, and when the number was given.
    async fn whose(&self, number: &AttemptNumber) -> Result<Option<(AccountId, Timestamp)>, Error> {
        if self.set_aside.contains(&keys::transaction(number.transaction)) {
            return Err(Error::SetAside);
        }
        let record = match self.transaction_row(number.transaction).await {
            Ok(record) => record,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(why) => return Err(why),
        };
        let attempt = record.attempts.iter().find(|attempt| attempt.number == *number);
        Ok(attempt.map(|attempt| (attempt.account_id, attempt.numbered_at)))
    }

    /// A hint proves nothing: that the channel is to be asked becomes durable.
    async fn follow_hint(self: &Arc<Self>, account: &Arc<LoadedAccount>, number: &str) -> Result<(), Error> {
        let number = AttemptNumber::parse(number).ok_or(Error::NotFound("order"))?;
        if self.whose(&number).await?.map(|(owner, _)| owner) != Some(account.record.id) {
            return Err(Error::NotFound("order"));
        }
        self.hint(&number, None).await
    }

    /// Has the channel asked about an attempt, in whatever status its record is. Durable when it returns. Hints that come
    /// soon after one another are brought together: whoever sends them waits.
    pub(super) async fn hint(&self, number: &AttemptNumber, raw: Option<Sealed>) -> Result<(), Error> {
        let now = self.clock.now().wall;
        let at = self.hints.when(number.transaction, now);
        if at > now {
            self.clock.sleep(at.since(now)).await;
        }
        let carried = Carried { raw, ..Carried::default() };
        let what = What::Input(Box::new((Input::Hint(number.clone()), carried)));
        self.tell(number.transaction, what, None).await.map(drop)
    }
}

fn number_of(fact: &Fact) -> &str {
    match &fact.subject {
        FactSubject::Attempt(number) | FactSubject::Refund(number) | FactSubject::Trade(number) => number,
    }
}

fn refused(acknowledgement: Acknowledgement) -> NotificationReply {
    NotificationReply { acknowledgement, accepted: false }
}

fn text(status: u16, text: &str) -> Acknowledgement {
    let body = Bytes::copy_from_slice(text.as_bytes());
    Acknowledgement { status, content_type: "text/plain; charset=utf-8".to_owned(), body }
}
