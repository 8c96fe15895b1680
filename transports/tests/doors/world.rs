//! A server on a free port, an app with its keys, and requests as bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::Engine;
use maxpay_engine::api::{CreateApp, CreatedApp};
use maxpay_engine::model::{KeyKind, LatePolicy, Mode};
use maxpay_transports::http::{Extras, HttpSettings, Running, serve};
use md5::{Digest, Md5};
use serde_json::Value;

use crate::toy::Toy;

/// A server and an app.
pub struct World {
    running: Running,
    pub engine: Engine,
    pub app_id: String,
    keys: Vec<(KeyKind, Mode, String)>,
    pub operator: String,
}

impl World {
    pub fn new() -> Self {
        Self::with(|settings| settings, Extras::default())
    }

    pub fn with(change: impl FnOnce(HttpSettings) -> HttpSettings, extras: Extras) -> Self {
        let engine = Engine::builder().memory().adapter(Arc::new(Toy::new())).start().expect("everything is there");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let request =
            CreateApp { name: "Shop".to_owned(), strict_bill_numbers: false, late_policy: LatePolicy::ByDoor };
        let created: CreatedApp = runtime.block_on(engine.create_app(request, None)).expect("an app");
        let operator = runtime.block_on(engine.issue_operator_key()).expect("a key");
        let text = |secret: &maxpay_engine::secrets::Secret| secret.expose_text().expect("text").to_owned();
        let keys = created
            .issued
            .iter()
            .filter_map(|issued| Some((issued.key.kind, issued.key.mode, text(issued.secret.as_ref()?))));
        let settings = HttpSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            workers: 1,
            stop_limit: Duration::from_secs(1),
            ..HttpSettings::default()
        };
        Self {
            keys: keys.collect(),
            app_id: created.app.id.to_string(),
            operator: text(&operator.secret),
            running: serve(change(settings), engine.clone(), extras).expect("a free port"),
            engine,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }

    pub fn key(&self, kind: KeyKind, mode: Mode) -> &str {
        let found = self.keys.iter().find(|(of, at, _)| (*of, *at) == (kind, mode));
        &found.expect("issued with the app").2
    }

    /// Adds a test mode account of the toy, and gives its id.
    pub fn account(&self) -> String {
        let made = self.v1(self.key(KeyKind::Master, Mode::Test), "POST", "/v1/accounts", r#"{"adapter":"toy"}"#);
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Headers of the original API that prove the app by a request sign.
    pub fn signed(&self, kind: KeyKind) -> String {
        let stamp = self.engine.now().millis();
        let digest = Md5::new().chain_update(stamp.to_string()).chain_update(self.key(kind, Mode::Test)).finalize();
        let master = if kind == KeyKind::Master { ",master" } else { "" };
        format!("X-ML-AppId: {}\r\nX-ML-Request-Sign: {},{stamp}{master}\r\n", self.app_id, hex::encode(digest))
    }

    /// Sends bytes as they are, and reads the one answer.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.running.addr()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    /// A request under `/v1` with a bearer key.
    pub fn v1(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let head = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        self.request(method, path, &head, body)
    }

    /// A request with these further head lines.
    pub fn request(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {length}\r\n\r\n{body}");
        self.raw(text.as_bytes())
    }

    /// A call of the original API.
    pub fn original(&self, call: &str, head: &str, body: &str) -> Value {
        let answer = self.request("POST", &format!("/2.0/maxpay/{call}"), head, body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            if let Some(answer) = Self::whole(&bytes) {
                return answer;
            }
            match stream.read(&mut chunk).expect("an answer in time") {
                0 => panic!("the connection ended within: {}", String::from_utf8_lossy(&bytes)),
                read => bytes.extend_from_slice(&chunk[..read]),
            }
        }
    }

    fn whole(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let answer = Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        (body.len() >= length).then_some(answer)
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }
}
