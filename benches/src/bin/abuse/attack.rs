//! Clients that break the rules, each kind at a pace of its own: how much of it there is does not depend on how fast the
//! server deals with it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: there is nobody.
    Nobody,
    /// Connections that ask once, or never, and stay.
    Idle,
    /// Heads, bodies and chunks that come a byte at a time and never end, begun anew when they are cut off.
    Slow,
    /// Requests that are none, each on a connection of its own.
    Broken,
    /// A hundred requests in one go, and clients that ask on and read no answer.
    Pipelined,
    /// Bodies far beyond what is taken.
    Oversized,
    /// All of these at once.
    All,
}

impl Kind {
    /// Each, in the order in which they take turns.
    pub const EACH: [Self; 7] =
        [Self::Nobody, Self::Idle, Self::Slow, Self::Broken, Self::Pipelined, Self::Oversized, Self::All];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Idle => "idle connections",
            Self::Slow => "slow requests",
            Self::Broken => "broken requests",
            Self::Pipelined => "pipelined requests",
            Self::Oversized => "oversized bodies",
            Self::All => "all at once",
        }
    }
}

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Idle connections.
    pub idle: usize,
    /// Slow requests under way.
    pub slow: usize,
    /// Broken requests a second.
    pub broken: u32,
}

/// Clients who pipeline, as many who read no answer, and who send too much.
const OTHERS: usize = 4;
/// Who send broken requests by turns.
const BREAKERS: u32 = 16;
/// Between two bytes of who is slow.
const DRIP: Duration = Duration::from_millis(100);
/// Between two goes of a hundred requests, and between two bodies.
const GO: Duration = Duration::from_millis(50);
/// How long anybody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 100;
const OVERSIZED: usize = 1_000_000;

/// An attack under way; it ends when this is dropped.
pub struct Attack {
    _under_way: JoinSet<()>,
    _idle: Vec<TcpStream>,
}

/// Begins an attack on `to`, and runs it on the crowd's own threads.
pub async fn begin(kind: Kind, scale: Scale, to: SocketAddr, crowd: &Handle) -> io::Result<Attack> {
    let is = |one: Kind| kind == one || kind == Kind::All;
    let mut under_way = JoinSet::new();
    if is(Kind::Slow) {
        for (start, drop) in SLOW.iter().cycle().take(scale.slow) {
            under_way.spawn_on(slow(to, start, drop), crowd);
        }
    }
    if is(Kind::Broken) {
        let pause = Duration::from_secs(1) * BREAKERS / scale.broken.max(1);
        for first in 0..BREAKERS {
            under_way.spawn_on(broken(to, first, pause), crowd);
        }
    }
    for _ in 0..OTHERS {
        if is(Kind::Pipelined) {
            under_way.spawn_on(pipelined(to), crowd);
            under_way.spawn_on(deaf(to), crowd);
        }
        if is(Kind::Oversized) {
            under_way.spawn_on(oversized(to), crowd);
        }
    }
    let mut idle = Vec::new();
    for number in 0..if is(Kind::Idle) { scale.idle } else { 0 } {
        let mut stream = TcpStream::connect(to).await?;
        if number % 2 == 0 {
            stream.write_all(LIVEZ.as_bytes()).await?;
        }
        idle.push(stream);
    }
    Ok(Attack { _under_way: under_way, _idle: idle })
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const OPENAPI: &str = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";

/// Beginnings, and what follows them for ever.
const SLOW: [(&str, &str); 4] = [
    ("GET /livez HTTP/1.1\r\nX-A: ", "a"),
    ("POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", " "),
    ("POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
    ("POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;", "a"),
];

const BROKEN: [&[u8]; 8] = [
    b"\x00\xff\x00\xff\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x02\x00",
    b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_nobody\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n[[[[[[[[[[[[[[[[[",
    b"POST /notify/sandbox/66f0a1b2c3d4e5f607182930 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
];

async fn slow(to: SocketAddr, start: &'static str, drop: &'static str) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(to).await {
            let mut sent = stream.write_all(start.as_bytes()).await;
            while sent.is_ok() {
                tokio::time::sleep(DRIP).await;
                sent = stream.write_all(drop.as_bytes()).await;
            }
        }
        tokio::time::sleep(DRIP).await;
    }
}

async fn broken(to: SocketAddr, first: u32, pause: Duration) {
    let mut ticks = tokio::time::interval(pause);
    for bytes in BROKEN.iter().cycle().skip(usize::try_from(first).unwrap_or_default()) {
        ticks.tick().await;
        if let Ok(mut stream) = TcpStream::connect(to).await {
            // How it ends is not what is measured here.
            let _ = stream.write_all(bytes).await;
            let _ = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        }
    }
}

async fn pipelined(to: SocketAddr) {
    let mut ticks = tokio::time::interval(GO);
    loop {
        ticks.tick().await;
        // The last one ends the connection, and so the reading.
        let text = LIVEZ.repeat(AT_ONCE) + "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        if let Ok(mut stream) = TcpStream::connect(to).await {
            let _ = stream.write_all(text.as_bytes()).await;
            let mut answers = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers)).await;
        }
    }
}

async fn deaf(to: SocketAddr) {
    let mut ticks = tokio::time::interval(GO);
    loop {
        if let Ok(mut stream) = TcpStream::connect(to).await {
            while stream.write_all(OPENAPI.repeat(AT_ONCE).as_bytes()).await.is_ok() {
                ticks.tick().await;
            }
        }
        ticks.tick().await;
    }
}

async fn oversized(to: SocketAddr) {
    let head = format!("POST /2.0/maxpay/bill HTTP/1.1\r\nHost: x\r\nContent-Length: {OVERSIZED}\r\n\r\n");
    let bytes = [head.as_bytes(), &vec![b' '; OVERSIZED]].concat();
    let mut ticks = tokio::time::interval(GO);
    loop {
        ticks.tick().await;
        if let Ok(mut stream) = TcpStream::connect(to).await {
            // It may be refused before all of it is read.
            let _ = stream.write_all(&bytes).await;
            let _ = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        }
    }
}
