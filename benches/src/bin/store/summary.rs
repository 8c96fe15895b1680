//! From runs to the table and the report.

use std::path::Path;
use std::time::Duration;

use maxpay_benches::report::{Chart, Ratio, Report, Scale, Wanted, real};
use maxpay_benches::{Table, median, per_second, quantile, ratio};
use maxpay_engine::clock::System;
use serde_json::{Value, json};

use crate::groups::Group;
use crate::progress;
use crate::run::{Failure, Load, Outcome, Side, run};

/// The figures of one run.
#[derive(Debug)]
pub struct Summary {
    /// Transitions that became durable, per second of the window.
    pub per_second: u64,
    /// The same per second of window and catch-up together.
    pub settled_per_second: u64,
    /// What the tables still needed at the end, in milliseconds.
    catch_up_ms: u64,
    /// The wait for a commit that half of them did not exceed, in microseconds.
    wait_median_us: u64,
    /// The wait that 99 of 100 did not exceed, in microseconds.
    pub wait_p99_us: u64,
    groups: Vec<Group>,
}

impl Summary {
    /// The figures of a run whose window was so long.
    #[must_use]
    pub fn of(outcome: Outcome, window: Duration) -> Self {
        Self {
            per_second: per_second(outcome.transitions, window),
            settled_per_second: per_second(outcome.transitions, window + outcome.catch_up),
            catch_up_ms: u64::try_from(outcome.catch_up.as_millis()).unwrap_or(u64::MAX),
            wait_median_us: quantile(&outcome.waits_us, 500),
            wait_p99_us: quantile(&outcome.waits_us, 990),
            groups: outcome.groups,
        }
    }

    /// Bytes of a transition, the mean of all groups.
    #[must_use]
    pub fn bytes_each(&self) -> usize {
        let sum = |of: fn(&Group) -> u64| self.groups.iter().map(of).sum::<u64>();
        usize::try_from(sum(|group| group.bytes) / sum(|group| group.transitions).max(1)).unwrap_or(usize::MAX)
    }

    /// Transitions of a group, the median.
    #[must_use]
    pub fn group_median(&self) -> u64 {
        median(&self.groups.iter().map(|group| group.transitions).collect::<Vec<_>>())
    }
}

/// The runs of all sides under one load, in the order they were made.
#[derive(Debug, Default)]
pub struct Compared {
    /// Commits in flight.
    pub in_flight: u32,
    /// By [`Side::ALL`].
    runs: [Vec<Summary>; 3],
}

impl Compared {
    /// Measures `load` so many times on each side, in turns.
    ///
    /// # Errors
    /// As [`run`].
    pub fn of_sides(clock: &System, folder: &Path, load: Load, runs: u32) -> Result<Self, Failure> {
        let mut compared = Self { in_flight: load.in_flight, ..Self::default() };
        for number in 0..runs {
            let mut places = [0, 1, 2];
            if number % 2 == 1 {
                places.reverse();
            }
            for place in places {
                let summary = Summary::of(run(clock, Side::ALL[place], load, folder)?, load.window);
                let (name, rate) = (Side::ALL[place].name(), summary.per_second);
                progress(&format!(
                    "{} in flight, run {number} of {runs}, {name}: {rate} transitions/s",
                    load.in_flight
                ));
                compared.runs[place].push(summary);
            }
        }
        Ok(compared)
    }

    /// The store's median rate.
    #[must_use]
    pub fn store_per_second(&self) -> u64 {
        middle(&self.runs[0], |run| run.per_second)
    }

    /// Tells what is compared and what is wanted: 0.4 of the reference at 64 in flight and 0.5 at 4,096 are the floor.
    pub fn tell(&self, report: &mut Report) {
        let wanted = Wanted::AtLeast(if self.in_flight <= 64 { 0.4 } else { 0.5 });
        let [store, reference, bare] = &self.runs;
        let rate = |runs: &[Summary]| middle(runs, |run| run.per_second);
        let what = |against: &str| format!("store over {against}, {} in flight", self.in_flight);
        let of = |what: &str, subject, against, wanted| Ratio::of(what, "transitions/s", subject, against, wanted);
        report.ratio(of(&what("the same actors' log"), rate(store), rate(reference), wanted));
        let settled = middle(store, |run| run.settled_per_second);
        report.ratio(of(&what("that, settled"), settled, rate(reference), Wanted::Told));
        report.ratio(of(&what("the bare log"), rate(store), rate(bare), Wanted::Told));
    }

    /// The store's median over a reference's, then the smallest and the largest ratio of two runs side by side.
    fn ratios(&self, against: Side, figure: fn(&Summary) -> u64) -> [f64; 3] {
        let against = &self.runs[usize::from(against == Side::Bare) + 1];
        let pairs = self.runs[0].iter().zip(against);
        let mut pairs: Vec<f64> = pairs.map(|(store, reference)| ratio(figure(store), reference.per_second)).collect();
        pairs.sort_by(f64::total_cmp);
        let end = |pair: Option<&f64>| pair.copied().unwrap_or(0.0);
        let whole = ratio(middle(&self.runs[0], figure), middle(against, |run| run.per_second));
        [whole, end(pairs.first()), end(pairs.last())]
    }

    /// As a part of the report.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ratios = |against, figure| {
            let [whole, smallest, largest] = self.ratios(against, figure);
            json!({ "of_medians": whole, "smallest_pair": smallest, "largest_pair": largest })
        };
        let [store, reference, bare] = &self.runs;
        json!({
            "in_flight": self.in_flight,
            "store": side_json(store),
            "reference": side_json(reference),
            "bare_log": side_json(bare),
            "ratio": ratios(Side::Reference, |run| run.per_second),
            "ratio_settled": ratios(Side::Reference, |run| run.settled_per_second),
            "ratio_bare": ratios(Side::Bare, |run| run.per_second),
        })
    }
}

/// The rates, drawn.
#[must_use]
pub fn chart(compared: &[Compared]) -> Chart {
    let groups: Vec<String> = compared.iter().map(|load| format!("{} in flight", load.in_flight)).collect();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let chart = Chart::bars("Durable transitions a second (medians)", "transitions/s", &names).scale(Scale::Log);
    Side::ALL.into_iter().enumerate().fold(chart, |chart, (place, side)| {
        let rates: Vec<f64> =
            compared.iter().map(|load| real(middle(&load.runs[place], |run| run.per_second))).collect();
        chart.series(side.name(), &rates)
    })
}

/// The table for people.
#[must_use]
pub fn table(compared: &[Compared]) -> Table {
    let mut table = Table::new(&[
        "side",
        "in flight",
        "transitions/s",
        "settled/s",
        "catch-up ms",
        "wait p50 µs",
        "p99 µs",
        "group p50",
        "max",
        "rows/group",
        "bytes/trans.",
        "ratio",
        "settled ratio",
    ]);
    for load in compared {
        for (side, runs) in Side::ALL.into_iter().zip(&load.runs) {
            let groups = GroupFigures::of(runs);
            let figures = [
                u64::from(load.in_flight),
                middle(runs, |run| run.per_second),
                middle(runs, |run| run.settled_per_second),
                middle(runs, |run| run.catch_up_ms),
                middle(runs, |run| run.wait_median_us),
                middle(runs, |run| run.wait_p99_us),
                groups.transitions_median,
                groups.transitions_max,
                groups.rows_mean,
                groups.bytes_per_transition,
            ];
            let mut cells = vec![side.name().to_owned()];
            cells.extend(figures.map(|figure| figure.to_string()));
            if side == Side::Store {
                let shown = |[whole, smallest, largest]: [f64; 3]| format!("{whole:.2} ({smallest:.2}–{largest:.2})");
                cells.push(shown(load.ratios(Side::Reference, |run| run.per_second)));
                cells.push(shown(load.ratios(Side::Reference, |run| run.settled_per_second)));
            }
            table.row(cells);
        }
    }
    table
}

/// What the groups of all runs of a side were like.
struct GroupFigures {
    groups: u64,
    transitions_median: u64,
    transitions_max: u64,
    rows_mean: u64,
    bytes_per_transition: u64,
}

impl GroupFigures {
    fn of(runs: &[Summary]) -> Self {
        let all = || runs.iter().flat_map(|run| &run.groups);
        let transitions: Vec<u64> = all().map(|group| group.transitions).collect();
        let groups = u64::try_from(transitions.len()).unwrap_or(u64::MAX);
        let rows: u64 = all().map(|group| group.rows).sum();
        let bytes: u64 = all().map(|group| group.bytes).sum();
        Self {
            groups,
            transitions_median: median(&transitions),
            transitions_max: transitions.iter().copied().max().unwrap_or(0),
            rows_mean: rows / groups.max(1),
            bytes_per_transition: bytes / transitions.iter().sum::<u64>().max(1),
        }
    }
}

fn side_json(runs: &[Summary]) -> Value {
    let groups = GroupFigures::of(runs);
    let each = |figure: fn(&Summary) -> u64| runs.iter().map(figure).collect::<Vec<_>>();
    json!({
        "transitions_per_second": middle(runs, |run| run.per_second),
        "transitions_per_second_of_each_run": each(|run| run.per_second),
        "settled_per_second": middle(runs, |run| run.settled_per_second),
        "settled_per_second_of_each_run": each(|run| run.settled_per_second),
        "catch_up_ms": middle(runs, |run| run.catch_up_ms),
        "wait_median_us": middle(runs, |run| run.wait_median_us),
        "wait_p99_us": middle(runs, |run| run.wait_p99_us),
        "groups": groups.groups,
        "group_transitions_median": groups.transitions_median,
        "group_transitions_max": groups.transitions_max,
        "group_rows_mean": groups.rows_mean,
        "bytes_per_transition": groups.bytes_per_transition,
    })
}

fn middle(runs: &[Summary], figure: fn(&Summary) -> u64) -> u64 {
    median(&runs.iter().map(figure).collect::<Vec<_>>())
}
