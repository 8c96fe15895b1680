//! `maxpay`: a payment engine that serves HTTP or speaks over a pipe.

use std::process::ExitCode;

fn main() -> ExitCode {
    maxpay::main(&maxpay::TestParts::default())
}
