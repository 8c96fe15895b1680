//! What came of an exam: one row a case, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;

use maxpay_engine::model::ChannelCode;
use serde::Serialize;

/// What came of an exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who sat it.
    pub candidate: String,
    /// Every case, in the order they were examined.
    pub rows: Vec<Row>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The part of the exam.
    pub part: &'static str,
    /// The channel code; `None`: it is about the adapter as a whole.
    #[serde(serialize_with = "code_text")]
    pub code: Option<ChannelCode>,
    /// What must hold.
    pub case: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not.
    Failed {
        /// What was found instead.
        why: String,
    },
    /// It cannot be asked: the dialect lacks what it is about, as its candidate says.
    Lacking {
        /// The candidate's reason.
        why: String,
    },
    /// The exam cannot tell: what the simulator does proves a claim as little as it disproves it. A claim that is more
    /// cautious than the simulator is of this kind.
    NotExamined {
        /// What would have to be there to tell.
        why: String,
    },
}

impl Report {
    /// Every case that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed { .. }))
    }

    /// Whether there is something in it and none of it failed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        !self.rows.is_empty() && self.failures().next().is_none()
    }

    /// For tests.
    ///
    /// # Panics
    /// When the exam was not passed, with the report.
    pub fn assert_passed(&self) {
        assert!(self.is_passed(), "the exam was not passed\n{self}");
    }

    /// The report as one JSON object: `candidate`, `passed`, and `rows` of `part`, `code`, `case`, `verdict` (`passed`,
    /// `failed`, `lacking`, `not_examined`) and `why`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rows: Vec<serde_json::Value> = self.rows.iter().map(flat).collect();
        serde_json::json!({ "candidate": self.candidate, "passed": self.is_passed(), "rows": rows }).to_string()
    }
}

impl fmt::Display for Report {
    /// A table of part × code with the number of cases that passed, failed, are lacking and could not be examined; then
    /// every failure, then what is lacking and what was not examined, each with its reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exam of {}", self.candidate)?;
        writeln!(
            f,
            "{:<14} {:<12} {:>7} {:>7} {:>8} {:>13}",
            "part", "code", "passed", "failed", "lacking", "not examined"
        )?;
        for ((part, code), [passed, failed, lacking, open]) in self.counts() {
            writeln!(f, "{part:<14} {code:<12} {passed:>7} {failed:>7} {lacking:>8} {open:>13}")?;
        }
        for row in &self.rows {
            if let Verdict::Failed { why } = &row.verdict {
                writeln!(f, "FAILED  {row}: {why}")?;
            }
        }
        let (mut lacking, mut open): (Told<'_>, Told<'_>) = Default::default();
        for row in &self.rows {
            match &row.verdict {
                Verdict::Lacking { why } => *lacking.entry((row.part, "", why)).or_default() += 1,
                Verdict::NotExamined { why } => *open.entry((row.part, &row.case, why)).or_default() += 1,
                Verdict::Passed | Verdict::Failed { .. } => {}
            }
        }
        for ((part, _, why), count) in lacking {
            writeln!(f, "lacking {part}: {why} ({count} cases)")?;
        }
        for ((part, case, why), count) in open {
            writeln!(f, "not examined {part}: {case}: {why} ({count} cases)")?;
        }
        write!(f, "{}", if self.is_passed() { "passed" } else { "NOT PASSED" })
    }
}

/// How often each part, case and reason stands in a report.
type Told<'r> = BTreeMap<(&'r str, &'r str, &'r str), usize>;

impl Report {
    fn counts(&self) -> BTreeMap<(&'static str, String), [usize; 4]> {
        let mut counts: BTreeMap<(&'static str, String), [usize; 4]> = BTreeMap::new();
        for row in &self.rows {
            let code = row.code.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            let at = match row.verdict {
                Verdict::Passed => 0,
                Verdict::Failed { .. } => 1,
                Verdict::Lacking { .. } => 2,
                Verdict::NotExamined { .. } => 3,
            };
            counts.entry((row.part, code)).or_default()[at] += 1;
        }
        counts
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        write!(f, ": {}", self.case)
    }
}

fn flat(row: &Row) -> serde_json::Value {
    let (verdict, why) = match &row.verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed { why } => ("failed", Some(why)),
        Verdict::Lacking { why } => ("lacking", Some(why)),
        Verdict::NotExamined { why } => ("not_examined", Some(why)),
    };
    let code = row.code.as_ref().map(ToString::to_string);
    serde_json::json!({ "part": row.part, "code": code, "case": row.case, "verdict": verdict, "why": why })
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn code_text<S: serde::Serializer>(code: &Option<ChannelCode>, serializer: S) -> Result<S::Ok, S::Error> {
    code.as_ref().map(ToString::to_string).serialize(serializer)
}

/// The rows of one part and one code, as they are written.
pub(super) struct Sheet {
    part: &'static str,
    code: Option<ChannelCode>,
    pub rows: Vec<Row>,
}

impl Sheet {
    pub fn new(part: &'static str, code: Option<ChannelCode>) -> Self {
        Self { part, code, rows: Vec::new() }
    }

    /// A case: whether it holds, and what was found if it does not.
    pub fn hold(&mut self, case: impl Into<String>, holds: bool, found: impl FnOnce() -> String) {
        let verdict = if holds { Verdict::Passed } else { Verdict::Failed { why: found() } };
        self.put(case.into(), verdict);
    }

    /// A case that could not be examined at all.
    pub fn fail(&mut self, case: impl Into<String>, why: impl Into<String>) {
        self.put(case.into(), Verdict::Failed { why: why.into() });
    }

    /// A case that the dialect lacks.
    pub fn lacking(&mut self, case: impl Into<String>, why: impl Into<String>) {
        self.put(case.into(), Verdict::Lacking { why: why.into() });
    }

    /// A claim that what the simulator does neither proves nor disproves.
    pub fn not_examined(&mut self, case: impl Into<String>, why: impl Into<String>) {
        self.put(case.into(), Verdict::NotExamined { why: why.into() });
    }

    fn put(&mut self, case: String, verdict: Verdict) {
        self.rows.push(Row { part: self.part, code: self.code.clone(), case, verdict });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_tells() {
        // The table counts, failures and lacks are told with their reasons, and an empty exam is not passed.
        let mut sheet = Sheet::new("orders", Some("wx_native".parse().expect("a code")));
        sheet.hold("a create opens an order", true, String::new);
        sheet.hold("a close closes it", false, || "it is open".to_owned());
        sheet.lacking("a decline is told", "payers are not declined here");
        sheet.not_examined("refunds are a minute apart", "the simulator takes earlier ones");
        let report = Report { candidate: "sandbox".to_owned(), rows: sheet.rows };
        let text = report.to_string();
        for line in [
            "orders         wx_native          1       1        1             1",
            "FAILED  orders wx_native: a close closes it: it is open",
            "lacking orders: payers are not declined here (1 cases)",
            "not examined orders: refunds are a minute apart: the simulator takes earlier ones (1 cases)",
            "NOT PASSED",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(report.to_json().contains(r#""verdict":"failed","why":"it is open""#), "{}", report.to_json());
        assert!(!Report { candidate: String::new(), rows: Vec::new() }.is_passed());
    }
}
