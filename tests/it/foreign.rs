//! Against parts that others wrote: nginx as the receiver of webhooks, a strict validator of OpenAPI, clients of the
//! providers, OpenSSL.

mod alipay;
mod applepay;
mod openssl;
mod peer;
mod stage;
mod unionpay;
mod wechat;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use maxpay_adapters::sandbox::simulator::Magic;
use maxpay_tests::client::{Client, payment};
use maxpay_tests::server::Start;
use maxpay_tests::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_takes_the_webhooks() {
    // A server that we did not write reads our request whole: its access log shows method, length, status and event.
    let nginx = Nginx::start();
    let world = World::new().await;
    let master = Client::new(world.address, &world.keys.master);
    let target = json!({ "target": { "type": "url", "url": nginx.url("/hook") } });
    let made = master.expect(201, "POST", "/v1/subscriptions", Some(&target)).await;
    let body = payment("n-1", "wx_native", Magic::PayNow.amount_minor());
    master.ask("POST", "/v1/transactions", Some(&body)).await.expect("an answer");
    let path = format!("/v1/deliveries?subscription_id={}", made["id"].as_str().expect("an id"));
    let page = master.until(&path, Duration::from_secs(20), |page| page["items"][0]["state"] == "delivered").await;
    assert_eq!(page["items"][0]["attempts"][0]["result"]["status"], 200, "{page}");
    let log = nginx.log();
    let line = log.lines().last().expect("one request");
    assert!(line.starts_with("POST /hook 200 payment.succeeded application/json"), "{log}");
    // A status of nginx's own that is no 200 is a failure.
    let target = json!({ "target": { "type": "url", "url": nginx.url("/moved") }, "delivery": "test_sends_only" });
    let made = master.expect(201, "POST", "/v1/subscriptions", Some(&target)).await;
    let path = format!("/v1/subscriptions/{}/test", made["id"].as_str().expect("an id"));
    let sent = master.expect(200, "POST", &path, Some(&json!({}))).await;
    assert_eq!((&sent["success"], &sent["response"]["status"]), (&json!(false), &json!(302)), "{sent}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_of_the_api_is_valid() {
    // A strict validator that others wrote finds nothing wrong with /openapi.json.
    let world = World::new().await;
    let client = Client::new(world.address, &world.keys.api);
    let document = client.expect(200, "GET", "/openapi.json", None).await;
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("it is written");
    let validator = find("openapi-spec-validator");
    let validator = validator.expect("missing: run .ci/run, or pip install -r .ci/foreign-requirements.txt");
    let told = Command::new(validator).arg(&file).output().expect("it runs");
    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{text}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_lines_work_when_pasted() {
    // What the server prints at its first start is pasted into a shell, with curl as others built it.
    assert!(find("curl").is_some(), "missing: run .ci/run, or apt-get install curl");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.path().join("data")).run().await;
    let printed = std::fs::read_to_string(folder.path().join("data.log")).expect("what it printed");
    let lines: Vec<&str> = printed.lines().skip_while(|line| !line.starts_with("Subscribe")).collect();
    let pasted: Vec<&str> = lines.into_iter().filter(|line| line.starts_with("  ")).collect();
    let told = Command::new("sh").arg("-euc").arg(pasted.join("\n")).output().expect("a shell runs");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{text}");
    for part in
        [r#""secret":"whsec_"#, r#""state":"paid""#, r#""status":"succeeded""#, r#""code":0"#, r#""status":"success""#]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    server.kill();
}

/// An nginx of this test's own, on a free loopback port.
struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    fn start() -> Self {
        let program = find("nginx").expect("missing: run .ci/run, or apt-get install nginx-light");
        let folder = tempfile::tempdir().expect("a folder");
        // The port is free when it is asked for; nginx takes it a moment later.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, nginx_config(folder.path(), port)).expect("it is written");
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-g", "daemon off;"])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self { child, folder, port };
        nginx.wait();
        nginx
    }

    fn wait(&self) {
        // Its listen backlog exists as soon as a connection is taken.
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "nginx does not listen: {}",
            std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
        );
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).expect("nginx writes a log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nginx_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    // One process: the one that is started is the one that is ended. `return` alone would not read the body.
    format!(
        "master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format hooks '$request_method $uri $status $http_maxpay_event $http_content_type $request_length';
  access_log {folder}/access.log hooks;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /hook {{ return 200 'taken'; }}
    location /moved {{ return 302 http://127.0.0.1:{port}/hook; }}
  }}
}}
"
    )
}

/// A program of the path, or of the folder that `.ci/run` fills.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/venv/bin"));
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}
