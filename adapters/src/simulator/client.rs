//! A provider in process: carries requests for its address to it, and all others on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use maxpay_engine::channel::http::{HttpClient, HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::clock::Clock;

use super::Served;

/// A simulator that requests reach in process.
pub trait Host: fmt::Debug + Send + Sync + 'static {
    /// Whether it is what a request is for.
    fn is_for(&self, request: &HttpRequest) -> bool;

    /// Answers a request. It may wait for a disk.
    fn serve(&self, request: &HttpRequest) -> Served;

    /// Whether its ledger waits for a disk.
    fn is_durable(&self) -> bool;

    /// By what late answers are late.
    fn clock(&self) -> &dyn Clock;
}

/// Carries requests for a simulator into it, and all others to the fallback.
pub struct InProcess<S> {
    simulator: Arc<S>,
    fallback: Option<Arc<dyn HttpClient>>,
}

impl<S> Clone for InProcess<S> {
    fn clone(&self) -> Self {
        Self { simulator: Arc::clone(&self.simulator), fallback: self.fallback.clone() }
    }
}

impl<S: Host> InProcess<S> {
    /// A client in front of `fallback`; without one, requests for other addresses are *not sent*.
    #[must_use]
    pub fn new(simulator: Arc<S>, fallback: Option<Arc<dyn HttpClient>>) -> Self {
        Self { simulator, fallback }
    }
}

impl<S: Host> fmt::Debug for InProcess<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InProcess({:?}, fallback: {})", self.simulator, self.fallback.is_some())
    }
}

impl<S: Host> HttpClient for InProcess<S> {
    /// Runs on tokio: a ledger in a file is written on its blocking threads.
    fn send(&self, request: HttpRequest, limits: SendLimits) -> BoxFuture<'static, Result<HttpReply, SendFailure>> {
        match (&self.fallback, self.simulator.is_for(&request)) {
            (_, true) => Box::pin(carry(Arc::clone(&self.simulator), request, limits)),
            (Some(fallback), false) => fallback.send(request, limits),
            (None, false) => {
                let host = request.url.host_str().unwrap_or_default().to_owned();
                Box::pin(async move { Err(SendFailure::NotSent(format!("nothing leads to {host} from here"))) })
            }
        }
    }
}

async fn carry<S: Host>(simulator: Arc<S>, request: HttpRequest, limits: SendLimits) -> Result<HttpReply, SendFailure> {
    let provider = Arc::clone(&simulator);
    let handle = move || provider.serve(&request);
    let served = if simulator.is_durable() {
        // A commit waits for the disk, and the caller's thread has other work.
        tokio::task::spawn_blocking(handle)
            .await
            .map_err(|_| SendFailure::Unknown("the simulator stopped in the middle".to_owned()))?
    } else {
        handle()
    };
    let late = |wait| SendFailure::Unknown(format!("no answer within {wait:?}"));
    let (wait, answer) = match served {
        Served::Reply(reply) => (Duration::ZERO, Ok(reply)),
        Served::Late(wait, reply) if wait < limits.deadline => (wait, Ok(reply)),
        Served::Late(..) => (limits.deadline, Err(late(limits.deadline))),
        Served::Lost => {
            (Duration::ZERO, Err(SendFailure::Unknown("the connection ended without an answer".to_owned())))
        }
        Served::NotSent => (Duration::ZERO, Err(SendFailure::NotSent("the connection was not made".to_owned()))),
    };
    if !wait.is_zero() {
        simulator.clock().sleep(wait).await;
    }
    let reply = answer?;
    if reply.body.len() > limits.body_max {
        return Err(SendFailure::TooLarge { status: reply.status, body_max: limits.body_max });
    }
    Ok(reply)
}
