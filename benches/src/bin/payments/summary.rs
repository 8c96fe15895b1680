//! From runs to the report.

use std::collections::BTreeMap;

use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, grouped, real, thousandths};
use maxpay_benches::{Table, median, per_second, quantile};
use serde_json::{Value, json};

use crate::load::Times;
use crate::run::Outcome;

/// Processor time of the server for one payment that is aimed at, in microseconds.
const SERVER_CPU_US_MAX: u64 = 500;

type Figure = (&'static str, fn(&Times) -> u64);
const WAITS: [Figure; 3] = [
    ("create answered", |times| times.created_us),
    ("paid → webhook", |times| times.told_us),
    ("whole", |times| times.whole_us),
];
const PER_MILLE: [u16; 3] = [500, 990, 999];

/// The figures of one run.
#[derive(Debug)]
pub struct Summary {
    /// Payments whose webhook came, a second.
    pub per_second: u64,
    /// Processor time a payment, in microseconds: server, provider, payers and receiver.
    pub cpu_us: [Option<u64>; 3],
    threads_us: BTreeMap<String, u64>,
    /// Of each wait, the quantiles.
    waits_us: [[u64; 3]; 3],
    resident: u64,
    outcome: Outcome,
}

impl Summary {
    /// The figures of a run.
    pub fn of(outcome: Outcome) -> Self {
        let count = u64::try_from(outcome.times.len()).unwrap_or(u64::MAX);
        let each = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / count.max(1);
        let waits_us = WAITS.map(|(_, figure)| {
            let values: Vec<u64> = outcome.times.iter().map(figure).collect();
            PER_MILLE.map(|per_mille| quantile(&values, per_mille))
        });
        Self {
            per_second: per_second(count, outcome.window),
            cpu_us: [Some(each(outcome.server_cpu)), outcome.provider_cpu.map(each), Some(each(outcome.load_cpu))],
            threads_us: outcome.server_threads.iter().map(|(name, time)| (name.clone(), each(*time))).collect(),
            waits_us,
            resident: outcome.server_resident,
            outcome,
        }
    }
}

/// All runs of one concurrency.
pub type Runs = (u32, Vec<Summary>);

/// Adds everything that was found to the report.
pub fn tell(report: &mut Report, all: &[Runs]) {
    let middle =
        |runs: &[Summary], figure: &dyn Fn(&Summary) -> u64| median(&runs.iter().map(figure).collect::<Vec<_>>());
    let cpu = |runs: &[Summary], who: usize| {
        let known = runs.iter().all(|run| run.cpu_us[who].is_some());
        known.then(|| middle(runs, &|run| run.cpu_us[who].unwrap_or(0)))
    };
    let shown = |cpu: Option<u64>| cpu.map_or_else(|| "(inside)".to_owned(), thousandths);
    let mut rates =
        Table::new(&["at once", "payments/s", "server CPU-ms", "provider CPU-ms", "load CPU-ms", "server MiB"]);
    let mut waits = Table::new(&["wait, ms", "at once", "p50", "p99", "p99.9"]);
    let mut threads = Table::new(&["threads of the server", "at once", "CPU-ms a payment"]);
    for (concurrency, runs) in all {
        let at_once = concurrency.to_string();
        rates.row(vec![
            at_once.clone(),
            grouped(middle(runs, &|run| run.per_second)),
            shown(cpu(runs, 0)),
            shown(cpu(runs, 1)),
            shown(cpu(runs, 2)),
            grouped(middle(runs, &|run| run.resident / (1 << 20))),
        ]);
        for (wait, (name, _)) in WAITS.iter().enumerate() {
            let quantiles = [0, 1, 2].map(|place: usize| thousandths(middle(runs, &|run| run.waits_us[wait][place])));
            waits.row([vec![(*name).to_owned(), at_once.clone()], quantiles.to_vec()].concat());
        }
        let names: std::collections::BTreeSet<&String> = runs.iter().flat_map(|run| run.threads_us.keys()).collect();
        for name in names {
            let time = middle(runs, &|run| run.threads_us.get(name).copied().unwrap_or(0));
            if time > 0 {
                threads.row(vec![name.clone(), at_once.clone(), thousandths(time)]);
            }
        }
        let what = format!("CPU of the server a payment, {concurrency} at once");
        report.ratio(Ratio::within(&what, "µs", cpu(runs, 0).unwrap_or(0), SERVER_CPU_US_MAX));
    }
    report.table("Rates and what each process spends on a payment (medians)", rates);
    report.table("Waits (medians of the runs' quantiles)", waits);
    report.table("Where the server's processor time goes, by thread (living threads)", threads);
    told_apart(report, all);
    charts(report, all);
    report.figure("loads", all.iter().map(|(concurrency, runs)| load_json(*concurrency, runs)).collect());
}

/// The load generator against the server, so that nobody takes one for the other.
fn told_apart(report: &mut Report, all: &[Runs]) {
    for (concurrency, runs) in all {
        let of = |who: usize| median(&runs.iter().map(|run| run.cpu_us[who].unwrap_or(0)).collect::<Vec<_>>());
        let what = format!("CPU of the load generator against the server's, {concurrency} at once");
        report.ratio(Ratio::of(&what, "µs", of(2), of(0), Wanted::Told));
    }
}

fn charts(report: &mut Report, all: &[Runs]) {
    let groups: Vec<String> = all.iter().map(|(concurrency, _)| format!("{concurrency} at once")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let series = |figure: &dyn Fn(&Summary) -> u64| -> Vec<f64> {
        all.iter().map(|(_, runs)| real(median(&runs.iter().map(figure).collect::<Vec<_>>()))).collect()
    };
    report.chart(
        Chart::bars("Payments a second", "payments/s", &groups).series("maxpay", &series(&|run| run.per_second)),
    );
    let mut spent = Chart::bars("Processor time of a payment", "µs", &groups);
    for (who, name) in ["server", "provider", "load generator"].into_iter().enumerate() {
        spent = spent.series(name, &series(&|run| run.cpu_us[who].unwrap_or(0)));
    }
    report.chart(spent);
    for (concurrency, runs) in all {
        let title = format!("Waits, {concurrency} at once (all runs)");
        let mut chart = Chart::quantiles(&title, "µs").scale(Scale::Log);
        for (name, figure) in WAITS {
            let values: Vec<u64> = runs.iter().flat_map(|run| run.outcome.times.iter().map(figure)).collect();
            chart = chart.measured(name, &values);
        }
        report.chart(chart);
    }
}

fn load_json(concurrency: u32, runs: &[Summary]) -> Value {
    let run = |run: &Summary| {
        json!({
            "payments": run.outcome.times.len(),
            "payments_per_second": run.per_second,
            "server_cpu_us": run.cpu_us[0],
            "provider_cpu_us": run.cpu_us[1],
            "load_cpu_us": run.cpu_us[2],
            "threads_cpu_us": run.threads_us,
            "create_us_p50_p99_p999": run.waits_us[0],
            "paid_to_webhook_us_p50_p99_p999": run.waits_us[1],
            "whole_us_p50_p99_p999": run.waits_us[2],
            "server_resident_bytes": run.resident,
        })
    };
    json!({ "at_once": concurrency, "runs": runs.iter().map(run).collect::<Vec<_>>() })
}
