//! A server whose clients break every rule: each gets a clear answer or a closed connection in bounded time, the
//! others are served meanwhile, and nothing of it stays in memory. How long the others wait is measured by the bench
//! `abuse`: a test on a busy machine cannot tell.

mod shapes;

use std::net::SocketAddr;
use std::time::Duration;

use maxpay_tests::client::{Client, payment};
use maxpay_tests::open_files;
use maxpay_tests::server::{Server, Start};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use shapes::{Shape, Wanted};

/// Deadlines of this server, so that a test need not wait for those of the defaults.
const BRIEF: &str = "
head_deadline_ms = 1000
body_deadline_ms = 1000
keep_alive_ms = 3000
request_deadline_ms = 3000
rate_per_second = 100000
rate_burst = 100000
log_level = \"warn\"
";

/// The same for a server whose idle connections are to last while others are timed.
const PATIENT: &str = "
head_deadline_ms = 15000
keep_alive_ms = 15000
rate_per_second = 100000
rate_burst = 100000
log_level = \"warn\"
";

/// Past a deadline of the server's a connection ends within this, on a loaded machine too.
const SLACK: Duration = Duration::from_secs(10);

/// So much later at most the kernel hands over a connection when very many come at once: it asks its client again after
/// 1, 3, 7, 15 and 31 seconds.
const LATE: Duration = Duration::from_secs(31);

/// Connections that ask nothing.
const IDLE: u64 = 10_000;

/// Rounds of connections after which memory grows no more.
const WARM_ROUNDS: u32 = 4;

/// Far more than the kernel keeps of what is sent and not read.
const DEAF_BYTES_MAX: usize = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_breaks_the_server() {
    // After a warm-up all abuse comes at once and twice over: every shape has its answer, whoever is slow is cut off,
    // neighbours are served throughout, and memory is at the end what it was.
    let stage = Stage::start(BRIEF).await;
    stage.every_shape().await;
    stage.pay(300).await;
    let warm = stage.resident_kib();
    let neighbours = tokio::spawn(stage.neighbour());
    for _ in 0..2 {
        tokio::join!(stage.every_shape(), stage.every_dawdler(), stage.pipelines());
    }
    neighbours.await.expect("the neighbours were served");
    let limit = warm + warm / 5 + 32 * 1024;
    let after = stage.resident_kib();
    assert!(after <= limit, "{after} KiB at the end, {warm} KiB when warm");
    stage.server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little_and_end() {
    // Ten thousand connections that say nothing, or nothing more: others are served beside them, they are closed when
    // their time is over, and more of them take no more memory.
    let stage = Stage::start(PATIENT).await;
    stage.pay(300).await;
    let many = open_files::allow(IDLE + 1_000).saturating_sub(1_000).min(IDLE);
    // A machine that forbids more is told apart from a server that takes fewer.
    assert!(many >= 1_000, "this machine allows {many} connections only: raise the hard limit of open files");
    // The allocator keeps what connections gave back, in pieces, until some rounds of them have left nothing to take
    // anew: they belong to the warm-up. What is kept for each connection that is gone would grow from round to round.
    for _ in 0..WARM_ROUNDS {
        drop(stage.idle(many).await);
        stage.left_alone().await;
    }
    let warm = stage.resident_kib();
    let mut idle = stage.idle(many).await;
    stage.pay(100).await;
    // Their clients hold them: it is the server that ends them. One that the kernel hands over late, because so many came
    // at once, has its time from then on.
    stage.left_alone_within(Duration::from_secs(15) + LATE + SLACK).await;
    let mut ended = 0;
    for stream in &mut idle {
        // The kernel has no word for those that it never handed over.
        let told = tokio::time::timeout(Duration::from_millis(100), read_to_end(stream)).await;
        ended += u64::from(told.is_ok());
    }
    assert!(ended >= many - many / 10, "of {many} idle connections {ended} have ended");
    drop(idle);
    drop(stage.idle(many).await);
    stage.left_alone().await;
    stage.pay(20).await;
    let limit = warm + warm / 5 + 32 * 1024;
    let after = stage.resident_kib();
    assert!(after <= limit, "{after} KiB at the end, {warm} KiB when warm");
    stage.server.kill();
}

/// A server of its own process, and whom it knows.
struct Stage {
    server: Server,
    address: SocketAddr,
    shapes: Vec<Shape>,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("maxpay.toml");
        std::fs::write(&config, settings).expect("it is written");
        let mut start = Start::new(env!("CARGO_BIN_EXE_maxpay-under-test"), &folder.path().join("data"));
        start.arguments = vec!["--config".to_owned(), config.display().to_string()];
        let server = start.run().await;
        let demo = server.demo.as_ref().expect("it is the first start");
        let shapes = shapes::all(&demo.api_key, &demo.app_id);
        let client = Client::new(server.address, &demo.api_key);
        Self { address: server.address, shapes, client, server, _folder: folder }
    }

    /// Sends each shape, 16 at a time.
    async fn every_shape(&self) {
        let mut wrong = Vec::new();
        for some in self.shapes.chunks(16) {
            let answers = some.iter().map(|shape| check(self.address, shape));
            wrong.extend(futures_util::future::join_all(answers).await.into_iter().flatten());
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Those who take their time: each is cut off.
    async fn every_dawdler(&self) {
        let post = "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let key = self.server.demo.as_ref().map(|demo| demo.api_key.clone()).unwrap_or_default();
        let post = format!("{post}Authorization: Bearer {key}\r\n");
        let original = "POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
        let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
        let mut dawdlers = JoinSet::new();
        for (name, start, drop, wanted) in [
            ("a slow head", "GET /livez HTTP/1.1\r\nX-A: ".to_owned(), "a", "408"),
            (
                "a slow second head",
                "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nX-A: ".to_owned(),
                "a",
                "200",
            ),
            ("a slow body", format!("{post}Content-Length: 1000\r\n\r\n"), " ", "408"),
            ("a slow original body", original.to_owned(), " ", "\"code\":14"),
            ("endless chunks", chunked.clone(), "1\r\n \r\n", "408"),
            ("an endless size", chunked.clone(), "0", "40"),
            ("an endless extension", format!("{chunked}5;"), "a", "40"),
            ("endless trailers", format!("{chunked}2\r\n{{}}\r\n0\r\n"), "X-A: a\r\n", "4"),
        ] {
            for _ in 0..8 {
                dawdlers.spawn(dawdle(self.address, name, start.clone(), drop, wanted));
            }
        }
        let wrong: Vec<_> = dawdlers.join_all().await.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// A thousand requests in one go are answered in order; whoever asks on and reads no answer is read no more, and cut
    /// off.
    async fn pipelines(&self) {
        let one = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        let last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut stream = TcpStream::connect(self.address).await.expect("a connection is taken");
        let text = one.repeat(999) + last;
        let (mut reading, mut writing) = stream.split();
        let written = async {
            writing.write_all(text.as_bytes()).await.expect("it is taken");
        };
        let ((), read) = tokio::join!(written, read_to_end(&mut reading));
        assert_eq!(read.matches("HTTP/1.1 200").count(), 1_000);
        // The buffers of the kernel take some megabytes for whoever is read no more; then the server has enough of it.
        let mut deaf = TcpStream::connect(self.address).await.expect("a connection is taken");
        let text = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
        let cut_off = async {
            let mut sent = 0;
            while sent < DEAF_BYTES_MAX && deaf.write_all(text.as_bytes()).await.is_ok() {
                sent += text.len();
            }
            sent
        };
        let sent = tokio::time::timeout(Duration::from_secs(5) + SLACK, cut_off).await;
        let sent = sent.expect("somebody who reads no answer is cut off");
        assert!(sent < DEAF_BYTES_MAX, "{sent} bytes of requests were taken from somebody who reads no answer");
    }

    /// So many connections, of which every other one asked once.
    async fn idle(&self, many: u64) -> Vec<TcpStream> {
        let mut idle = Vec::new();
        for number in 0..many {
            let mut stream = TcpStream::connect(self.address).await.expect("a connection is taken");
            if number % 2 == 0 {
                stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is taken");
            }
            idle.push(stream);
        }
        idle
    }

    /// Waits until the server keeps none of the connections that their clients left.
    async fn left_alone(&self) {
        self.left_alone_within(SLACK).await;
    }

    /// Waits until the server keeps hardly a connection.
    async fn left_alone_within(&self, limit: Duration) {
        let files = || std::fs::read_dir(format!("/proc/{}/fd", self.server.id())).expect("it runs").count();
        let closed = async {
            while files() > 500 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let closed = tokio::time::timeout(limit, closed).await;
        assert!(closed.is_ok(), "connections are kept: {} files are open after {limit:?}", files());
    }

    /// Pays, one after the other.
    async fn pay(&self, times: u64) {
        for number in 0..times {
            let body = payment(&format!("w-{number}"), "wx_native", 100);
            let (status, answer) = self.client.ask("POST", "/v1/transactions", Some(&body)).await.expect("an answer");
            assert!(matches!(status, 200..=202), "{status} {answer}");
        }
    }

    /// Somebody who asks rightly all the while, and is answered rightly.
    fn neighbour(&self) -> impl Future<Output = ()> + use<> {
        let client = self.client.clone();
        async move {
            for number in 0..400 {
                let body = payment(&format!("n-{number}"), "wx_native", 100);
                let answer = client.ask("POST", "/v1/transactions", Some(&body)).await;
                assert!(matches!(answer, Ok((200..=202, _))), "{answer:?}");
            }
        }
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// What is wrong with the answer to a shape.
async fn check(to: SocketAddr, shape: &Shape) -> Option<String> {
    let told = tokio::time::timeout(SLACK, told(to, &shape.bytes)).await;
    let Ok(told) = told else { return Some(format!("{}: no answer in time", shape.name)) };
    // What lay hidden in a body was not taken for a request.
    let hidden = told.contains("# EOF");
    let right = match shape.wanted {
        Wanted::StatusOrEnd(_) if told.is_empty() => true,
        Wanted::Status(status) | Wanted::StatusOrEnd(status) => told.starts_with(&format!("HTTP/1.1 {status} ")),
        Wanted::Code(code) => {
            let body = told.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
            let said: Value = serde_json::from_str(body).unwrap_or_default();
            told.starts_with("HTTP/1.1 200 ") && said["code"] == code && said["err"].is_string()
        }
    };
    let cut: String = told.chars().take(400).collect();
    (!right || hidden).then(|| format!("{}: {:?} expected: {cut}", shape.name, shape.wanted))
}

/// Sends all, and reads until the connection ends or says nothing more for a while.
async fn told(to: SocketAddr, bytes: &[u8]) -> String {
    let Ok(mut stream) = TcpStream::connect(to).await else { return "no connection".to_owned() };
    let (mut reading, mut writing) = stream.split();
    // A server may answer and close before it has read everything.
    let (_, read) = tokio::join!(writing.write_all(bytes), first_answer(&mut reading));
    read
}

/// Reads one answer, and what comes right behind it.
async fn first_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let whole = bytes.windows(4).any(|window| window == b"\r\n\r\n");
        let patience = if whole { Duration::from_millis(200) } else { SLACK };
        match tokio::time::timeout(patience, stream.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a beginning, and then a little at a time for ever. What is wrong with how that ends.
async fn dawdle(to: SocketAddr, name: &str, start: String, drop: &str, wanted: &str) -> Option<String> {
    let mut stream = TcpStream::connect(to).await.expect("a connection is taken");
    stream.write_all(start.as_bytes()).await.expect("it is taken");
    let (mut reading, mut writing) = stream.split();
    let dripping = async {
        while writing.write_all(drop.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cut_off = async {
        tokio::select! {
            () = dripping => String::new(),
            read = read_to_end(&mut reading) => read,
        }
    };
    // All deadlines of a request together, and once more when it was answered in between.
    match tokio::time::timeout(Duration::from_secs(10) + SLACK, cut_off).await {
        Err(_) => Some(format!("{name}: it is still listened to")),
        Ok(told) if told.is_empty() || told.contains(wanted) => None,
        Ok(told) => Some(format!("{name}: {wanted} expected: {told}")),
    }
}
