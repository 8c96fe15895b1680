//! Apps and accounts as they are used: parsed, and with their secrets opened.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Error;
use crate::channel::{AccountView, Material, SecretSettings};
use crate::model::{Account, AccountId, App, KeyId, KeyKind, Mode, Sealed, Timestamp};
use crate::secrets::{Place, Sealer, Secret};
use crate::store::{codec, notes};

/// The setting under which a revision pins the notify address it was saved with, unless the adapter has a setting of
/// that name itself.
pub(crate) const NOTIFY_URL: &str = "notify_url";

/// An app with its keys opened.
pub(crate) struct LoadedApp {
    /// The record.
    pub(crate) record: App,
    /// The keys that are not revoked, in the order of the record.
    pub(crate) keys: Vec<LoadedKey>,
}

/// A key that is not revoked, opened.
pub(crate) struct LoadedKey {
    /// Which one.
    pub(crate) id: KeyId,
    /// What it may do.
    pub(crate) kind: KeyKind,
    /// Which world it opens.
    pub(crate) mode: Mode,
    /// From when on it is refused.
    pub(crate) expires_at: Option<Timestamp>,
    /// The key itself.
    pub(crate) secret: Secret,
}

impl LoadedApp {
    /// Opens the keys of `record`.
    pub(super) fn open(record: App, sealer: &Sealer) -> Result<Self, Error> {
        let live = record.keys.iter().filter(|key| key.revoked_at.is_none());
        let keys = live
            .map(|key| {
                let secret = opened(sealer, &Place::app_key(record.id, key.id), &key.secret)?;
                Ok(LoadedKey { id: key.id, kind: key.kind, mode: key.mode, expires_at: key.expires_at, secret })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { record, keys })
    }

    /// The key of that id, unless it is revoked.
    pub(crate) fn key(&self, id: KeyId) -> Option<&LoadedKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The master key of `mode` that webhook bodies are signed with: the oldest one, so that the next one can be handed to
    /// the receivers before it signs, which it does once this one is revoked.
    pub(crate) fn master_key(&self, mode: Mode) -> Option<&Secret> {
        let key = self.keys.iter().find(|key| key.kind == KeyKind::Master && key.mode == mode);
        key.map(|key| &key.secret)
    }
}

/// An account with its settings parsed and its secrets opened.
pub(crate) struct LoadedAccount {
    /// The record.
    pub(crate) record: Account,
    /// Settings that are no secrets, newest revision first. Never empty.
    pub(crate) revisions: Vec<LoadedRevision>,
    /// Secrets, newest revision first: as many as revisions.
    pub(crate) secrets: Vec<SecretSettings>,
    /// What was downloaded for it, newest first.
    pub(crate) material: Vec<Material>,
    /// When it was fetched last.
    pub(crate) fetched_at: Option<Timestamp>,
}

/// The settings of one revision.
pub(crate) struct LoadedRevision {
    /// Its number.
    pub(crate) number: u32,
    /// Its settings that are no secrets.
    pub(crate) settings: Map<String, Value>,
    /// Where the provider was told to send its notifications.
    pub(crate) notify_url: String,
}

impl LoadedAccount {
    /// Parses and opens `record`.
    pub(super) fn open(record: Account, note: Option<&notes::Material>, sealer: &Sealer) -> Result<Self, Error> {
        let (mut revisions, mut secrets) = (Vec::new(), Vec::new());
        for revision in record.revisions.iter().rev() {
            let settings = parsed(record.id, &revision.settings)?;
            let notify_url = settings.get(NOTIFY_URL).and_then(Value::as_str).unwrap_or_default().to_owned();
            revisions.push(LoadedRevision { number: revision.number, settings, notify_url });
            secrets.push(open_secrets(sealer, record.id, revision.number, &revision.secrets)?);
        }
        if revisions.is_empty() {
            return Err(Error::Internal(format!("account {} has no revision", record.id)));
        }
        let material = note.map(|note| material_of(record.id, note)).unwrap_or_default();
        Ok(Self { record, revisions, secrets, material, fetched_at: note.map(|note| note.fetched_at) })
    }

    /// The account as an adapter sees it: settings of `revision` (`None`: the newest), keys of all. `None` when there
    /// is no such revision.
    pub(crate) fn view(&self, revision: Option<u32>) -> Option<AccountView<'_>> {
        let chosen = match revision {
            None => self.revisions.first(),
            Some(number) => self.revisions.iter().find(|revision| revision.number == number),
        }?;
        Some(AccountView {
            id: self.record.id,
            mode: self.record.mode,
            settings: &chosen.settings,
            secrets: &self.secrets,
            notify_url: &chosen.notify_url,
        })
    }
}

fn parsed(account: AccountId, text: &str) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text).map_err(|_| Error::Internal(format!("the settings of account {account} are not JSON")))
}

/// Opens a sealed value; one that does not open was damaged or moved.
pub(crate) fn opened(sealer: &Sealer, place: &Place, value: &Sealed) -> Result<Secret, Error> {
    sealer.open(place.context(), value).map_err(|why| Error::Internal(why.to_string()))
}

/// Opens the secret settings of one revision.
///
/// # Errors
/// [`Error::CertificateUnusable`]: they were sealed with another key, damaged or moved.
pub(crate) fn open_secrets(
    sealer: &Sealer,
    account: AccountId,
    revision: u32,
    value: &Sealed,
) -> Result<SecretSettings, Error> {
    let unusable = || Error::CertificateUnusable(format!("account {account}"));
    let text = opened(sealer, &Place::account_secrets(account, revision), value).map_err(|_| unusable())?;
    let named: BTreeMap<String, String> = serde_json::from_slice(text.expose()).map_err(|_| unusable())?;
    Ok(SecretSettings(named.into_iter().map(|(name, value)| (name, Secret::from_bytes(value.into_bytes()))).collect()))
}

/// The secret settings as they are sealed.
pub(crate) fn secrets_text(secrets: &SecretSettings) -> Secret {
    let named: BTreeMap<&str, &str> = secrets
        .0
        .iter()
        .map(|(name, secret)| (name.as_str(), secret.expose_text().expect("secret settings are made from text")))
        .collect();
    Secret::from_bytes(serde_json::to_vec(&named).expect("a map of texts is JSON"))
}

/// The row that keeps what was downloaded for an account, newest first.
pub(crate) fn material_note(material: &[Material], now: Timestamp) -> notes::Material {
    let pairs: Vec<(&str, &[u8])> = material.iter().map(|each| (each.name.as_str(), each.bytes.as_slice())).collect();
    notes::Material { bytes: codec::payload(&pairs), fetched_at: now }
}

/// What [`material_note`] kept.
fn material_of(account: AccountId, note: &notes::Material) -> Vec<Material> {
    match codec::decode_payload::<Vec<(String, Vec<u8>)>>(&note.bytes) {
        Ok(pairs) => pairs.into_iter().map(|(name, bytes)| Material { name, bytes }).collect(),
        Err(why) => {
            // Material can be fetched again; the account cannot do without that either way.
            tracing::error!(%account, %why, "downloaded material does not decode and is fetched again");
            Vec::new()
        }
    }
}
