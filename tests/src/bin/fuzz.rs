//! The targets of [`maxpay_tests::fuzz`] for libFuzzer, one binary for all: `MAXPAY_FUZZ` names the target.
//!
//! With cargo-fuzz, on a stable toolchain; new inputs are gathered in the first folder:
//!
//! ```text
//! mkdir -p target/fuzz/sign
//! MAXPAY_FUZZ=sign cargo fuzz run --fuzz-dir tests --sanitizer none --features libfuzzer fuzz \
//!     target/fuzz/sign tests/fuzz/sign -- -max_total_time=600 -max_len=4096 -timeout=5 -rss_limit_mb=1024
//! ```
//!
//! `cargo fuzz run … fuzz tests/fuzz/sign target/fuzz/sign -- -merge=1 -set_cover_merge=1` keeps of them what reaches
//! something new.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use maxpay_tests::fuzz::{self, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MAXPAY_FUZZ").expect("MAXPAY_FUZZ names the target");
    fuzz::named(&name)
});

fuzz_target!(|bytes: &[u8]| (TARGET.check)(bytes));
