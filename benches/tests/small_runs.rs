//! Each bench, small: it comes to its end and its report holds what it is there for. What the figures are is not asked:
//! this may be a debug build on a busy machine.

use std::process::Command;

use serde_json::Value;

/// Runs a bench and gives its report.
fn run(program: &str, name: &str, arguments: &[&str]) -> Value {
    let target = tempfile::tempdir().expect("a folder");
    let ran = Command::new(program).args(arguments).env("CARGO_TARGET_DIR", target.path()).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{name}:\n{}\n{}", text(&ran.stdout), text(&ran.stderr));
    let reports = target.path().join("bench-reports");
    let page = std::fs::read_to_string(reports.join(name).with_extension("html")).expect("the page is there");
    assert!(page.contains("<svg "), "{name} draws nothing");
    let report = std::fs::read(reports.join(name).with_extension("json")).expect("the report is there");
    serde_json::from_slice(&report).expect("the report is JSON")
}

fn number(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {report:#}"))
}

#[test]
fn payments_small() {
    // With the provider apart and inside: payments are made, told, and cost the server something.
    for provider in ["apart", "inside"] {
        let arguments = ["--concurrency", "2", "--seconds", "1", "--runs", "1", "--provider", provider];
        let report = run(env!("CARGO_BIN_EXE_payments"), "payments", &arguments);
        assert!(number(&report, "/figures/loads/0/runs/0/payments") > 0, "{report:#}");
        assert!(number(&report, "/figures/loads/0/runs/0/server_cpu_us") > 0, "{report:#}");
    }
}

#[test]
fn retry_dispatch_small() {
    // Sixteen receivers, two of them failing and two hanging, ten deliveries each. Every first try to one that answers
    // is counted; by the clock that jumps, the failing ones are tried eleven times each and the others once.
    let arguments = [
        ["--backlog", "160"],
        ["--subscriptions", "16"],
        ["--failing", "10"],
        ["--hanging", "7"],
        ["--deadline-ms", "300"],
        ["--runs", "1"],
        ["--time", "virtual"],
        ["--paced-seconds", "1"],
        ["--pending", "1280"],
    ];
    let report = run(env!("CARGO_BIN_EXE_retry_dispatch"), "retry_dispatch", &arguments.concat());
    for side in ["engine", "bare"] {
        assert!(number(&report, &format!("/figures/{side}/0/tries")) >= 14 * 10, "{report:#}");
    }
    assert_eq!(number(&report, "/figures/whole_schedule/tries"), (14 + 2 * 11) * 10);
    assert_eq!(number(&report, "/figures/pending/due"), 128);
    assert!(number(&report, "/figures/pending/resident_started_bytes") > 0);
}
