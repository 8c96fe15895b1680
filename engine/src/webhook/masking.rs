//! What a target answers may hold what it was sent: secrets in it are hidden before anything of it is kept or shown.

use zeroize::Zeroizing;

use crate::secrets::Secret;

/// Shorter texts are not looked for: they stand in every answer and say nothing.
const LENGTH_MIN: usize = 6;
const MASK: &str = "[secret]";

/// Texts that must not be kept or shown.
pub(super) struct Mask(Vec<Zeroizing<Vec<u8>>>);

impl Mask {
    /// Hides these values and, because a target may read `Bearer …` and answer the rest, each word of them; also as they
    /// stand in JSON that escapes slashes.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Secret>) -> Self {
        let mut hidden = Vec::new();
        for value in values {
            let words = value.expose().split(u8::is_ascii_whitespace);
            for text in std::iter::once(value.expose()).chain(words).filter(|text| text.len() >= LENGTH_MIN) {
                hidden.push(Zeroizing::new(text.to_vec()));
                if text.contains(&b'/') {
                    let escaped = text.split(|byte| *byte == b'/').collect::<Vec<_>>().join(&b"\\/"[..]);
                    hidden.push(Zeroizing::new(escaped));
                }
            }
        }
        // The longest first: a value goes before its words.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(hidden)
    }

    /// The bytes with `[secret]` in place of each hidden text.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first() {
            if let Some(hidden) = self.0.iter().find(|text| rest.starts_with(text)) {
                shown.extend_from_slice(MASK.as_bytes());
                rest = &rest[hidden.len()..];
            } else {
                shown.push(*first);
                rest = behind;
            }
        }
        shown
    }

    /// The same for a text.
    pub(super) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_in_an_answer_is_hidden() {
        // Whole, word by word, with escaped slashes, more than once and beside bytes that are no text; short ones stay.
        let secrets = ["Bearer abc/def/ghi", "hunter2", "abc/def", "no"].map(Secret::from_text);
        let mask = Mask::of(secrets.iter());
        for (answer, shown) in [
            (&b"you said Bearer abc/def/ghi"[..], &b"you said [secret]"[..]),
            (b"token=abc/def/ghi;", b"token=[secret];"),
            (br#"{"t":"abc\/def\/ghi"}"#, br#"{"t":"[secret]"}"#),
            (b"hunter2hunter2 hunter", b"[secret][secret] hunter"),
            (b"abc/def/gh", b"[secret]/gh"),
            (b"\xffhunter2\xfe", b"\xff[secret]\xfe"),
            (b"no way", b"no way"),
            (b"", b""),
        ] {
            assert_eq!(mask.bytes(answer), shown, "{}", String::from_utf8_lossy(answer));
        }
    }
}
