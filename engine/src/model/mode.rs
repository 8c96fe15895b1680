//! Test and live: two worlds that nothing crosses.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

/// Which of the two worlds a record belongs to. The credential of a request decides it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// No real money.
    Test,
    /// Real money.
    Live,
}

impl Mode {
    /// The byte that stands for it in keys.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Test => 0,
            Self::Live => 1,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Live => "live",
        })
    }
}

/// A text is neither `test` nor `live`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mode is test or live")]
pub struct ModeError;

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "test" => Ok(Self::Test),
            "live" => Ok(Self::Live),
            _ => Err(ModeError),
        }
    }
}
