//! The faults that can be planted, each a way in which an engine like this one goes wrong.

use std::fmt;
use std::str::FromStr;

/// A fault that is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// A commit is answered while its bytes are still in the process: the disk says *synced* 50 ms early.
    AcknowledgeBeforeCommit,
    /// A batch is committed without its events; they, and the deliveries they make, are committed 50 ms later.
    WebhookOutsideBatch,
    /// A create that is sent again goes under another number.
    ResendUnderNewNumber,
}

impl Plant {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::AcknowledgeBeforeCommit, Self::WebhookOutsideBatch, Self::ResendUnderNewNumber];

    /// Its name in the environment and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge_before_commit",
            Self::WebhookOutsideBatch => "webhook_outside_batch",
            Self::ResendUnderNewNumber => "resend_under_new_number",
        }
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|plant| plant.name() == text).ok_or_else(|| format!("the faults are {names}"))
    }
}
