//! From runs to the table and the report.

use std::time::Duration;

use maxpay_benches::{Table, median, per_second, quantile, ratio};
use serde_json::{Value, json};

use crate::groups::Group;
use crate::run::{Outcome, Side};

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
    wait_p99_us: u64,
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
}

/// The runs of both sides under one load, in the order they were made.
#[derive(Debug, Default)]
pub struct Compared {
    /// Commits in flight.
    pub in_flight: u32,
    /// The store's.
    pub store: Vec<Summary>,
    /// The reference's.
    pub reference: Vec<Summary>,
    /// The bare log's.
    pub bare: Vec<Summary>,
}

impl Compared {
    /// The store's median over the reference's, then the smallest and the largest ratio of two runs side by side.
    fn ratios(&self, figure: fn(&Summary) -> u64) -> [f64; 3] {
        let pairs = self.store.iter().zip(&self.reference);
        let mut pairs: Vec<f64> = pairs.map(|(store, reference)| ratio(figure(store), reference.per_second)).collect();
        pairs.sort_by(f64::total_cmp);
        let end = |pair: Option<&f64>| pair.copied().unwrap_or(0.0);
        let whole = ratio(middle(&self.store, figure), middle(&self.reference, |run| run.per_second));
        [whole, end(pairs.first()), end(pairs.last())]
    }

    /// As a part of the report.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ratios = |figure| {
            let [whole, smallest, largest] = self.ratios(figure);
            json!({ "of_medians": whole, "smallest_pair": smallest, "largest_pair": largest })
        };
        json!({
            "in_flight": self.in_flight,
            "store": side_json(&self.store),
            "reference": side_json(&self.reference),
            "ratio": ratios(|run| run.per_second),
            "ratio_settled": ratios(|run| run.settled_per_second),
        })
    }
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
        for (side, runs) in [(Side::Store, &load.store), (Side::Reference, &load.reference), (Side::Bare, &load.bare)] {
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
                cells.push(shown(load.ratios(|run| run.per_second)));
                cells.push(shown(load.ratios(|run| run.settled_per_second)));
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
