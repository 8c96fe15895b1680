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
    assert!(page.contains("<svg ") && page.contains("</html>"), "{name} draws nothing");
    assert!(!ran.stderr.is_empty(), "{name} shows no progress");
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

#[test]
fn store_small() {
    // Every side is measured, at full speed and at half of it, and a filled store against a fresh one.
    let arguments = "--in-flight 8 --seconds 1 --runs 1 --filled 2000".split(' ').collect::<Vec<_>>();
    let report = run(env!("CARGO_BIN_EXE_store"), "store", &arguments);
    for side in ["store", "reference", "bare_log"] {
        assert!(number(&report, &format!("/figures/loads/0/{side}/transitions_per_second")) > 0, "{report:#}");
    }
    assert!(number(&report, "/figures/calm_p99_us/0") > 0 && number(&report, "/figures/filled_bytes") > 0);
    let ratios = report["ratios"].as_array().expect("ratios");
    assert_eq!(ratios.len(), 8, "{ratios:#?}");
}

/// Fails unless every ratio whose name begins so is as wanted, and there are so many.
fn held(report: &Value, begins: &str, count: usize) {
    let ratios = report["ratios"].as_array().expect("ratios");
    let named: Vec<_> =
        ratios.iter().filter(|it| it["what"].as_str().is_some_and(|it| it.starts_with(begins))).collect();
    assert_eq!(named.len(), count, "{report:#}");
    assert!(named.iter().all(|ratio| ratio["held"] == true), "{named:#?}");
}

#[test]
fn a_small_store_recovers() {
    // Copies equal what the engine writes, the server comes back after both kills, every due payment is asked about, and
    // every new one is answered meanwhile.
    let arguments = "--transactions 700 --due 300 --accounts 2 --live 100 --kill-after 1 --limit 60";
    let report = run(env!("CARGO_BIN_EXE_recovery"), "recovery", &arguments.split(' ').collect::<Vec<_>>());
    held(&report, "due payments that were asked about", 1);
    held(&report, "new payments that were answered", 2);
}

#[test]
fn a_small_flood_passes() {
    // Whatever the crowd does, every neighbour and every new payment is answered, and the crowd is told that it is busy.
    let arguments = "--runs 1 --seconds 1 --flooders 64";
    let report = run(env!("CARGO_BIN_EXE_flood"), "flood", &arguments.split(' ').collect::<Vec<_>>());
    held(&report, "neighbours and new payments answered", 1);
    let crowds = report["tables"].as_array().expect("tables").iter().find(|table| table["heading"] == "The crowd");
    let flooders = crowds.and_then(|table| table["rows"][4].as_array()).expect("the flooders' row");
    assert!(flooders[2].as_str().is_some_and(|busy| busy != "0"), "{flooders:?}");
}

#[test]
fn signing_small() {
    // Payments are signed, and so are texts alone.
    let arguments = ["--callers", "4", "--seconds", "1", "--runs", "1"];
    let report = run(env!("CARGO_BIN_EXE_signing"), "signing", &arguments);
    for side in ["payments", "alone"] {
        assert!(number(&report, &format!("/figures/{side}/0")) > 0, "{report:#}");
    }
}

#[test]
fn a_small_abuse_passes() {
    // Beside every attack every honest request is answered.
    let arguments = "--runs 1 --seconds 1 --idle 200 --slow 16 --broken 50";
    let report = run(env!("CARGO_BIN_EXE_abuse"), "abuse", &arguments.split(' ').collect::<Vec<_>>());
    held(&report, "honest requests answered", 1);
    assert_eq!(report["ratios"].as_array().map(Vec::len), Some(6 * 2 + 1), "{report:#}");
}
