//! `maxpay new-adapter NAME`: a channel of one's own, as a crate that builds and passes the exam at birth.
//!
//! What is written is `adapters/examples/custom_channel` under another name, and depends on the sources it came from.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::NewAdapterArgs;

const ADAPTER: &str = include_str!("../../../adapters/examples/custom_channel/src/lib.rs");
const PROVIDER: &str = include_str!("../../../adapters/examples/custom_channel/src/provider.rs");
const NAME_MAX: usize = 20;

/// Names that cannot be a crate's beside the standard library, or would be read as another word.
const TAKEN: [&str; 8] = ["alloc", "core", "proc", "std", "test", "maxpay", "engine", "adapters"];

/// Why nothing was written, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewAdapterError {
    #[error("a name is a lower-case letter and up to {} more letters or digits, for example lantern", NAME_MAX - 1)]
    Name,
    #[error("the name {0} is taken")]
    Taken(String),
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("MaxPay's sources are not here: say where they are with --source")]
    NoSource,
    #[error("{} does not hold MaxPay's sources: it has no engine/Cargo.toml and adapters/Cargo.toml", .0.display())]
    NotSource(PathBuf),
    #[error("the path {} is no text", .0.display())]
    Path(PathBuf),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
    #[error("cannot tell where this is")]
    Here(#[source] std::io::Error),
}

/// Writes the crate, and gives its folder.
///
/// # Errors
/// [`NewAdapterError`]; nothing that was there is ever overwritten.
pub(crate) fn write(args: &NewAdapterArgs) -> Result<PathBuf, NewAdapterError> {
    let name = args.name.as_str();
    check_name(name)?;
    let here = std::env::current_dir().map_err(NewAdapterError::Here)?;
    let source = match &args.source {
        Some(source) if is_source(source) => fs::canonicalize(source).map_err(NewAdapterError::Here)?,
        Some(source) => return Err(NewAdapterError::NotSource(source.clone())),
        None => here.ancestors().find(|folder| is_source(folder)).ok_or(NewAdapterError::NoSource)?.to_owned(),
    };
    let folder = args.into.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        return Err(NewAdapterError::Exists(folder));
    }
    let put = |path: PathBuf, text: &str| fs::write(&path, text).map_err(|why| NewAdapterError::Write(path, why));
    let manifest = manifest(name, &source)?;
    fs::create_dir_all(folder.join("src")).map_err(|why| NewAdapterError::Write(folder.clone(), why))?;
    put(folder.join("Cargo.toml"), &manifest)?;
    put(folder.join("src/lib.rs"), &named(ADAPTER, name))?;
    put(folder.join("src/provider.rs"), &named(PROVIDER, name))?;
    // The versions that MaxPay itself was tested with.
    if let Ok(lock) = fs::read_to_string(source.join("Cargo.lock")) {
        put(folder.join("Cargo.lock"), &lock)?;
    }
    Ok(folder)
}

fn check_name(name: &str) -> Result<(), NewAdapterError> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let shaped = name.len() <= NAME_MAX && name.starts_with(|first: char| first.is_ascii_lowercase());
    if !shaped || !name.chars().all(plain) {
        return Err(NewAdapterError::Name);
    }
    let builtin = maxpay_adapters::builtin();
    if TAKEN.contains(&name) || builtin.iter().any(|adapter| adapter.manifest().adapter == name) {
        return Err(NewAdapterError::Taken(name.to_owned()));
    }
    Ok(())
}

fn is_source(folder: &Path) -> bool {
    ["engine/Cargo.toml", "adapters/Cargo.toml"].iter().all(|file| folder.join(file).is_file())
}

/// The example under that name.
fn named(text: &str, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    text.replace("Lantern", &format!("{}{rest}", first.to_ascii_uppercase())).replace("lantern", name)
}

fn manifest(name: &str, source: &Path) -> Result<String, NewAdapterError> {
    let path = |room: &str| {
        let folder = source.join(room);
        let text = folder.to_str().ok_or_else(|| NewAdapterError::Path(folder.clone()))?;
        Ok(toml::Value::from(text).to_string())
    };
    Ok(format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[dependencies]
maxpay-adapters = {{ path = {adapters} }}
maxpay-engine = {{ path = {engine} }}
bytes = "1"
hex = "0.4"
serde = {{ version = "1", features = ["derive"] }}
serde_json = "1"

# A workspace of its own, wherever it lies.
[workspace]
"#,
        adapters = path("adapters")?,
        engine = path("engine")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, into: &Path) -> NewAdapterArgs {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        NewAdapterArgs { name: name.to_owned(), into: Some(into.to_owned()), source: Some(source) }
    }

    #[test]
    fn a_crate_is_written_once_under_its_name() {
        // Every file is there, the example's name is nowhere, and what was there stays.
        let folder = tempfile::tempdir().expect("a folder");
        let into = folder.path().join("lamp");
        let made = write(&args("lamp", &into)).expect("it is written");
        let read = |file: &str| fs::read_to_string(made.join(file)).expect("it is there");
        let (manifest, adapter, provider) = (read("Cargo.toml"), read("src/lib.rs"), read("src/provider.rs"));
        for text in [&manifest, &adapter, &provider] {
            assert!(!text.to_lowercase().contains("lantern"), "{text}");
        }
        assert!(adapter.contains("pub struct Lamp(Manifest);") && adapter.contains("\"lamp_qr\""), "{adapter}");
        assert!(toml::from_str::<toml::Value>(&manifest).is_ok(), "{manifest}");
        assert!(matches!(write(&args("lamp", &into)), Err(NewAdapterError::Exists(_))));
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        // Nothing is written under a name that is no crate's and no adapter's, or that is taken.
        let folder = tempfile::tempdir().expect("a folder");
        let into = folder.path().join("x");
        for name in ["", "Lamp", "2lamps", "my-lamp", "lämp", "a/b", "aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(matches!(write(&args(name, &into)), Err(NewAdapterError::Name)), "{name}");
        }
        for name in ["std", "sandbox"] {
            assert!(matches!(write(&args(name, &into)), Err(NewAdapterError::Taken(_))), "{name}");
        }
        let elsewhere = NewAdapterArgs { source: Some(folder.path().to_owned()), ..args("lamp", &into) };
        assert!(matches!(write(&elsewhere), Err(NewAdapterError::NotSource(_))));
        assert!(!into.exists());
    }
}
