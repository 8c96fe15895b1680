//! What is wrong in a settings file: where, and what would be right, but never what stands there. It may be a secret, put
//! on the wrong line.

/// Between what was found and what would be right, in the words of `serde`.
const WANTED: &str = ", expected ";

/// A line of a settings file that is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct Mistake {
    line: usize,
    column: usize,
    why: String,
}

impl Mistake {
    /// The mistake for which `text` was refused.
    pub(super) fn new(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            why: without_value(error.message()),
        }
    }
}

/// The message without the value that it quotes. The name of an unknown field stays: it stands before the `=`.
fn without_value(message: &str) -> String {
    for found in ["invalid type", "invalid value", "unknown variant"] {
        if message.starts_with(found) {
            // The last one: the value may hold the same words.
            let wanted = message.rsplit_once(WANTED).map(|(_, wanted)| format!(", expected {wanted}"));
            return format!("{found}{}", wanted.unwrap_or_default());
        }
    }
    message.to_owned()
}
