//! An account as an adapter sees it.

use std::collections::BTreeMap;

use crate::model::{AccountId, Mode};
use crate::secrets::Secret;

/// A setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct FieldError {
    /// Name of the setting.
    pub field: String,
    /// What is wrong with it, and what would be right. No secrets.
    pub why: String,
}

/// The secret settings of one revision, by name.
#[derive(Default)]
pub struct SecretSettings(pub BTreeMap<String, Secret>);

impl SecretSettings {
    /// The secret of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }
}

/// An account as an adapter sees it.
pub struct AccountView<'a> {
    /// Its id.
    pub id: AccountId,
    /// Its mode.
    pub mode: Mode,
    /// Settings of the attempt's revision that are no secrets: identity and wording.
    pub settings: &'a serde_json::Map<String, serde_json::Value>,
    /// Secrets of every revision, newest first; signing uses the first, verifying tries all. Never empty.
    pub secrets: &'a [SecretSettings],
    /// Where the provider shall send its notifications.
    pub notify_url: &'a str,
}

impl<'a> AccountView<'a> {
    /// The text setting of that name; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.settings.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    /// The secrets of that name of every revision that has one, newest first.
    pub fn secrets_named(&self, name: &str) -> impl Iterator<Item = &'a Secret> {
        self.secrets.iter().filter_map(move |revision| revision.named(name))
    }
}

/// Something downloaded for an account, opaque to the engine: a platform certificate, for instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The adapter's name for it; a newer one of the same name replaces it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
