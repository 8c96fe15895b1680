//! The settings of an account as they come in: checked against what the adapter takes, and parted into those that may
//! be shown and those that are sealed.

use serde_json::{Map, Value};

use crate::Error;
use crate::api::{AccountSettings, CreateAccount};
use crate::channel::{Adapter, FieldError, Manifest, SecretSettings};
use crate::directory::NOTIFY_URL;
use crate::model::{ChannelCode, Mode, Timestamp};
use crate::secrets::Secret;

use super::accounts::{check_label, check_weight};

/// All settings of a revision together, in bytes of JSON.
const SETTINGS_BYTES_MAX: usize = 128 * 1024;

/// The settings of a revision, parted.
#[derive(Default)]
pub(super) struct Parted {
    /// Those that may be shown.
    pub settings: Map<String, Value>,
    /// Those that are sealed.
    pub secrets: SecretSettings,
}

impl Parted {
    /// These settings changed by the given ones: one that is not named stays, `null` takes one away.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every setting that the adapter does not know, and every secret one that is no text.
    pub fn change(&mut self, manifest: &Manifest, given: &AccountSettings) -> Result<(), Error> {
        let mut wrong = Vec::new();
        for (name, value) in &given.0 {
            let Some(field) = manifest.settings.iter().find(|field| field.name == name) else {
                wrong.push(wrong_field(name, format!("{} has no such setting", manifest.adapter)));
                continue;
            };
            self.settings.remove(name);
            self.secrets.0.remove(name);
            match (field.secret, value) {
                (_, Value::Null) => {}
                (false, value) => drop(self.settings.insert(name.clone(), value.clone())),
                (true, Value::String(text)) => drop(self.secrets.0.insert(name.clone(), Secret::from_text(text))),
                (true, Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    wrong.push(wrong_field(name, "a secret setting is a text".to_owned()));
                }
            }
        }
        refuse(wrong)
    }

    /// Has the adapter judge them. Gives the identity they name.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every setting that is missing or wrong.
    pub fn validate(&self, adapter: &dyn Adapter, mode: Mode, now: Timestamp) -> Result<String, Error> {
        let manifest = adapter.manifest();
        let missing = manifest.settings.iter().filter(|field| field.needed && !self.has(field.name));
        refuse(missing.map(|field| wrong_field(field.name, format!("is needed: {}", field.doc))).collect())?;
        let secret_bytes: usize = self.secrets.0.values().map(Secret::len).sum();
        if Value::Object(self.settings.clone()).to_string().len() + secret_bytes > SETTINGS_BYTES_MAX {
            return Err(Error::field("settings", format!("all together at most {SETTINGS_BYTES_MAX} bytes")));
        }
        adapter.validate(mode, &self.settings, &self.secrets, now).map_err(|fields| Error::Invalid { fields })
    }

    /// The text that is kept: with the address that the provider is told, which stays as it is now for this revision.
    pub fn text(&self, notify_url: &str) -> String {
        let mut settings = self.settings.clone();
        settings.entry(NOTIFY_URL).or_insert_with(|| Value::String(notify_url.to_owned()));
        Value::Object(settings).to_string()
    }

    /// The settings of a kept text.
    pub fn from_kept(manifest: &Manifest, mut settings: Map<String, Value>, secrets: SecretSettings) -> Self {
        if !manifest.settings.iter().any(|field| field.name == NOTIFY_URL) {
            settings.remove(NOTIFY_URL);
        }
        Self { settings, secrets }
    }

    fn has(&self, name: &str) -> bool {
        self.settings.contains_key(name) || self.secrets.0.contains_key(name)
    }
}

/// Everything that such an account of `adapter` lacks or has wrong, by field; empty when it would be taken in `mode` at
/// `now`. Opens nothing, asks nobody and keeps nothing.
#[must_use]
pub fn account_lacks(adapter: &dyn Adapter, mode: Mode, wanted: &CreateAccount, now: Timestamp) -> Vec<FieldError> {
    let manifest = adapter.manifest();
    let mut lacks = Vec::new();
    let mut note = |judged: Result<(), Error>| {
        if let Err(Error::Invalid { fields }) = judged {
            for field in fields {
                // What is missing is said once.
                if !lacks.iter().any(|other: &FieldError| other.field == field.field) {
                    lacks.push(field);
                }
            }
        }
    };
    if mode == Mode::Live && manifest.test_mode_only {
        note(refuse(vec![wrong_field("adapter", format!("{} is for test mode only", manifest.adapter))]));
    }
    note(check_label(&wanted.label));
    note(check_weight(wanted.weight));
    note(served_codes(manifest, &wanted.codes).map(drop));
    let mut parted = Parted::default();
    note(parted.change(manifest, &wanted.settings));
    note(parted.validate(adapter, mode, now).map(drop));
    note(
        adapter
            .validate(mode, &parted.settings, &parted.secrets, now)
            .map(drop)
            .map_err(|fields| Error::Invalid { fields }),
    );
    lacks
}

/// The codes an account serves: the given ones in order and each once; all of the adapter's when none is given.
///
/// # Errors
/// [`Error::Invalid`] with every code that the adapter does not serve.
pub(super) fn served_codes(manifest: &Manifest, given: &[ChannelCode]) -> Result<Vec<ChannelCode>, Error> {
    let strangers = given.iter().filter(|code| manifest.code(code).is_none());
    refuse(
        strangers.map(|code| wrong_field("codes", format!("{} does not serve {code}", manifest.adapter))).collect(),
    )?;
    let mut codes: Vec<ChannelCode> = Vec::new();
    let all = manifest.codes.iter().map(|code| &code.code);
    let wanted: Vec<&ChannelCode> = if given.is_empty() { all.collect() } else { given.iter().collect() };
    for code in wanted {
        if !codes.contains(code) {
            codes.push(code.clone());
        }
    }
    Ok(codes)
}

fn wrong_field(field: &str, why: String) -> FieldError {
    FieldError { field: field.to_owned(), why }
}

fn refuse(fields: Vec<FieldError>) -> Result<(), Error> {
    if fields.is_empty() { Ok(()) } else { Err(Error::Invalid { fields }) }
}
