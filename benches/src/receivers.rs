//! Merchants' webhook receivers on loopback: well, failing or hanging, each on a port of its own. They keep nothing and
//! answer with as little work as there can be, so that they cost every sender the same.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::wire::{Message, Wire, answer};

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers 200.
    Well,
    /// Answers 500.
    Failing,
    /// Never answers.
    Hanging,
}

/// Hears of every request, with the number of its receiver, before it is answered.
pub type Heard = Arc<dyn Fn(usize, &Message) + Send + Sync>;

/// Receivers that run until they are dropped.
#[derive(Debug)]
pub struct Receivers {
    /// Where they are, in order.
    pub addresses: Vec<SocketAddr>,
    running: JoinSet<()>,
}

impl Receivers {
    /// One receiver for each manner, on free loopback ports.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn start(manners: &[Manner], heard: Heard) -> io::Result<Self> {
        let (mut addresses, mut running) = (Vec::new(), JoinSet::new());
        for (number, manner) in manners.iter().copied().enumerate() {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            addresses.push(listener.local_addr()?);
            let heard = Arc::clone(&heard);
            running.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let heard = Arc::clone(&heard);
                    connections.spawn(async move {
                        // A sender that hangs up in the middle has its reasons.
                        let _ = serve(stream, number, manner, &heard).await;
                    });
                    // Those that have ended.
                    while connections.try_join_next().is_some() {}
                }
            });
        }
        Ok(Self { addresses, running })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.running.len()
    }
}

async fn serve(stream: TcpStream, number: usize, manner: Manner, heard: &Heard) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    let (well, failing) = (answer(200, &[], b"ok"), answer(500, &[], b"no"));
    while let Some(message) = wire.read().await? {
        heard(number, &message);
        match manner {
            Manner::Well => wire.write(&well).await?,
            Manner::Failing => wire.write(&failing).await?,
            Manner::Hanging => {}
        }
    }
    Ok(())
}
