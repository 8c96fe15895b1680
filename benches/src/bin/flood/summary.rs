//! What the neighbours noticed, as a report.

use std::collections::BTreeSet;
use std::time::Duration;

use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, grouped, real};
use maxpay_benches::{Machine, Table, median, quantile};
use serde_json::json;

use crate::scene::Window;
use crate::{CROWDS, Settings};

/// What a neighbour's wait may become, of what it is when there is nobody.
const TIMES_MAX: f64 = 3.0;

type Waits = fn(&Window) -> &[u64];

/// Whose waits are compared.
const WAITERS: [(&str, Waits); 4] = [
    ("neighbours on the same arbiter", |window| &window.asks_us[0]),
    ("neighbours on another", |window| &window.asks_us[1]),
    ("new payments on the same arbiter", |window| &window.payments_us[0]),
    ("new payments on another", |window| &window.payments_us[1]),
];

/// The report.
pub fn report(settings: &Settings, runs: &[[Window; 4]], machine: Machine, about: &str) -> Report {
    let mut report = Report::new("flood", "One actor is flooded: what its neighbours notice", about, machine);
    report
        .setting("flooders", grouped(settings.flooders.into()))
        .setting("arbiters", settings.arbiters)
        .setting("runs", format!("{} of {} s a crowd, interleaved", settings.runs, settings.seconds))
        .setting("fsync", "the engine's store: one sync a group of the journal; tables behind, every 0.5 s");
    let mut waits = Table::new(&["p50 / p99, µs (medians of runs)", "nobody", "5,000/s", "readers", "flooders"]);
    let mut chart = Chart::quantiles("Waits of neighbours on the same arbiter", "µs").scale(Scale::Log);
    for (name, waits_of) in WAITERS {
        let of_runs = |crowd: usize, per_mille: u16| {
            median(&runs.iter().map(|run| quantile(waits_of(&run[crowd]), per_mille)).collect::<Vec<_>>())
        };
        let cells = (0..CROWDS.len())
            .map(|crowd| format!("{} / {}", grouped(of_runs(crowd, 500)), grouped(of_runs(crowd, 990))));
        waits.row(std::iter::once(name.to_owned()).chain(cells).collect());
        let [nobody, paced, readers, flooders] = [0, 1, 2, 3].map(|crowd| of_runs(crowd, 990));
        let p99 = |crowd: &str| format!("p99 of {name}, {crowd} over quiet");
        report
            .ratio(Ratio::of(&p99("5,000/s"), "µs", paced, nobody, Wanted::AtMost(TIMES_MAX)))
            .ratio(Ratio::of(&p99("no pause"), "µs", flooders, nobody, Wanted::AtMost(TIMES_MAX)))
            .ratio(Ratio::of(&p99("readers, no pause,"), "µs", readers, nobody, Wanted::Told));
        report.figure(name, json!({ "nobody": nobody, "paced": paced, "readers": readers, "flooders": flooders }));
    }
    for (crowd, named) in CROWDS.iter().enumerate() {
        let all: Vec<u64> = runs.iter().flat_map(|run| run[crowd].asks_us[0].iter().copied()).collect();
        chart = chart.measured(named.name(), &all);
    }
    let mut crowds =
        Table::new(&["crowd, a second (medians of runs)", "answered", "busy", "busy of all, %", "neighbours failed"]);
    for (crowd, named) in CROWDS.iter().enumerate() {
        let of_runs =
            |count: fn(&Window) -> u64| median(&runs.iter().map(|run| count(&run[crowd])).collect::<Vec<_>>());
        let (answered, busy) = (of_runs(|window| window.answered), of_runs(|window| window.busy));
        let failed: u64 = runs.iter().map(|run| run[crowd].failed).sum();
        crowds.row(vec![
            named.name().to_owned(),
            grouped(answered / settings.seconds),
            grouped(busy / settings.seconds),
            (busy * 100 / (answered + busy).max(1)).to_string(),
            failed.to_string(),
        ]);
        if named.name() == "flooders" {
            report.figure("flooders_answered_per_second", json!(real(answered / settings.seconds)));
        }
    }
    let cpu = cpu_table(runs, settings.seconds);
    let well = |window: &Window| {
        let waits = window.asks_us.iter().chain(&window.payments_us);
        waits.map(|some| u64::try_from(some.len()).unwrap_or(u64::MAX)).sum::<u64>()
    };
    let answered: u64 = runs.iter().flatten().map(well).sum();
    let failed: u64 = runs.iter().flatten().map(|window| window.failed).sum();
    report
        .ratio(Ratio::of(
            "neighbours and new payments answered",
            "in all",
            answered,
            answered + failed,
            Wanted::AtLeast(1.0),
        ))
        .table("Waits", waits)
        .table("The crowd", crowds)
        .table("Processor time", cpu)
        .chart(chart);
    report
}

/// Processor time of each thread name, in hundredths of one core, medians of the runs.
fn cpu_table(runs: &[[Window; 4]], seconds: u64) -> Table {
    let mut table = Table::new(&["threads, % of one core", "nobody", "5,000/s", "readers", "flooders"]);
    let names: BTreeSet<&String> = runs.iter().flatten().flat_map(|window| window.cpu.keys()).collect();
    for name in names {
        let cells: Vec<u64> = (0..CROWDS.len())
            .map(|crowd| {
                let spent = |run: &[Window; 4]| run[crowd].cpu.get(name).map_or(0, Duration::as_millis);
                let spent = runs.iter().map(|run| u64::try_from(spent(run)).unwrap_or(u64::MAX)).collect::<Vec<_>>();
                median(&spent) / (seconds * 10)
            })
            .collect();
        if cells.iter().any(|percent| *percent > 0) {
            table.row(std::iter::once(name.clone()).chain(cells.iter().map(u64::to_string)).collect());
        }
    }
    table
}
