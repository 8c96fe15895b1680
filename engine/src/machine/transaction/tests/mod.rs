//! Tests of the machine: a walk over what can be reached, any order of evidence, and the cases that decide.

mod cases_closing;
mod cases_failover;
mod cases_money;
mod cases_sending;
mod charges;
mod hints;
mod orders;
mod walk;
mod walk_checks;
mod world;
