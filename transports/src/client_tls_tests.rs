//! Certificates of these tests: `transports/fixtures/tls`, made by the script there.

use std::sync::atomic::{AtomicUsize, Ordering};

use maxpay_engine::secrets::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

const LIMITS: SendLimits = SendLimits { deadline: Duration::from_secs(5), body_max: 1_000 };
const ROOT: &[u8] = include_bytes!("../fixtures/tls/root.pem");
const GOOD: [&[u8]; 2] = [include_bytes!("../fixtures/tls/good.pem"), include_bytes!("../fixtures/tls/good.key")];
const EXPIRED: [&[u8]; 2] =
    [include_bytes!("../fixtures/tls/expired.pem"), include_bytes!("../fixtures/tls/expired.key")];
const UNKNOWN: [&[u8]; 2] =
    [include_bytes!("../fixtures/tls/unknown.pem"), include_bytes!("../fixtures/tls/unknown.key")];
const MERCHANT: [&[u8]; 2] =
    [include_bytes!("../fixtures/tls/merchant.pem"), include_bytes!("../fixtures/tls/merchant.key")];

/// A server behind TLS that answers every request with 200 and counts what it could read.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    async fn start([certificate, key]: [&[u8]; 2], asks_for_identity: bool) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config(certificate, key, asks_for_identity)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"hunter2") && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                }
                counted.fetch_add(usize::from(request.ends_with(b"hunter2")), Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, requests, serving }
    }

    /// What the client for targets makes of it under that name: a name is pinned to where the server is.
    async fn ask(&self, host: &str, roots: &TrustedRoots) -> Result<HttpReply, SendFailure> {
        let client = TargetClient::new(roots).expect("TLS works");
        client.send(self.request(host), vec![self.address], LIMITS).await
    }

    fn request(&self, host: &str) -> HttpRequest {
        let url = format!("https://{host}:{}/", self.address.port()).parse().expect("an address");
        HttpRequest::post(url, "text/plain", "hunter2")
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn config(certificate: &[u8], key: &[u8], asks_for_identity: bool) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ROOT).expect("a certificate")).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS 1.3");
    let builder = if asks_for_identity {
        builder.with_client_cert_verifier(verifier.build().expect("a root"))
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate).expect("a certificate")];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key).expect("a key")).expect("they match")
}

fn trusting() -> TrustedRoots {
    TrustedRoots::default().and(ROOT).expect("a certificate")
}

#[tokio::test]
async fn only_a_proven_peer_gets_a_request() {
    // A known issuer, the right name and a valid date, all three; otherwise nothing was sent, and the peer read nothing.
    let table = [
        ("good", GOOD, "shop.test", trusting(), true),
        ("wrong host", GOOD, "other.test", trusting(), false),
        ("expired", EXPIRED, "shop.test", trusting(), false),
        ("unknown issuer", UNKNOWN, "shop.test", trusting(), false),
        ("root not added", GOOD, "shop.test", TrustedRoots::default(), false),
    ];
    for (what, certificate, host, roots, passes) in table {
        let server = Server::start(certificate, false).await;
        let sent = server.ask(host, &roots).await;
        match sent {
            Ok(reply) => assert!(passes && reply.status == 200, "{what}"),
            Err(failure) => assert!(!passes && matches!(failure, SendFailure::NotSent(_)), "{what}: {failure:?}"),
        }
        assert_eq!(server.requests(), usize::from(passes), "{what}");
    }
}

#[tokio::test]
async fn an_identity_proves_us() {
    // A provider that asks for a certificate gets the account's; without it the request is not read, and because TLS 1.3
    // learns of the refusal late, nothing is claimed.
    let server = Server::start(GOOD, true).await;
    let client = ProviderClient::new(&trusting()).expect("TLS works");
    let mut request = server.request("localhost");
    let without = client.send(request.clone(), LIMITS).await;
    assert!(matches!(without, Err(SendFailure::Unknown(_))), "{without:?}");
    assert_eq!(server.requests(), 0);
    request.identity = Some(ClientIdentity::from_pem(Secret::from_bytes(MERCHANT.concat())));
    assert_eq!(client.send(request, LIMITS).await.expect("an answer").status, 200);
    assert_eq!(server.requests(), 1);
}

#[test]
fn clients_with_identities_are_few_and_kept() {
    // The same identity finds its client again; there are never more than the bound.
    let client = ProviderClient::new(&trusting()).expect("TLS works");
    for number in 0..IDENTITIES_MAX + 3 {
        // White space between the blocks makes another digest of the same certificate.
        let pem = [MERCHANT[0], &b"\n".repeat(number), MERCHANT[1]].concat();
        let identity = ClientIdentity::from_pem(Secret::from_bytes(pem));
        client.client_for(Some(&identity)).expect("usable");
        client.client_for(Some(&identity)).expect("usable");
        let kept = client.identities.lock().expect("no panic").clients.len();
        assert_eq!(kept, (number + 1).min(IDENTITIES_MAX));
    }
}

#[tokio::test]
async fn a_machine_without_roots_can_still_start() {
    // With no roots at all a client is made, and no https peer passes.
    let nothing = unpooled().dns_resolver(PinnedResolver).tls_certs_only([]).build().expect("no roots are no error");
    let server = Server::start(GOOD, false).await;
    let request = server.request("shop.test");
    let sent = PINNED.scope(vec![server.address], exchange(nothing, request, LIMITS, Overlong::Refuse)).await;
    assert!(matches!(sent, Err(SendFailure::NotSent(_))), "{sent:?}");
    assert_eq!(server.requests(), 0);
    for text in ["", "nonsense"] {
        assert!(TrustedRoots::default().and(text.as_bytes()).is_err(), "{text}");
    }
}
