//! The program, as tests run it: see [`maxpay_tests::under_test`].

use std::process::ExitCode;

fn main() -> ExitCode {
    maxpay_tests::under_test::main()
}
