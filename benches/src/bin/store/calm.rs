//! The wait for a commit at half of the highest rate, against the bare log's for a group of the same size, alone and
//! beside a file that is written as checkpoints write the tables.

use std::path::Path;
use std::time::Duration;

use maxpay_benches::report::{Ratio, Report, Wanted};
use maxpay_benches::{median, quantile};
use maxpay_engine::clock::System;

use crate::log;
use crate::neighbour::Neighbour;
use crate::run::{Failure, Load, Side, run};
use crate::summary::Summary;
use crate::{Settings, progress};

/// From one transition of an actor to its next. Long beside a commit, so that an actor is seldom late for its own.
const GAP: Duration = Duration::from_millis(50);

/// Measures both in turns: the store at half of `highest` transitions a second, the bare log with groups of the size that
/// the store's had.
///
/// # Errors
/// As [`run`].
pub fn measure(
    clock: &System,
    parent: &Path,
    settings: &Settings,
    highest: u64,
    report: &mut Report,
) -> Result<(), Failure> {
    let half = (highest / 2).max(1);
    let actors = u32::try_from(u128::from(half) * GAP.as_millis() / 1_000)?.clamp(1, crate::run::IN_FLIGHT_MAX);
    let paced = Load { pace: Some(GAP), ..settings.load(actors) };
    let (mut calm, mut bare, mut beside, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..settings.runs {
        let summary = Summary::of(run(clock, Side::Store, paced, parent)?, paced.window);
        let size = u32::try_from(summary.group_median().max(1))?;
        let bare_log = Summary::of(run(clock, Side::Bare, settings.load(size), parent)?, paced.window);
        let folder = tempfile::tempdir_in(parent)?;
        let neighbour = Neighbour::start(&folder.path().join("tables"))?;
        let each = summary.bytes_each();
        let waits_us = log::paced(&folder.path().join("log"), clock, each, summary.per_second, paced.window)?;
        neighbour.stop()?;
        let disturbed_us = quantile(&waits_us, 990);
        progress(&format!(
            "calm, run {number} of {}: {} transitions/s, p99 of a commit {} µs, of the bare log {} µs, at that rate beside checkpoints {} µs",
            settings.runs, summary.per_second, summary.wait_p99_us, bare_log.wait_p99_us, disturbed_us
        ));
        rates.push(summary.per_second);
        calm.push(summary.wait_p99_us);
        bare.push(bare_log.wait_p99_us);
        beside.push(disturbed_us);
    }
    report.setting("calm", format!("{actors} actors, a transition each every {GAP:?}: {} /s", median(&rates)));
    let what = "p99 of a commit at half of the highest rate over the bare log's";
    report.ratio(Ratio::of(what, "µs", median(&calm), median(&bare), Wanted::AtMost(5.0)));
    let what = "the same over the bare log's at that rate, beside a file written like the tables";
    report.ratio(Ratio::of(what, "µs", median(&calm), median(&beside), Wanted::Told));
    let what = "p99 of the bare log at that rate, beside such a file, over its p99 alone";
    report.ratio(Ratio::of(what, "µs", median(&beside), median(&bare), Wanted::Told));
    report.figure("calm_beside_p99_us", beside.into());
    report.figure("calm_p99_us", calm.into());
    report.figure("calm_bare_p99_us", bare.into());
    Ok(())
}
