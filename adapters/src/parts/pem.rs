//! Keys and certificates as people paste them: PEM blocks, or the bare base64 of one.
//!
//! What the bytes inside mean is not known here. Everything decoded is held as a [`Secret`], because some of it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::secrets::Secret;

/// Longest text that is read, in bytes: a chain of several certificates with room to spare.
pub const TEXT_MAX: usize = 64 * 1024;

/// Most blocks that one text may hold.
pub const BLOCKS_MAX: usize = 16;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One block. Its `Debug` shows the label only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it says it is: `PRIVATE KEY`, `CERTIFICATE` …
    pub label: String,
    /// What stands in it, decoded.
    pub der: Secret,
}

/// Why a text is neither. It shows nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is longer than [`TEXT_MAX`].
    #[error("is longer than 65536 bytes")]
    TooLong,
    /// It holds more than [`BLOCKS_MAX`] blocks.
    #[error("holds more than 16 blocks")]
    TooMany,
    /// It is no text at all.
    #[error("is not text: a PEM file is wanted, or its base64 without the BEGIN and END lines")]
    NotText,
    /// A block does not end, or ends under another label.
    #[error("has a BEGIN line without the END line that belongs to it")]
    Unended,
    /// What stands between is no base64.
    #[error("is not base64: copy it whole, with or without the BEGIN and END lines")]
    NotBase64,
}

/// The blocks of a PEM text, in order; text between them is passed over. A text without any BEGIN line is read as the
/// bare base64 of one block, whose label is empty. Never an empty list.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    if text.len() > TEXT_MAX {
        return Err(PemError::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| PemError::NotText)?.trim_matches(['\u{feff}', ' ', '\r', '\n']);
    if text.trim().is_empty() {
        return Err(PemError::Empty);
    }
    if !text.contains(BEGIN) {
        return Ok(vec![Block { label: String::new(), der: decoded(text)? }]);
    }
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        if found.len() == BLOCKS_MAX {
            return Err(PemError::TooMany);
        }
        let (label, after) = after.split_once(DASHES).ok_or(PemError::Unended)?;
        let (inside, after) = after.split_once(&format!("{END}{label}{DASHES}")).ok_or(PemError::Unended)?;
        found.push(Block { label: label.to_owned(), der: decoded(inside)? });
        rest = after;
    }
    Ok(found)
}

/// Base64 with whatever line breaks and blanks the way through mails and forms has left in it.
fn decoded(text: &str) -> Result<Secret, PemError> {
    let packed = Secret::from_bytes(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let bytes = STANDARD.decode(packed.expose()).map_err(|_| PemError::NotBase64)?;
    if bytes.is_empty() { Err(PemError::Empty) } else { Ok(Secret::from_bytes(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = &'static [(&'static str, &'static [u8])];

    #[test]
    fn blocks_are_found_in_order() {
        // Labels and content of each, whatever stands between them, in Unix or Windows lines, or on one line.
        let table: [(&str, Found); 6] = [
            ("-----BEGIN A-----\nAQID\n-----END A-----", &[("A", &[1, 2, 3])]),
            ("-----BEGIN A-----\r\nAQ\r\nID\r\n-----END A-----\r\n", &[("A", &[1, 2, 3])]),
            ("-----BEGIN A B-----AQID-----END A B-----", &[("A B", &[1, 2, 3])]),
            (
                "subject=x\n-----BEGIN A-----\nAQID\n-----END A-----\nissuer=y\n-----BEGIN B-----\nBA==\n-----END B-----\n",
                &[("A", &[1, 2, 3]), ("B", &[4])],
            ),
            ("AQID", &[("", &[1, 2, 3])]),
            ("\u{feff} AQ\n ID \n", &[("", &[1, 2, 3])]),
        ];
        for (text, wanted) in table {
            let found = blocks(text.as_bytes()).expect(text);
            let found: Vec<_> = found.iter().map(|block| (block.label.as_str(), block.der.expose())).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        // Each thing that goes wrong when a key is pasted has its own message.
        let many = "-----BEGIN A-----\nAQID\n-----END A-----\n".repeat(BLOCKS_MAX + 1);
        let long = "A".repeat(TEXT_MAX + 4);
        let table: [(&[u8], PemError); 11] = [
            (b"", PemError::Empty),
            (b" \n ", PemError::Empty),
            (b"-----BEGIN A-----\n-----END A-----", PemError::Empty),
            (b"\xff\xfe", PemError::NotText),
            (b"-----BEGIN A-----\nAQID", PemError::Unended),
            (b"-----BEGIN A-----\nAQID\n-----END B-----", PemError::Unended),
            (b"-----BEGIN A", PemError::Unended),
            (b"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END A-----", PemError::NotBase64),
            (b"AQI!", PemError::NotBase64),
            (many.as_bytes(), PemError::TooMany),
            (long.as_bytes(), PemError::TooLong),
        ];
        for (text, wanted) in table {
            assert_eq!(blocks(text), Err(wanted));
        }
    }
}
