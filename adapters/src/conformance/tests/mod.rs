//! The exam examined: what is built in passes, and what is planted fails.

use super::*;
use crate::sandbox::simulator::SandboxCandidate;

#[test]
fn the_sandbox_passes() {
    // Every case of every code holds.
    examine(&SandboxCandidate).assert_passed();
}
