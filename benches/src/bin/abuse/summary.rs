//! What honest clients noticed, as a report.

use std::time::Duration;

use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, grouped};
use maxpay_benches::{Machine, Table, median, quantile};
use serde_json::json;

use crate::attack::Kind;
use crate::scene::{SETTINGS, Window};
use crate::{Run, Settings};

/// What a wait may become, of what it is when there is nobody.
const TIMES_MAX: f64 = 3.0;

type Waits = fn(&Window) -> &[u64];

/// Whose waits are compared.
const WAITERS: [(&str, Waits); 2] = [("reads", |window| &window.reads_us), ("payments", |window| &window.payments_us)];

/// The report.
pub fn report(settings: &Settings, runs: &[Run], machine: Machine, about: &str) -> Report {
    let mut report = Report::new("abuse", "Clients that break the rules: what honest ones notice", about, machine);
    let Settings { idle, slow, broken, .. } = settings;
    report
        .setting("attacks", format!("{idle} idle connections, {slow} slow requests, {broken} broken requests a second"))
        .setting("runs", format!("{} of {} s an attack, interleaved", settings.runs, settings.seconds))
        .setting("server", format!("release settings but for these:\n{SETTINGS}"))
        .setting("fsync", "the server's own: one sync a group of the journal");
    let of_runs = |kind: usize, figure: &dyn Fn(&Window) -> u64| {
        median(&runs.iter().map(|run| figure(&run[kind])).collect::<Vec<_>>())
    };
    let mut table = Table::new(&[
        "beside (medians of runs)",
        "reads p50 / p99, µs",
        "payments p50 / p99, µs",
        "server, % of a core",
        "clients and attackers",
        "server holds, MiB",
    ]);
    let percent = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / (settings.seconds * 10);
    for (index, kind) in Kind::EACH.into_iter().enumerate() {
        let waits = WAITERS.map(|(_, waits_of)| {
            let part = |per_mille| grouped(of_runs(index, &|window| quantile(waits_of(window), per_mille)));
            format!("{} / {}", part(500), part(990))
        });
        let rest = [
            of_runs(index, &|window| percent(window.server_cpu)),
            of_runs(index, &|window| percent(window.other_cpu)),
            of_runs(index, &|window| window.resident / (1024 * 1024)),
        ];
        let cells = waits.into_iter().chain(rest.into_iter().map(grouped));
        table.row(std::iter::once(kind.name().to_owned()).chain(cells).collect());
        for (name, waits_of) in WAITERS {
            let p99 = |kind: usize| of_runs(kind, &|window| quantile(waits_of(window), 990));
            if kind != Kind::Nobody {
                let what = format!("p99 of {name} beside {} over quiet", kind.name());
                report.ratio(Ratio::of(&what, "µs", p99(index), p99(0), Wanted::AtMost(TIMES_MAX)));
            }
            report.figure(&format!("{name}_p99_us_{}", kind.name().replace(' ', "_")), json!(p99(index)));
        }
    }
    let counted = |window: &Window| u64::try_from(window.reads_us.len() + window.payments_us.len()).unwrap_or(u64::MAX);
    let answered: u64 = runs.iter().flatten().map(counted).sum();
    let failed: u64 = runs.iter().flatten().map(|window| window.failed).sum();
    let all = answered + failed;
    let mut chart = Chart::quantiles("Waits of readers", "µs").scale(Scale::Log);
    for (index, kind) in Kind::EACH.into_iter().enumerate() {
        let waits: Vec<u64> = runs.iter().flat_map(|run| run[index].reads_us.iter().copied()).collect();
        chart = chart.measured(kind.name(), &waits);
    }
    report
        .ratio(Ratio::of("honest requests answered", "in all", answered, all, Wanted::AtLeast(1.0)))
        .table("Waits", table)
        .chart(chart);
    report
}
