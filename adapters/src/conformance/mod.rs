//! The exam that every adapter sits, other people's too: an adapter and its provider's simulator in, a report out.
//!
//! It believes nothing. Every claim of the manifest is held against the provider's books; every answer and notice is
//! cut, changed, forged, aged and handed to the wrong reader; and a whole engine is driven through creates, queries,
//! closes and charges with the way to the provider broken at every place, with and without a crash between, until it
//! must have come to the truth. It needs no network, and time in it stands still unless it is moved.
//!
//! ```no_run
//! use maxpay_adapters::conformance::examine;
//! use maxpay_adapters::sandbox::simulator::SandboxCandidate;
//!
//! let report = examine(&SandboxCandidate);
//! println!("{report}");
//! report.assert_passed();
//! ```

mod account;
mod amounts;
mod answers;
mod bytes;
mod charges;
mod claims;
mod desk;
mod ear;
mod fault;
mod limits;
mod notices;
mod orders;
mod provider;
mod refunds;
mod reopening;
mod report;
mod rotations;
mod runs;
mod settings;
mod simple;
mod struck;
mod words;

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use maxpay_engine::channel::CodeManifest;

use desk::Desk;
use ear::Ear;
use report::Sheet;

pub use provider::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Card, Feature, Lack, Merchant, Play, Provider,
    Seal, Stage,
};
pub use report::{Report, Row, Verdict};
#[cfg(feature = "simulator")]
pub(crate) use rotations::{rotated, rotations};
pub use simple::{Asked, Dialect, Found, Moment, Order, Signed, SimpleCandidate, SimpleProvider};

/// Codes that are examined at once.
const AT_ONCE: usize = 4;

/// Examines a candidate. Takes seconds for each code, on threads and runtimes of its own, so that it may be called from
/// anywhere.
///
/// Adapters that panic fail; the exam itself does not end by it.
///
/// # Panics
/// When no thread or runtime can be had.
#[must_use]
pub fn examine(candidate: &dyn Candidate) -> Report {
    let ear = Arc::new(Ear::default());
    let mut report = Report { candidate: candidate.name(), rows: Vec::new() };
    let codes = codes(candidate);
    if let Some(first) = codes.first() {
        report.rows.extend(on_a_thread(|| sit(candidate, first, &ear, "settings", SETTINGS, None)));
    }
    for some in codes.chunks(AT_ONCE) {
        let rows = std::thread::scope(|scope| {
            let ear = &ear;
            let exams = some.iter().map(|rules| scope.spawn(move || on_a_thread(|| of_code(candidate, rules, ear))));
            let exams: Vec<_> = exams.collect();
            let join =
                |exam: std::thread::ScopedJoinHandle<'_, Vec<Row>>| exam.join().expect("panics are caught in it");
            exams.into_iter().flat_map(join).collect::<Vec<_>>()
        });
        report.rows.extend(rows);
    }
    report.rows.extend(secrecy(&ear));
    report
}

/// Runs it where no other runtime is.
fn on_a_thread<F: Future<Output = Vec<Row>>>(exam: impl FnOnce() -> F + Send) -> Vec<Row> {
    std::thread::scope(|scope| {
        let exam = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime of one thread can be had").block_on(exam())
        });
        exam.join().expect("panics of the candidate are caught in their parts")
    })
}

/// A part of the exam, for one code.
type Part = for<'a> fn(&'a Desk<'a>, &'a mut Sheet) -> BoxFuture<'a, ()>;

/// The parts, each with a provider of its own.
const PARTS: [(&str, Part); 11] = [
    ("requests", |desk, sheet| Box::pin(bytes::examine(desk, sheet))),
    ("orders", |desk, sheet| Box::pin(orders::examine(desk, sheet))),
    ("charges", |desk, sheet| Box::pin(charges::examine(desk, sheet))),
    ("answers", |desk, sheet| Box::pin(answers::examine(desk, sheet))),
    ("notifications", |desk, sheet| Box::pin(notices::examine(desk, sheet))),
    ("amounts", |desk, sheet| Box::pin(amounts::examine(desk, sheet))),
    ("refunds", |desk, sheet| Box::pin(refunds::examine(desk, sheet))),
    ("reopening", |desk, sheet| Box::pin(reopening::examine(desk, sheet))),
    ("refund faults", |desk, sheet| Box::pin(struck::examine(desk, sheet))),
    ("claims", |desk, sheet| Box::pin(claims::examine(desk, sheet))),
    ("limits", |desk, sheet| Box::pin(limits::examine(desk, sheet))),
];

async fn of_code(candidate: &dyn Candidate, rules: &CodeManifest, ear: &Arc<Ear>) -> Vec<Row> {
    let mut rows = at_the_desk(candidate, rules, ear).await;
    let mut sheet = Sheet::new("engine", Some(rules.code.clone()));
    let ran = AssertUnwindSafe(runs::examine(candidate, rules, ear, &mut sheet)).catch_unwind().await;
    if ran.is_err() {
        sheet.fail("nothing panics", "the provider panicked");
    }
    rows.extend(sheet.rows);
    rows
}

/// Everything that needs no engine.
async fn at_the_desk(candidate: &dyn Candidate, rules: &CodeManifest, ear: &Arc<Ear>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, part) in PARTS {
        rows.extend(sit(candidate, rules, ear, name, part, Some(rules)).await);
    }
    rows
}

/// The part about the adapter as a whole.
const SETTINGS: Part = |desk, sheet| Box::pin(async move { settings::examine(desk, sheet) });

fn codes(candidate: &dyn Candidate) -> Vec<CodeManifest> {
    let only = candidate.codes();
    let serves = |rules: &&CodeManifest| only.is_empty() || only.contains(&rules.code);
    candidate.adapter().manifest().codes.iter().filter(serves).cloned().collect()
}

/// One part for one code; what goes wrong in it is a failure.
async fn sit(
    candidate: &dyn Candidate,
    rules: &CodeManifest,
    ear: &Arc<Ear>,
    name: &'static str,
    part: Part,
    code: Option<&CodeManifest>,
) -> Vec<Row> {
    let mut sheet = Sheet::new(name, code.map(|rules| rules.code.clone()));
    match Desk::new(candidate, rules, ear) {
        Ok(desk) => {
            let sat = AssertUnwindSafe(part(&desk, &mut sheet)).catch_unwind().await;
            if sat.is_err() {
                sheet.fail("nothing panics", "the adapter or its provider panicked");
            }
        }
        Err(why) => sheet.fail("the provider opens", why),
    }
    sheet.rows
}

fn secrecy(ear: &Ear) -> Vec<Row> {
    let mut sheet = Sheet::new("secrecy", None);
    let leaks = ear.leaks();
    sheet.hold("nothing that is said anywhere shows a secret", leaks.is_empty(), || leaks.join("; "));
    sheet.rows
}
