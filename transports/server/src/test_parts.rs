//! What a test puts in the place of a part of the program, or around it. The program proper puts in nothing: no setting,
//! no argument and no variable of the environment leads here.

use std::path::Path;
use std::sync::Arc;

use maxpay_engine::channel::Adapter;
use maxpay_engine::store::Store;
use maxpay_engine::store::redb::{CrashPoints, Files};

/// Gives the files of the store in that folder.
pub type FilesAt = Arc<dyn Fn(&Path) -> Arc<dyn Files> + Send + Sync>;
/// Puts something around the store.
pub type StoreAround = Arc<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;
/// Puts something around an adapter.
pub type AdapterAround = Arc<dyn Fn(Arc<dyn Adapter>) -> Arc<dyn Adapter> + Send + Sync>;

/// What a test puts in.
#[derive(Clone, Default)]
pub struct TestParts {
    /// Hears of every named point of a commit.
    pub crash_points: Option<CrashPoints>,
    /// The store's files; `None`: those of its folder.
    pub files: Option<FilesAt>,
    /// Around the store.
    pub store: Option<StoreAround>,
    /// Around every adapter.
    pub adapter: Option<AdapterAround>,
}

impl TestParts {
    pub(crate) fn store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match &self.store {
            Some(around) => around(store),
            None => store,
        }
    }

    pub(crate) fn adapter(&self, adapter: Arc<dyn Adapter>) -> Arc<dyn Adapter> {
        match &self.adapter {
            Some(around) => around(adapter),
            None => adapter,
        }
    }
}
