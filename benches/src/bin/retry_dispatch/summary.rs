//! From runs to the report.

use std::time::Duration;

use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, grouped, real, thousandths};
use maxpay_benches::{Table, median, per_second, quantile, ratio};
use serde_json::{Value, json};

use crate::engine::Told;
use crate::pending::Pending;

/// Processor time of a delivery that is aimed at, in microseconds.
const CPU_US_MAX: u64 = 100;
/// What another one does, for scale.
const FOR_SCALE: &str = "svix-server 1.100 with PostgreSQL and Redis, on such a machine, from a backlog";

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Engines that worked off the backlog.
    pub engine: Vec<Told>,
    /// The reference, between them.
    pub bare: Vec<Told>,
    /// An engine whose deliveries fell due at half of the rate it has from a backlog.
    pub paced: Option<(u64, Told)>,
    /// An engine that worked off the whole schedule by a clock that jumps.
    pub whole: Option<Told>,
    /// Many pending ones.
    pub pending: Option<Pending>,
}

/// Tries a second of a run.
pub fn rate(told: &Told) -> u64 {
    per_second(told.tries, Duration::from_micros(told.elapsed_us))
}

fn cpu(told: &Told) -> u64 {
    told.cpu_us / told.tries.max(1)
}

fn middle(runs: &[Told], figure: fn(&Told) -> u64) -> u64 {
    median(&runs.iter().map(figure).collect::<Vec<_>>())
}

/// Adds everything that was found to the report.
pub fn tell(report: &mut Report, found: &Found) {
    let mut table = Table::new(&["side", "tries/s", "CPU-ms a try", "MiB", "each run, tries/s"]);
    for (side, runs) in [("engine, durable", &found.engine), ("bare loop", &found.bare)] {
        let each: Vec<String> = runs.iter().map(|run| rate(run).to_string()).collect();
        table.row(vec![
            side.to_owned(),
            grouped(middle(runs, rate)),
            thousandths(middle(runs, cpu)),
            grouped(middle(runs, |run| run.resident / (1 << 20))),
            each.join(" "),
        ]);
    }
    table.row(vec![FOR_SCALE.to_owned(), "1,507".to_owned(), "1.140".to_owned()]);
    report.table("From a backlog (medians)", table);
    let rates = (middle(&found.engine, rate), middle(&found.bare, rate));
    report.ratio(Ratio::of("rate from a backlog", "tries/s", rates.0, rates.1, Wanted::AtLeast(0.4)));
    report.ratio(Ratio::of("rate from a backlog, the aim", "tries/s", rates.0, rates.1, Wanted::AtLeast(0.5)));
    report.ratio(Ratio::within("CPU of a try", "µs", middle(&found.engine, cpu), CPU_US_MAX));
    let cpus = (middle(&found.engine, cpu), middle(&found.bare, cpu));
    report.ratio(Ratio::of("CPU of a try against the bare loop", "µs", cpus.0, cpus.1, Wanted::Told));
    lateness(report, found);
    if let Some(pending) = &found.pending {
        pending_table(report, pending);
    }
    let pairs = found.engine.iter().zip(&found.bare).map(|(engine, bare)| ratio(rate(engine), rate(bare)));
    report.figure("ratio_of_each_pair", pairs.collect());
    report.figure("engine", found.engine.iter().map(told_json).collect());
    report.figure("bare", found.bare.iter().map(told_json).collect());
    let groups = ["from a backlog"];
    let chart = Chart::bars("Tries a second", "tries/s", &groups);
    report.chart(chart.series("engine, durable", &[real(rates.0)]).series("bare loop", &[real(rates.1)]));
}

fn lateness(report: &mut Report, found: &Found) {
    let mut table = Table::new(&["began after its due time, ms", "tries", "tries/s", "p50", "p99", "p99.9"]);
    let mut chart = Chart::quantiles("Began after its due time", "ms").scale(Scale::Log);
    let runs = [
        ("all due at once", found.engine.last()),
        ("due at half of that rate", found.paced.as_ref().map(|(_, told)| told)),
        ("whole schedule, clock jumps", found.whole.as_ref()),
    ];
    for (name, told) in runs.into_iter().filter_map(|(name, told)| told.map(|told| (name, told))) {
        let at = |per_mille| grouped(quantile(&told.late_ms, per_mille));
        table.row(vec![name.to_owned(), grouped(told.tries), grouped(rate(told)), at(500), at(990), at(999)]);
        chart = chart.measured(name, &told.late_ms);
    }
    report.table("Lateness", table);
    report.chart(chart);
    if let Some((wanted, told)) = &found.paced {
        report.figure("paced", json!({ "due_per_second": wanted, "told": told_json(told) }));
    }
    if let Some(told) = &found.whole {
        report.figure("whole_schedule", told_json(told));
    }
}

fn pending_table(report: &mut Report, pending: &Pending) {
    let mut table = Table::new(&["pending deliveries", "", ""]);
    let mut row = |what: &str, value: u64, unit: &str| {
        table.row(vec![what.to_owned(), grouped(value), unit.to_owned()]);
    };
    row("pending", pending.count, "");
    row("of these due", pending.due, "");
    row("memory when started", pending.resident_started / (1 << 20), "MiB");
    row("memory after 2 s of dispatching", pending.resident_working / (1 << 20), "MiB");
    row("tries durable by then", pending.tries, "");
    row("after kill -9: store open", pending.opened_ms, "ms");
    row("then: engine started", pending.started_ms, "ms");
    row("after kill -9: first request at a receiver", pending.first_ms, "ms");
    report.table("Many pending", table);
    report.figure(
        "pending",
        json!({
            "pending": pending.count,
            "due": pending.due,
            "resident_started_bytes": pending.resident_started,
            "resident_working_bytes": pending.resident_working,
            "tries_before_kill": pending.tries,
            "opened_ms": pending.opened_ms,
            "started_ms": pending.started_ms,
            "first_dispatch_ms": pending.first_ms,
        }),
    );
}

fn told_json(told: &Told) -> Value {
    let late = [500, 990, 999].map(|per_mille| quantile(&told.late_ms, per_mille));
    json!({
        "tries": told.tries,
        "tries_per_second": rate(told),
        "cpu_us": cpu(told),
        "elapsed_us": told.elapsed_us,
        "resident_bytes": told.resident,
        "late_ms_p50_p99_p999": late,
    })
}
