//! What is seen of a request under a fault, and the answers that nobody signs.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;

use crate::simulator::{How, LedgerError, Served};

use super::super::acquirer::wire::{DoorBody, DoorError};

/// What is seen of a request that is not executed; `None`: it is looked at first.
pub(super) fn broken(how: How) -> Option<Served> {
    match how {
        How::NotSent => Some(Served::NotSent),
        How::Lost => Some(Served::Lost),
        How::Status(status) => Some(plain(status, "a gateway says no")),
        How::Garbage => Some(garbage()),
        How::Busy | How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => None,
    }
}

/// What is seen of an answer.
pub(super) fn after(fault: Option<How>, reply: HttpReply) -> Served {
    match fault {
        None | Some(How::Unsigned | How::Forged | How::Busy | How::Duplicated) => Served::Reply(reply),
        Some(How::Late(wait)) => Served::Late(wait, reply),
        Some(How::Lost | How::NotSent) => Served::Lost,
        Some(How::Status(status)) => plain(status, "something went wrong"),
        Some(How::Garbage) => garbage(),
    }
}

pub(super) fn closed(error: &LedgerError) -> Served {
    tracing::error!(%error, "the simulated provider cannot use its books");
    plain(500, "the books are closed")
}

pub(super) fn plain(status: u16, text: &str) -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status, headers, body: Bytes::copy_from_slice(text.as_bytes()) })
}

fn garbage() -> Served {
    plain(200, "\u{1}\u{2}<<<not an answer")
}

pub(super) fn at_door(error: DoorError) -> Served {
    let body = serde_json::to_vec(&DoorBody { error }).expect("one word");
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Served::Reply(HttpReply { status: 401, headers, body: Bytes::from(body) })
}
