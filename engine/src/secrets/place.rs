//! Where secrets stand in records: the one list of places, so that whoever seals and whoever opens agree.

use super::SealContext;
use crate::model::{AccountId, AppId, KeyId, SubscriptionId};

/// A place in a record where a sealed value stands. On disk: a place never changes its name or parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    purpose: &'static str,
    record: Vec<u8>,
}

impl Place {
    /// A key or session token of an app.
    #[must_use]
    pub fn app_key(app: AppId, key: KeyId) -> Self {
        Self { purpose: "app key", record: [app.bytes().as_slice(), key.bytes()].concat() }
    }

    /// The secret settings of one revision of an account: JSON text.
    #[must_use]
    pub fn account_secrets(account: AccountId, revision: u32) -> Self {
        Self { purpose: "account secrets", record: [account.bytes().as_slice(), &revision.to_be_bytes()].concat() }
    }

    /// The signing secret of a subscription.
    #[must_use]
    pub fn subscription_secret(subscription: SubscriptionId) -> Self {
        Self { purpose: "subscription secret", record: subscription.bytes().to_vec() }
    }

    /// The value of the header of that name of a subscription.
    #[must_use]
    pub fn subscription_header(subscription: SubscriptionId, name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        Self { purpose: "subscription header", record: [subscription.bytes().as_slice(), name.as_bytes()].concat() }
    }

    /// The place as the sealer takes it.
    #[must_use]
    pub fn context(&self) -> SealContext<'_> {
        SealContext { purpose: self.purpose, record: &self.record }
    }
}
