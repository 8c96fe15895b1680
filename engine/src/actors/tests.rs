//! The actors as a merchant, a channel and a disk notice them: over the memory store, a scripted channel and a virtual
//! clock.

mod basics;
mod calls;
mod crowd;
mod deliveries;
mod disk;
mod ending;
mod failover;
mod following;
mod kept;
mod repeats;
mod script;
mod supervision;
mod time;
mod tokens;
mod world;
