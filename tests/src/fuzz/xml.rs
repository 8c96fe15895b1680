//! The XML of one level.

use maxpay_adapters::parts::xml::{BYTES_MAX, FIELDS_MAX, read, written};

/// A whole text. A hundred times itself is refused for its length, if for nothing else.
pub fn check(bytes: &[u8]) {
    if let Ok(fields) = read(bytes, "xml") {
        assert!(fields.len() <= FIELDS_MAX);
        // Nothing expands, and no name stands twice.
        let length: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(length <= bytes.len(), "{length} bytes came of {}", bytes.len());
        assert!((0..fields.len()).all(|at| fields[..at].iter().all(|(name, _)| *name != fields[at].0)));
        let text = String::from_utf8_lossy(bytes);
        let hidden = text.contains("<!--") || text.contains("<![CDATA[");
        assert!(hidden || !text.contains("<!DOCTYPE") && !text.contains("<!ENTITY"), "a DOCTYPE was read");
        assert_eq!(read(written("xml", &fields).as_bytes(), "xml").as_ref(), Ok(&fields), "it reads back");
    }
    let long = bytes.repeat(BYTES_MAX / bytes.len().max(1) + 1);
    assert!(bytes.is_empty() || read(&long, "xml").is_err());
}
