//! The HTTP doors, on actix-web: the original API (`/2.0`), the native one (`/v1`), where providers notify
//! (`/notify`), the sandbox's payers, what watches the process, and whole faces that the host mounts.
//!
//! Nothing here decides what a status is: requests are turned into what the engine is asked, its answers into bytes.

mod answer;
mod auth;
mod body;
mod door;
mod face;
mod health;
mod inbound;
pub mod maxleap;
mod metrics;
mod mount;
mod notify;
mod openapi;
mod openapi_links;
mod openapi_other;
mod rate;
mod sandbox;
mod settings;
mod v1;
mod watched;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use maxpay_engine::Engine;
use tokio::sync::oneshot;

pub use door::Door;
pub use face::serve_face;
pub use mount::{Mount, MountReply, MountRequest};
pub use sandbox::{PayerRefusal, Payers};
use watched::Watched;

pub use settings::{Extras, HttpSettings, ProxyTrust};

/// How long a connection that is closed before its request was read whole is read on, so that its client sees the
/// answer.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(1);

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
    let door = Door::new(settings.clone(), engine, extras);
    start(listener, settings, move |config| door.configure()(config))
}

/// Serves what `configure` puts into an application, on threads of its own.
fn start(
    listener: TcpListener,
    settings: HttpSettings,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> Result<Running, Error> {
    let address = listener.local_addr().map_err(Error::Start)?;
    let (started, start) = std::sync::mpsc::sync_channel(1);
    let (end, ended) = oneshot::channel();
    let run = move || {
        let result = actix_web::rt::System::new().block_on(async move {
            match server(listener, &settings, configure) {
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
    listener: TcpListener,
    settings: &HttpSettings,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<actix_web::dev::Server> {
    let builder = actix_server::Server::build()
        .disable_signals()
        .workers(settings.workers.max(1))
        .max_concurrent_connections(settings.connections_max)
        .shutdown_timeout(settings.stop_limit.as_secs());
    let stopping = builder.graceful_shutdown_signal();
    // A request that is right is answered within these.
    let longest = settings.head_deadline + settings.body_deadline + settings.request_deadline;
    let (keep_alive, head_deadline) = (settings.keep_alive, settings.head_deadline);
    let serve = move || {
        let stopping = stopping.clone();
        let app = App::new().configure(configure.clone()).into_factory();
        let app = map_config(app.map_err(|error: actix_web::Error| error.error_response()), |()| AppConfig::default());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(head_deadline)
            .client_disconnect_timeout(DISCONNECT_LIMIT)
            .on_connect_ext(|stream: &Watched, data| {
                data.insert(stream.cut());
            })
            .h1(app);
        let watched = move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            std::future::ready(Ok::<_, DispatchError>((Watched::new(stream, longest), peer)))
        };
        fn_service(watched).and_then(http)
    };
    Ok(builder.listen("maxpay-http", listener, serve)?.run())
}
