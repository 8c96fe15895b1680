//! What must hold of everything that reads bytes from outside, whatever the bytes: one target for each reader.
//!
//! A target takes bytes and panics where a property does not hold. `it` runs each on its kept inputs
//! (`tests/fuzz/<target>`) and on a fixed number of others made from them ([`crate::fuzz::mutation`]); the binary
//! `fuzz` hands them to libFuzzer, which looks for new ones by coverage.

pub mod codec;
pub mod cursor;
pub mod line;
pub mod mutation;
pub mod notification;
pub mod original;
pub mod sign;

use std::path::{Path, PathBuf};

/// Inputs are at most so long; longer ones teach nothing that shorter ones do not.
pub const INPUT_MAX: usize = 4096;

/// A reader of bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder of its inputs.
    pub name: &'static str,
    /// Reads one input, and panics when something does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "codec", check: codec::check },
    Target { name: "original", check: original::check },
    Target { name: "sign", check: sign::check },
    Target { name: "cursor", check: cursor::check },
    Target { name: "line", check: line::check },
    Target { name: "notification", check: notification::check },
];

/// The target of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn named(name: &str) -> Target {
    let names = TARGETS.map(|target| target.name).join(", ");
    TARGETS.into_iter().find(|target| target.name == name).unwrap_or_else(|| panic!("{name:?} is none of {names}"))
}

impl Target {
    /// The inputs that are kept, in the order of their names.
    ///
    /// # Panics
    /// When they cannot be read, or there are none.
    #[must_use]
    pub fn seeds(self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(self.name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder is readable").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} is empty", folder.display());
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            (path, bytes)
        };
        paths.into_iter().map(read).collect()
    }
}
