//! HTTP/1.1 as thin as a bench needs it: one message after the other over a connection that is kept, bodies by their
//! length. It is for peers on loopback that mean well, and costs little beside what is measured.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a message at most.
const MESSAGE_MAX: usize = 1 << 20;

/// A request or an answer.
#[derive(Debug)]
pub struct Message {
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// Of an answer: its status. 0 when the head is none of an answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Of a request: its path, with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Of a request: its method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// Names in lower case, and values.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Wire {
    /// One that was accepted.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::new() })
    }

    /// A new one to `address`.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(address).await?)
    }

    /// The next message; `None` when the peer has ended between two.
    ///
    /// # Errors
    /// The connection broke, or the peer sent what is no message with a length.
    pub async fn read(&mut self) -> io::Result<Option<Message>> {
        let mut seen = 0;
        let head_end = loop {
            if let Some(end) = self.bytes[seen..].windows(4).position(|window| window == b"\r\n\r\n") {
                break seen + end + 4;
            }
            seen = self.bytes.len().saturating_sub(3);
            if !self.fill().await? {
                return if self.bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let head = String::from_utf8_lossy(&self.bytes[..head_end]).into_owned();
        let length = content_length(&head)?;
        while self.bytes.len() < head_end + length {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let body = self.bytes[head_end..head_end + length].to_vec();
        self.bytes.drain(..head_end + length);
        Ok(Some(Message { head, body }))
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection broke or ended, or the answer has no length.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<Message> {
        self.write(request).await?;
        self.read().await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn fill(&mut self) -> io::Result<bool> {
        if self.bytes.len() > MESSAGE_MAX {
            return Err(io::Error::other("a message is too long"));
        }
        Ok(self.stream.read_buf(&mut self.bytes).await? > 0)
    }
}

fn content_length(head: &str) -> io::Result<usize> {
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map_err(|_| io::Error::other("a length is no number"));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::Error::other("a body in chunks is not read here"));
        }
    }
    Ok(0)
}

/// The bytes of a JSON request with a bearer key; the key may be empty.
#[must_use]
pub fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n");
    let key = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    format!("{head}{key}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The bytes of an answer.
#[must_use]
pub fn answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let more: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\n", body.len());
    [head.as_bytes(), more.concat().as_bytes(), b"\r\n", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn messages_come_whole_however_they_are_cut() {
        // Two requests in three pieces are two messages, in order, and then the end.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let bytes = [request("POST", "/a?b", "key", "{}"), request("GET", "/c", "", "")].concat();
        let sender = tokio::spawn(async move {
            let mut wire = Wire::connect(address).await.expect("connected");
            for piece in bytes.chunks(bytes.len().div_ceil(3)) {
                wire.write(piece).await.expect("sent");
                tokio::task::yield_now().await;
            }
        });
        let (stream, _) = listener.accept().await.expect("accepted");
        let mut wire = Wire::new(stream).expect("a socket");
        let first = wire.read().await.expect("read").expect("a message");
        assert_eq!((first.method(), first.path(), first.body.as_slice()), ("POST", "/a?b", &b"{}"[..]));
        assert!(first.headers().any(|header| header == ("authorization".to_owned(), "Bearer key".to_owned())));
        let second = wire.read().await.expect("read").expect("a message");
        assert_eq!((second.method(), second.path(), second.body.len()), ("GET", "/c", 0));
        assert!(wire.read().await.expect("read").is_none());
        sender.await.expect("no panic");
        let told = Message { head: String::from_utf8_lossy(&answer(503, &[], b"")).into_owned(), body: Vec::new() };
        assert_eq!(told.status(), 503);
    }
}
