//! A package of npm behind a small script of ours: a Node process that is asked in lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest time an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A Node process. It ends when it is dropped.
pub(super) struct Peer {
    child: Child,
    to: ChildStdin,
    from: Receiver<String>,
}

impl Peer {
    /// Starts the script of that name in `tests/foreign`, with the packages that `.ci/run` fetches.
    pub fn start(script: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = here.join("../target/foreign/npm/node_modules");
        let node = super::find("node").expect("missing: run .ci/run, or apt-get install nodejs npm");
        assert!(packages.is_dir(), "missing: run .ci/run, or npm ci in target/foreign/npm with the files of .ci/npm");
        let mut child = Command::new(node)
            .arg(here.join("foreign").join(script))
            .env("NODE_PATH", packages)
            // Nothing of the environment may lead requests for loopback elsewhere.
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let to = child.stdin.take().expect("it was asked for");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let (told, from) = sync_channel(1);
        // It ends with the process, whose output it reads.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, to, from }
    }

    /// What the script answers; what it throws is an error.
    pub fn ask(&mut self, what: &str, with: Value) -> Result<Value, String> {
        let line = json!({ "ask": what, "with": with });
        writeln!(self.to, "{line}").and_then(|()| self.to.flush()).expect("the script reads");
        let answer = self.from.recv_timeout(ANSWER_MAX).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{what}: {answer}"));
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["is"].take()),
        }
    }

    /// What the script answers, where it must not throw.
    pub fn must(&mut self, what: &str, with: Value) -> Value {
        self.ask(what, with).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Whether the package says that something holds. What it throws about it means no.
    pub fn holds(&mut self, what: &str, with: Value) -> bool {
        self.ask(what, with) == Ok(Value::Bool(true))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
