//! The provider in process: which requests are for it, and how they reach it.

use maxpay_engine::channel::http::HttpRequest;
use maxpay_engine::clock::Clock;

use crate::parts::pem;
use crate::parts::rsa::{PrivateKey, PublicKey};
use crate::parts::x509::Certificate;
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
        let identity = proved(request);
        let identity = identity.as_ref().map(Certificate::der);
        self.handle(request.method.as_str(), &target, &request.headers, &request.body, identity)
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
    let public = PublicKey::read(certificate.public_key()).ok()?;
    PrivateKey::read(&key.der).ok()?.belongs_to(&public).then_some(certificate)
}
