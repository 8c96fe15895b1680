//! A short kill storm, and one for each planted fault, which it must find. The long one is a bench: `kill_storm`.

use std::path::Path;

use maxpay_tests::storm::{self, Law, Report, Settings};
use maxpay_tests::under_test::Plant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_told_wrongly() {
    // 110 kills and more under load, every other one at one of the nine points of a commit: every law holds.
    let report = run(110, 50, 110, 7, None).await;
    let told: Vec<String> = report.violations.iter().take(20).map(ToString::to_string).collect();
    let again = format!("kill_storm --kills {} --seed 7", report.kills);
    assert!(told.is_empty(), "after {} kills; `{again}` repeats it:\n{}", report.kills, told.join("\n"));
    let count = |name| report.counts.get(name).copied().unwrap_or(0);
    assert!(report.kills >= 100 && count("kills at random moments") >= 50, "{report:?}");
    assert!(count("acknowledged on /v1") >= 50 && count("acknowledged on /2.0") >= 50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_acknowledged_early_is_found() {
    // The disk says *synced* 50 ms early: something that a merchant was told of is gone, or that its number is taken.
    falls(Plant::AcknowledgeBeforeCommit, &[Law::NothingLost, Law::OneNumber]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_row_outside_the_batch_is_found() {
    // Events are committed 50 ms behind their batch: a success reaches nobody.
    falls(Plant::WebhookOutsideBatch, &[Law::Delivered]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resend_under_a_new_number_is_found() {
    // A create that is sent again goes under another number: one transaction has two orders.
    falls(Plant::ResendUnderNewNumber, &[Law::OneNumber]).await;
}

async fn falls(plant: Plant, laws: &[Law]) {
    let report = run(60, 0, 10, 11, Some(plant)).await;
    let found = report.violations.iter().any(|violation| laws.contains(&violation.law));
    assert!(found, "{plant} was not found in {} kills: {:?}", report.kills, report.violations);
}

async fn run(kills: u64, payments_min: u64, calm_every: u64, seed: u64, plant: Option<Plant>) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings {
        program: Path::new(env!("CARGO_BIN_EXE_maxpay-under-test")).to_owned(),
        environment: Vec::new(),
        folder: folder.path().to_owned(),
        kills,
        payments_min,
        calm_every,
        merchants: 6,
        seed,
        plant,
    };
    storm::run(settings, |_| {}).await
}
