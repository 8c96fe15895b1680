//! The program as an operator runs it: first start, ready file, another app, a second process, a signal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use maxpay_tests::client::{Client, payment};
use maxpay_tests::server::Start;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

fn start(folder: &std::path::Path) -> Start {
    Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.join("data"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_makes_what_a_newcomer_needs() {
    // Keys are in the ready file once, for the owner's eyes alone; the sealing key has a file of its own; a second
    // start shows none of them, and the old ones still work.
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path()).run().await;
    let demo = server.demo.clone().expect("a demo app");
    let mode = |name: &str| {
        let file = std::fs::metadata(folder.path().join(name)).expect("it is there");
        file.permissions().mode() & 0o777
    };
    assert_eq!((mode("data.ready.json"), mode("data/sealing.key")), (0o600, 0o600));
    let log = std::fs::read_to_string(folder.path().join("data.log")).expect("a log");
    assert!(log.contains("sealing.key") && log.contains("losing it loses the credentials"), "{log}");
    let second = Command::new(env!("CARGO_BIN_EXE_maxpay-under-test"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("in use by another process"), "{said}");
    server.kill();
    let server = start(folder.path()).run().await;
    assert!(server.demo.is_none() && server.operator_key.is_none());
    let client = Client::new(server.address, &demo.api_key);
    client.expect(200, "GET", "/v1/transactions", None).await;
    // Neither keys nor tokens are in what the program logs after the announcement of the first start.
    let later = std::fs::read_to_string(folder.path().join("data.log")).expect("a log");
    assert!(!later[log.len()..].contains(&demo.api_key));
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_settings_file_no_operator_key_is_printed() {
    // What such a server prints is kept in logs: it points to the command instead, and the ready file has the key.
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("maxpay.toml");
    std::fs::write(&settings, "").expect("written");
    let printed = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a log");
    let mut asked = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.path().join("asked"));
    asked.arguments = vec!["--config".to_owned(), settings.display().to_string()];
    let server = asked.run().await;
    assert!(server.operator_key.as_deref().is_some_and(|key| key.starts_with("op_")));
    assert!(!printed("asked.log").contains("op_"), "{}", printed("asked.log"));
    server.kill();

    let out = std::fs::File::create(folder.path().join("bare.log")).expect("a log file");
    let mut bare = Command::new(env!("CARGO_BIN_EXE_maxpay-under-test"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&settings)
        .arg("--data")
        .arg(folder.path().join("bare"))
        .stdout(out)
        .spawn()
        .expect("it starts");
    let told = async {
        while !printed("bare.log").contains("Stop with Ctrl-C") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, told).await;
    bare.kill().expect("it runs");
    bare.wait().expect("it ends");
    let text = printed("bare.log");
    assert!(in_time.is_ok() && text.contains("maxpay operator-key") && !text.contains("op_"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_app_joins_the_sandbox() {
    // An operator makes an app; it enrols with the simulated provider and is paid.
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path()).run().await;
    let operator = Client::new(server.address, server.operator_key.as_deref().expect("the first start issues one"));
    let made = operator.expect(201, "POST", "/v1/apps", Some(&json!({ "name": "Second" }))).await;
    let key = |kind: &str| {
        let keys = made["keys"].as_array().or(made["issued"].as_array()).expect("keys").iter();
        let mut keys = keys.filter(|key| key["kind"] == kind && key["mode"] == "test");
        keys.next().and_then(|key| key["secret"].as_str()).expect("shown once").to_owned()
    };
    let master = Client::new(server.address, &key("master"));
    let secret = "this app's secret with the sandbox";
    let enrolled = master.expect(200, "POST", "/simulator/merchants", Some(&json!({ "secret": secret }))).await;
    let mut settings = enrolled["settings"].clone();
    settings["secret"] = json!(secret);
    let account = json!({ "adapter": "sandbox", "label": "Sandbox", "settings": settings });
    master.expect(201, "POST", "/v1/accounts", Some(&account)).await;
    let client = Client::new(server.address, &key("api"));
    let made = client.expect(201, "POST", "/v1/transactions", Some(&payment("s-1", "ali_app", 100))).await;
    let id = made["id"].as_str().expect("an id");
    client.expect(200, "POST", &format!("/sandbox/transactions/{id}/pay"), Some(&json!({}))).await;
    client.until(&format!("/v1/transactions/{id}"), LIMIT, |body| body["status"] == "succeeded").await;
    // Who has no right is told so, not let in.
    for (key, status) in [("nobody", 401), (key("api").as_str(), 403)] {
        let refused = Client::new(server.address, key).ask("POST", "/simulator/merchants", Some(&json!({}))).await;
        assert_eq!(refused.expect("an answer").0, status);
    }
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_drains_and_ends() {
    // SIGTERM: what is under way is answered, the process ends by itself and without an error.
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = start(folder.path()).run().await;
    let api_key = server.demo.clone().expect("a demo app").api_key;
    let client = Client::new(server.address, &api_key);
    let body = payment("d-1", "wx_native", 100);
    let asked = tokio::spawn(async move { client.ask("POST", "/v1/transactions", Some(&body)).await });
    let (status, _) = asked.await.expect("no panic").expect("an answer");
    assert_eq!(status, 201);
    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    assert!(server.ended_within(LIMIT).await, "it did not end");
    let log = std::fs::read_to_string(folder.path().join("data.log")).expect("a log");
    assert!(log.contains("drained=true") && !log.contains("ERROR"), "{log}");
}
