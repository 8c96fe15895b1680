//! The one test binary of the world around the engine.

mod abuse;
mod channels;
mod clients;
mod crash;
mod doors;
mod fence;
#[cfg(feature = "foreign")]
mod foreign;
mod fuzz;
mod house;
mod native;
mod program;
mod rights;
#[cfg(feature = "foreign")]
mod schemathesis;
mod storm;
mod webhooks;
