//! When to stop: SIGTERM or Ctrl-C.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for both signals from the moment it is made, so that none is missed while the server starts.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen. Needs a tokio runtime with I/O.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes at the next signal and names it. A second one, during the drain, is for the caller to heed.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}
