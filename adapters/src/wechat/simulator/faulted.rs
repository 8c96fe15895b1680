//! How a planned fault shows: instead of an execution, or instead of its answer, in whatever dialect that is written.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;

use crate::simulator::{How, LedgerError, Served, When};

/// Who signs an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    /// The provider.
    Own,
    /// Somebody else, under the provider's name.
    Stranger,
    /// Nobody.
    Nobody,
}

/// What is seen although nothing was executed. `None`: the request arrives.
pub(super) fn on_the_way_in(fault: Option<(When, How)>) -> Option<Served> {
    let Some((When::BeforeExecution, how)) = fault else { return None };
    match how {
        How::NotSent => Some(Served::NotSent),
        How::Lost => Some(Served::Lost),
        How::Status(status) => Some(plain(status, "a gateway says no")),
        How::Garbage => Some(garbage()),
        How::Busy | How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => None,
    }
}

/// Executes a request that arrived: once, twice, or not at all because too much is to be done.
pub(super) fn executed<E>(
    fault: Option<(When, How)>,
    busy: impl FnOnce() -> E,
    execute: impl Fn() -> Result<E, LedgerError>,
) -> Result<E, LedgerError> {
    match fault {
        Some((When::BeforeExecution, How::Busy)) => Ok(busy()),
        Some((_, How::Duplicated)) => {
            execute()?;
            execute()
        }
        Some(_) | None => execute(),
    }
}

/// What is seen of the answer.
pub(super) fn on_the_way_out(fault: Option<(When, How)>, written: impl Fn(Hand) -> HttpReply) -> Served {
    match fault.map(|(_, how)| how) {
        None | Some(How::Duplicated | How::NotSent | How::Busy) => Served::Reply(written(Hand::Own)),
        Some(How::Lost) => Served::Lost,
        Some(How::Late(wait)) => Served::Late(wait, written(Hand::Own)),
        Some(How::Status(status)) => plain(status, "a gateway says no"),
        Some(How::Garbage) => garbage(),
        Some(How::Unsigned) => Served::Reply(written(Hand::Nobody)),
        Some(How::Forged) => Served::Reply(written(Hand::Stranger)),
    }
}

fn garbage() -> Served {
    plain(200, "\u{1}\u{2}<<<not an answer")
}

/// An answer of a gateway in front of the provider.
pub(super) fn plain(status: u16, text: &str) -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status, headers, body: Bytes::copy_from_slice(text.as_bytes()) })
}
