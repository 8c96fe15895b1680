use maxpay_engine::channel::http::SendLimits;
use tokio::net::TcpListener;

use super::*;

const LIMITS: SendLimits = SendLimits { deadline: Duration::from_secs(5), body_max: 1_000 };

#[tokio::test]
async fn a_call_leads_nowhere_but_to_providers() {
    // Where merchants name their providers: no private address by literal or by name, not even beside a public one. What
    // is said of it is the same for an open port and a closed one, and nothing connects.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let open = listener.local_addr().expect("bound").port();
    let look_up = |name: &str| {
        let public = (name == "both.example").then(|| IpAddr::from([8, 8, 8, 8]));
        Ok(public.into_iter().chain([IpAddr::from([127, 0, 0, 1])]).collect())
    };
    let policy = Reach::within(GuardPolicy::default());
    let client = ProviderClient::with(&TrustedRoots::default(), Lookups::by(look_up), policy).expect("TLS works");
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "pay.example", "both.example"] {
        for port in [open, 1] {
            let request = HttpRequest::get(format!("http://{host}:{port}/").parse().expect("an address"));
            let sent = client.send(request, LIMITS).await;
            let Err(SendFailure::NotSent(reason)) = sent else { panic!("{host}: {sent:?}") };
            assert_eq!(reason, "the provider's address is not one that this server may reach", "{host}");
        }
    }
    let connected = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(connected.is_err());
}
