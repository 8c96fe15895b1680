//! Alipay in process: carries requests for its gateway to it, and all others on.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};

use crate::simulator::Served;

use super::Simulator;

/// Carries requests for the simulator's gateway into the simulator, and all others to the fallback.
#[derive(Clone)]
pub struct AlipayClient {
    simulator: Arc<Simulator>,
    fallback: Option<Arc<dyn HttpClient>>,
}

impl AlipayClient {
    /// A client in front of `fallback`; without one, requests for other addresses are *not sent*.
    #[must_use]
    pub fn new(simulator: Arc<Simulator>, fallback: Option<Arc<dyn HttpClient>>) -> Self {
        Self { simulator, fallback }
    }
}

impl std::fmt::Debug for AlipayClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlipayClient({:?}, fallback: {})", self.simulator, self.fallback.is_some())
    }
}

impl HttpClient for AlipayClient {
    /// Runs on tokio: a ledger in a file is written on its blocking threads.
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        let rest = request.url.as_str().strip_prefix(self.simulator.gateway());
        let ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('?'));
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
    let handle = move || provider.handle(request.url.query().unwrap_or_default(), &request.body);
    let served = if simulator.ledger.is_durable() {
        // A commit waits for the disk, and the caller's thread has other work.
        tokio::task::spawn_blocking(handle)
            .await
            .map_err(|_| SendFailure::Unknown("the simulator stopped in the middle".to_owned()))?
    } else {
        handle()
    };
    let reply = match served {
        Served::Reply(reply) => reply,
        Served::Late(wait, reply) if wait < limits.deadline => {
            simulator.clock.sleep(wait).await;
            reply
        }
        Served::Late(..) => {
            simulator.clock.sleep(limits.deadline).await;
            return Err(SendFailure::Unknown(format!("no answer within {:?}", limits.deadline)));
        }
        Served::Lost => return Err(SendFailure::Unknown("the connection ended without an answer".to_owned())),
        Served::NotSent => return Err(SendFailure::NotSent("the connection was not made".to_owned())),
    };
    if reply.body.len() > limits.body_max {
        return Err(SendFailure::TooLarge { status: reply.status, body_max: limits.body_max });
    }
    Ok(reply)
}
