//! What the benches share: medians, ratios, the machine they ran on, a table for people and a report for programs.
//!
//! A bench is a binary of this crate: `cargo run --release -p maxpay-benches --bin NAME`. It compares with a reference in
//! the same run, prints a table and writes `target/bench-reports/NAME.json` and `NAME.html`. What it measures is its
//! own business.
#![deny(missing_docs)]

pub mod child;
pub mod process;
pub mod receivers;
pub mod report;
pub mod wire;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// The value in the middle; of an even number of values the mean of the two in the middle, rounded down. 0 of none.
#[must_use]
pub fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => 0,
        (0, Some(upper)) => sorted[middle - 1].midpoint(*upper),
        (_, Some(only)) => *only,
    }
}

/// The smallest value that at least so many thousandths of the values do not exceed. 0 of none.
#[must_use]
pub fn quantile(values: &[u64], per_mille: u16) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * usize::from(per_mille.min(1000))).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// How many a second `count` in `time` are, rounded down; times below a microsecond count as one.
#[must_use]
pub fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// `part` over `whole`, to three decimals, rounded down; 0 when `whole` is.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "a ratio of measurements, not money")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    let thousandths = u128::from(part) * 1000 / u128::from(whole.max(1));
    if whole == 0 { 0.0 } else { f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0 }
}

/// Rows of text in columns as wide as their widest cell: the first column to the left, the others to the right.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row. Cells beyond the headings are shown under none; missing ones are blank.
    pub fn row(&mut self, cells: Vec<String>) -> &mut Self {
        self.rows.push(cells);
        self
    }

    /// The headings and the rows below them.
    #[must_use]
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..).map_while(width).collect();
        for row in &self.rows {
            let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// What a bench ran on, as far as the standard library tells, and how busy that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Threads that run at once, as the system allows this process.
    pub cores: usize,
    /// The system and the processor's family, as `linux x86_64`.
    pub platform: String,
    /// Linux's load averages over 1, 5 and 15 minutes before the bench; `None` elsewhere.
    pub load_average: Option<String>,
    /// Whether the compiler optimised: a debug build measures nothing of use.
    pub optimised: bool,
}

impl Machine {
    /// This machine, now.
    #[must_use]
    pub fn this() -> Self {
        let load = fs::read_to_string("/proc/loadavg").ok();
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            platform: [std::env::consts::OS, std::env::consts::ARCH].join(" "),
            load_average: load.map(|text| text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")),
            optimised: !cfg!(debug_assertions),
        }
    }

    /// As a part of a report.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "platform": self.platform,
            "load_average_before": self.load_average,
            "optimised": self.optimised,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = self.load_average.as_deref().unwrap_or("not known");
        write!(f, "{} cores, {}, load average before: {load}", self.cores, self.platform)?;
        f.write_str(if self.optimised { "" } else { " (DEBUG BUILD: the figures mean nothing)" })
    }
}

/// The folder that Cargo builds this workspace into, where benches keep files and reports.
#[must_use]
pub fn target_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), |folder| workspace.join(folder))
}

/// Writes `report` to `bench-reports/NAME.json` under `target`, over an older one; gives the path.
///
/// # Errors
/// Those of the disk.
pub fn write_report(target: &Path, name: &str, report: &Value) -> io::Result<PathBuf> {
    let folder = target.join("bench-reports");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, format!("{report:#}\n"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_values() {
        // Order does not matter; an even number of values gives the mean of the two in the middle, and none gives 0.
        for (values, wanted) in [
            (&[][..], 0),
            (&[7], 7),
            (&[9, 1], 5),
            (&[9, 1, 2], 2),
            (&[4, 1, 9, 3], 3),
            (&[u64::MAX, u64::MAX], u64::MAX),
        ] {
            assert_eq!(median(values), wanted, "{values:?}");
        }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        // Of 1 to 200, the 99th percentile is 198; the ends are the smallest and the largest; none gives 0.
        let values: Vec<u64> = (1..=200).rev().collect();
        for (per_mille, wanted) in [(0, 1), (5, 1), (6, 2), (500, 100), (990, 198), (999, 200), (1000, 200)] {
            assert_eq!(quantile(&values, per_mille), wanted, "{per_mille}");
        }
        assert_eq!(quantile(&[], 500), 0);
    }

    #[test]
    fn rates_and_ratios_survive_the_ends() {
        // Nothing divides by zero, overflows or is rounded up.
        assert_eq!(per_second(3, Duration::from_secs(2)), 1);
        assert_eq!(per_second(1_000, Duration::from_millis(10)), 100_000);
        assert_eq!(per_second(5, Duration::ZERO), 5_000_000);
        assert_eq!(per_second(u64::MAX, Duration::ZERO), u64::MAX);
        for (part, whole, wanted) in [(2, 3, "0.666"), (3, 2, "1.5"), (0, 5, "0"), (5, 0, "0"), (7, 7, "1")] {
            assert_eq!(ratio(part, whole).to_string(), wanted, "{part} / {whole}");
        }
    }

    #[test]
    fn a_table_lines_up() {
        // Columns are as wide as their widest cell in characters, the first to the left, and no line ends in spaces.
        let mut table = Table::new(&["what", "µs"]);
        table.row(vec!["a longer name".to_owned(), "1,234".to_owned()]).row(vec!["b".to_owned()]);
        assert_eq!(table.to_string(), "what              µs\na longer name  1,234\nb\n");
    }

    #[test]
    fn a_report_replaces_the_older_one() {
        // The folder is made, the file is JSON that reads back, and the newest run is what it holds.
        let target = tempfile::tempdir().expect("a folder");
        let report = |run: u64| json!({ "bench": "example", "run": run, "machine": Machine::this().to_json() });
        for run in [1, 2] {
            let path = write_report(target.path(), "example", &report(run)).expect("written");
            assert_eq!(path, target.path().join("bench-reports/example.json"));
            let text = fs::read_to_string(path).expect("there");
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), report(run));
        }
    }

    #[test]
    fn the_machine_has_cores() {
        // What the report says of the machine is never empty.
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.to_string().contains(" cores, "), "{machine}");
    }
}
