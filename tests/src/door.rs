//! A provider's address on loopback: what comes in is handed to a simulator, and what it serves goes back.

use std::sync::Arc;

use maxpay_adapters::simulator::Served;
use maxpay_engine::channel::http::HttpReply;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::receiver::{Received, read_request};

/// A free address of this machine alone, taken before the simulator is made that must know it.
#[derive(Debug)]
pub struct FreeAddress(TcpListener);

/// A simulator's door. It ends when it is dropped.
#[derive(Debug)]
pub struct Door(JoinHandle<()>);

impl FreeAddress {
    /// Takes one.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn take() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free loopback port"))
    }

    /// `http://127.0.0.1:…`, without a path.
    ///
    /// # Panics
    /// Never in practice: a bound listener has an address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("a bound listener has an address"))
    }

    /// Serves what comes by `handle`.
    #[must_use]
    pub fn serve(self, handle: impl Fn(&Received) -> Served + Send + Sync + 'static) -> Door {
        let handle = Arc::new(handle);
        Door(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = self.0.accept().await {
                let handle = Arc::clone(&handle);
                connections.spawn(async move {
                    // A client that hangs up in the middle is no event here.
                    let _ = answer(stream, &*handle).await;
                });
            }
        }))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(mut stream: TcpStream, handle: &(dyn Fn(&Received) -> Served + Sync)) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut bytes).await? {
        let Some(reply) = handle(&request).reply() else { return Ok(()) };
        stream.write_all(&written(&reply)).await?;
    }
    Ok(())
}

fn written(reply: &HttpReply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &[name, ": ", value, "\r\n"].concat();
    }
    // A 204 has no body, and names no length.
    if reply.status != 204 {
        head += &["content-length: ", &reply.body.len().to_string(), "\r\n"].concat();
    }
    [head.as_bytes(), b"\r\n", &reply.body].concat()
}
