//! The report of a bench: what was measured on what, tables, ratios that hold or do not, drawings; as text for the
//! terminal, as JSON for programs and as one HTML page for people. What a figure means is told by the bench.

mod chart;
mod page;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

pub use chart::{Chart, Scale, real};

use crate::{Machine, Table, ratio, write_report};

/// What a ratio is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// It is only told.
    Told,
}

impl Wanted {
    /// Whether a ratio is as wanted; `None` when nothing is.
    #[must_use]
    pub fn held_by(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(ratio >= least),
            Self::AtMost(most) => Some(ratio <= most),
            Self::Told => None,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::Told => f.write_str("–"),
        }
    }
}

/// A figure against what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// What is compared, and under which load.
    pub what: String,
    /// The figure, with its unit.
    pub subject: String,
    /// What it is compared with: a figure of the same run, or a bound.
    pub reference: String,
    /// The first over the second.
    pub ratio: f64,
    /// What it is to be.
    pub wanted: Wanted,
}

impl Ratio {
    /// `subject` over `reference`, both in `unit`.
    #[must_use]
    pub fn of(what: &str, unit: &str, subject: u64, reference: u64, wanted: Wanted) -> Self {
        let figure = |value: u64| format!("{} {unit}", grouped(value));
        let (shown, against) = (figure(subject), figure(reference));
        Self { what: what.to_owned(), subject: shown, reference: against, ratio: ratio(subject, reference), wanted }
    }

    /// `measured` over a bound that it is not to pass.
    #[must_use]
    pub fn within(what: &str, unit: &str, measured: u64, bound: u64) -> Self {
        let mut ratio = Self::of(what, unit, measured, bound, Wanted::AtMost(1.0));
        ratio.reference.insert_str(0, "bound: ");
        ratio
    }

    /// Whether it is as wanted; `None` when nothing is.
    #[must_use]
    pub fn held(&self) -> Option<bool> {
        self.wanted.held_by(self.ratio)
    }

    fn verdict(&self) -> &'static str {
        match self.held() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "–",
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "subject": self.subject,
            "reference": self.reference,
            "ratio": self.ratio,
            "wanted": self.wanted.to_string(),
            "held": self.held(),
        })
    }
}

/// What a bench found.
#[derive(Debug, Clone)]
pub struct Report {
    name: String,
    title: String,
    about: String,
    machine: Machine,
    settings: Vec<(String, String)>,
    ratios: Vec<Ratio>,
    tables: Vec<(String, Table)>,
    charts: Vec<Chart>,
    figures: Map<String, Value>,
}

/// Where a report lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// For programs.
    pub json: PathBuf,
    /// For people.
    pub html: PathBuf,
}

impl Report {
    /// An empty report of the bench `name` on `machine`, which was asked before the bench began. `about` says what is
    /// measured and how; a blank line in it begins a paragraph.
    #[must_use]
    pub fn new(name: &str, title: &str, about: &str, machine: Machine) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            about: about.to_owned(),
            machine,
            settings: Vec::new(),
            ratios: Vec::new(),
            tables: Vec::new(),
            charts: Vec::new(),
            figures: Map::new(),
        }
    }

    /// Something that was set or found before: the way of syncing, the batch, the load.
    pub fn setting(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// A ratio; those that fall short are marked.
    pub fn ratio(&mut self, ratio: Ratio) -> &mut Self {
        self.ratios.push(ratio);
        self
    }

    /// A table under a heading.
    pub fn table(&mut self, heading: &str, table: Table) -> &mut Self {
        self.tables.push((heading.to_owned(), table));
        self
    }

    /// A drawing, in the page only: its values belong in a table or a figure too.
    pub fn chart(&mut self, chart: Chart) -> &mut Self {
        self.charts.push(chart);
        self
    }

    /// A figure for programs, or many; beside the settings, tables and ratios, which are there anyway.
    pub fn figure(&mut self, key: &str, value: Value) -> &mut Self {
        self.figures.insert(key.to_owned(), value);
        self
    }

    /// Whether no ratio falls short of what is wanted.
    #[must_use]
    pub fn all_held(&self) -> bool {
        self.ratios.iter().all(|ratio| ratio.held() != Some(false))
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let settings = self.settings.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>();
        let tables = self.tables.iter().map(|(heading, table)| json!({ "heading": heading, "rows": table.rows() }));
        json!({
            "bench": self.name,
            "title": self.title,
            "machine": self.machine.to_json(),
            "settings": settings,
            "ratios": self.ratios.iter().map(Ratio::to_json).collect::<Vec<_>>(),
            "tables": tables.collect::<Vec<_>>(),
            "figures": self.figures,
        })
    }

    /// Writes `bench-reports/NAME.json` and `NAME.html` under `target`, over older ones.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self, target: &Path) -> io::Result<Written> {
        let json = write_report(target, &self.name, &self.to_json())?;
        let html = json.with_extension("html");
        fs::write(&html, page::html(self))?;
        Ok(Written { json, html })
    }

    fn ratio_table(&self) -> Table {
        let mut table = Table::new(&["ratio", "measured", "against", "ratio", "wanted", "held"]);
        for ratio in &self.ratios {
            table.row(vec![
                ratio.what.clone(),
                ratio.subject.clone(),
                ratio.reference.clone(),
                ratio.ratio.to_string(),
                ratio.wanted.to_string(),
                ratio.verdict().to_owned(),
            ]);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.settings.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0).max("machine".len());
        writeln!(f, "{}\n\n{:width$}  {}", self.title, "machine", self.machine)?;
        for (key, value) in &self.settings {
            writeln!(f, "{key:width$}  {value}")?;
        }
        for (heading, table) in &self.tables {
            write!(f, "\n{heading}\n{table}")?;
        }
        if self.ratios.is_empty() { Ok(()) } else { write!(f, "\n{}", self.ratio_table()) }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.json.display(), self.html.display())
    }
}

/// A number with its thousands apart: `1,234,567`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Thousandths as a decimal: 1234 is `1.234`, so that microseconds read as milliseconds.
#[must_use]
pub fn thousandths(value: u64) -> String {
    format!("{}.{:03}", grouped(value / 1000), value % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let machine = Machine { cores: 2, platform: "a <b> & c".into(), load_average: None, optimised: true };
        let mut report = Report::new("example", "An \"example\"", "First <p>.\n\nSecond.", machine);
        let mut table = Table::new(&["side", "rate"]);
        table.row(vec!["<script>".to_owned(), "5".to_owned()]);
        let lines = [("us".to_owned(), vec![(1.0, 10.0), (2.0, 1_000.0)])];
        report
            .setting("fsync", "one a group & no more")
            .ratio(Ratio::of("rate", "a second", 1_234, 2_468, Wanted::AtLeast(0.4)))
            .ratio(Ratio::within("memory", "bytes", 300, 200))
            .table("Rates <all>", table)
            .chart(Chart::bars("Rates", "a second", &["a", "<b>"]).series("us", &[1.0, 2.0]))
            .chart(Chart::lines("Waits", "µs", "s").scale(Scale::Log).all(lines))
            .figure("rate", json!(1_234));
        report
    }

    #[test]
    fn programs_find_every_part() {
        // Machine, settings, ratios with their verdict, tables and figures are in the JSON; a missed bound is false.
        let json = report().to_json();
        assert_eq!(json["bench"], "example");
        assert_eq!(json["settings"]["fsync"], "one a group & no more");
        assert_eq!(json["ratios"][0]["ratio"], 0.5);
        assert_eq!(json["ratios"][0]["held"], true);
        assert_eq!(json["ratios"][1]["held"], false);
        assert_eq!(json["tables"][0]["rows"][1], json!(["<script>", "5"]));
        assert_eq!(json["figures"]["rate"], 1_234);
        assert!(!report().all_held());
    }

    #[test]
    fn the_page_is_one_file_and_nothing_in_it_is_markup_by_accident() {
        // No text becomes a tag, no address is loaded, no script runs, both drawings are inline, and all is closed.
        let target = tempfile::tempdir().expect("a folder");
        let written = report().write(target.path()).expect("written");
        assert_eq!(written.html, target.path().join("bench-reports/example.html"));
        let html = fs::read_to_string(written.html).expect("there");
        for absent in ["<script", "<all>", "<b>", "First <p>", "src=", "href=", "@import", "NaN", "inf"] {
            assert!(!html.contains(absent), "{absent} in {html}");
        }
        for tag in ["html", "head", "style", "body", "main", "table", "svg", "section", "p"] {
            let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert_eq!(html.matches("<svg ").count(), 2);
        assert!(html.contains("&lt;script&gt;") && html.contains("prefers-color-scheme: dark"), "{html}");
    }

    #[test]
    fn the_terminal_shows_what_fell_short() {
        // A ratio that is not as wanted says NO in its own line.
        let text = report().to_string();
        let line = text.lines().find(|line| line.starts_with("memory")).expect("the ratio");
        assert!(line.ends_with("≤ 1    NO"), "{line}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        // From the right, and no comma stands first.
        for (value, wanted) in [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")] {
            assert_eq!(grouped(value), wanted);
        }
        assert_eq!(thousandths(1_234_056), "1,234.056");
    }
}
