//! The targets of [`maxpay_tests::fuzz`] for libFuzzer, one binary for all. `MAXPAY_FUZZ` names the target, and
//! `MAXPAY_FUZZ_INPUTS` a folder into which its kept inputs are written before libFuzzer reads it.
//!
//! By cargo-fuzz, on a stable toolchain:
//!
//! ```text
//! export MAXPAY_FUZZ=sign MAXPAY_FUZZ_INPUTS=$PWD/target/fuzz/sign
//! cargo fuzz run --fuzz-dir tests --sanitizer none --features libfuzzer fuzz $MAXPAY_FUZZ_INPUTS \
//!     -- -max_total_time=600 -max_len=4096 -timeout=5 -rss_limit_mb=256
//! ```
//!
//! What libFuzzer finds in that folder stays there; what it reports as a crash belongs into `tests/fuzz/<target>.txt`,
//! as the line that the test prints when it is given it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use maxpay_tests::fuzz::{self, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MAXPAY_FUZZ").expect("MAXPAY_FUZZ names the target");
    fuzz::named(&name)
});

fuzz_target!(init: write_kept(), |bytes: &[u8]| (TARGET.check)(bytes));

fn write_kept() {
    let Some(folder) = std::env::var_os("MAXPAY_FUZZ_INPUTS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for (number, input) in TARGET.kept().iter().enumerate() {
        std::fs::write(folder.join(format!("kept-{number}")), input).expect("the input can be written");
    }
}
