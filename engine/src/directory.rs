//! The directory: apps, accounts and bearer keys as they are used, parsed and opened, kept fresh by the store's
//! commits.
//!
//! It only reads. What it answers is as new as the commit before the question; it holds a bounded number of entries,
//! and what it does not hold it loads off the caller's thread.

mod cache;
mod loaded;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use crate::api::Scope;
use crate::model::ChannelCode;
use crate::error::Error;
use crate::front::{store_error, unavailable_task};
use crate::model::{Account, AccountId, AccountState, App, AppId, KeyOwner, Mode, RawId};
use crate::secrets::Sealer;
use crate::store::records::{peek_record, read_record};
use crate::store::{CommitListener, Put, RowKey, Scan, Seq, Store, Table, codec, keys, notes};

use cache::Recent;
pub(crate) use loaded::{
    LoadedAccount, LoadedApp, LoadedRevision, NOTIFY_URL, material_note, open_secrets, opened, secrets_text,
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
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    runtime: Handle,
    cache: Mutex<Cache>,
}

struct Cache {
    /// The newest commit that changed anything of what may be held here. What was read before it is not kept.
    changed: Seq,
    apps: Recent<AppId, Arc<LoadedApp>>,
    accounts: Recent<AccountId, Arc<LoadedAccount>>,
    lists: Recent<Scope, Arc<[AccountId]>>,
    keys: Recent<[u8; 32], KeyOwner>,
}

impl Directory {
    /// A directory of what `store` holds; loads on the blocking threads of `runtime`. It has to listen to the store's
    /// commits: [`Directory::open`] sees to that.
    pub(crate) fn open(store: Arc<dyn Store>, sealer: Arc<Sealer>, runtime: Handle) -> Arc<Self> {
        let cache = Cache {
            changed: Seq(0),
            apps: Recent::new(APPS_MAX / 2),
            accounts: Recent::new(ACCOUNTS_MAX / 2),
            lists: Recent::new(APPS_MAX / 2),
            keys: Recent::new(KEYS_MAX / 2),
        };
        let directory = Arc::new(Self { store: Arc::clone(&store), sealer, runtime, cache: Mutex::new(cache) });
        store.listen(Arc::clone(&directory) as Arc<dyn CommitListener>);
        directory
    }

    /// An app. `None`: there is none.
    ///
    /// # Errors
    /// The store cannot answer, or the record does not open.
    pub(crate) async fn app(&self, id: AppId) -> Result<Option<Arc<LoadedApp>>, Error> {
        if let Some(held) = self.cache().apps.find(&id) {
            return Ok(Some(held));
        }
        let (record, seen) = self.read::<App>(keys::app(id)).await?;
        let Some(record) = record else { return Ok(None) };
        let loaded = Arc::new(LoadedApp::open(record, &self.sealer)?);
        self.keep(seen, |cache| cache.apps.insert(id, Arc::clone(&loaded)));
        Ok(Some(loaded))
    }

    /// An account. `None`: there is none.
    ///
    /// # Errors
    /// As [`Directory::app`].
    pub(crate) async fn account(&self, id: AccountId) -> Result<Option<Arc<LoadedAccount>>, Error> {
        if let Some(held) = self.cached_account(id) {
            return Ok(Some(held));
        }
        let (record, seen) = self.read::<Account>(keys::account(id)).await?;
        let Some(record) = record else { return Ok(None) };
        let (note, seen_material) = self.read::<notes::Material>(keys::material(id)).await?;
        let material = note.map(|note| loaded::material_of(id, &note)).unwrap_or_default();
        let loaded = Arc::new(LoadedAccount::open(record, material, &self.sealer)?);
        self.keep(seen.min(seen_material), |cache| cache.accounts.insert(id, Arc::clone(&loaded)));
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
    /// The store cannot answer.
    pub(crate) async fn accounts_for(
        &self,
        scope: Scope,
        code: &ChannelCode,
    ) -> Result<Vec<Arc<LoadedAccount>>, Error> {
        let mut serving = Vec::new();
        for id in self.accounts_of(scope).await?.iter() {
            match self.account(*id).await {
                Ok(Some(account)) => serving.push(account),
                Ok(None) => {}
                Err(Error::StoreUnavailable(why)) => return Err(Error::StoreUnavailable(why)),
                Err(why) => tracing::error!(account = %id, %why, "an account does not open and is left out"),
            }
        }
        serving.retain(|account| account.record.codes.contains(code) && account.record.state != AccountState::Disabled);
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
        let (owner, seen) = self.read::<KeyOwner>(keys::key_digest(&digest)).await?;
        if let Some(owner) = owner {
            self.keep(seen, |cache| cache.keys.insert(digest, owner));
        }
        Ok(owner)
    }

    async fn accounts_of(&self, scope: Scope) -> Result<Arc<[AccountId]>, Error> {
        if let Some(held) = self.cache().lists.find(&scope) {
            return Ok(held);
        }
        let store = Arc::clone(&self.store);
        let prefix = keys::owner_prefix(scope.app_id, scope.mode);
        let scan = Scan::prefix(Table::AccountByApp, &prefix, ACCOUNTS_OF_APP_MAX);
        let rows = self.runtime.spawn_blocking(move || store.scan(&scan)).await.map_err(unavailable_task)?;
        let rows = rows.map_err(store_error)?;
        let list: Arc<[AccountId]> = rows.rows.iter().filter_map(|(key, _)| keys::last_id(key)).collect();
        self.keep(rows.seen, |cache| cache.lists.insert(scope, Arc::clone(&list)));
        Ok(list)
    }

    async fn read<T: codec::Record + Send + 'static>(&self, key: RowKey) -> Result<(Option<T>, Seq), Error> {
        if let Some(read) = peek_record(&*self.store, &key) {
            return read.map_err(store_error);
        }
        let store = Arc::clone(&self.store);
        let read = self.runtime.spawn_blocking(move || read_record(&*store, &key)).await;
        read.map_err(unavailable_task)?.map_err(store_error)
    }

    /// Keeps what was read as of `seen`, unless something has changed since.
    fn keep(&self, seen: Seq, insert: impl FnOnce(&mut Cache)) {
        let mut cache = self.cache();
        if seen >= cache.changed {
            insert(&mut cache);
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // No panic leaves the maps half-changed in a way that matters: an entry is there or not.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommitListener for Directory {
    fn committed(&self, seq: Seq, puts: &[Put]) {
        for put in puts {
            let key = &put.key.key;
            let mut forget = |forget: &dyn Fn(&mut Cache)| {
                let mut cache = self.cache();
                cache.changed = seq;
                forget(&mut cache);
            };
            match put.key.table {
                Table::App => forget(&|cache| drop(keys::last_id(key).map(|id| cache.apps.remove(&id)))),
                Table::Account | Table::Material => {
                    forget(&|cache| drop(keys::last_id(key).map(|id| cache.accounts.remove(&id))));
                }
                Table::AccountByApp => forget(&|cache| drop(scope_of(key).map(|scope| cache.lists.remove(&scope)))),
                Table::KeyDigest => {
                    forget(&|cache| drop(<[u8; 32]>::try_from(&**key).map(|digest| cache.keys.remove(&digest))));
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

/// Whose row of an index by app it is.
fn scope_of(key: &[u8]) -> Option<Scope> {
    let (app, rest) = key.split_first_chunk::<{ RawId::LEN }>()?;
    let mode = [Mode::Test, Mode::Live].into_iter().find(|mode| rest.first() == Some(&mode.byte()))?;
    Some(Scope { app_id: AppId(RawId(*app)), mode })
}
