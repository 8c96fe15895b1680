//! What went over the wire in one try, for the merchant who pressed the test button.

use std::fmt;

use bytes::Bytes;

use crate::model::{Timestamp, TryResult};

/// One try, as exactly as it may be shown to its merchant. Its `Debug` shows the result only.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    /// What was sent. `None`: nothing was, because the target was refused or did not resolve.
    pub request: Option<SentRequest>,
    /// What came back, as far as it was read.
    pub response: Option<ReceivedResponse>,
    /// When the try began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What came of it.
    pub result: TryResult,
}

/// A request as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The target: an address, or the name of a function.
    pub target: String,
    /// Names and values in the order they were sent; empty for a function. The values of the subscription's own
    /// headers are secrets and read `[secret]`.
    pub headers: Vec<(String, String)>,
    /// The exact body.
    pub body: Bytes,
}

/// A response as it came, but for the values of the subscription's own headers: where they stand in it, it reads
/// `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedResponse {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case and values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, at most the sender's cap.
    pub body: Bytes,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript")
            .field("started_at", &self.started_at)
            .field("ended_at", &self.ended_at)
            .field("status", &self.response.as_ref().map(|response| response.status))
            .field("success", &self.result.is_success())
            .finish_non_exhaustive()
    }
}
