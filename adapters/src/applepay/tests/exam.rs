//! The exam that every adapter sits.

use crate::applepay::simulator::ApplePayCandidate;
use crate::conformance::examine;

#[test]
fn apple_pay_passes() {
    // Every case holds, or is listed as lacking with its reason.
    examine(&ApplePayCandidate).assert_passed();
}
