//! MaxPay's engine: durable payments over any channel, and webhooks that arrive.
//!
//! Modules in reading order: the nouns ([`model`]), the verbs ([`machine`]), what an adapter is ([`channel`]), durable
//! memory ([`store`]), what hosts ask ([`api`]).
#![deny(missing_docs)]

pub mod model;

pub mod machine;

pub mod channel;

pub mod store;

pub mod webhook;

pub mod api;

mod actors;
mod adapters;
mod alarms;
mod builder;
mod directory;
mod engine;
mod front;
mod query;
mod settings;

pub mod clock;
mod error;
pub mod secrets;

pub use actors::metrics::MetricsSnapshot;
pub use builder::EngineBuilder;
pub use engine::{Engine, Health, ShutdownReport};
pub use error::Error;
