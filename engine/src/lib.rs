//! MaxPay's engine.
#![deny(missing_docs)]
pub mod clock;
pub mod model;
pub mod store;
