//! The directory: apps, accounts and bearer keys as they are used, parsed and opened, kept fresh by the store's
//! commits.
//!
//! It only reads. What it answers is as new as the commit before the question; it holds a bounded number of entries,
//! and what it does not hold it loads off the caller's thread.

mod cache;
mod loaded;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::actors::reader::Reader;
use crate::api::Scope;
use crate::model::{Account, AccountId, AccountState, App, AppId, ChannelCode, KeyOwner, Mode, RawId};
use crate::secrets::Sealer;
use crate::store::records::read_record;
use crate::store::{CommitListener, Put, Scan, Seq, Store, StoreError, Table, keys, notes};

use cache::Recent;
pub(crate) use loaded::{
    LoadedAccount, LoadedApp, LoadedKey, NOTIFY_URL, material_note, open_secrets, opened, secrets_text,
};

/// Apps held at most, and as many account lists.
const APPS_MAX: usize = 2_048;
/// Accounts held at most.
const ACCOUNTS_MAX: usize = 4_096;
/// Bearer keys held at most.
const KEYS_MAX: usize = 8_192;
/// Accounts of one app and mode at most; creating more is refused.
pub(crate) const ACCOUNTS_OF_APP_MAX: usize = 256;

/// Apps, accounts and bearer keys as they are used.
pub(crate) struct Directory {
    reader: Reader,
    sealer: Arc<Sealer>,
    kept: Arc<Kept>,
    /// Turns to load: by id, so that one record is loaded once, however many ask for it at the same time.
    turns: Vec<tokio::sync::Mutex<()>>,
}

/// What is held. It hears of the store's commits, and does not hold the store: the store's own thread may be the last
/// to let go of it.
pub(crate) struct Kept(Mutex<Cache>);

struct Cache {
    /// The newest commit that changed anything of what may be held here. What was read before it is not kept.
    changed: Seq,
    apps: Recent<AppId, Arc<LoadedApp>>,
    accounts: Recent<AccountId, Arc<LoadedAccount>>,
    lists: Recent<Scope, Arc<[AccountId]>>,
    keys: Recent<[u8; 32], KeyOwner>,
}

impl Directory {
    /// An empty directory. What it keeps has to listen to the commits of the store that `reader` reads.
    pub(crate) fn new(reader: Reader, sealer: Arc<Sealer>) -> Self {
        let cache = Cache {
            changed: Seq(0),
            apps: Recent::new(APPS_MAX / 2),
            accounts: Recent::new(ACCOUNTS_MAX / 2),
            lists: Recent::new(APPS_MAX / 2),
            keys: Recent::new(KEYS_MAX / 2),
        };
        // As many as there are logical shards of ids.
        let turns = (0..64).map(|_| tokio::sync::Mutex::new(())).collect();
        Self { reader, sealer, kept: Arc::new(Kept(Mutex::new(cache))), turns }
    }

    /// What has to listen to the commits of the store.
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// An app. `None`: there is none.
    ///
    /// # Errors
    /// The store cannot answer, or the record does not open.
    pub(crate) async fn app(&self, id: AppId) -> Result<Option<Arc<LoadedApp>>, Error> {
        if let Some(held) = self.cache().apps.find(&id) {
            return Ok(Some(held));
        }
        let _turn = self.turn(id.0).await;
        if let Some(held) = self.cache().apps.find(&id) {
            return Ok(Some(held));
        }
        let sealer = Arc::clone(&self.sealer);
        let load = move |store: &dyn Store| load_app(store, &sealer, id);
        let (loaded, seen) = self.reader.run(load).await??;
        if let Some(loaded) = &loaded {
            self.keep(seen, |cache| cache.apps.insert(id, Arc::clone(loaded)));
        }
        Ok(loaded)
    }

    /// An account. `None`: there is none.
    ///
    /// # Errors
    /// As [`Directory::app`].
    pub(crate) async fn account(&self, id: AccountId) -> Result<Option<Arc<LoadedAccount>>, Error> {
        if let Some(held) = self.cached_account(id) {
            return Ok(Some(held));
        }
        let _turn = self.turn(id.0).await;
        if let Some(held) = self.cached_account(id) {
            return Ok(Some(held));
        }
        let sealer = Arc::clone(&self.sealer);
        let load = move |store: &dyn Store| load_account(store, &sealer, id);
        let Some((loaded, seen)) = self.reader.run(load).await?? else { return Ok(None) };
        self.keep(seen, |cache| cache.accounts.insert(id, Arc::clone(&loaded)));
        Ok(Some(loaded))
    }

    /// An account, when it is held: for callers that must not wait.
    pub(crate) fn cached_account(&self, id: AccountId) -> Option<Arc<LoadedAccount>> {
        self.cache().accounts.find(&id)
    }

    /// The accounts of `scope` that serve `code` and are not disabled, those of higher priority first, then the older
    /// first. Paused ones are among them: whoever asks looks at the state. One that does not open is left out.
    ///
    /// # Errors
    /// The store cannot answer or is busy; [`Error::CertificateUnusable`] when there are such accounts and the secrets
    /// of none open.
    pub(crate) async fn accounts_for(
        &self,
        scope: Scope,
        code: &ChannelCode,
    ) -> Result<Vec<Arc<LoadedAccount>>, Error> {
        let (mut serving, mut sealed) = (Vec::new(), Vec::new());
        for id in self.accounts_of(scope).await?.iter() {
            match self.account(*id).await {
                Ok(Some(account)) => serving.push(account),
                Ok(None) => {}
                // These say nothing about the account.
                Err(why @ (Error::StoreUnavailable(_) | Error::Busy | Error::ShuttingDown)) => return Err(why),
                Err(why) => {
                    tracing::error!(account = %id, %why, "an account does not open and is left out");
                    sealed.extend(Some(*id).filter(|_| matches!(why, Error::CertificateUnusable(_))));
                }
            }
        }
        let serves = |record: &Account| record.codes.contains(code) && record.state != AccountState::Disabled;
        serving.retain(|account| serves(&account.record));
        if serving.is_empty() {
            for id in sealed {
                // A record that does not decode says nothing of what it serves.
                if let Ok((Some(record), _)) = self.reader.record::<Account>(keys::account(id)).await
                    && serves(&record)
                {
                    return Err(Error::CertificateUnusable(format!("the account for channel {code}")));
                }
            }
        }
        serving.sort_by_key(|account| (std::cmp::Reverse(account.record.priority), account.record.id));
        Ok(serving)
    }

    /// To whom the bearer key of that lookup digest belongs.
    ///
    /// # Errors
    /// The store cannot answer.
    pub(crate) async fn key_owner(&self, digest: [u8; 32]) -> Result<Option<KeyOwner>, Error> {
        if let Some(held) = self.cache().keys.find(&digest) {
            return Ok(Some(held));
        }
        let (owner, seen) = self.reader.record::<KeyOwner>(keys::key_digest(&digest)).await?;
        if let Some(owner) = owner {
            self.keep(seen, |cache| cache.keys.insert(digest, owner));
        }
        Ok(owner)
    }

    async fn accounts_of(&self, scope: Scope) -> Result<Arc<[AccountId]>, Error> {
        if let Some(held) = self.cache().lists.find(&scope) {
            return Ok(held);
        }
        let scan =
            Scan::prefix(Table::AccountByApp, &keys::owner_prefix(scope.app_id, scope.mode), ACCOUNTS_OF_APP_MAX);
        let rows = self.reader.run(move |store| store.scan(&scan)).await??;
        let list: Arc<[AccountId]> = rows.rows.iter().filter_map(|(key, _)| keys::last_id(key)).collect();
        self.keep(rows.seen, |cache| cache.lists.insert(scope, Arc::clone(&list)));
        Ok(list)
    }

    /// Keeps what was read as of `seen`, unless something has changed since.
    fn keep(&self, seen: Seq, insert: impl FnOnce(&mut Cache)) {
        let mut cache = self.cache();
        if seen >= cache.changed {
            insert(&mut cache);
        }
    }

    async fn turn(&self, id: RawId) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns[usize::from(id.shard())].lock().await
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.kept.cache()
    }
}

/// An app, read and opened, as [`load_account`].
fn load_app(store: &dyn Store, sealer: &Sealer, id: AppId) -> Result<(Option<Arc<LoadedApp>>, Seq), Error> {
    let (record, seen) = readable(read_record::<App>(store, &keys::app(id)))?;
    let loaded = record.map(|record| LoadedApp::open(record, sealer)).transpose()?;
    Ok((loaded.map(Arc::new), seen))
}

/// An account, read and opened. This may block, and decrypts: not on an arbiter.
fn load_account(store: &dyn Store, sealer: &Sealer, id: AccountId) -> Result<Option<(Arc<LoadedAccount>, Seq)>, Error> {
    let (record, seen) = readable(read_record::<Account>(store, &keys::account(id)))?;
    let Some(record) = record else { return Ok(None) };
    let (note, seen_material) = readable(read_record::<notes::Material>(store, &keys::material(id)))?;
    let loaded = Arc::new(LoadedAccount::open(record, note.as_ref(), sealer)?);
    Ok(Some((loaded, seen.min(seen_material))))
}

/// What was read. A row that does not decode is a defect of that row alone: it sets aside nothing that asks for it.
fn readable<T>(read: Result<T, StoreError>) -> Result<T, Error> {
    read.map_err(|why| match why {
        StoreError::Row { .. } => Error::Internal(why.to_string()),
        StoreError::InUse(_) | StoreError::Damaged(_) | StoreError::Unavailable(_) => why.into(),
    })
}

impl Kept {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        // No panic leaves the maps half-changed in a way that matters: an entry is there or not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitListener for Kept {
    fn committed(&self, seq: Seq, puts: &[Put]) {
        for put in puts {
            match put.key.table {
                Table::App | Table::Account | Table::Material | Table::AccountByApp | Table::KeyDigest => {
                    self.cache().forget(seq, put.key.table, &put.key.key);
                }
                Table::Transaction
                | Table::TransactionByApp
                | Table::TransactionByBill
                | Table::Bill
                | Table::Transition
                | Table::Evidence
                | Table::Event
                | Table::Subscription
                | Table::SubscriptionByApp
                | Table::Delivery
                | Table::DeliveryBySubscription
                | Table::DeliveryByApp
                | Table::Due
                | Table::Once
                | Table::Idempotency
                | Table::Inbox
                | Table::SetAside
                | Table::Alarm
                | Table::Meta
                | Table::Refund => {}
            }
        }
    }
}

impl Cache {
    /// Forgets what stood under `key` before the commit `seq`.
    fn forget(&mut self, seq: Seq, table: Table, key: &[u8]) {
        self.changed = seq;
        if let (Table::KeyDigest, Ok(digest)) = (table, <[u8; 32]>::try_from(key)) {
            self.keys.remove(&digest);
        } else if let (Table::AccountByApp, Some(scope)) = (table, scope_of(key)) {
            self.lists.remove(&scope);
        } else if let (Table::App, Some(id)) = (table, keys::last_id(key)) {
            self.apps.remove(&id);
        } else if let Some(id) = keys::last_id(key) {
            self.accounts.remove(&id);
        }
    }
}

/// Whose row of an index by app it is.
fn scope_of(key: &[u8]) -> Option<Scope> {
    let (app, rest) = key.split_first_chunk::<{ RawId::LEN }>()?;
    let mode = [Mode::Test, Mode::Live].into_iter().find(|mode| rest.first() == Some(&mode.byte()))?;
    Some(Scope { app_id: AppId(RawId(*app)), mode })
}
