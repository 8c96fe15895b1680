//! The provider in process: which requests are for it, and how they reach it.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::clock::Clock;

use crate::simulator::{Host, InProcess, Served};

use super::Simulator;

/// Carries requests for the simulator into it.
pub type SimulatorClient = InProcess<Simulator>;

impl Host for Simulator {
    fn is_for(&self, request: &HttpRequest) -> bool {
        let rest = request.url.as_str().strip_prefix(self.base_url());
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    fn serve(&self, request: &HttpRequest) -> Served {
        let target = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        self.handle(request.method.as_str(), &target, &request.headers, &request.body)
    }

    fn is_durable(&self) -> bool {
        self.ledger.is_durable()
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}
