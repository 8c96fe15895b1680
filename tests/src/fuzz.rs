//! What must hold of everything that reads bytes from outside, whatever the bytes: one target for each reader.
//!
//! A target takes bytes and panics where a property does not hold. `it` runs each on its kept inputs
//! (`tests/fuzz/<target>.txt`, one a line) and on a fixed number of others made from them ([`mutation`]); the binary
//! `fuzz` hands it to libFuzzer, which looks for new inputs by coverage.

mod account;
pub mod alipay;
pub mod applepay;
pub mod codec;
pub mod cursor;
pub mod form;
pub mod group;
pub mod line;
pub mod mutation;
pub mod notification;
pub mod original;
pub mod pkcs12;
pub mod sign;
pub mod unionpay;
pub mod wechat;
pub mod wechat_v2;
pub mod x509;
pub mod xml;

use std::path::Path;

/// Inputs are at most so long; longer ones teach nothing that shorter ones do not.
pub const INPUT_MAX: usize = 4096;

/// A reader of bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the file of its inputs.
    pub name: &'static str,
    /// Reads one input, and panics when something does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    Target { name: "codec", check: codec::check },
    Target { name: "group", check: group::check },
    Target { name: "original", check: original::check },
    Target { name: "sign", check: sign::check },
    Target { name: "cursor", check: cursor::check },
    Target { name: "line", check: line::check },
    Target { name: "notification", check: notification::check },
    Target { name: "alipay", check: alipay::check },
    Target { name: "wechat", check: wechat::check },
    Target { name: "wechat_v2", check: wechat_v2::check },
    Target { name: "unionpay", check: unionpay::check },
    Target { name: "applepay", check: applepay::check },
    Target { name: "cms", check: applepay::check_signature },
    Target { name: "pkcs12", check: pkcs12::check },
    Target { name: "x509", check: x509::check },
    Target { name: "xml", check: xml::check },
    Target { name: "form", check: form::check },
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
    /// The inputs that are kept, in the order of the file.
    ///
    /// # Panics
    /// When they cannot be read, or there are none.
    #[must_use]
    pub fn kept(self) -> Vec<Vec<u8>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(self.name).with_extension("txt");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &str| read(line).unwrap_or_else(|| panic!("{}: no input: {line}", path.display()));
        let kept: Vec<Vec<u8>> = lines.map(read).collect();
        assert!(!kept.is_empty(), "{} is empty", path.display());
        kept
    }
}

/// An input as a line of the file, and as a failing test prints it: a byte string of Rust.
#[must_use]
pub fn written(input: &[u8]) -> String {
    format!("b\"{}\"", input.escape_ascii())
}

/// The input of a line; `None`: it is none.
#[must_use]
pub fn read(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix("b\"")?.strip_suffix('"')?.as_bytes();
    let mut input = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        let (read, left) = if *byte == b'\\' { escaped(after)? } else { (*byte, after) };
        input.push(read);
        rest = left;
    }
    Some(input)
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (letter, rest) = text.split_first()?;
    match letter {
        b'n' => Some((b'\n', rest)),
        b'r' => Some((b'\r', rest)),
        b't' => Some((b'\t', rest)),
        b'\\' | b'"' | b'\'' => Some((*letter, rest)),
        b'x' => {
            let (digits, rest) = rest.split_first_chunk::<2>()?;
            hex::decode(digits).ok().map(|byte| (byte[0], rest))
        }
        _ => None,
    }
}
