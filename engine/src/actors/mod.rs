//! Who runs when: routers, transaction and subscription actors, the dispatcher of calls, the timekeeper.
//!
//! Which status follows from what is told by [`crate::machine`]; this room keeps one writer per record, the order
//! *commit before telling*, and every bound.
//!
//! Reading order. What runs: [`commands`], [`threads`], [`system`]. One payment: [`router`], [`transaction`], `keeper`,
//! `creating`, [`batch`]. Its calls: [`dispatcher`], [`calls`], `adapting`, `homing`. What becomes due: [`timekeeper`],
//! `lane`, `firing`, [`upkeep`]. Webhooks: [`subscription`], [`delivering`], [`sweeps`], [`sweeping`].

mod adapting;
pub(crate) mod batch;
pub(crate) mod bills;
pub(crate) mod births;
pub(crate) mod calls;
pub(crate) mod commands;
mod creating;
pub(crate) mod delivering;
pub(crate) mod dispatcher;
pub(crate) mod doorkeeper;
mod failure;
mod firing;
pub(crate) mod hints;
mod homing;
pub(crate) mod inbox_items;
mod keeper;
mod kind;
mod lane;
pub(crate) mod materials;
pub(crate) mod metrics;
pub(crate) mod owners;
mod pace;
pub(crate) mod reader;
mod rest;
pub(crate) mod router;
pub(crate) mod set_aside;
mod stalled;
pub(crate) mod subscription;
pub(crate) mod sweeping;
pub(crate) mod sweeps;
pub(crate) mod system;
pub(crate) mod threads;
pub(crate) mod ticket;
pub(crate) mod timekeeper;
pub(crate) mod transaction;
pub(crate) mod upkeep;
pub(crate) mod watchers;

pub(crate) use keeper::account_of;

#[cfg(test)]
mod tests;
