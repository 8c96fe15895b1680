//! The sealing key: where it comes from, and the file it is kept in.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Secret;
use crate::clock::Entropy;

/// No key file is longer.
const FILE_MAX: u64 = 4096;

/// The 32 bytes under which every secret of an installation is sealed. Losing it loses the credentials.
pub struct SealingKey(Zeroizing<[u8; 32]>);

/// A sealing key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// The text is not 32 bytes in hex or base64.
    #[error("a sealing key is 32 bytes, as 64 hexadecimal digits or as base64")]
    NotAKey,
    /// The file does not hold a key.
    #[error("{}: a sealing key is 32 bytes, as 64 hexadecimal digits or as base64", path.display())]
    FileNotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// Others than the owner can read the file.
    #[error(
        "{}: its mode {mode:04o} lets other users at the sealing key: chmod 600 it, and change the key if they had access",
        path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no such file.
    #[error("{}: there is no sealing key", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A key is to be created where a file already is.
    #[error("{}: there is a file already, and a sealing key is never overwritten", path.display())]
    AlreadyThere {
        /// Which file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("{}: the sealing key could not be read or written", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl SealingKey {
    /// A new key that is kept nowhere: for a store that ends with the process.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits or base64 of 32 bytes (either alphabet, padding optional); surrounding white space
    /// is ignored.
    pub fn from_text(text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() == 64 {
            return hex::decode_to_slice(text, bytes.as_mut_slice())
                .map(|()| Self(bytes))
                .map_err(|_| SealingKeyError::NotAKey);
        }
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        for alphabet in [&STANDARD, &URL_SAFE] {
            // 33 bytes: decoding asks for whole groups of three.
            let mut decoded = Zeroizing::new([0; 33]);
            let base64 = GeneralPurpose::new(alphabet, lenient);
            if text.len() <= 44 && base64.decode_slice(text, decoded.as_mut_slice()).is_ok_and(|len| len == 32) {
                bytes.copy_from_slice(&decoded[..32]);
                return Ok(Self(bytes));
            }
        }
        Err(SealingKeyError::NotAKey)
    }

    /// Reads a key file. One that its group or others may touch is refused.
    pub fn from_file(path: &Path) -> Result<Self, SealingKeyError> {
        let file = File::open(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                SealingKeyError::Missing { path: path.to_owned() }
            } else {
                io(path, source)
            }
        })?;
        refuse_exposed(&file, path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        (&file).take(FILE_MAX).read_to_end(&mut bytes).map_err(|source| io(path, source))?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        Self::from_text(text).map_err(|_| SealingKeyError::FileNotAKey { path: path.to_owned() })
    }

    /// Makes a new key and keeps it in a new file of mode 0600. When it returns, file and name are on disk.
    pub fn create_file(path: &Path, entropy: &dyn Entropy) -> Result<Self, SealingKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut_slice());
        let key = Self(bytes);
        let mut file = create_private(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                SealingKeyError::AlreadyThere { path: path.to_owned() }
            } else {
                io(path, source)
            }
        })?;
        let written = key.write_to(&mut file).and_then(|()| sync_folder_of(path));
        if let Err(source) = written {
            // Half a key must not look like a key at the next start.
            drop(std::fs::remove_file(path));
            return Err(io(path, source));
        }
        Ok(key)
    }

    fn write_to(&self, file: &mut File) -> std::io::Result<()> {
        let mut text = Zeroizing::new([b'\n'; 65]);
        hex::encode_to_slice(self.0.as_slice(), &mut text[..64]).expect("64 digits for 32 bytes");
        file.write_all(text.as_slice())?;
        file.sync_all()
    }

    /// The bytes, for deriving keys from them.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl TryFrom<&Secret> for SealingKey {
    type Error = SealingKeyError;

    /// Reads a key from text that is already kept as a secret.
    fn try_from(text: &Secret) -> Result<Self, SealingKeyError> {
        Self::from_text(text.expose_text().ok_or(SealingKeyError::NotAKey)?)
    }
}

fn io(path: &Path, source: std::io::Error) -> SealingKeyError {
    SealingKeyError::Io { path: path.to_owned(), source }
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), SealingKeyError> {
    use std::os::unix::fs::MetadataExt;
    let mode = file.metadata().map_err(|source| io(path, source))?.mode() & 0o7777;
    let exposed = mode & 0o077 != 0;
    if exposed { Err(SealingKeyError::Exposed { path: path.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(not(unix))]
fn refuse_exposed(_file: &File, _path: &Path) -> Result<(), SealingKeyError> {
    Ok(())
}

fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Puts the file's name on disk too.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    #[test]
    fn keys_are_read_from_hex_and_base64() {
        // 32 bytes in any usual spelling are a key; everything else is refused without repeating it.
        let bytes = [0xfb; 32];
        let good = [
            hex::encode(bytes),
            hex::encode_upper(bytes),
            format!("  {}\n", hex::encode(bytes)),
            base64::engine::general_purpose::STANDARD.encode(bytes),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes),
            base64::engine::general_purpose::URL_SAFE.encode(bytes),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes),
        ];
        for text in good {
            assert_eq!(SealingKey::from_text(&text).expect(&text).expose(), bytes);
        }
        let short = base64::engine::general_purpose::STANDARD.encode([1; 31]);
        let long = base64::engine::general_purpose::STANDARD.encode([1; 33]);
        for text in ["", "password", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &short, &long] {
            let error = SealingKey::from_text(text).expect_err(text);
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_created_key_file_reads_back() {
        // A new file holds the key that was returned, and is never overwritten.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        let key = SealingKey::create_file(&path, &SeededEntropy::new(3)).expect("created");
        assert_eq!(SealingKey::from_file(&path).expect("read").expose(), key.expose());
        let again = SealingKey::create_file(&path, &SeededEntropy::new(4));
        assert!(matches!(again, Err(SealingKeyError::AlreadyThere { .. })), "{again:?}");
        assert_eq!(SealingKey::from_file(&path).expect("read").expose(), key.expose());
        assert_eq!(format!("{key:?}"), "[secret]");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_for_its_owner_alone() {
        // It is made with mode 0600, and one that others may read or write is refused.
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        SealingKey::create_file(&path, &SeededEntropy::new(3)).expect("created");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o600);
        for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            let read = SealingKey::from_file(&path);
            assert_eq!(read.is_ok(), accepted, "{mode:o}");
            assert!(accepted || matches!(read, Err(SealingKeyError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_missing_or_broken_file_is_told_apart() {
        // Only a missing file may lead to a new key.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        assert!(matches!(SealingKey::from_file(&path), Err(SealingKeyError::Missing { .. })));
        create_private(&path).expect("created");
        assert!(matches!(SealingKey::from_file(&path), Err(SealingKeyError::FileNotAKey { .. })));
    }
}
