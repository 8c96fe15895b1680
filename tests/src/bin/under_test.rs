//! The program, ended by force at a named point of a commit: `MAXPAY_CRASH_AT=AfterJournalCommit:3` ends it when that
//! point is passed for the third time.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maxpay::{CrashPoint, CrashPoints};

fn main() -> ExitCode {
    maxpay::main(crash_points())
}

fn crash_points() -> Option<CrashPoints> {
    let wanted = std::env::var("MAXPAY_CRASH_AT").ok()?;
    let (name, nth) = wanted.split_once(':').expect("MAXPAY_CRASH_AT is <point>:<count>");
    let (name, nth) = (name.to_owned(), nth.parse::<u64>().expect("the count is a number"));
    let passed = AtomicU64::new(0);
    Some(Arc::new(move |point: CrashPoint| {
        if format!("{point:?}") == name && passed.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            // No unwinding, no flushing, no destructor: as a kill would.
            std::process::abort();
        }
    }))
}
