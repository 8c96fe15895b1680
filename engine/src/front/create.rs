//! Starting a payment: checked against the channel's manifest, given an account, made durable, sent, answered.

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use super::Claimed;
use super::content::{EXTRAS_DEPTH_MAX, content_digest, is_json_within};
use super::route::{Route, newest_revision};
use crate::actors::bills;
use crate::actors::calls::{self, Asked};
use crate::actors::transaction::{Creation, Settled, TransactionMessage, What};
use crate::api::{CreateTransaction, Created, Idempotency, Scope};
use crate::channel::{Call, CodeManifest, OriginalApi, PayerInput};
use crate::directory::LoadedAccount;
use crate::engine::Inner;
use crate::machine::Input;
use crate::machine::transaction::{self as machine, BillDecision, Draft};
use crate::model::{Bill, ChannelCode, Door, PayerInputs, Status, Timestamp, Transaction, TransactionId};
use crate::store::{Store, keys};
use crate::{Engine, Error};

/// The longest that a caller may wait for a channel's answer.
pub(super) const WAIT_MAX: Duration = Duration::from_mins(1);
const SUBJECT_BYTES_MAX: usize = 256;
const EXTRAS_BYTES_MAX: usize = 16 * 1024;
const URL_CHARS_MAX: usize = 2_048;
const INPUT_CHARS_MAX: usize = 128;

impl Engine {
    /// Starts a payment, or finds the one that stands for the request: by its idempotency key, or by the bill number
    /// where that is one ([`Door::Native`], or an app with strict bill numbers).
    ///
    /// # Errors
    /// [`Error::UnknownChannel`], [`Error::NoAccount`], [`Error::AccountPaused`], [`Error::CertificateUnusable`] when
    /// the secrets of no account open that serves the channel, [`Error::Invalid`],
    /// [`Error::BillNumberConflict`], [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn create_transaction(
        &self,
        scope: Scope,
        request: CreateTransaction,
        idem: Option<Idempotency>,
    ) -> Result<Created, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.create(scope, request, idem).await }).await
    }
}

impl Inner {
    async fn create(
        self: &Arc<Self>,
        scope: Scope,
        request: CreateTransaction,
        idem: Option<Idempotency>,
    ) -> Result<Created, Error> {
        let began = self.clock.now().monotonic;
        let wait = request.wait.min(WAIT_MAX);
        if let Claimed::Before(id) = self.claim(idem.as_ref()).await? {
            return self.found(TransactionId(id), began, wait).await;
        }
        let app = self.directory.app(scope.app_id).await?.ok_or(Error::NotFound("app"))?;
        let strict = request.door == Door::Native || app.record.strict_bill_numbers;
        // Before today's channels and accounts are looked at: a repeat is answered whatever they are now.
        let standing = if strict {
            let key = keys::bill(scope.app_id, scope.mode, &request.bill_num);
            let standing = self.reader.record::<Bill>(key).await?;
            if let Some(bill) = &standing.0
                && let Some(id) = self.stands(scope, &request, bill).await?
            {
                self.begun_before(idem.as_ref(), "transaction", id.0).await?;
                return self.found(id, began, wait).await;
            }
            Some(standing)
        } else {
            None
        };
        if self.adapters.serving(&request.channel).is_empty() {
            return Err(Error::UnknownChannel(request.channel.to_string()));
        }
        let mut route = self.route(scope, &request.channel).await?;
        let rules = self.rules(&route.account, &request.channel)?;
        check(&request, rules)?;
        let made_at = self.clock.now().wall;
        let mut draft = self.draft(scope, request, &route);
        let id = draft.id;
        let first = loop {
            if !rules.locally_signed {
                break Input::Submit;
            }
            match self.sign_here(&draft, made_at, rules, &route.account).await {
                Ok(first) => break first,
                // Nothing was made yet, and no payer has seen anything.
                Err(why @ Error::CertificateUnusable(_)) => {
                    route = route.next(&why.to_string()).ok_or(why)?;
                    route.put_into(&mut draft);
                }
                Err(why) => return Err(why),
            }
        };
        let watcher = self.watchers.watch(id);
        let creation =
            Creation { draft, made_at, first, route: route.why, strict, idempotency: idem.clone(), standing };
        match self.tell(id, What::Create(Box::new(creation)), None).await? {
            Settled::Now(made) => {
                let transaction = self.wait_while(*made, &watcher, began, wait, is_submitting).await;
                Ok(Created { transaction, first: true })
            }
            Settled::Other(id) => {
                drop(watcher);
                self.begun_before(idem.as_ref(), "transaction", id.0).await?;
                self.found(id, began, wait).await
            }
        }
    }

    /// Which transaction of the bill stands for a request, as the actor that makes one will decide again.
    async fn stands(
        &self,
        scope: Scope,
        request: &CreateTransaction,
        bill: &Bill,
    ) -> Result<Option<TransactionId>, Error> {
        let (number, read) = (request.bill_num.clone(), bill.clone());
        let candidates = move |store: &dyn Store| bills::candidates(store, &read, (scope.app_id, scope.mode, &number));
        let candidates = self.reader.run(candidates).await??;
        let candidates: Vec<&Transaction> = candidates.iter().collect();
        let digest = content_digest(request);
        match machine::bill_decision(Some(bill), &candidates, request.door, &digest, true) {
            BillDecision::New => Ok(None),
            BillDecision::Reuse(id) => Ok(Some(id)),
            BillDecision::Conflict(id) => Err(Error::BillNumberConflict(id)),
        }
    }

    /// The transaction that stands for a repeated request.
    async fn found(self: &Arc<Self>, id: TransactionId, began: Duration, wait: Duration) -> Result<Created, Error> {
        let watcher = self.watchers.watch(id);
        let known = self.transaction_row(id).await?;
        let waited = self.wait_while(known, &watcher, began, wait, is_submitting).await;
        let transaction = self.renewed(waited).await?;
        Ok(Created { transaction, first: false })
    }

    fn rules(&self, account: &LoadedAccount, code: &ChannelCode) -> Result<&CodeManifest, Error> {
        let rules = self.adapters.rules(&account.record.adapter, code);
        rules.map(Arc::as_ref).ok_or_else(|| Error::UnknownChannel(code.to_string()))
    }

    fn draft(&self, scope: Scope, request: CreateTransaction, route: &Route) -> Draft {
        let content_digest = content_digest(&request);
        Draft {
            id: self.ids.next(),
            app_id: scope.app_id,
            mode: scope.mode,
            door: request.door,
            bill_num: request.bill_num,
            content_digest,
            channel: request.channel,
            amount: request.amount,
            subject: request.subject,
            extras: request.extras,
            return_url: request.return_url,
            show_url: request.show_url,
            payer: request.payer,
            timeout: request.timeout,
            account_id: route.account.record.id,
            revision: newest_revision(&route.account),
            fallbacks: route.fallbacks(),
        }
    }

    /// Signs a create of a locally signed channel: nothing leaves, so one commit takes it to its payer.
    async fn sign_here(
        self: &Arc<Self>,
        draft: &Draft,
        made_at: Timestamp,
        rules: &CodeManifest,
        account: &Arc<LoadedAccount>,
    ) -> Result<Input, Error> {
        let record = machine::create(draft.clone(), made_at, rules);
        let Some(attempt) = record.attempts.first().cloned() else { return Ok(Input::Submit) };
        let original_api = match draft.door {
            Door::Original => OriginalApi::Yes,
            Door::Native => OriginalApi::No,
        };
        let call = Call::Create { code: draft.channel.clone(), intent: attempt.intent.clone(), original_api };
        let number = attempt.number.to_string();
        let asked = Asked { call: Arc::new(call), number, attempt, account: Arc::clone(account) };
        // Without an outcome the adapter wants to send something after all: then the intent is durable first.
        Ok(calls::sign(self, &asked).await?.map_or(Input::Submit, Input::Signed))
    }

    /// Tells a transaction's actor something and waits for the answer.
    ///
    /// # Errors
    /// What the actor or its router refuses; [`Error::OutcomeUnknown`] when the answer is lost.
    pub(crate) async fn tell(
        &self,
        id: TransactionId,
        what: What,
        ticket: Option<crate::actors::ticket::Ticket>,
    ) -> Result<Settled, Error> {
        let (message, answer) = TransactionMessage::new(what, ticket);
        let system = self.system().ok_or(Error::ShuttingDown)?;
        let _inside = self.doorkeeper.enter(id.0);
        system.transactions().send(id, message);
        // An actor that died of the message has told its router, not us; what it committed before is not known here.
        answer.await.unwrap_or_else(|_| Err(Error::Internal("the actor died of this message".to_owned())))
    }

    /// A transaction as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::SetAside`]; the store cannot answer.
    pub(crate) async fn transaction_row(&self, id: TransactionId) -> Result<Transaction, Error> {
        let (record, _) = self.reader.record::<Transaction>(crate::store::keys::transaction(id)).await?;
        record.ok_or(Error::NotFound("transaction"))
    }

    /// The transaction once `goes_on` no longer holds, or as it is when the wait is over. When it cannot be read
    /// meanwhile it is told as it was last known: what was done for it is done, and an error would deny it.
    pub(super) async fn wait_while(
        &self,
        mut record: Transaction,
        watcher: &crate::actors::watchers::Watcher<'_>,
        began: Duration,
        wait: Duration,
        goes_on: fn(&Transaction) -> bool,
    ) -> Transaction {
        if !goes_on(&record) {
            return record;
        }
        let wait = self.patience(wait);
        let mut over = self.clock.sleep(wait.saturating_sub(self.clock.now().monotonic.saturating_sub(began)));
        while goes_on(&record) {
            let mut changed = std::pin::pin!(watcher.changed.notified());
            changed.as_mut().enable();
            match self.newest(record).await {
                Ok(newest) => record = newest,
                Err(known) => return known,
            }
            if !goes_on(&record) {
                break;
            }
            match futures_util::future::select(changed, &mut over).await {
                futures_util::future::Either::Left(_) => {}
                futures_util::future::Either::Right(_) => return self.newest(record).await.unwrap_or_else(identity),
            }
        }
        record
    }

    /// A transaction as it is now; `Err`: as it was known before, because it cannot be read.
    pub(super) async fn newest(&self, known: Transaction) -> Result<Transaction, Transaction> {
        self.transaction_row(known.id).await.map_err(|why| {
            tracing::warn!(transaction = %known.id, %why, "it is told as it was before");
            known
        })
    }
}

pub(super) fn is_submitting(record: &Transaction) -> bool {
    matches!(record.status, Status::Submitting { .. } | Status::Created)
}

/// Everything about a request that its channel does not take.
fn check(request: &CreateTransaction, rules: &CodeManifest) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let mut say = |field: &str, why: String| {
        wrong.push(crate::channel::FieldError { field: field.to_owned(), why });
    };
    let (least, most) = rules.amount_minor;
    if !(least.max(1)..=most).contains(&request.amount.minor()) {
        say("amount", format!("{} takes {least} to {most} minor units", rules.code));
    }
    if !rules.currencies.contains(&request.amount.currency()) {
        let taken: Vec<&str> = rules.currencies.iter().map(crate::model::Currency::code).collect();
        say("currency", format!("{} takes {}", rules.code, taken.join(", ")));
    }
    let subject_max = rules.subject_bytes_max.min(SUBJECT_BYTES_MAX);
    if request.subject.trim().is_empty() || request.subject.len() > subject_max {
        say("subject", format!("1 to {subject_max} bytes of UTF-8"));
    }
    if let Some(extras) = &request.extras
        && (extras.len() > EXTRAS_BYTES_MAX || !is_json_within(extras, EXTRAS_DEPTH_MAX))
    {
        say("extras", format!("JSON of at most {EXTRAS_BYTES_MAX} bytes and {EXTRAS_DEPTH_MAX} levels"));
    }
    for (field, url) in [("return_url", &request.return_url), ("show_url", &request.show_url)] {
        if let Some(url) = url
            && (url.chars().count() > URL_CHARS_MAX || url::Url::parse(url).is_err())
        {
            say(field, format!("an absolute address of at most {URL_CHARS_MAX} characters"));
        }
    }
    if let (Some(timeout), Door::Native) = (request.timeout, request.door)
        && !(rules.expiry.0..=rules.expiry.1).contains(&timeout)
    {
        let (least, most) = (rules.expiry.0.as_secs(), rules.expiry.1.as_secs());
        say("timeout", format!("{} takes {least} to {most} seconds", rules.code));
    }
    for (field, why) in wrong_payer(&request.payer) {
        say(field, why);
    }
    for field in rules.needs.iter().filter_map(|need| missing(request, *need)) {
        say(field, format!("{} needs it", rules.code));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid { fields: wrong }) }
}

/// The field that should give what a channel needs, when it does not.
fn missing(request: &CreateTransaction, need: PayerInput) -> Option<&'static str> {
    let (field, there) = match need {
        PayerInput::Openid => ("payer.openid", request.payer.openid.is_some()),
        PayerInput::ClientIp => ("payer.client_ip", request.payer.client_ip.is_some()),
        PayerInput::H5Type => ("payer.h5_type", request.payer.h5_type.is_some()),
        PayerInput::ReturnUrl => ("return_url", request.return_url.is_some()),
    };
    (!there).then_some(field)
}

fn wrong_payer(payer: &PayerInputs) -> Vec<(&'static str, String)> {
    let texts = [("payer.openid", &payer.openid), ("payer.h5_type", &payer.h5_type)];
    let long = |text: &String| text.is_empty() || text.chars().count() > INPUT_CHARS_MAX;
    let mut wrong: Vec<_> = texts
        .into_iter()
        .filter(|(_, text)| text.as_ref().is_some_and(long))
        .map(|(field, _)| (field, format!("1 to {INPUT_CHARS_MAX} characters")))
        .collect();
    if payer.client_ip.as_ref().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        wrong.push(("payer.client_ip", "an IPv4 or IPv6 address".to_owned()));
    }
    if payer.qr_mode.is_some_and(|mode| mode > 4) {
        wrong.push(("payer.qr_mode", "0 to 4".to_owned()));
    }
    wrong
}
