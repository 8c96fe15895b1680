//! A ticket travels with a message and with the calls that follow from it, and is handed in when all have ended.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

/// Handed in when a message and the calls that follow from it have ended, and everybody who holds it has let it go.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    /// A place among the due records that are worked off at once, and who waits for one to be free.
    place: Option<(OwnedSemaphorePermit, Arc<Notify>)>,
    /// Closed when the ticket is handed in.
    _end: Option<oneshot::Sender<()>>,
}

impl Ticket {
    /// A place among what is worked off at once.
    pub fn place(permit: OwnedSemaphorePermit, free: Arc<Notify>) -> Self {
        Self { _held: Arc::new(Held { place: Some((permit, free)), _end: None }) }
    }

    /// A ticket, and what completes when it is handed in.
    pub fn awaited() -> (Self, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        (Self { _held: Arc::new(Held { place: None, _end: Some(end) }) }, ended)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((permit, free)) = self.place.take() {
            drop(permit);
            free.notify_one();
        }
    }
}
