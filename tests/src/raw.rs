//! An HTTP client that sends exactly the bytes it is given, as clients of 2016 do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The answer to raw bytes.
#[derive(Debug, Clone)]
pub struct RawReply {
    /// HTTP status.
    pub status: u16,
    /// Head, as it came.
    pub head: String,
    /// Body, with chunked transfer undone.
    pub body: Vec<u8>,
}

impl RawReply {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none: the test fails with the body.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Sends `bytes` to `to` and reads one answer; gives up after 30 s.
///
/// # Errors
/// What went wrong on the connection.
pub async fn send(to: SocketAddr, bytes: &[u8]) -> std::io::Result<RawReply> {
    tokio::time::timeout(Duration::from_secs(30), exchange(to, bytes)).await?
}

/// Sends a request with a JSON body, the usual head and the given further header lines.
///
/// # Errors
/// As [`send`].
pub async fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<RawReply> {
    let mut text = format!("POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &[name, ": ", value, "\r\n"].concat();
    }
    text += &["Content-Length: ", &body.len().to_string(), "\r\n\r\n", body].concat();
    send(to, text.as_bytes()).await
}

async fn exchange(to: SocketAddr, bytes: &[u8]) -> std::io::Result<RawReply> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(bytes).await?;
    let mut received = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&received, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(std::io::Error::other("the connection ended before the head did"));
        }
    };
    let head = String::from_utf8_lossy(&received[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {head:?}")))?;
    let lower = head.to_ascii_lowercase();
    let mut body = received.split_off(head_end);
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse::<usize>().ok());
    if lower.contains("transfer-encoding: chunked") {
        while find(&body, b"0\r\n\r\n").is_none() && stream.read_buf(&mut body).await? > 0 {}
        body = unchunk(&body);
    } else if let Some(length) = length {
        while body.len() < length && stream.read_buf(&mut body).await? > 0 {}
    }
    Ok(RawReply { status, head, body })
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line_end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..line_end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && rest.len() >= line_end + 2 + size) else { break };
        body.extend_from_slice(&rest[line_end + 2..line_end + 2 + size]);
        rest = rest.get(line_end + 4 + size..).unwrap_or_default();
    }
    body
}
