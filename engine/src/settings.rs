//! What a host sets once, before the engine starts.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::api::SignRules;
use crate::machine::schedule::Schedule;
use crate::model::AccountId;
use crate::webhook::GuardPolicy;

/// What a host sets once.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Base of the notify addresses, without a slash at its end.
    pub public_url: String,
    /// How old request signs may be.
    pub sign_rules: SignRules,
    /// Where webhooks may go besides the public internet.
    pub guard: GuardPolicy,
    /// When webhooks are tried again.
    pub schedule: Schedule,
    /// For one webhook try, whole.
    pub webhook_deadline: Duration,
    /// Questions a second of one account.
    pub query_rate: NonZeroU32,
    /// How long shutting down waits when nobody says.
    pub drain_limit: Duration,
    /// Number of arbiter threads.
    pub arbiters: usize,
}

impl Settings {
    /// Where the provider of an account shall send its notifications.
    pub fn notify_url(&self, adapter: &str, account: AccountId) -> String {
        format!("{}/notify/{adapter}/{account}", self.public_url)
    }
}
