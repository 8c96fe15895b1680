//! Requests that schemathesis makes up from the description of the API, right ones and wrong ones. What it is told
//! stands in `tests/foreign`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use maxpay_tests::server::Start;

use super::foreign::find;

/// Nobody may ask so many at once; one who tries everything does.
const SETTINGS: &str = "rate_per_second = 100000\nrate_burst = 100000\nlog_level = \"warn\"\n";

/// One run takes a minute; a machine that is busy takes longer.
const LIMIT: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_api_is_as_described() {
    // No request that the description allows or forbids meets a 5xx, an answer that is not described, or a door that
    // is open without a credential.
    let arguments =
        ["--include-path-regex", "^/(v1|sandbox)/", "--max-examples", "8", "--exclude-checks", "bad_is_never_code_0"];
    nothing_found(&arguments).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_api_is_as_described() {
    // Every answer is described, and bad input or a bad credential has a code that is not 0.
    let checks = "not_a_server_error,content_type_conformance,response_schema_conformance,bad_is_never_code_0";
    let arguments = ["--include-path-regex", "^/2\\.0/", "--max-examples", "100", "--checks", checks];
    nothing_found(&arguments).await;
}

/// Runs schemathesis against a server of its own, and fails with what it found.
async fn nothing_found(arguments: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("maxpay.toml");
    std::fs::write(&config, SETTINGS).expect("it is written");
    let mut start = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.path().join("data"));
    start.arguments = vec!["--config".to_owned(), config.display().to_string()];
    let server = start.run().await;
    let demo = server.demo.clone().expect("it is the first start");
    let program = find("st").expect("missing: run .ci/run, or pip install -r .ci/foreign-requirements.txt");
    let told = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
    let asking = tokio::process::Command::new(program)
        .arg("--config-file")
        .arg(told.join("schemathesis.toml"))
        .args(["run", "--no-color"])
        .args(arguments)
        .arg(format!("http://{}/openapi.json", server.address))
        .env("MAXPAY_HOOKS", told.join("hooks.py"))
        .env("MAXPAY_APP_ID", &demo.app_id)
        .env("MAXPAY_MASTER_KEY", &demo.master_key)
        .env("MAXPAY_OPERATOR_KEY", server.operator_key.clone().expect("it is the first start"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // What it remembers of one run is not to change the next.
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, asking).await.expect("it ends").expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("passed") || text.contains("No issues found"), "it asked nothing: {text}");
    server.kill();
}
