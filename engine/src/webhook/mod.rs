//! Webhooks: what is told to merchants, how it is signed, where it may go, and one try of sending it.
//!
//! When a try is due and what follows from its result is told by [`crate::machine`]; this room keeps nothing.

pub mod functions;
pub mod guard;
pub mod headers;
mod masking;
pub mod payload;
pub mod sender;
pub mod signature;
mod transcript;

pub use functions::{FunctionCall, FunctionRegistry};
pub use guard::GuardPolicy;
pub use sender::{Outgoing, Sender, Sent, WebhookClient};
pub use transcript::{ReceivedResponse, SentRequest, Transcript};
