//! Where the sealing key comes from: the environment, a file, or, at the very first start, a new file.

use maxpay_engine::clock::Entropy;
use maxpay_engine::secrets::{SealingKey, SealingKeyError};

use crate::settings::Settings;

/// Holds the key itself, and wins over the file.
const VARIABLE: &str = "MAXPAY_SEALING_KEY";

/// The key, and whether it was made just now.
pub struct Found {
    /// The key.
    pub key: SealingKey,
    /// Where a new file was made.
    pub made: Option<std::path::PathBuf>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The variable does not hold one.
    #[error("the environment variable {VARIABLE} holds no sealing key")]
    Variable(#[source] SealingKeyError),
    /// The file cannot be read or made.
    #[error("the sealing key file {path} cannot be used")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: SealingKeyError,
    },
    /// The store is there, its key is not.
    #[error(
        "the store in {data} was sealed with a key that should be in {path}, and there is no such file: restore it, or \
         name it by sealing_key_file or {VARIABLE}. Without it the credentials in the store are lost"
    )]
    Lost {
        /// Where the store is.
        data: std::path::PathBuf,
        /// Where the key should be.
        path: std::path::PathBuf,
    },
}

/// Finds the key. A new one is made only for a store that is not there yet.
pub fn find(settings: &Settings, store_exists: bool, entropy: &dyn Entropy) -> Result<Found, SealingError> {
    if let Some(text) = std::env::var_os(VARIABLE) {
        let text = text.into_string().unwrap_or_default();
        let key = SealingKey::from_text(&text).map_err(SealingError::Variable)?;
        return Ok(Found { key, made: None });
    }
    let path = settings.sealing_key_file();
    if path.exists() {
        let key = SealingKey::from_file(&path).map_err(|source| SealingError::File { path, source })?;
        return Ok(Found { key, made: None });
    }
    if store_exists {
        return Err(SealingError::Lost { data: settings.data_dir.clone(), path });
    }
    match SealingKey::create_file(&path, entropy) {
        Ok(key) => Ok(Found { key, made: Some(path) }),
        Err(source) => Err(SealingError::File { path, source }),
    }
}
