//! `maxpay`: a payment engine that serves HTTP or speaks over a pipe.

use std::process::ExitCode;

/// Most of what a payment allocates is given back by another thread than took it, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    maxpay::main(&maxpay::TestParts::default())
}
