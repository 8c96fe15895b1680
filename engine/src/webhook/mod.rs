//! Webhooks: what is told to merchants, how it is signed, where it may go, and one try of sending it.
//!
//! When a try is due and what follows from its result is told by [`crate::machine`]; this room keeps nothing.

mod sender;
mod transcript;

pub use sender::WebhookClient;
pub use transcript::{ReceivedResponse, SentRequest, Transcript};
