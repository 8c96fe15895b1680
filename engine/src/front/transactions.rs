//! A transaction that is there: read, close, look, charge, wallet sessions, and what the original API shows.

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::create::{WAIT_MAX, is_submitting};
use crate::actors::account_of;
use crate::actors::calls::{self, Asked};
use crate::actors::ticket::Ticket;
use crate::actors::transaction::{Carried, Settled, What};
use crate::api::{Authorize, Idempotency, Scope};
use crate::channel::{Call, Outcome, VerifiedToken};
use crate::engine::Inner;
use crate::machine::{Input, Vouched, VouchedOutcome};
use crate::model::{Attempt, NamedAction, PayerStep, Requester, Status, Transaction, TransactionId};
use crate::secrets::Secret;
use crate::store::keys;
use crate::{Engine, Error};

/// How long a reader waits for a payer action to be renewed.
const RENEW_WAIT: Duration = Duration::from_secs(5);
const TOKEN_BYTES_MAX: usize = 64 * 1024;
const REASON_MAX: usize = 300;
/// Twice the longest that a provider gives.
const TRADE_NUMBER_MAX: usize = 128;

impl Engine {
    /// A transaction as it is now. Payer actions past their time are renewed first, where the channel allows it.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one of another app or mode; [`Error::SetAside`]; those of every read.
    pub async fn transaction(&self, scope: Scope, id: TransactionId) -> Result<Transaction, Error> {
        let inner = Arc::clone(self.inner());
        let record = inner.own_transaction(scope, id).await?;
        if !inner.is_stale(&record) {
            return Ok(record);
        }
        self.detached(async move { inner.renewed(record).await }).await
    }

    /// Asks for a close, and waits at most `wait` for what the channel says to it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it has ended, and those of every command.
    pub async fn close_transaction(
        &self,
        scope: Scope,
        id: TransactionId,
        wait: Duration,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        self.ask_transaction(scope, id, Input::Close(Requester::Merchant), wait, idem).await
    }

    /// Asks the channel now, and waits at most `wait` for its answer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when nothing was sent yet, and those of every command.
    pub async fn query_transaction(
        &self,
        scope: Scope,
        id: TransactionId,
        wait: Duration,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        self.ask_transaction(scope, id, Input::QueryNow, wait, idem).await
    }

    async fn ask_transaction(
        &self,
        scope: Scope,
        id: TransactionId,
        input: Input,
        wait: Duration,
        idempotency: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        let inner = self.at_the_door(Some(scope), id).await?;
        self.detached(async move {
            inner.own_transaction(scope, id).await?;
            inner.ask_and_wait(id, input, Carried { idempotency, ..Carried::default() }, wait).await
        })
        .await
    }

    /// Charges a payer's token as a new attempt, and waits at most for as long as asked for what comes of it. A token
    /// that the transaction holds already returns it as it is.
    ///
    /// # Errors
    /// [`Error::TokenRefused`], [`Error::TokenUsed`], [`Error::Conflict`] when its status does not allow it,
    /// [`Error::NotFound`], and those of every command.
    pub async fn authorize_transaction(
        &self,
        scope: Scope,
        id: TransactionId,
        request: Authorize,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        let inner = self.at_the_door(Some(scope), id).await?;
        self.detached(async move { inner.authorize(scope, id, request, idem).await }).await
    }

    /// Fetches a wallet session for the payer's page. `validation_url`: where the wallet says it is to be had; the
    /// adapter vets it. Moves nothing; the wallet gives a new session at each repeat, under the same idempotency key too.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it does not await its payer, or the wallet gives none;
    /// [`Error::IdempotencyMismatch`]; those of every command.
    pub async fn payer_session(
        &self,
        scope: Scope,
        id: TransactionId,
        validation_url: Option<String>,
        idem: Option<Idempotency>,
    ) -> Result<Vec<NamedAction>, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            inner.may_wait()?;
            let record = inner.own_transaction(scope, id).await?;
            inner.begun_before(idem.as_ref(), "payer session", id.0).await?;
            inner.wallet_session(record, validation_url).await
        })
        .await
    }

    /// What the original API shows of a transaction's payer actions: the answer fields of its code, in order.
    #[must_use]
    pub fn shown(&self, transaction: &Transaction) -> Vec<(String, String)> {
        let inner = self.inner();
        let Some(attempt) = transaction.attempts.last() else { return Vec::new() };
        let Status::AwaitingPayer { step: PayerStep::Actions(actions) } = &transaction.status else {
            return Vec::new();
        };
        let account = inner.directory.cached_account(attempt.account_id);
        let serving = inner.adapters.serving(&transaction.channel);
        let name = account.as_ref().map(|account| account.record.adapter.as_str()).or(serving.first().copied());
        let Some(adapter) = name.and_then(|name| inner.adapters.named(name)) else { return Vec::new() };
        adapter.shown(&transaction.channel, &attempt.number.to_string(), actions)
    }

    /// An operator vouches for what became of an attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] when the record contradicts it,
    /// [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn vouch(
        &self,
        id: TransactionId,
        vouched: Vouched,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        super::check_text("author", &vouched.author, 100)?;
        super::check_text("reason", &vouched.reason, REASON_MAX)?;
        if let VouchedOutcome::Paid { trade_number, .. } = &vouched.outcome {
            super::check_text("channel_trade_number", trade_number, TRADE_NUMBER_MAX)?;
        }
        self.decide(id, Input::Vouch(vouched), idem).await
    }

    /// An operator accepts money of another amount or currency as the payment.
    ///
    /// # Errors
    /// As [`Engine::vouch`].
    pub async fn accept_mismatch(
        &self,
        id: TransactionId,
        trade_number: &str,
        author: &str,
        reason: &str,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        super::check_text("channel_trade_number", trade_number, TRADE_NUMBER_MAX)?;
        super::check_text("author", author, 100)?;
        super::check_text("reason", reason, REASON_MAX)?;
        let (trade_number, author, reason) = (trade_number.to_owned(), author.to_owned(), reason.to_owned());
        self.decide(id, Input::AcceptMismatch { trade_number, author, reason }, idem).await
    }

    /// An operator accepts a late success: `payment.succeeded` is published if it was held.
    ///
    /// # Errors
    /// As [`Engine::vouch`].
    pub async fn accept_late(
        &self,
        id: TransactionId,
        author: &str,
        reason: &str,
        idem: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        super::check_text("author", author, 100)?;
        super::check_text("reason", reason, REASON_MAX)?;
        let (author, reason) = (author.to_owned(), reason.to_owned());
        self.decide(id, Input::AcceptLate { author, reason }, idem).await
    }

    async fn decide(
        &self,
        id: TransactionId,
        input: Input,
        idempotency: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        let inner = self.at_the_door(None, id).await?;
        let carried = Carried { idempotency, ..Carried::default() };
        self.detached_first(async move { inner.command(id, input, carried, None).await }).await
    }

    /// Sends a caller away while too many wait for a transaction already, before anything is done for him; a merchant
    /// only once it is his, so that nobody learns of another's by what is going on there. An operator has no scope.
    async fn at_the_door(&self, scope: Option<Scope>, id: TransactionId) -> Result<Arc<Inner>, Error> {
        let inner = Arc::clone(self.inner());
        if inner.doorkeeper.is_full(id.0) {
            if let Some(scope) = scope {
                inner.own_transaction(scope, id).await?;
            }
            inner.metrics.busy.add(1);
            return Err(Error::Busy);
        }
        Ok(inner)
    }
}

impl Inner {
    /// A transaction of that app and mode; whose one is that does not decode, nobody can say.
    pub(super) async fn own_transaction(&self, scope: Scope, id: TransactionId) -> Result<Transaction, Error> {
        let record = self.transaction_row(id).await?;
        if record.app_id != scope.app_id || record.mode != scope.mode {
            return Err(Error::NotFound("transaction"));
        }
        if self.set_aside.contains(&keys::transaction(id)) { Err(Error::SetAside) } else { Ok(record) }
    }

    /// A command to a transaction's actor, and the record after it.
    async fn command(
        &self,
        id: TransactionId,
        input: Input,
        carried: Carried,
        ticket: Option<Ticket>,
    ) -> Result<Transaction, Error> {
        match self.tell(id, What::Input(Box::new((input, carried))), ticket).await? {
            Settled::Now(record) => Ok(*record),
            Settled::Other(id) => self.transaction_row(id).await,
        }
    }

    /// A command, and then the record once the calls that follow from it have ended, or the wait is over.
    async fn ask_and_wait(
        &self,
        id: TransactionId,
        input: Input,
        carried: Carried,
        wait: Duration,
    ) -> Result<Transaction, Error> {
        let over = self.clock.sleep(self.patience(wait.min(WAIT_MAX)));
        let (ticket, ended) = Ticket::awaited();
        let record = self.command(id, input, carried, Some(ticket)).await?;
        futures_util::future::select(ended, over).await;
        Ok(self.newest(record).await.unwrap_or_else(identity))
    }

    /// Whether a payer action is past its time.
    fn is_stale(&self, record: &Transaction) -> bool {
        let now = self.clock.now().wall;
        let past = |action: &NamedAction| action.usable_until.is_some_and(|until| until <= now);
        match &record.status {
            Status::AwaitingPayer { step: PayerStep::Actions(actions) } => actions.iter().any(past),
            Status::AwaitingPayer { step: PayerStep::Lost }
            | Status::Created
            | Status::Submitting { .. }
            | Status::Closing
            | Status::Succeeded { .. }
            | Status::Failed { .. }
            | Status::Closed { .. } => false,
        }
    }

    /// The transaction with its payer actions renewed, where they are past their time and the channel allows it.
    pub(super) async fn renewed(&self, record: Transaction) -> Result<Transaction, Error> {
        if !self.is_stale(&record) {
            return Ok(record);
        }
        match self.ask_and_wait(record.id, Input::RenewActions, Carried::default(), RENEW_WAIT).await {
            Ok(renewed) => Ok(renewed),
            // A reader gets what there is.
            Err(Error::Conflict(_) | Error::Unsupported | Error::Busy) => Ok(record),
            Err(why) => Err(why),
        }
    }

    async fn authorize(
        self: &Arc<Self>,
        scope: Scope,
        id: TransactionId,
        request: Authorize,
        idempotency: Option<Idempotency>,
    ) -> Result<Transaction, Error> {
        let began = self.clock.now().monotonic;
        let record = self.own_transaction(scope, id).await?;
        if request.token.is_empty() || request.token.len() > TOKEN_BYTES_MAX {
            return Err(Error::field("token", format!("JSON of at most {TOKEN_BYTES_MAX} bytes")));
        }
        let attempt = order_of(&record)?;
        let account = account_of(self, attempt.account_id).await?;
        let rules = self.adapters.rules(&account.record.adapter, &record.channel);
        if !rules.is_some_and(|rules| rules.authorize) {
            return Err(Error::Unsupported);
        }
        let token = Arc::new(request.token);
        // A token held here was verified when it came first. A wallet's token grows old, and is answered like before all
        // the same.
        let (once_key, token_digest) = if let Some(held) = held_token(&record, &token) {
            held
        } else {
            let verified = self.verify(&record, attempt.clone(), &account, &token).await?;
            let row = keys::once(&account.record.adapter, record.mode, verified.once_key.as_bytes());
            let key = <[u8; 32]>::try_from(&*row.key);
            (key.map_err(|_| Error::Internal("a once-key has 32 bytes".into()))?, verified.digest)
        };
        let revision = account.record.revisions.last().map_or(attempt.revision, |revision| revision.number);
        let account_id = account.record.id;
        let input = Input::Authorize { once_key, token_digest, account_id, revision };
        let watcher = self.watchers.watch(id);
        let carried = Carried { idempotency, token: Some(token), ..Carried::default() };
        let charged = self.command(id, input, carried, None).await?;
        Ok(self.wait_while(charged, &watcher, began, request.wait.min(WAIT_MAX), is_submitting).await)
    }

    async fn verify(
        self: &Arc<Self>,
        record: &Transaction,
        attempt: Attempt,
        account: &Arc<crate::directory::LoadedAccount>,
        token: &Arc<Secret>,
    ) -> Result<VerifiedToken, Error> {
        let code = record.channel.clone();
        let call = Arc::new(Call::Query { code: code.clone() });
        let asked = Asked { call, number: attempt.number.to_string(), attempt, account: Arc::clone(account) };
        let (owner, token) = (Arc::clone(self), Arc::clone(token));
        let verified = calls::off_arbiter(self, move || {
            calls::with_context(&owner, &asked, |adapter, context| {
                adapter.verify_token(&code, &asked.attempt.intent, &token, context)
            })
        });
        verified.await.map_err(Error::Internal)?.map_err(Error::TokenRefused)
    }

    async fn wallet_session(
        self: &Arc<Self>,
        record: Transaction,
        validation_url: Option<String>,
    ) -> Result<Vec<NamedAction>, Error> {
        self.may_send()?;
        if !matches!(record.status, Status::AwaitingPayer { .. }) {
            return Err(Error::Conflict(format!("the transaction is {}", record.status.name())));
        }
        let attempt = order_of(&record)?.clone();
        let account = account_of(self, attempt.account_id).await?;
        let call = Arc::new(Call::PayerSession { code: record.channel.clone(), validation_url });
        let asked = Asked { call, number: attempt.number.to_string(), attempt, account };
        match calls::ask(self, &asked).await.answer.outcome {
            Outcome::AwaitingPayer(actions) => Ok(actions),
            Outcome::Unknown(why) | Outcome::NotExecuted(why) | Outcome::Declined(why) | Outcome::Held(why) => {
                Err(Error::Conflict(format!("there is no session: {why}")))
            }
            other @ (Outcome::Succeeded(_)
            | Outcome::Closed
            | Outcome::NotFound
            | Outcome::Unpaid
            | Outcome::AccountRefused(_)
            | Outcome::Processing
            | Outcome::PaidThenReturned { .. }) => {
                Err(Error::Conflict(format!("there is no session: {}", other.name())))
            }
        }
    }
}

/// The attempt that opened the order: the newest that is no charge by a token.
fn order_of(record: &Transaction) -> Result<&Attempt, Error> {
    let order = record.attempts.iter().rfind(|attempt| attempt.intent.token.is_none());
    order.ok_or_else(|| Error::Conflict("the transaction has no order".to_owned()))
}

/// Once-key and digest of this token where the transaction holds it already.
fn held_token(record: &Transaction, token: &Secret) -> Option<([u8; 32], [u8; 32])> {
    let digest: [u8; 32] = Sha256::digest(token.expose()).into();
    record.attempts.iter().filter_map(|attempt| attempt.intent.token).find(|(_, held)| *held == digest)
}
