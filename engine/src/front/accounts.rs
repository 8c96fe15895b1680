//! Accounts: contracts with providers, in revisions of one identity.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::account_settings::{Parted, served_codes};
use super::{Claimed, Decided, check_optional_text};
use crate::api::{CreateAccount, CreatedAccount, Idempotency, Page, PageRequest, Scope, UpdateAccount};
use crate::channel::Adapter;
use crate::directory::{ACCOUNTS_OF_APP_MAX, open_secrets, secrets_text};
use crate::engine::Inner;
use crate::machine::AccountPause;
use crate::model::{Account, AccountId, AccountState, Mode, Revision};
use crate::secrets::Place;
use crate::store::{Batch, Scan, Seq, Table, keys};
use crate::{Engine, Error, query};

const LABEL_MAX: usize = 100;
const WEIGHT_MAX: u32 = 1_000_000;
const REVISIONS_MAX: usize = 100;
/// Characters that are kept of why an account is paused.
const REASON_MAX: usize = 300;

impl Engine {
    /// Makes an account in the mode of `scope`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every wrong field, settings included; [`Error::LimitReached`] at 256 accounts of an app
    /// and mode; [`Error::IdempotencyMismatch`], and those of every command.
    pub async fn create_account(
        &self,
        scope: Scope,
        request: CreateAccount,
        idem: Option<Idempotency>,
    ) -> Result<CreatedAccount, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_account(scope, &request, idem.as_ref())).await }).await
    }

    /// An account.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one of another app or mode, and those of every read.
    pub async fn account(&self, scope: Scope, id: AccountId) -> Result<Account, Error> {
        self.inner().account_row(Some(scope), id).await.map(|(account, _)| account)
    }

    /// Accounts, disabled ones included.
    ///
    /// # Errors
    /// Those of every read.
    pub async fn accounts(&self, scope: Scope, page: PageRequest) -> Result<Page<Account>, Error> {
        self.inner().reader.list(Some(scope.app_id), move |store| query::accounts(store, scope, page)).await?
    }

    /// Changes an account. Settings make a new revision, and end a pause.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] when the settings name another contract;
    /// [`Error::LimitReached`] at 100 revisions, and those of every command.
    pub async fn update_account(&self, scope: Scope, id: AccountId, request: UpdateAccount) -> Result<Account, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move { inner.settle(|| inner.decide_account_update(scope, id, &request)).await }).await
    }

    /// Disables an account: it takes no more creates, and what is under way goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every command.
    pub async fn disable_account(&self, scope: Scope, id: AccountId) -> Result<Account, Error> {
        let inner = Arc::clone(self.inner());
        self.detached(async move {
            inner.settle(|| inner.decide_account_state(Some(scope), id, AccountState::Disabled, None)).await
        })
        .await
    }

    /// Ends the pause of an account: the operator says that the provider takes it again. Nothing happens to one that is
    /// not paused.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] when it is disabled; [`Error::IdempotencyMismatch`];
    /// those of every command.
    pub async fn resume_account(
        &self,
        id: AccountId,
        author: &str,
        idem: Option<Idempotency>,
    ) -> Result<Account, Error> {
        super::check_text("author", author, LABEL_MAX)?;
        let (inner, author) = (Arc::clone(self.inner()), author.to_owned());
        self.detached_first(async move {
            let decide = || inner.decide_account_state(None, id, AccountState::Active, idem.as_ref());
            let account = inner.settle(decide).await?;
            tracing::info!(account = %id, author, "an operator resumed the account");
            Ok(account)
        })
        .await
    }
}

impl Inner {
    /// An account as it stands in the store; of any app when no scope is given.
    async fn account_row(&self, scope: Option<Scope>, id: AccountId) -> Result<(Account, Seq), Error> {
        let (account, seen) = self.reader.record::<Account>(keys::account(id)).await?;
        let own = |account: &Account| scope.is_none_or(|it| it.app_id == account.app_id && it.mode == account.mode);
        Ok((account.filter(own).ok_or(Error::NotFound("account"))?, seen))
    }

    /// Adds to `batch` that the account is paused because its provider refuses it. Nothing is added when it is paused
    /// or disabled already.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of every read.
    pub(crate) async fn pause_account(&self, batch: &mut Batch, pause: &AccountPause) -> Result<(), Error> {
        let id = pause.account_id;
        let (before, seen) = self.account_row(None, id).await?;
        // An answer to what older settings signed says nothing about an account that was repaired meanwhile.
        let newest = before.revisions.last().is_some_and(|newest| newest.number == pause.revision);
        if newest && before.state == AccountState::Active {
            let mut account = before.clone();
            let reason = pause.reason.chars().take(REASON_MAX).collect();
            account.state = AccountState::Paused { reason, since: self.clock.now().wall };
            account.version += 1;
            batch.watch(keys::account(id), seen).put_account(Some(&before), &account);
        }
        Ok(())
    }

    fn adapter_for(&self, name: &str, mode: Mode) -> Result<&Arc<dyn Adapter>, Error> {
        let adapter = self.adapters.named(name);
        let adapter = adapter.ok_or_else(|| Error::field("adapter", format!("there is no adapter {name}")))?;
        if mode == Mode::Live && adapter.manifest().test_mode_only {
            return Err(Error::field("adapter", format!("{name} is for test mode only")));
        }
        Ok(adapter)
    }

    async fn decide_account(
        &self,
        scope: Scope,
        request: &CreateAccount,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<CreatedAccount>, Error> {
        let claim = match self.claim(idem).await? {
            Claimed::Before(id) => {
                let (account, _) = self.account_row(Some(scope), AccountId(id)).await?;
                return Ok(Decided::Already(CreatedAccount { account, first: false }));
            }
            Claimed::New(claim) => claim,
        };
        let adapter = self.adapter_for(&request.adapter, scope.mode)?;
        check_label(&request.label)?;
        check_weight(request.weight)?;
        let codes = served_codes(adapter.manifest(), &request.codes)?;
        let mut parted = Parted::default();
        parted.change(adapter.manifest(), &request.settings)?;
        let id = self.ids.next();
        let revision = self.revision(adapter.as_ref(), scope.mode, id, 1, &parted)?;
        let now = self.clock.now().wall;
        let account = Account {
            id,
            app_id: scope.app_id,
            mode: scope.mode,
            version: 1,
            adapter: request.adapter.clone(),
            codes,
            label: request.label.clone(),
            priority: request.priority,
            weight: request.weight,
            state: AccountState::Active,
            revisions: vec![revision],
            created_at: now,
        };
        let mut batch = Batch::default();
        self.take_turn(&mut batch, "accounts", scope).await?;
        let prefix = keys::owner_prefix(scope.app_id, scope.mode);
        let scan = Scan::prefix(Table::AccountByApp, &prefix, ACCOUNTS_OF_APP_MAX);
        let rows = self.reader.run(move |store| store.scan(&scan)).await??;
        if rows.rows.len() >= ACCOUNTS_OF_APP_MAX {
            return Err(Error::LimitReached(format!("an app has at most {ACCOUNTS_OF_APP_MAX} accounts a mode")));
        }
        batch.put_account(None, &account);
        claim.join(&mut batch, "account", id.0, now);
        Ok(Decided::Write(batch, CreatedAccount { account, first: true }))
    }

    async fn decide_account_update(
        &self,
        scope: Scope,
        id: AccountId,
        request: &UpdateAccount,
    ) -> Result<Decided<Account>, Error> {
        let (before, seen) = self.account_row(Some(scope), id).await?;
        let mut account = before.clone();
        let adapter = self.adapter_for(&account.adapter, account.mode)?;
        if let Some(codes) = &request.codes {
            account.codes = served_codes(adapter.manifest(), codes)?;
        }
        if let Some(label) = &request.label {
            check_label(label)?;
            account.label.clone_from(label);
        }
        account.priority = request.priority.unwrap_or(account.priority);
        account.weight = request.weight.unwrap_or(account.weight);
        check_weight(account.weight)?;
        if let Some(given) = &request.settings {
            self.add_revision(adapter.as_ref(), &mut account, given)?;
            if let AccountState::Paused { .. } = account.state {
                account.state = AccountState::Active;
            }
        }
        if account == before {
            return Ok(Decided::Already(account));
        }
        account.version += 1;
        let mut batch = Batch::default();
        batch.watch(keys::account(id), seen).put_account(Some(&before), &account);
        Ok(Decided::Write(batch, account))
    }

    /// Adds the newest revision changed by `given`.
    fn add_revision(
        &self,
        adapter: &dyn Adapter,
        account: &mut Account,
        given: &crate::api::AccountSettings,
    ) -> Result<(), Error> {
        if account.revisions.len() >= REVISIONS_MAX {
            return Err(Error::LimitReached(format!("an account has at most {REVISIONS_MAX} revisions")));
        }
        let newest =
            account.revisions.last().ok_or_else(|| Error::Internal("an account has no revision".to_owned()))?;
        let settings: Map<String, Value> = serde_json::from_str(&newest.settings)
            .map_err(|_| Error::Internal(format!("the settings of account {} are not JSON", account.id)))?;
        let secrets = open_secrets(&self.sealer, account.id, newest.number, &newest.secrets)?;
        let mut parted = Parted::from_kept(adapter.manifest(), settings, secrets);
        parted.change(adapter.manifest(), given)?;
        let revision = self.revision(adapter, account.mode, account.id, newest.number + 1, &parted)?;
        if revision.identity != newest.identity {
            return Err(Error::Conflict(
                "these settings name another contract: make another account of them".to_owned(),
            ));
        }
        account.revisions.push(revision);
        Ok(())
    }

    fn revision(
        &self,
        adapter: &dyn Adapter,
        mode: Mode,
        id: AccountId,
        number: u32,
        parted: &Parted,
    ) -> Result<Revision, Error> {
        let identity = parted.validate(adapter, mode, self.clock.now().wall)?;
        let place = Place::account_secrets(id, number);
        Ok(Revision {
            number,
            settings: parted.text(&self.settings.notify_url(adapter.manifest().adapter, id)),
            secrets: self.sealer.seal(place.context(), &secrets_text(&parted.secrets), self.entropy.as_ref()),
            identity,
            saved_at: self.clock.now().wall,
        })
    }

    async fn decide_account_state(
        &self,
        scope: Option<Scope>,
        id: AccountId,
        state: AccountState,
        idem: Option<&Idempotency>,
    ) -> Result<Decided<Account>, Error> {
        let (before, seen) = self.account_row(scope, id).await?;
        let Some(claim) = self.claim(idem).await?.about(id.0)? else { return Ok(Decided::Already(before)) };
        let now = self.clock.now().wall;
        if before.state == AccountState::Disabled && state != AccountState::Disabled {
            return Err(Error::Conflict("the account is disabled".to_owned()));
        }
        if before.state == state {
            return Ok(claim.alone("account", id.0, now, before));
        }
        let account = Account { state, version: before.version + 1, ..before.clone() };
        let mut batch = Batch::default();
        batch.watch(keys::account(id), seen).put_account(Some(&before), &account);
        claim.join(&mut batch, "account", id.0, now);
        Ok(Decided::Write(batch, account))
    }
}

pub(super) fn check_label(label: &str) -> Result<(), Error> {
    check_optional_text("label", label, LABEL_MAX)
}

pub(super) fn check_weight(weight: u32) -> Result<(), Error> {
    if (1..=WEIGHT_MAX).contains(&weight) { Ok(()) } else { Err(Error::field("weight", format!("1 to {WEIGHT_MAX}"))) }
}
