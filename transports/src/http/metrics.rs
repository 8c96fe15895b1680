//! Counts for `/metrics`, in the OpenMetrics text form.

use std::sync::Mutex;
use std::time::Duration;

use maxpay_engine::Engine;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of answer times, in seconds.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 20.0];

/// Methods that are counted and logged under their own names; others could be anything.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What the HTTP doors count.
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    answered: Family<Labels, Counter>,
    took: Family<FaceLabel, Histogram>,
    under_way: Gauge,
    limited: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    face: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaceLabel {
    face: &'static str,
}

/// A method as it is counted and logged: `OTHER` for one that nobody knows.
pub(super) fn known_method(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}

/// One request that was answered.
pub(super) struct Seen {
    pub(super) face: &'static str,
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) took: Duration,
}

/// Holds the count of requests under way, also when one panics.
pub(super) struct UnderWay<'a>(&'a Gauge);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(super) fn new(engine: Engine) -> Self {
        let mut registry = Registry::with_prefix("maxpay");
        let answered = Family::<Labels, Counter>::default();
        let took = Family::<FaceLabel, Histogram>::new_with_constructor(|| Histogram::new(BOUNDS));
        let (under_way, limited) = (Gauge::default(), Counter::default());
        registry.register("http_requests", "Requests answered", answered.clone());
        registry.register("http_request_seconds", "Time to an answer", took.clone());
        registry.register("http_requests_under_way", "Requests under way", under_way.clone());
        registry.register("http_requests_rate_limited", "Requests beyond a rate", limited.clone());
        registry.register_collector(Box::new(EngineCounts(engine)));
        Self { registry: Mutex::new(registry), answered, took, under_way, limited }
    }

    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.inc();
        UnderWay(&self.under_way)
    }

    pub(super) fn end(&self, seen: &Seen) {
        self.answered.get_or_create(&Labels { face: seen.face, method: seen.method, status: seen.status }).inc();
        self.took.get_or_create(&FaceLabel { face: seen.face }).observe(seen.took.as_secs_f64());
    }

    pub(super) fn limited(&self) {
        self.limited.inc();
    }

    /// Everything, as a scraper reads it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            text.clear();
        }
        text
    }
}

/// What the engine counts, read when somebody scrapes.
#[derive(Debug)]
struct EngineCounts(Engine);

impl Collector for EngineCounts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let counts = self.0.metrics();
        let (live, due) = ("Transactions whose actors are in memory", "Rows whose time has come");
        gauge(&mut encoder, "live_transactions", live, counts.live_transactions)?;
        gauge(
            &mut encoder,
            "live_subscriptions",
            "Subscriptions whose actors are in memory",
            counts.live_subscriptions,
        )?;
        gauge(&mut encoder, "due_backlog", due, counts.due_backlog)?;
        let waited_ms = usize::try_from(counts.due_oldest.as_millis()).unwrap_or(usize::MAX);
        gauge(&mut encoder, "due_oldest_milliseconds", "For how long the oldest of them has been due", waited_ms)?;
        total(&mut encoder, "commits", "Commits by actors", counts.commits)?;
        total(&mut encoder, "busy_refusals", "Messages refused because too much was under way", counts.busy)?;
        total(&mut encoder, "actors_died", "Actors that died of a message", counts.actors_died)?;
        total(&mut encoder, "calls_dropped", "Calls that found no room to wait", counts.calls_dropped)?;
        let calls = counts
            .calls
            .iter()
            .map(|(kind, outcome, count)| (vec![("kind", named(kind)), ("outcome", (*outcome).to_owned())], *count));
        family(&mut encoder, "calls", "Calls to providers", calls)?;
        let tries = counts.deliveries.iter().map(|(result, count)| (vec![("result", (*result).to_owned())], *count));
        family(&mut encoder, "webhook_tries", "Webhook tries", tries)?;
        let alarms = counts.alarms.iter().map(|(kind, count)| (vec![("kind", named(kind))], *count));
        family(&mut encoder, "alarms", "Alarms raised", alarms)
    }
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: usize) -> std::fmt::Result {
    let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)
}

fn total(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: usize) -> std::fmt::Result {
    let value = ConstCounter::new(u64::try_from(value).unwrap_or(u64::MAX));
    value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)
}

fn family(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Vec<(&'static str, String)>, u64)>,
) -> std::fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, count) in rows {
        ConstCounter::new(count).encode(encoder.encode_family(&labels.as_slice())?)?;
    }
    Ok(())
}

/// The name that a kind has in JSON.
fn named(kind: &impl serde::Serialize) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
