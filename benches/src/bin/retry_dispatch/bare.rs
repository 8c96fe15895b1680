//! The role *bare*: the reference. The same HTTP client in a plain loop: as many requests of the same shape at once to the
//! same receivers, and nothing is read, signed, decided or kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use maxpay_benches::child;
use maxpay_benches::process::{cpu_time, memory};
use maxpay_engine::channel::http::{HttpRequest, SendLimits};
use maxpay_engine::clock::{Clock, Entropy, IdSource, System};
use maxpay_engine::model::{AppId, RawId};
use maxpay_engine::secrets::Secret;
use maxpay_engine::webhook::{WebhookClient, payload, signature};
use maxpay_transports::client::{TargetClient, TrustedRoots};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Failure;
use crate::backlog::event;
use crate::engine::Told;

/// What the reference is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// The receivers, and whether each answers.
    pub receivers: Vec<(SocketAddr, bool)>,
    /// Requests to each.
    pub each: u64,
    /// Requests to one at once.
    pub at_once: u32,
    /// The deadline of a request.
    pub deadline_ms: u64,
    /// After so long it gives up.
    pub limit_s: u64,
}

/// Sends until every receiver that answers has got its requests.
pub fn run(orders: &Orders) -> Result<(), Failure> {
    // As many threads as the engine's own runtime has.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = Arc::new(TargetClient::new(&TrustedRoots::default())?);
    let system = System::new();
    let sample = sample(&system)?;
    child::tell(&json!({ "opened_ms": 0 }))?;
    child::wait_for_go()?;
    let me = std::process::id();
    let (began, cpu_before) = (system.now().monotonic, cpu_time(me)?);
    let (sent, deadline) = (Arc::new(AtomicU64::new(0)), Duration::from_millis(orders.deadline_ms));
    let limit = Duration::from_secs(orders.limit_s);
    let answered = runtime.block_on(async {
        let mut answering = tokio::task::JoinSet::new();
        for (address, answers) in &orders.receivers {
            let left = Arc::new(AtomicU64::new(orders.each));
            for _ in 0..orders.at_once {
                let (client, left, sent) = (Arc::clone(&client), Arc::clone(&left), Arc::clone(&sent));
                let (sample, address) = (sample.clone(), *address);
                let work = async move {
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                        let limits = SendLimits { deadline, body_max: 64 * 1024 };
                        let mut request = sample.clone();
                        // What came of it is the receiver's affair.
                        if request.url.set_port(Some(address.port())).is_ok() {
                            let _ = client.send(request, vec![address], limits).await;
                        }
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                };
                if *answers {
                    answering.spawn(work);
                } else {
                    tokio::spawn(work);
                }
            }
        }
        tokio::time::timeout(limit, answering.join_all()).await
    });
    answered.map_err(|_| "the reference did not come to its end in time")?;
    let told = Told {
        tries: sent.load(Ordering::Relaxed),
        elapsed_us: u64::try_from(system.now().monotonic.saturating_sub(began).as_micros())?,
        cpu_us: u64::try_from(cpu_time(me)?.saturating_sub(cpu_before).as_micros())?,
        resident: memory(me)?.resident,
        late_ms: Vec::new(),
    };
    child::tell(&serde_json::to_value(told)?)?;
    runtime.shutdown_background();
    Ok(())
}

/// A request with the headers and the body of a webhook.
fn sample(system: &System) -> Result<HttpRequest, Failure> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(system.clone()), Arc::new(system.clone()));
    let now = clock.now().wall;
    let event = event(&IdSource::new(clock, Arc::clone(&entropy)), AppId(RawId([7; RawId::LEN])), now);
    let body = payload::body(&event, Some(&Secret::from_text("mk_test_0123456789abcdef0123456789abcdef")), now)?;
    let id = event.id.to_string();
    let signed = signature::sign(&signature::new_secret(entropy.as_ref()), &id, now, &body)?;
    Ok(HttpRequest::post("http://127.0.0.1:1/hook".parse()?, "application/json", body)
        .header("user-agent", "MaxPay/0.1.0")
        .header("maxpay-event", event.kind.name())
        .header("webhook-id", id)
        .header("webhook-timestamp", now.seconds().to_string())
        .header("webhook-signature", signed))
}
