//! Small runs of the benches that start processes and engines, so that they do not rot: what they measure means nothing
//! here, but all that is to happen in them must happen.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a bench in a folder of its own and gives its report.
fn run(program: &str, name: &str, arguments: &[&str]) -> Value {
    let target = tempfile::tempdir().expect("a folder");
    let ran = Command::new(program).args(arguments).env("CARGO_TARGET_DIR", target.path()).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let written = |ending: &str| target.path().join(Path::new("bench-reports").join(format!("{name}.{ending}")));
    let page = std::fs::read_to_string(written("html")).expect("a page");
    assert!(page.contains("</html>"));
    assert!(!String::from_utf8_lossy(&ran.stderr).is_empty(), "it shows its progress");
    let report = std::fs::read(written("json")).expect("a report");
    serde_json::from_slice(&report).expect("JSON")
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
