//! The sandbox from both sides.
