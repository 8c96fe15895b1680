//! The page of a report: one HTML file that loads nothing and runs nothing, readable in light and dark.

use std::fmt::Write as _;

use super::{Ratio, Report};
use crate::Table;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #59636e; --line: #d1d9e0; --bad: #b3261e;
  --good: #1a7f37; --s0: #0969da; --s1: #bc4c00; --s2: #1a7f37; --s3: #8250df; --s4: #9a6700; --s5: #bf3989; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --faint: #9198a1; --line: #3d444d;
  --bad: #ff7b72; --good: #3fb950; --s0: #58a6ff; --s1: #f0883e; --s2: #3fb950; --s3: #bc8cff; --s4: #d29922;
  --s5: #f778ba; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p, dd { max-width: 70ch; } dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--faint); } dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { color: var(--faint); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
svg { width: 100%; height: auto; max-width: 52rem; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .faint { fill: var(--faint); } svg .grid { stroke: var(--line); }
svg .bar { stroke: none; } svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.s0 { fill: var(--s0); stroke: var(--s0); } .s1 { fill: var(--s1); stroke: var(--s1); }
.s2 { fill: var(--s2); stroke: var(--s2); } .s3 { fill: var(--s3); stroke: var(--s3); }
.s4 { fill: var(--s4); stroke: var(--s4); } .s5 { fill: var(--s5); stroke: var(--s5); }
";

/// The page.
pub(super) fn html(report: &Report) -> String {
    let mut page = String::new();
    let title = escaped(&report.title);
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    add(&mut page, format_args!("<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"));
    add(&mut page, format_args!("<body>\n<main>\n<h1>{title}</h1>\n"));
    if !report.ratios.is_empty() {
        section(&mut page, "Against what it is measured", &ratios(&report.ratios));
    }
    for (heading, table) in &report.tables {
        section(&mut page, heading, &rows(table));
    }
    for chart in &report.charts {
        section(&mut page, chart.title(), &chart.svg());
    }
    section(&mut page, "What it ran on", &settings(report));
    let paragraphs = report.about.split("\n\n").map(|paragraph| format!("<p>{}</p>\n", escaped(paragraph)));
    section(&mut page, "What it measures", &paragraphs.collect::<String>());
    page += "</main>\n</body>\n</html>\n";
    page
}

/// Text as it is safe between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            other => safe.push(other),
        }
    }
    safe
}

/// Adds formatted text.
pub(super) fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes everything");
}

fn section(page: &mut String, heading: &str, content: &str) {
    add(page, format_args!("<section>\n<h2>{}</h2>\n{content}</section>\n", escaped(heading)));
}

fn settings(report: &Report) -> String {
    let mut list = format!("<dl>\n<dt>machine</dt><dd>{}</dd>\n", escaped(&report.machine.to_string()));
    for (key, value) in &report.settings {
        add(&mut list, format_args!("<dt>{}</dt><dd>{}</dd>\n", escaped(key), escaped(value)));
    }
    list + "</dl>\n"
}

fn rows(table: &Table) -> String {
    let mut text = String::from("<div class=\"wide\"><table>\n");
    for (index, row) in table.rows().iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        add(&mut text, format_args!("<tr>{}</tr>\n", cells.collect::<String>()));
    }
    text + "</table></div>\n"
}

fn ratios(ratios: &[Ratio]) -> String {
    let mut text = String::from("<div class=\"wide\"><table>\n<tr><th>what</th><th>measured</th><th>against</th>");
    text += "<th>ratio</th><th>wanted</th><th>held</th></tr>\n";
    for ratio in ratios {
        let class = match ratio.held() {
            Some(true) => "good",
            Some(false) => "bad",
            None => "",
        };
        let cells = [&ratio.what, &ratio.subject, &ratio.reference].map(|cell| format!("<td>{}</td>", escaped(cell)));
        add(&mut text, format_args!("<tr>{}<td>{}</td><td>{}</td>", cells.concat(), ratio.ratio, ratio.wanted));
        add(&mut text, format_args!("<td class=\"{class}\">{}</td></tr>\n", ratio.verdict()));
    }
    text + "</table></div>\n"
}
