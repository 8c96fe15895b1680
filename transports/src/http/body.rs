//! Reading bodies: to a size, within a time.

use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::operations::Problem;

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyRefusal {
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// It did not arrive in time.
    TooSlow,
    /// It ended early, or its framing is broken.
    Broken,
}

impl BodyRefusal {
    pub(super) fn text(self) -> String {
        match self {
            Self::TooLarge(max) => format!("the body is larger than {max} bytes"),
            Self::TooSlow => "the body took too long to arrive".to_owned(),
            Self::Broken => "the body ended early or is not framed as HTTP says".to_owned(),
        }
    }

    pub(super) fn problem(self) -> Problem {
        match self {
            Self::TooLarge(_) => Problem::new(413, "too_large", self.text()),
            Self::TooSlow => Problem::new(408, "too_slow", self.text()),
            Self::Broken => Problem::new(400, "malformed_request", self.text()),
        }
    }
}

/// Reads a whole body of at most `max` bytes.
pub(super) async fn read(payload: &mut web::Payload, max: usize, deadline: Duration) -> Result<Bytes, BodyRefusal> {
    tokio::time::timeout(deadline, gather(payload, max)).await.unwrap_or(Err(BodyRefusal::TooSlow))
}

/// A body that is too large is read on for a while and thrown away: a client that still writes would otherwise meet a
/// closed connection and never see the answer.
async fn gather(payload: &mut web::Payload, max: usize) -> Result<Bytes, BodyRefusal> {
    let thrown_away_max = max.saturating_mul(4);
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyRefusal::Broken)?;
        seen = seen.saturating_add(chunk.len());
        if seen > thrown_away_max {
            break;
        }
        if seen <= max {
            body.extend_from_slice(&chunk);
        }
    }
    if seen > max { Err(BodyRefusal::TooLarge(max)) } else { Ok(body.freeze()) }
}
