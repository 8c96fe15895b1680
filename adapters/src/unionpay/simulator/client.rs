//! UnionPay in process: carries requests for its address to it, and all others on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};

use crate::simulator::Served;

use super::Simulator;

/// Carries requests for the simulator's address into the simulator, and all others to the fallback.
#[derive(Clone)]
pub struct SimulatorClient {
    simulator: Arc<Simulator>,
    fallback: Option<Arc<dyn HttpClient>>,
}

impl SimulatorClient {
    /// A client in front of `fallback`; without one, requests for other addresses are *not sent*.
    #[must_use]
    pub fn new(simulator: Arc<Simulator>, fallback: Option<Arc<dyn HttpClient>>) -> Self {
        Self { simulator, fallback }
    }
}

impl std::fmt::Debug for SimulatorClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatorClient({:?}, fallback: {})", self.simulator, self.fallback.is_some())
    }
}

impl HttpClient for SimulatorClient {
    /// Runs on tokio: a ledger in a file is written on its blocking threads.
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let base = self.simulator.base_url();
        let ours = request.url.as_str().strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
        match (&self.fallback, ours) {
            (_, true) => Box::pin(serve(Arc::clone(&self.simulator), request, limits)),
            (Some(fallback), false) => fallback.send(request, limits),
            (None, false) => {
                let host = request.url.host_str().unwrap_or_default().to_owned();
                Box::pin(async move { Err(SendFailure::NotSent(format!("nothing leads to {host} from here"))) })
            }
        }
    }
}

async fn serve(simulator: Arc<Simulator>, request: HttpRequest, limits: SendLimits) -> Result<HttpReply, SendFailure> {
    let provider = Arc::clone(&simulator);
    let handle = move || provider.handle(request.method.as_str(), request.url.path(), &request.body);
    let served = if simulator.ledger.is_durable() {
        tokio::task::spawn_blocking(handle)
            .await
            .map_err(|_| SendFailure::Unknown("the simulator stopped in the middle".to_owned()))?
    } else {
        handle()
    };
    let (wait, answer) = match served {
        Served::Reply(reply) => (Duration::ZERO, Ok(reply)),
        Served::Late(wait, reply) if wait < limits.deadline => (wait, Ok(reply)),
        Served::Late(..) => (limits.deadline, Err(SendFailure::Unknown("no answer in time".to_owned()))),
        Served::Lost => {
            (Duration::ZERO, Err(SendFailure::Unknown("the connection ended without an answer".to_owned())))
        }
        Served::NotSent => (Duration::ZERO, Err(SendFailure::NotSent("the connection was not made".to_owned()))),
    };
    if !wait.is_zero() {
        simulator.clock.sleep(wait).await;
    }
    let reply = answer?;
    if reply.body.len() > limits.body_max {
        return Err(SendFailure::TooLarge { status: reply.status, body_max: limits.body_max });
    }
    Ok(reply)
}
