//! MaxPay's engine: durable payments over any channel, and webhooks that arrive.
//!
//! Modules in reading order: the nouns ([`model`]), the verbs ([`machine`]), what an adapter is ([`channel`]), durable
//! memory ([`store`]), what hosts ask ([`api`]).
//!
//! ```
//! use std::time::Duration;
//!
//! use maxpay_engine::api::{CreateApp, PageRequest};
//! use maxpay_engine::model::LatePolicy;
//! use maxpay_engine::{Engine, Error};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In memory, for a test; `.store(…)` and `.sealing_key(…)` make it last.
//! let engine = Engine::builder().memory().start()?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let shop = CreateApp { name: "Shop".into(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
//! let created = engine.create_app(shop, None).await?;
//! let page = engine.apps(PageRequest { after: None, limit: 10, newest_first: false }).await?;
//! assert_eq!(page.items[0].id, created.app.id);
//! engine.shutdown(Duration::from_secs(5)).await;
//! # Ok::<(), Error>(())
//! # })?;
//! # Ok(())
//! # }
//! ```
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
pub use front::account_lacks;
