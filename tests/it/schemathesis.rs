//! Requests that schemathesis makes up from the description of the API, right ones and wrong ones. What it is told
//! stands in `tests/foreign`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use maxpay_tests::server::Start;

use super::foreign::find;

/// Nobody may ask so many at once; one who tries everything does. Deliveries have no tries left soon.
const SETTINGS: &str = "rate_per_second = 100000\nrate_burst = 100000\nlog_level = \"warn\"\n\
                        webhook_schedule_ms = [1, 1]\nwebhook_allow_loopback_test = true\n";

/// One run takes a minute; a machine that is busy takes longer.
const LIMIT: Duration = Duration::from_mins(4);

/// What nothing that schemathesis can do brings to a success: only a defect sets a record aside, and a notification
/// about an order that nobody knows stays so. The key of an operator that there is has to last.
const NEVER_DONE: [&str; 3] =
    ["POST /v1/ops/set_aside/{kind}/{id}/retry", "POST /v1/ops/inbox/{id}/apply", "DELETE /v1/ops/keys/{id}"];

/// How often an operation, by method and path, was answered with a status.
type Answers = BTreeMap<String, BTreeMap<String, u64>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_api_is_as_described() {
    // No request that the description allows or forbids meets a 5xx, an answer that is not described, or a door that
    // is open without a credential; and every operation is reached, not its refusals alone.
    let arguments =
        ["--include-path-regex", "^/(v1|sandbox)/", "--max-examples", "8", "--exclude-checks", "bad_is_never_code_0"];
    let answers = nothing_found(&arguments).await;
    let done = |statuses: &BTreeMap<String, u64>| statuses.keys().any(|status| status.starts_with('2'));
    let never: Vec<_> = answers.iter().filter(|(_, statuses)| !done(statuses)).map(|(name, _)| name).collect();
    assert!(never.iter().all(|name| NEVER_DONE.contains(&name.as_str())), "never done: {never:?} in {answers:#?}");
    assert_eq!(answers.len(), maxpay_transports::operations::all().len() + 1, "each operation, and the payers'");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_api_is_as_described() {
    // Every answer is described, and bad input or a bad credential has a code that is not 0.
    let checks = "not_a_server_error,content_type_conformance,response_schema_conformance,bad_is_never_code_0";
    // No answer of it leads on to another request.
    let phases = "examples,coverage,fuzzing";
    let arguments =
        ["--include-path-regex", "^/2\\.0/", "--max-examples", "100", "--checks", checks, "--phases", phases];
    nothing_found(&arguments).await;
}

/// Runs schemathesis against a server of its own, and fails with what it found. How everything was answered.
async fn nothing_found(arguments: &[&str]) -> Answers {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("maxpay.toml");
    std::fs::write(&config, SETTINGS).expect("it is written");
    let mut start = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.path().join("data"));
    start.arguments = vec!["--config".to_owned(), config.display().to_string()];
    let server = start.run().await;
    let demo = server.demo.clone().expect("it is the first start");
    let program = find("st").expect("missing: run .ci/run, or pip install -r .ci/foreign-requirements.txt");
    let told = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
    let answers = folder.path().join("answers.json");
    let asking = tokio::process::Command::new(program)
        .arg("--config-file")
        .arg(told.join("schemathesis.toml"))
        .args(["run", "--no-color"])
        .args(arguments)
        .arg(format!("http://{}/openapi.json", server.address))
        .env("MAXPAY_HOOKS", told.join("hooks.py"))
        .env("MAXPAY_ANSWERS", &answers)
        .env("MAXPAY_URL", format!("http://{}", server.address))
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
    serde_json::from_slice(&std::fs::read(&answers).expect("it is written at the end")).expect("JSON")
}
