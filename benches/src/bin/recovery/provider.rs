//! The provider: the sandbox's simulator in this process, over loopback, with its books in memory. It notes whom it was
//! asked about.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use maxpay_adapters::sandbox::simulator::{Simulator, SimulatorParts};
use maxpay_adapters::simulator::{Changes, Ledger};
use maxpay_engine::clock::System;
use serde_json::Value;

use crate::{Failure, shops};

/// Bytes of a request that are read.
const BODY_MAX: usize = 256 * 1024;
/// Rows that are read into memory together.
const ROWS_TOGETHER: usize = 10_000;

/// A provider that serves until it is stopped.
pub struct Provider {
    books: Arc<Books>,
    handle: ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
}

struct Books {
    simulator: Arc<Simulator>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    numbers: BTreeSet<String>,
    queries: u64,
}

impl Provider {
    /// Serves the books of a data folder, which are read into memory.
    pub fn serve(listener: TcpListener, data: &Path) -> Result<Self, Failure> {
        let base_url = format!("http://{}", listener.local_addr()?);
        let file = Ledger::open(&shops::ledger_file(data))?;
        let ledger = Ledger::memory();
        let rows = file.rows::<Value>("", usize::MAX)?;
        for some in rows.chunks(ROWS_TOGETHER) {
            let mut changes = Changes::default();
            for (key, row) in some {
                changes.put(key.clone(), row);
            }
            ledger.commit(changes)?;
        }
        let system = Arc::new(System::new());
        let sealer = Arc::new(shops::sealer());
        let parts = SimulatorParts { base_url, ledger, clock: system.clone(), entropy: system, sealer };
        let books = Arc::new(Books { simulator: Simulator::open(parts)?, asked: Mutex::default() });
        let data = Data::from(Arc::clone(&books));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("provider".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let body = PayloadConfig::new(BODY_MAX);
                    App::new().app_data(data.clone()).app_data(body).default_service(actix_web::web::to(answer))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
                // Whoever started it waits on the other side.
                let _ = ready.send(server.handle());
                server.await
            })
        })?;
        Ok(Self { books, handle: started.recv()?, thread })
    }

    /// How many different orders were asked about, and how many questions there were in all.
    pub fn asked(&self) -> (u64, u64) {
        let asked = self.books.asked.lock().unwrap_or_else(PoisonError::into_inner);
        (u64::try_from(asked.numbers.len()).unwrap_or(u64::MAX), asked.queries)
    }

    /// Stops serving.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        // What it ended with matters to nobody any more.
        drop(self.thread.join());
    }
}

async fn answer(request: HttpRequest, body: Bytes, books: Data<Books>) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if request.path().ends_with("/query") {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut all = books.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.queries += 1;
        all.numbers.insert(asked["number"].as_str().unwrap_or_default().to_owned());
    }
    let target = request.uri().to_string();
    let served = books.simulator.handle(request.method().as_str(), &target, &headers, &body).reply();
    let Some(reply) = served else { return HttpResponse::InternalServerError().finish() };
    let status = actix_web::http::StatusCode::from_u16(reply.status).unwrap_or_default();
    let mut answer = HttpResponse::build(status);
    for header in reply.headers {
        answer.insert_header(header);
    }
    answer.body(reply.body)
}
