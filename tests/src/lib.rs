//! The world around the engine: servers under test, receivers that keep a log, clients that speak bytes.
#![deny(missing_docs)]

pub mod client;
pub mod disk;
pub mod door;
pub mod fuzz;
pub mod open_files;
pub mod raw;
pub mod receiver;
pub mod server;
pub mod simulator;
pub mod storm;
pub mod under_test;
pub mod world;
