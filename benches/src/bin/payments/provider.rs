//! The role *provider*: the simulated provider over HTTP, and the payers. Its books are in memory: what they would cost on
//! a disk is the provider's affair.

use std::io;
use std::sync::Arc;

use maxpay_adapters::sandbox::simulator::{PayerCommand, Simulator, SimulatorParts};
use maxpay_adapters::simulator::{Ledger, over_http};
use maxpay_benches::child;
use maxpay_benches::wire::{Wire, answer};
use maxpay_engine::clock::System;
use maxpay_engine::secrets::{Sealer, SealingKey, Secret};
use maxpay_transports::client::{ProviderClient, TrustedRoots};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// The merchant that the provider knows.
pub const MERCHANT: &str = "bench-merchant";
/// Its key. Not a secret: nothing but this bench's provider knows it.
pub const MERCHANT_KEY: &str = "the key of a bench's merchant";

/// Runs until the bench is gone.
pub fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let address = runtime.block_on(start())?;
    child::tell(&json!({ "address": address.to_string() }))?;
    // The bench says nothing more; the end of the pipe is the end.
    while child::wait_for_go().is_ok() {}
    runtime.shutdown_background();
    Ok(())
}

async fn start() -> Result<std::net::SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let system = Arc::new(System::new());
    let simulator = Simulator::open(SimulatorParts {
        base_url: format!("http://{address}"),
        ledger: Ledger::memory(),
        clock: system.clone(),
        entropy: system.clone(),
        sealer: Arc::new(Sealer::new(&SealingKey::generate(system.as_ref()))),
    })?;
    simulator.enrol(MERCHANT, Secret::from_text(MERCHANT_KEY), None)?;
    simulator.set_sink(over_http(Arc::new(ProviderClient::new(&TrustedRoots::default())?)));
    tokio::spawn(Arc::clone(&simulator).run(std::future::pending()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let simulator = Arc::clone(&simulator);
            tokio::spawn(async move {
                // A client that hangs up in the middle has its reasons.
                let _ = serve(stream, &simulator).await;
            });
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream, simulator: &Simulator) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some(message) = wire.read().await? {
        let reply = if let Some(number) = message.path().strip_prefix("/payer/") {
            match simulator.payer(number, PayerCommand::Pay) {
                Ok(_) => answer(200, &[], b""),
                Err(why) => answer(409, &[], why.to_string().as_bytes()),
            }
        } else {
            let headers: Vec<_> = message.headers().collect();
            let served = simulator.handle(message.method(), message.path(), &headers, &message.body);
            let Some(reply) = served.reply() else { return Ok(()) };
            answer(reply.status, &reply.headers, &reply.body)
        };
        wire.write(&reply).await?;
    }
    Ok(())
}
