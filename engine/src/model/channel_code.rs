//! The code of a way to pay, as the original API writes it: `ali_app`, `wx_native` …

use std::fmt;
use std::str::FromStr;

use bincode::Encode;

use super::decoding::decode_through;

/// The code of a channel: 1 to 32 lower-case letters, digits and `_`, beginning with a letter.
///
/// Which codes exist is told by the adapters that are plugged in, not here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct ChannelCode(String);

decode_through!(ChannelCode, String, |text: String| text.parse::<ChannelCode>());

impl ChannelCode {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is no channel code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel code is 1 to 32 lower-case letters, digits and _, beginning with a letter")]
pub struct ChannelCodeError;

impl FromStr for ChannelCode {
    type Err = ChannelCodeError;

    fn from_str(text: &str) -> Result<Self, ChannelCodeError> {
        let shaped = text.len() <= 32
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if shaped { Ok(Self(text.to_owned())) } else { Err(ChannelCodeError) }
    }
}

impl fmt::Display for ChannelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
