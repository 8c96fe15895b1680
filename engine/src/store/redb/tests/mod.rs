//! The redb body: the common exam, and what only a disk can do to it.

mod basics;
mod crash;
mod damage;
mod disk;
mod faults;
mod gate;
mod together;
mod workload;
