//! Bytes in, bytes out: the operations that every door offers, the HTTP doors, the pipe, and the engine's outbound HTTP.
#![deny(missing_docs)]

pub mod operations;

pub mod http;

pub mod client;

mod lookups;
mod reach;

pub mod stdio;
