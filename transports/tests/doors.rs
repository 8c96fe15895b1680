//! The HTTP doors over a whole engine in memory, spoken to in raw bytes over TCP.

#[path = "doors/native.rs"]
mod native;
#[path = "doors/original.rs"]
mod original;
#[path = "doors/payments.rs"]
mod payments;
#[path = "doors/repeats.rs"]
mod repeats;
#[path = "doors/shapes.rs"]
mod shapes;
#[path = "doors/toy.rs"]
mod toy;
#[path = "doors/watch.rs"]
mod watch;
#[path = "doors/world.rs"]
mod world;
