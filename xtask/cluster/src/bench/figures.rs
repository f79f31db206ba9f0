//! What was measured: a table for people, JSON for programs, and the limits that hold on every machine.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

/// What a figure counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things: requests, page faults, threads, nodes.
    Count,
    Bytes,
    Milliseconds,
    Seconds,
    /// Of instructions.
    Millions,
    /// A number of its own.
    Plain,
}

/// One measured value.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Which part of the bench it belongs to, and whose it is: `run node-annotator`, `fleet 1000 nodes`.
    subject: String,
    name: String,
    value: f64,
    unit: Unit,
    /// The value of the floor in the same run.
    floor: Option<f64>,
    limit: Option<f64>,
}

impl Figure {
    pub(super) fn new(subject: &str, name: &str, value: f64, unit: Unit) -> Self {
        Self { subject: subject.to_owned(), name: name.to_owned(), value, unit, floor: None, limit: None }
    }

    /// A number of things.
    pub(super) fn count(subject: &str, name: &str, value: usize) -> Self {
        Self::new(subject, name, float(value), Unit::Count)
    }

    /// A size.
    pub(super) fn bytes(subject: &str, name: &str, value: usize) -> Self {
        Self::new(subject, name, float(value), Unit::Bytes)
    }

    /// Sets beside it what the floor needs.
    pub(super) fn over(self, floor: Option<f64>) -> Self {
        Self { floor: floor.filter(|floor| *floor > 0.0), ..self }
    }

    /// Fails the bench when it is more. Never for a time: those depend on the machine and on what else it
    /// does.
    pub(super) fn at_most(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    fn is_exceeded(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }
}

/// Everything that was measured, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Figures {
    figures: Vec<Figure>,
    missing: Vec<String>,
}

impl Figures {
    pub(super) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.figures.extend(others.figures);
        self.missing.extend(others.missing);
    }

    /// Something that this machine cannot measure, and what it would need.
    pub(super) fn missing(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// The figures over their limits, in words.
    pub(super) fn exceeded(&self) -> Vec<String> {
        let over = self.figures.iter().filter(|figure| figure.is_exceeded());
        let text = |figure: &Figure| {
            let limit = format(figure.limit.unwrap_or_default(), figure.unit);
            format!("{}, {}: {} instead of at most {limit}", figure.subject, figure.name, figure.text())
        };
        over.map(text).collect()
    }

    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["", "figure", "value", "× floor", "limit"]);
        let mut last = "";
        for figure in &self.figures {
            let subject = if figure.subject == last { "" } else { &figure.subject };
            last = &figure.subject;
            table.add_row([
                subject.to_owned(),
                figure.name.clone(),
                figure.text(),
                figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                figure.limit.map(|limit| format(limit, figure.unit)).unwrap_or_default(),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let missing = self.missing.iter().map(|what| format!("\nnot measured: {what}"));
        table.to_string() + &missing.collect::<String>()
    }

    pub(super) fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({
                "subject": figure.subject, "figure": figure.name, "value": figure.value,
                "unit": format!("{:?}", figure.unit).to_lowercase(), "floor": figure.floor,
                "ratio": figure.ratio(), "limit": figure.limit,
            })
        };
        json!({ "figures": self.figures.iter().map(figure).collect::<Vec<_>>(), "missing": self.missing })
    }
}

impl Figure {
    fn text(&self) -> String {
        format(self.value, self.unit)
    }
}

fn format(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => format!("{value:.0}"),
        Unit::Bytes if value < 100_000.0 => format!("{value:.0} B"),
        Unit::Bytes => format!("{:.2} MB", value / 1e6),
        Unit::Milliseconds => format!("{value:.2} ms"),
        Unit::Seconds => format!("{value:.1} s"),
        Unit::Millions => format!("{value:.2} million"),
        Unit::Plain => format!("{value:.2}"),
    }
}

/// No count here comes near the 52 bits in which it is exact.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_over_its_limit_is_named() {
        let mut figures = Figures::default();
        figures.add(Figure::count("run", "requests", 2).at_most(1.0).over(Some(1.0)));
        figures.add(Figure::bytes("run", "sent", 4096).at_most(4096.0));
        figures.missing("instructions: needs valgrind");
        assert_eq!(figures.exceeded(), ["run, requests: 2 instead of at most 1"]);
        assert!(figures.table().contains("2.00"), "{}", figures.table());
        assert!(figures.table().ends_with("not measured: instructions: needs valgrind"));
        assert_eq!(figures.json()["figures"][0]["ratio"], 2.0);
    }
}
