//! The provider in process: which requests are for it, and how they reach it.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::clock::Clock;

use crate::parts::pem;
use crate::parts::x509::Certificate;
use crate::simulator::{Host, InProcess, Served};

use super::super::opening::Pair;
use super::Simulator;

/// Carries requests for the simulator into it.
pub type SimulatorClient = InProcess<Simulator>;

impl Host for Simulator {
    fn is_for(&self, request: &HttpRequest) -> bool {
        let rest = request.url.as_str().strip_prefix(self.base_url());
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    fn serve(&self, request: &HttpRequest) -> Served {
        let identity = proved(request);
        let (method, path) = (request.method.as_str(), request.url.path());
        self.handle(method, path, &request.headers, &request.body, identity.as_ref().map(Certificate::der))
    }

    fn is_durable(&self) -> bool {
        self.ledger.is_durable()
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

/// The certificate that a TLS handshake would prove: the first one, if the key is there that belongs to it.
fn proved(request: &HttpRequest) -> Option<Certificate> {
    let pem = request.identity.as_ref()?.pem();
    let certificate = Certificate::read_all(pem.expose()).ok()?.into_iter().next()?;
    let blocks = pem::blocks(pem.expose()).ok()?;
    let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"))?;
    (Pair::read(key.der.expose())?.public == certificate.public_key()).then_some(certificate)
}
