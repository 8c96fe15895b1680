//! The program, as tests run it: ended by force at a named point of a commit, with shorter waits, or with a fault planted
//! in it. What the environment says is read here and nowhere in the program proper:
//!
//! | variable | what it does |
//! |---|---|
//! | `MAXPAY_CRASH_AT=AfterJournalCommit:3` | ends the process when that point is passed for the third time |
//! | `MAXPAY_SHORT_WAITS=1` | looks at the provider again after fractions of a second; payments may expire after seconds |
//! | `MAXPAY_PLANT=FAULT` | plants a fault, by its name ([`Plant`]) |

mod late_disk;
mod new_numbers;
mod plant;
mod short_waits;
mod split_events;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maxpay::{CrashPoint, CrashPoints, TestParts};
use maxpay_engine::channel::Adapter;

pub use plant::Plant;

/// Names the point at which the process ends.
pub const CRASH_AT: &str = "MAXPAY_CRASH_AT";
/// Asks for shorter waits.
pub const SHORT_WAITS: &str = "MAXPAY_SHORT_WAITS";
/// Names the planted fault.
pub const PLANT: &str = "MAXPAY_PLANT";

/// Runs the program with the process's own arguments, and with what the environment says.
///
/// # Panics
/// When the environment says something that nobody knows.
#[must_use]
pub fn main() -> ExitCode {
    let plant = std::env::var(PLANT).ok().map(|name| name.parse::<Plant>().expect("a fault that can be planted"));
    let short_waits = std::env::var_os(SHORT_WAITS).is_some();
    let mut parts = TestParts { crash_points: crash_points(), ..TestParts::default() };
    match plant {
        None | Some(Plant::ResendUnderNewNumber) => {}
        Some(Plant::AcknowledgeBeforeCommit) => {
            parts.files = Some(Arc::new(|folder| Arc::new(late_disk::LateDisk::new(folder))));
        }
        Some(Plant::WebhookOutsideBatch) => {
            parts.store = Some(Arc::new(|store| Arc::new(split_events::SplitEvents::new(store))));
        }
    }
    let new_numbers = plant == Some(Plant::ResendUnderNewNumber);
    parts.adapter = Some(Arc::new(move |mut adapter: Arc<dyn Adapter>| {
        if new_numbers {
            adapter = Arc::new(new_numbers::NewNumbers::new(adapter));
        }
        if short_waits {
            adapter = Arc::new(short_waits::ShortWaits::new(adapter));
        }
        adapter
    }));
    maxpay::main(&parts)
}

fn crash_points() -> Option<CrashPoints> {
    let wanted = std::env::var(CRASH_AT).ok()?;
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
