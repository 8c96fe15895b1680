//! What the simulators of all providers share: a ledger of their own, a fault plan, how notices leave, and what makes a
//! service of one that anybody can run.
//!
//! A simulator is the provider's side of a dialect. It keeps its own durable file, so that a crash of the engine or of
//! the provider proves something about the other, and tells the time by a clock that is handed in. It opens no socket:
//! whoever serves it hands requests in and carries [`Served`] back.

pub mod authority;
mod client;
mod faults;
mod ledger;
mod notices;
mod service;
pub mod words;

use std::time::Duration;

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::Timestamp;

pub use client::{Host, InProcess};
pub use faults::{FaultPlan, How, Rule, When};
pub use ledger::{Changes, Ledger, LedgerError};
pub use notices::{Notice, NoticeReply, NotificationSink, due_at, due_key, over_http, retry_after};
pub use service::{
    Due, ORDERS_MAX, Offer, OrderRow, Service, ServiceError, ServiceParts, Simulation, TokenAsked, Wallet,
    newest_first, run,
};

/// What came of a request to a simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// This answer.
    Reply(HttpReply),
    /// This answer, so much later.
    Late(Duration, HttpReply),
    /// No answer: a server ends the connection without a byte.
    Lost,
    /// Nothing arrived. Only a client in process can show it; a server ends the connection without a byte.
    NotSent,
}

impl Served {
    /// The answer that a server sends now. `None`: it ends the connection without a byte.
    #[must_use]
    pub fn reply(self) -> Option<HttpReply> {
        match self {
            Self::Reply(reply) | Self::Late(_, reply) => Some(reply),
            Self::Lost | Self::NotSent => None,
        }
    }
}

/// A moment as the `date` header of an answer tells it.
#[must_use]
pub fn http_date(now: Timestamp) -> String {
    let millis = i64::try_from(now.millis()).expect("bounded by the year 9999");
    let moment = jiff::Timestamp::from_millisecond(millis).expect("bounded by the year 9999");
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default()
}
