//! What watches the process: `/livez`, `/readyz`, `/metrics`.

use maxpay_engine::store;

use super::answer::Answer;
use super::door::{Door, nothing_here, wrong_method};
use super::inbound::Inbound;

/// Answers a watcher.
pub(super) fn answer(door: &Door, inbound: &Inbound) -> Answer {
    if !matches!(inbound.method(), "GET" | "HEAD") {
        return wrong_method("GET, HEAD");
    }
    match inbound.path() {
        "/livez" => Answer::text(200, "alive\n"),
        "/readyz" => ready(door),
        "/metrics" => {
            let body = door.metrics().text();
            Answer::new(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
        }
        _ => nothing_here(),
    }
}

/// Ready means that the store takes commits and that nobody stops the engine.
fn ready(door: &Door) -> Answer {
    let health = door.engine().health();
    match health.store {
        store::Health::Fenced { why } => Answer::text(503, format!("the store is fenced: {why}\n")),
        store::Health::Open if health.draining => Answer::text(503, "draining\n"),
        store::Health::Open => Answer::text(200, "ready\n"),
    }
}
