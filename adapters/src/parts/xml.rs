//! XML of one level, as some dialects write it: a root, and below it elements that hold text.
//!
//! The reader is strict and small. DOCTYPE, entities of one's own, processing instructions, attributes and anything
//! deeper are refused, so that nothing in a text can make it read a file, ask an address or grow.

use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

/// Longest text that is read, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;
/// Most elements below the root.
pub const FIELDS_MAX: usize = 256;

/// Why a text is not read. It shows nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// It is longer than [`BYTES_MAX`] or has more elements than [`FIELDS_MAX`].
    #[error("the XML is longer than 65536 bytes or has more than 256 elements")]
    TooLong,
    /// It is no well-formed XML in UTF-8.
    #[error("the XML is not well-formed")]
    Malformed,
    /// It has a DOCTYPE, an entity of its own, a processing instruction or an attribute.
    #[error("the XML has a DOCTYPE, an entity, a processing instruction or an attribute, which are refused")]
    Forbidden,
    /// The root has another name, or something stands beside it.
    #[error("the XML has another root than wanted")]
    Root,
    /// An element holds elements, or one stands twice.
    #[error("the XML is deeper than one level, or an element stands twice")]
    Shape,
}

/// The elements below a root of that name, in order, with their text. Empty elements have empty texts.
pub fn read(bytes: &[u8], root: &str) -> Result<Vec<(String, String)>, XmlError> {
    if bytes.len() > BYTES_MAX {
        return Err(XmlError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Malformed)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut state = State { root, depth: Depth::Outside, fields: Vec::new(), ended: false };
    loop {
        match reader.read_event().map_err(|_| XmlError::Malformed)? {
            Event::Decl(_) if !state.begun() => {}
            Event::Start(tag) if tag.attributes().next().is_some() => return Err(XmlError::Forbidden),
            Event::Empty(tag) if tag.attributes().next().is_some() => return Err(XmlError::Forbidden),
            Event::Start(tag) => state.open(&name(tag.name().as_ref())?)?,
            Event::Empty(tag) => {
                state.open(&name(tag.name().as_ref())?)?;
                state.close();
            }
            // That the names of both ends agree is checked by the reader.
            Event::End(_) => state.close(),
            Event::Text(text) => state.text(&text.decode().map_err(|_| XmlError::Malformed)?)?,
            Event::CData(text) => state.text(&text.decode().map_err(|_| XmlError::Malformed)?)?,
            Event::GeneralRef(reference) => state.text(&resolved(&reference)?)?,
            Event::Comment(_) => {}
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => return Err(XmlError::Forbidden),
            Event::Eof if state.ended => return Ok(state.fields),
            Event::Eof => return Err(XmlError::Malformed),
        }
    }
}

/// A text of one level that [`read`] reads back, every value in CDATA or escaped.
#[must_use]
pub fn written(root: &str, fields: &[(String, String)]) -> String {
    let mut text = format!("<{root}>");
    for (name, value) in fields {
        let value = if value.contains("]]>") { escaped(value) } else { format!("<![CDATA[{value}]]>") };
        write!(text, "<{name}>{value}</{name}>").expect("a string takes any text");
    }
    text.push_str("</");
    text.push_str(root);
    text.push('>');
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The five entities that XML has by itself, and numbered characters.
fn resolved(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
        return Ok(letter.to_string());
    }
    let name = reference.decode().map_err(|_| XmlError::Malformed)?;
    resolve_predefined_entity(&name).map(str::to_owned).ok_or(XmlError::Forbidden)
}

fn name(bytes: &[u8]) -> Result<String, XmlError> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let well = !bytes.is_empty() && bytes.len() <= 64 && bytes.iter().all(plain);
    if well { Ok(String::from_utf8_lossy(bytes).into_owned()) } else { Err(XmlError::Malformed) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Outside,
    Root,
    Field,
}

struct State<'r> {
    root: &'r str,
    depth: Depth,
    fields: Vec<(String, String)>,
    ended: bool,
}

impl State<'_> {
    fn begun(&self) -> bool {
        self.ended || self.depth != Depth::Outside
    }

    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        match self.depth {
            Depth::Outside if !self.ended && name == self.root => self.depth = Depth::Root,
            Depth::Outside => return Err(XmlError::Root),
            Depth::Root if self.fields.len() >= FIELDS_MAX => return Err(XmlError::TooLong),
            Depth::Root if self.fields.iter().all(|(known, _)| known != name) => {
                self.fields.push((name.to_owned(), String::new()));
                self.depth = Depth::Field;
            }
            Depth::Root | Depth::Field => return Err(XmlError::Shape),
        }
        Ok(())
    }

    fn close(&mut self) {
        match self.depth {
            Depth::Field => self.depth = Depth::Root,
            Depth::Root => {
                self.depth = Depth::Outside;
                self.ended = true;
            }
            Depth::Outside => {}
        }
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match (self.depth, self.fields.last_mut()) {
            (Depth::Field, Some((_, value))) => value.push_str(text),
            (Depth::Field | Depth::Root | Depth::Outside, _) if text.trim_ascii().is_empty() => {}
            (Depth::Field | Depth::Root | Depth::Outside, _) => return Err(XmlError::Shape),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn one_level_is_read() {
        // CDATA, escapes, numbered characters, empty elements, blanks and comments between; in order.
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n <a><![CDATA[<b>&amp;]]></a><!-- no -->\
                    <c>1 &lt; 2 &#38; 支付&#x21;</c><d/><e></e><f> <![CDATA[x]]> </f></xml>\n";
        let wanted = [("a", "<b>&amp;"), ("c", "1 < 2 & 支付!"), ("d", ""), ("e", ""), ("f", " x ")];
        assert_eq!(read(text.as_bytes(), "xml"), Ok(fields(&wanted)));
    }

    #[test]
    fn what_is_written_reads_back() {
        // Any text survives, also one that would end its CDATA.
        let pairs = fields(&[("a", "x"), ("b", "a]]>b & <c>"), ("d", ""), ("e", "支付 \"'")]);
        assert_eq!(read(written("xml", &pairs).as_bytes(), "xml"), Ok(pairs));
    }

    #[test]
    fn everything_else_is_refused() {
        // Nothing in a text makes the reader fetch, expand or descend.
        let many: Vec<_> = (0..=FIELDS_MAX).map(|at| format!("<f{at}/>")).collect();
        let many = format!("<xml>{}</xml>", many.concat());
        let long = format!("<xml><a>{}</a></xml>", "x".repeat(BYTES_MAX));
        let table: [(&str, XmlError); 20] = [
            ("<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><a>&x;</a></xml>", XmlError::Forbidden),
            ("<!DOCTYPE xml><xml/>", XmlError::Forbidden),
            ("<xml><a>&x;</a></xml>", XmlError::Forbidden),
            ("<?php x?><xml/>", XmlError::Forbidden),
            ("<xml><?x y?></xml>", XmlError::Forbidden),
            ("<xml a=\"1\"/>", XmlError::Forbidden),
            ("<xml><a b=\"1\">x</a></xml>", XmlError::Forbidden),
            ("<xml><a><b>x</b></a></xml>", XmlError::Shape),
            ("<xml><a>1</a><a>2</a></xml>", XmlError::Shape),
            ("<xml>text</xml>", XmlError::Shape),
            ("<xml/>after", XmlError::Shape),
            ("<xml/><xml/>", XmlError::Root),
            ("<root/>", XmlError::Root),
            ("<xml><a>", XmlError::Malformed),
            ("<xml><a></b></xml>", XmlError::Malformed),
            ("<xml><a>&#0;</a></xml>", XmlError::Malformed),
            ("", XmlError::Malformed),
            ("{\"a\":1}", XmlError::Shape),
            (&many, XmlError::TooLong),
            (&long, XmlError::TooLong),
        ];
        for (text, wanted) in table {
            assert_eq!(read(text.as_bytes(), "xml"), Err(wanted), "{}", &text[..text.len().min(80)]);
        }
        assert_eq!(read(b"<xml>\xff</xml>", "xml"), Err(XmlError::Malformed));
    }
}
