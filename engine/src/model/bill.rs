//! The merchant's number for what is paid, and what all transactions under it came to.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use super::TransactionId;
use super::decoding::decode_through;

/// The merchant's number (`billNum`): 1 to 128 characters without control characters, kept as it came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct BillNum(String);

decode_through!(BillNum, String, |text: String| text.parse::<BillNum>());

/// A text is no bill number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bill number has 1 to 128 characters and no control characters")]
pub struct BillNumError;

impl BillNum {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BillNum {
    type Err = BillNumError;

    fn from_str(text: &str) -> Result<Self, BillNumError> {
        let fits = !text.is_empty() && text.chars().count() <= 128 && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(BillNumError) }
    }
}

impl fmt::Display for BillNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BillNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of all transactions of one (app, mode, bill number). Changed only with the row as read as the
/// precondition.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Bill {
    /// The first transaction made.
    pub first: TransactionId,
    /// The newest one made.
    pub newest: TransactionId,
    /// How many were made.
    pub made: u32,
    /// How many are neither paid, closed nor failed.
    pub open: u32,
    /// The first one paid.
    pub first_paid: Option<TransactionId>,
}
