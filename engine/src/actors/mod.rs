//! Who runs when: routers, transaction and subscription actors, the dispatcher of calls, the timekeeper.
//!
//! Which status follows from what is told by [`crate::machine`]; this room keeps one writer per record, the order
//! *commit before telling*, and every bound.

pub(crate) mod commands;
pub(crate) mod reader;
pub(crate) mod threads;
