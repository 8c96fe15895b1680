//! Drawings of a report, as SVG: bars in groups, and lines over a number, a time or a quantile.
#![expect(clippy::float_arithmetic, reason = "places in a drawing, not money")]

use super::page::{add, escaped};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 56.0;
/// Colours that the page has; further series begin again.
const COLOURS: usize = 6;
/// Points of a line that are drawn at most, nearly; more lie on the same pixel.
const POINTS_MAX: usize = 1_000;
/// How far apart points of quantiles are, in powers of ten.
const QUANTILE_STEP: f64 = 0.004;

/// How values are laid out upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// From zero.
    #[default]
    Linear,
    /// By powers of ten, from the one below the smallest value above zero.
    Log,
}

#[derive(Debug, Clone)]
enum Body {
    Bars { groups: Vec<String>, series: Vec<(String, Vec<f64>)> },
    Lines { along: Along, steps: bool, series: Vec<(String, Vec<(f64, f64)>)> },
}

/// What goes from left to right under lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Along {
    /// A number in this unit.
    Number(String),
    /// Minus the power of ten of the share that is above: 0 is 0 %, 1 is 90 %, 2 is 99 %.
    Quantile,
}

/// A drawing.
#[derive(Debug, Clone)]
pub struct Chart {
    title: String,
    unit: String,
    scale: Scale,
    body: Body,
}

/// A count as a number that can be drawn; beyond 2^53 it is rounded.
#[must_use]
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a place in a drawing")]
pub fn real(value: u64) -> f64 {
    value as f64
}

impl Chart {
    /// Bars in groups with these names: one a series in each. Values are in `unit`.
    #[must_use]
    pub fn bars(title: &str, unit: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self::new(title, unit, Body::Bars { groups, series: Vec::new() })
    }

    /// Lines from point to point; values are in `unit`, what goes from left to right is in `along`.
    #[must_use]
    pub fn lines(title: &str, unit: &str, along: &str) -> Self {
        let along = Along::Number(along.to_owned());
        Self::new(title, unit, Body::Lines { along, steps: false, series: Vec::new() })
    }

    /// The quantiles of measured values, to the right the rarer ones. Add them by [`Chart::measured`].
    #[must_use]
    pub fn quantiles(title: &str, unit: &str) -> Self {
        Self::new(title, unit, Body::Lines { along: Along::Quantile, steps: true, series: Vec::new() })
    }

    fn new(title: &str, unit: &str, body: Body) -> Self {
        Self { title: title.to_owned(), unit: unit.to_owned(), scale: Scale::Linear, body }
    }

    /// Another scale than the linear one.
    #[must_use]
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Each value holds until the next.
    #[must_use]
    pub fn stepped(mut self) -> Self {
        if let Body::Lines { steps, .. } = &mut self.body {
            *steps = true;
        }
        self
    }

    /// One bar in each group, in their order. Of lines: the values at 0, 1, 2 and so on.
    #[must_use]
    pub fn series(mut self, name: &str, values: &[f64]) -> Self {
        match &mut self.body {
            Body::Bars { series, .. } => series.push((name.to_owned(), values.to_vec())),
            Body::Lines { series, .. } => {
                let points = (0_u32..).map(f64::from).zip(values.iter().copied());
                series.push((name.to_owned(), points.collect()));
            }
        }
        self
    }

    /// Lines through points, each of what goes from left to right and the value there. Nothing on a chart of bars.
    #[must_use]
    pub fn all(mut self, more: impl IntoIterator<Item = (String, Vec<(f64, f64)>)>) -> Self {
        if let Body::Lines { series, .. } = &mut self.body {
            series.extend(more);
        }
        self
    }

    /// The line of these values' quantiles.
    #[must_use]
    pub fn measured(self, name: &str, values: &[u64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let count = real(u64::try_from(sorted.len()).unwrap_or(u64::MAX));
        let above = |index: u64| -((count - real(index)) / count).log10();
        // Only as many as can be told apart: most values lie close together at the left.
        let mut points: Vec<(f64, f64)> = Vec::new();
        for point in (0_u64..).map(above).zip(sorted.into_iter().map(real)) {
            if points.last().is_none_or(|last| point.0 - last.0 >= QUANTILE_STEP) {
                points.push(point);
            }
        }
        self.all([(name.to_owned(), points)])
    }

    /// Its heading.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// As an `svg` element.
    pub(super) fn svg(&self) -> String {
        let axis = Axis::new(self.scale, &self.values());
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}, in {}\">\n",
            escaped(&self.title),
            escaped(&self.unit)
        );
        axis.draw(&mut svg, &self.unit);
        let names: Vec<&str> = match &self.body {
            Body::Bars { groups, series } => {
                bars(&mut svg, &axis, groups, series);
                series.iter().map(|(name, _)| name.as_str()).collect()
            }
            Body::Lines { along, steps, series } => {
                lines(&mut svg, &axis, along, *steps, series);
                series.iter().map(|(name, _)| name.as_str()).collect()
            }
        };
        legend(&mut svg, &names);
        svg + "</svg>\n"
    }

    fn values(&self) -> Vec<f64> {
        match &self.body {
            Body::Bars { series, .. } => series.iter().flat_map(|(_, values)| values.iter().copied()).collect(),
            Body::Lines { series, .. } => series.iter().flat_map(|(_, points)| points.iter().map(|p| p.1)).collect(),
        }
    }
}

/// The upward axis.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn new(scale: Scale, values: &[f64]) -> Self {
        let highest = values.iter().copied().fold(0.0, f64::max);
        let highest = if highest > 0.0 { highest } else { 1.0 };
        match scale {
            Scale::Linear => {
                let ticks = round_steps(highest);
                Self { scale, low: 0.0, high: ticks.last().copied().unwrap_or(highest), ticks }
            }
            Scale::Log => {
                let lowest = values.iter().copied().filter(|value| *value > 0.0).fold(highest, f64::min);
                let (low, mut high) = (lowest.log10().floor(), highest.log10().ceil());
                if high <= low {
                    high = low + 1.0;
                }
                let powers = std::iter::successors(Some(low), |power| Some(power + 1.0));
                let ticks = powers.take_while(|power| *power <= high).map(|power| 10_f64.powf(power)).collect();
                Self { scale, low, high, ticks }
            }
        }
    }

    /// How far from the top a value is drawn.
    fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log if value > 0.0 => value.log10().max(self.low),
            Scale::Log => self.low,
        };
        HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String, unit: &str) {
        let right = WIDTH - RIGHT;
        for tick in &self.ticks {
            let y = self.place(*tick);
            let label = shown(*tick);
            add(svg, format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
            let (x, y) = (LEFT - 8.0, y + 4.0);
            add(svg, format_args!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>\n"));
        }
        add(svg, format_args!("<text class=\"faint\" x=\"{LEFT}\" y=\"14\">{}</text>\n", escaped(unit)));
    }
}

/// From zero to at least `highest`, in four to ten round steps.
fn round_steps(highest: f64) -> Vec<f64> {
    let power = 10_f64.powf((highest / 4.0).log10().floor());
    let step = [5.0, 2.0, 1.0].map(|times| times * power).into_iter().find(|step| highest / step >= 4.0);
    let step = step.unwrap_or(power);
    let count = (highest / step).ceil();
    std::iter::successors(Some(0.0), |times| Some(times + 1.0)).take_while(|n| *n <= count).map(|n| n * step).collect()
}

fn bars(svg: &mut String, axis: &Axis, groups: &[String], series: &[(String, Vec<f64>)]) {
    let count = |length: usize| real(u64::try_from(length.max(1)).unwrap_or(u64::MAX));
    let group_width = (WIDTH - LEFT - RIGHT) / count(groups.len());
    let bar_width = (group_width * 0.8 / count(series.len())).min(64.0);
    let floor = HEIGHT - BOTTOM;
    for (index, group) in (0_u64..).zip(groups) {
        let middle = LEFT + group_width * (real(index) + 0.5);
        let first = middle - bar_width * count(series.len()) / 2.0;
        for (place, (name, values)) in series.iter().enumerate() {
            let Some(value) = usize::try_from(index).ok().and_then(|index| values.get(index)) else { continue };
            let x = first + bar_width * real(u64::try_from(place).unwrap_or(0));
            let (y, width) = (axis.place(*value).min(floor), bar_width - 2.0);
            let (height, colour, label) = (floor - y, place % COLOURS, shown(*value));
            add(svg, format_args!("<rect class=\"bar s{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" "));
            add(svg, format_args!("height=\"{height:.1}\"><title>{}: {label}</title></rect>", escaped(name)));
            let (x, y) = (x + width / 2.0, y - 4.0);
            add(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>\n"));
        }
        under(svg, middle, group);
    }
}

fn lines(svg: &mut String, axis: &Axis, along: &Along, steps: bool, series: &[(String, Vec<(f64, f64)>)]) {
    let all = || series.iter().flat_map(|(_, points)| points.iter().map(|point| point.0));
    let (mut low, mut high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if *along == Along::Quantile {
        (low, high) = (0.0, high.max(1.0));
    }
    if !low.is_finite() || !high.is_finite() || high <= low {
        (low, high) = (0.0, 1.0);
    }
    let place = |at: f64| LEFT + (at - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    match along {
        Along::Quantile => {
            for (at, label) in [(0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")] {
                if at <= high {
                    under(svg, place(at), label);
                }
            }
        }
        Along::Number(unit) => {
            for at in round_steps(high).into_iter().filter(|at| (low..=high).contains(at)) {
                under(svg, place(at), &format!("{} {unit}", shown(at)));
            }
        }
    }
    for (index, (name, points)) in series.iter().enumerate() {
        add(svg, format_args!("<path class=\"line s{}\" d=\"", index % COLOURS));
        for (index, (at, value)) in thinned(points).enumerate() {
            let (x, y) = (place(at), axis.place(value));
            match (index, steps) {
                (0, _) => add(svg, format_args!("M{x:.1} {y:.1}")),
                (_, true) => add(svg, format_args!("H{x:.1}V{y:.1}")),
                (_, false) => add(svg, format_args!("L{x:.1} {y:.1}")),
            }
        }
        // The page fills whatever has a colour; a line is not filled.
        add(svg, format_args!("\" style=\"fill: none\"><title>{}</title></path>\n", escaped(name)));
    }
}

/// At most [`POINTS_MAX`] of the points and one.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let (every, last) = (points.len().div_ceil(POINTS_MAX).max(1), points.len().saturating_sub(1));
    let kept = points.iter().enumerate().filter(move |(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, point)| *point)
}

fn under(svg: &mut String, x: f64, label: &str) {
    let (y, label) = (HEIGHT - BOTTOM + 18.0, escaped(label));
    add(svg, format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"));
}

fn legend(svg: &mut String, names: &[&str]) {
    let (mut x, y) = (LEFT, HEIGHT - 12.0);
    for (index, name) in names.iter().enumerate() {
        let (top, text) = (y - 10.0, x + 16.0);
        add(svg, format_args!("<rect class=\"bar s{}\" x=\"{x:.1}\" y=\"{top}\" ", index % COLOURS));
        add(
            svg,
            format_args!("width=\"10\" height=\"10\"/><text x=\"{text:.1}\" y=\"{y}\">{}</text>\n", escaped(name)),
        );
        let characters = u64::try_from(name.chars().count()).unwrap_or(0);
        x += 36.0 + 7.0 * real(characters);
    }
}

/// A value as short as it can be read: thousands apart, three places below ten, one below a thousand.
fn shown(value: f64) -> String {
    let text = if value >= 1_000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.parse().map_or_else(|_| text.to_owned(), super::grouped)
}
