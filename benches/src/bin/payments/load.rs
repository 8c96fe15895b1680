//! The load: so many payers at once, each makes a payment, pays it, waits for its webhook, and begins again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maxpay_benches::receivers::Heard;
use maxpay_benches::wire::{Message, Wire, request};
use maxpay_engine::clock::{Clock, System};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::Failure;

/// How long a webhook may take: beyond it something is broken.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(30);

/// Where payments are made and paid.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The server.
    pub server: SocketAddr,
    /// The API key.
    pub api_key: String,
    /// Where payers pay; `None`: at the server's own sandbox.
    pub provider: Option<SocketAddr>,
}

/// The times of one payment, in microseconds.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "units stand last in every name")]
pub struct Times {
    /// From asking for it to the answer.
    pub created_us: u64,
    /// From paying it to its webhook.
    pub told_us: u64,
    /// From asking for it to its webhook.
    pub whole_us: u64,
}

/// Who waits for the webhook of which payment.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<String, oneshot::Sender<Duration>>>);

impl Waiting {
    /// What a receiver tells it.
    pub fn hears(self: &Arc<Self>, clock: &System) -> Heard {
        let (waiting, clock) = (Arc::clone(self), clock.clone());
        Arc::new(move |_, message| waiting.told(message, &clock))
    }

    fn told(&self, message: &Message, clock: &System) {
        let Some(id) = id_in(&message.body) else { return };
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        // A webhook may come twice, and after the end of a run.
        if let Some(waiting) = waiting {
            let _ = waiting.send(clock.now().monotonic);
        }
    }

    fn expect(&self, id: String) -> oneshot::Receiver<Duration> {
        let (sender, told) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        told
    }
}

/// The 24 digits of the `id` of a body, without reading the rest of it.
fn id_in(body: &[u8]) -> Option<String> {
    let mark = b"\"id\":\"";
    let at = body.windows(mark.len()).position(|window| window == mark)? + mark.len();
    body.get(at..at + 24).map(|id| String::from_utf8_lossy(id).into_owned())
}

/// One payer. Ends with the payment under way when `stop` is set; gives the times of all whose webhook came in the
/// window.
pub async fn payer(
    number: usize,
    doors: Doors,
    waiting: Arc<Waiting>,
    clock: System,
    counts: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Times>, Failure> {
    let mut server = Wire::connect(doors.server).await?;
    let mut provider = match doors.provider {
        Some(address) => Some(Wire::connect(address).await?),
        None => None,
    };
    let mut times = Vec::new();
    for bill in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let began = clock.now().monotonic;
        let body = json!({
            "bill_num": format!("bench-{number}-{bill}"),
            "channel": "wx_native",
            "amount": { "amount_minor": 1_999, "currency": "CNY" },
            "subject": "A toy",
            "extras": { "type": "shopping" },
        });
        let made = server.ask(&request("POST", "/v1/transactions", &doors.api_key, &body.to_string())).await?;
        let created = clock.now().monotonic;
        let id = id_of(&made)?;
        let told = waiting.expect(id.clone());
        let paying = clock.now().monotonic;
        let paid = if let Some(provider) = &mut provider {
            provider.ask(&request("POST", &format!("/payer/{id}"), "", "")).await?
        } else {
            let path = format!("/sandbox/transactions/{id}/pay");
            server.ask(&request("POST", &path, &doors.api_key, "{}")).await?
        };
        if paid.status() != 200 {
            return Err(refusal("paying", &paid));
        }
        let told = tokio::time::timeout(WEBHOOK_LIMIT, told).await.map_err(|_| format!("no webhook of {id}"))??;
        if counts.load(Ordering::Relaxed) {
            let micros = |from: Duration, to: Duration| u64::try_from(to.saturating_sub(from).as_micros());
            let [created_us, told_us] = [micros(began, created)?, micros(paying, told)?];
            times.push(Times { created_us, told_us, whole_us: micros(began, told)? });
        }
    }
    Ok(times)
}

fn id_of(made: &Message) -> Result<String, Failure> {
    if made.status() != 201 {
        return Err(refusal("creating", made));
    }
    // Read whole, as a merchant's client would.
    let body: Value = serde_json::from_slice(&made.body)?;
    let awaiting = body["status"] == "awaiting_payer";
    let id = body["id"].as_str().filter(|_| awaiting).ok_or_else(|| refusal("creating", made))?;
    Ok(id.to_owned())
}

fn refusal(what: &str, answer: &Message) -> Failure {
    format!("{what} a payment: {} {}", answer.status(), String::from_utf8_lossy(&answer.body)).into()
}
