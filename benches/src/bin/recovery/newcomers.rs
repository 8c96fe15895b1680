//! New payments while the due ones are worked off: one at each tick, whether the last one was answered or not, and how
//! long each answer took.

use std::sync::Arc;
use std::time::Duration;

use maxpay_benches::{median, quantile};
use maxpay_engine::clock::{Clock, System};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Failure;
use crate::child::{Server, client};
use crate::provider::Provider;
use crate::shops::{CHANNEL, Shop};

/// Between one new payment and the next.
const TICK: Duration = Duration::from_millis(100);

/// It is watched so long at least, however few are due.
const LEAST: Duration = Duration::from_secs(1);

/// What happened while due payments were worked off.
#[derive(Debug, Default)]
pub struct Watched {
    /// How long each new payment took to be answered as waiting for its payer, in microseconds.
    pub answers_us: Vec<u64>,
    /// Those that were answered otherwise, or not at all.
    pub failed: u64,
    /// How long it was watched.
    pub took: Duration,
    /// Different orders that the provider had been asked about at the end.
    pub asked: u64,
    /// Seconds since the beginning and orders asked about so far, for the drawing.
    pub progress: Vec<(u64, u64)>,
    /// The most resident memory that the server ever had.
    pub peak: u64,
}

impl Watched {
    /// Median, 99th percentile and longest, in microseconds.
    pub fn waits_us(&self) -> [u64; 3] {
        [median(&self.answers_us), quantile(&self.answers_us, 990), quantile(&self.answers_us, 1000)]
    }
}

/// Makes payments until so many orders were asked about, or the time is over.
pub async fn watch(
    server: &Server,
    provider: &Provider,
    shops: &[Shop],
    until_asked: u64,
    limit: Duration,
) -> Result<Watched, Failure> {
    let (clock, http) = (Arc::new(System::new()), client()?);
    let mut watched = Watched::default();
    let mut asked = JoinSet::new();
    let (began, mut ticks) = (clock.now().monotonic, tokio::time::interval(TICK));
    let run = clock.now().wall.millis();
    for (index, shop) in (0_u64..).zip(shops.iter().cycle()) {
        ticks.tick().await;
        let passed = clock.now().monotonic.saturating_sub(began);
        watched.asked = provider.asked().0;
        if index % 10 == 0 {
            watched.progress.push((passed.as_secs(), watched.asked));
        }
        if (watched.asked >= until_asked && passed >= LEAST) || passed >= limit {
            watched.took = passed;
            break;
        }
        let request = http.post(format!("http://{}/v1/transactions", server.address)).bearer_auth(&shop.api_key);
        let request = request.header("content-type", "application/json").body(payment(&format!("new-{run}-{index}")));
        asked.spawn(one(Arc::clone(&clock), request));
    }
    for answer in asked.join_all().await {
        match answer {
            Ok(wait_us) => watched.answers_us.push(wait_us),
            Err(_) => watched.failed += 1,
        }
    }
    watched.peak = server.memory()?.peak;
    Ok(watched)
}

fn payment(bill_num: &str) -> String {
    let amount = json!({ "amount_minor": 1_999, "currency": "CNY" });
    json!({ "bill_num": bill_num, "channel": CHANNEL, "amount": amount, "subject": "A pot of green tea" }).to_string()
}

/// Microseconds until it was answered that the payer is awaited.
async fn one(clock: Arc<System>, request: reqwest::RequestBuilder) -> Result<u64, Failure> {
    let began = clock.now().monotonic;
    let answer = request.send().await?;
    let status = answer.status();
    let body: Value = serde_json::from_slice(&answer.bytes().await?)?;
    if status != 201 || body["status"] != "awaiting_payer" {
        return Err(format!("{status}: {body}").into());
    }
    Ok(u64::try_from(clock.now().monotonic.saturating_sub(began).as_micros())?)
}
