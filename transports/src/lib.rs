//! Bytes in, bytes out: the doors of the engine and its outbound HTTP.
#![deny(missing_docs)]

pub mod client;
