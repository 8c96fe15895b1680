//! What the bench found, as a report.

use std::time::Duration;

use maxpay_benches::report::{Chart, Ratio, Report, Wanted, grouped, real, thousandths};
use maxpay_benches::{Machine, Table, per_second};
use serde_json::{Value, json};

use crate::newcomers::Watched;
use crate::{Failure, Settings};

/// Bytes of a parked transaction, at most.
const PARKED_BYTES_MAX: u64 = 100;
/// Bytes of a live one, at most.
const LIVE_BYTES_MAX: u64 = 2 * 1024;
/// Until ready, at most.
const READY_MS_MAX: u64 = 5_000;
/// Until a new payment is answered, at most.
const ANSWER_US_MAX: u64 = 1_000_000;

/// Everything that was found.
pub struct Found {
    /// Resident bytes of a server with a handful of payments.
    pub few: u64,
    /// Resident bytes of one with all that are not due.
    pub many: u64,
    /// How many those are.
    pub parked: u64,
    /// Length of the file of tables with those in it.
    pub store_bytes: u64,
    /// What live ones cost.
    pub live: Live,
    /// Orders that were due.
    pub wanted: u64,
    /// Questions that the provider was asked.
    pub queries: u64,
    /// The starts after kills.
    pub starts: Vec<Start>,
}

/// What live transactions cost.
pub struct Live {
    /// How many were live, and resident bytes then.
    pub seen: Vec<(u64, u64)>,
    /// Mean length of their records on file.
    pub record_bytes: u64,
    /// Resident bytes when all were at rest again.
    pub after_rest: u64,
}

/// One start after a kill, and what followed.
pub struct Start {
    /// What was killed before.
    pub killed: &'static str,
    /// Until `/readyz` said *ready*.
    pub ready_after: Duration,
    /// What followed.
    pub watched: Watched,
    /// Resident bytes when the due ones were worked off.
    pub resident: Option<u64>,
}

impl Live {
    /// From what the measure says.
    pub fn from_json(said: &Value) -> Result<Self, Failure> {
        let number = |value: &Value| value.as_u64().ok_or("a number is missing");
        let pairs = said["seen"].as_array().ok_or("there are no looks")?;
        let seen = pairs.iter().map(|pair| Ok((number(&pair[0])?, number(&pair[1])?)));
        let seen = seen.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Self { seen, record_bytes: number(&said["record_bytes"])?, after_rest: number(&said["after_rest"])? })
    }

    /// Bytes of each, between the end of the first part and that of the last.
    pub fn bytes_each(&self) -> u64 {
        match (self.seen.get(1), self.seen.last()) {
            (Some(first), Some(last)) if last.0 > first.0 => last.1.saturating_sub(first.1) / (last.0 - first.0),
            _ => 0,
        }
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", grouped(bytes / (1024 * 1024)))
}

/// The report.
pub fn report(settings: &Settings, found: &Found, machine: Machine, about: &str) -> Report {
    let mut report = Report::new("recovery", "Open payments in memory, and the start after a kill", about, machine);
    report
        .setting("transactions", grouped(settings.transactions))
        .setting("due", format!("{}, of {} accounts", grouped(settings.due), settings.accounts))
        .setting("fsync", "the server's store: one sync a group of the journal; tables behind, every 0.5 s")
        .setting("tables on file", mib(found.store_bytes));
    let parked = found.many.saturating_sub(found.few) / found.parked.max(1);
    report
        .ratio(Ratio::within("memory of a parked transaction", "bytes", parked, PARKED_BYTES_MAX))
        .ratio(Ratio::within("memory of a live transaction", "bytes", found.live.bytes_each(), LIVE_BYTES_MAX));
    let mut memory = Table::new(&["server", "resident"]);
    memory.row(vec!["with a handful of payments".to_owned(), mib(found.few)]);
    memory.row(vec![format!("with {} parked", grouped(found.parked)), mib(found.many)]);
    let mut starts = Table::new(&[
        "killed before",
        "ready, ms",
        "watched, s",
        "asked about",
        "asked/s",
        "new",
        "failed",
        "p50, ms",
        "p99, ms",
        "longest, ms",
        "peak",
        "at the end",
    ]);
    let mut lines = Vec::new();
    let mut asked_before = 0;
    for start in &found.starts {
        let Watched { answers_us, failed, took, asked, progress, peak } = &start.watched;
        let [p50, p99, longest] = start.watched.waits_us();
        let made = u64::try_from(answers_us.len()).unwrap_or(u64::MAX).saturating_add(*failed);
        let ready_ms = u64::try_from(start.ready_after.as_millis()).unwrap_or(u64::MAX);
        starts.row(vec![
            start.killed.to_owned(),
            grouped(ready_ms),
            took.as_secs().to_string(),
            grouped(asked - asked_before),
            grouped(per_second(asked - asked_before, *took)),
            grouped(made),
            failed.to_string(),
            thousandths(p50),
            thousandths(p99),
            thousandths(longest),
            mib(*peak),
            start.resident.map(mib).unwrap_or_default(),
        ]);
        asked_before = *asked;
        report
            .ratio(Ratio::within(&format!("ready after a kill of {}", start.killed), "ms", ready_ms, READY_MS_MAX))
            .ratio(Ratio::within("longest wait of a new payment meanwhile", "µs", longest, ANSWER_US_MAX))
            .ratio(Ratio::of("new payments that were answered", "of them", made - failed, made, Wanted::AtLeast(1.0)));
        let points = progress.iter().map(|(second, asked)| (real(*second), real(*asked))).collect();
        lines.push((format!("after a kill of {}", start.killed), points));
    }
    report.ratio(Ratio::of(
        "due payments that were asked about",
        "of them",
        asked_before,
        found.wanted,
        Wanted::AtLeast(1.0),
    ));
    let mut live = Table::new(&["live", "resident", "of which above none"]);
    let none = found.live.seen.first().map_or(0, |seen| seen.1);
    for (count, resident) in &found.live.seen {
        live.row(vec![grouped(*count), mib(*resident), mib(resident.saturating_sub(none))]);
    }
    live.row(vec!["0 again".to_owned(), mib(found.live.after_rest), mib(found.live.after_rest.saturating_sub(none))]);
    report
        .setting("a record on file", format!("{} bytes", found.live.record_bytes))
        .setting("questions in all", grouped(found.queries))
        .table("Parked", memory)
        .table("Live", live)
        .table("After a kill", starts)
        .chart(Chart::lines("Due payments asked about", "payments", "s").all(lines))
        .figure("parked_bytes_each", json!(parked))
        .figure("live_bytes_each", json!(found.live.bytes_each()));
    report
}
