//! The HTTP doors, on actix-web: the original API (`/2.0`), the native one (`/v1`), where providers notify
//! (`/notify`), the sandbox's payers, what watches the process, and whole faces that the host mounts.
//!
//! Nothing here decides what a status is: requests are turned into what the engine is asked, its answers into bytes.

mod answer;
mod auth;
mod body;
mod door;
mod health;
mod inbound;
pub mod maxleap;
mod metrics;
mod mount;
mod notify;
mod openapi;
mod openapi_other;
mod rate;
mod sandbox;
mod settings;
mod v1;

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use maxpay_engine::Engine;
use tokio::sync::oneshot;

pub use door::Door;
pub use mount::{Mount, MountReply, MountRequest};
pub use sandbox::{PayerRefusal, Payers};
pub use settings::{Extras, HttpSettings, ProxyTrust};

/// Why the doors do not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The serving threads cannot be started.
    #[error("cannot start serving")]
    Start(#[source] std::io::Error),
}

/// Doors that are open. Dropping it closes them without waiting for requests under way.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    ended: Option<oneshot::Receiver<std::io::Result<()>>>,
}

impl Running {
    /// Where they listen.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, waits for requests under way up to the settings' limit, and closes.
    pub async fn stop(mut self) {
        self.handle.stop(true).await;
        self.ended().await;
    }

    /// Completes when serving has ended, by [`Running::stop`] or by a failure.
    pub async fn ended(&mut self) {
        if let Some(ended) = self.ended.take() {
            // The sender goes with its thread; either way serving has ended.
            let _ = ended.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_some() {
            drop(self.handle.stop(false));
        }
    }
}

/// Opens the doors of `engine`, on threads of their own.
///
/// # Errors
/// [`Error::Listen`], [`Error::Start`].
pub fn serve(settings: HttpSettings, engine: Engine, extras: Extras) -> Result<Running, Error> {
    serve_on(listen(settings.listen)?, settings, engine, extras)
}

/// Takes an address, so that it is known and held before anything that speaks of it is made.
///
/// # Errors
/// [`Error::Listen`].
pub fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Listen { address, source })
}

/// As [`serve`], on an address that was taken by [`listen`].
///
/// # Errors
/// [`Error::Start`].
pub fn serve_on(
    listener: TcpListener,
    settings: HttpSettings,
    engine: Engine,
    extras: Extras,
) -> Result<Running, Error> {
    let address = listener.local_addr().map_err(Error::Start)?;
    let (started, start) = std::sync::mpsc::sync_channel(1);
    let (end, ended) = oneshot::channel();
    let run = move || {
        let result = actix_web::rt::System::new().block_on(async move {
            match server(settings, engine, extras, listener) {
                Ok(server) => {
                    let _ = started.send(Ok(server.handle()));
                    server.await
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    Ok(())
                }
            }
        });
        let _ = end.send(result);
    };
    std::thread::Builder::new().name("maxpay-http".to_owned()).spawn(run).map_err(Error::Start)?;
    let gone = || std::io::Error::other("the serving thread ended");
    let handle = start.recv().map_err(|_| Error::Start(gone()))?.map_err(Error::Start)?;
    Ok(Running { address, handle, ended: Some(ended) })
}

fn server(
    settings: HttpSettings,
    engine: Engine,
    extras: Extras,
    listener: TcpListener,
) -> std::io::Result<actix_web::dev::Server> {
    let door = Door::new(settings.clone(), engine, extras);
    let server = HttpServer::new(move || App::new().configure(door.configure()))
        .disable_signals()
        .workers(settings.workers.max(1))
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.head_deadline)
        .max_connections(settings.connections_max)
        .shutdown_timeout(settings.stop_limit.as_secs())
        .listen(listener)?;
    Ok(server.run())
}
