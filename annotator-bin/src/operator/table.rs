//! Tables for people and for programs: `-o table|wide|csv|name`, and JSON or YAML of the same data.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table as Drawing, Width as ComfyWidth};
use node_annotator_core::fact::clean;
use serde::Serialize;
use textwrap::core::display_width;

/// The schema of all JSON and YAML that commands for a fleet print. A field is added without a new version;
/// nothing that is there changes its meaning.
const SCHEMA: &str = "node-annotator/v1";

/// The narrowest table that is drawn: a terminal may say that it has no width.
const MIN_WIDTH: u16 = 40;

/// Between two columns.
const PADDING: u16 = 2;

/// Columns of names with commas between them.
const LISTS: [&str; 3] = ["NODES", "NODE", "COLLECTORS"];

/// What stands in a table where a node has no value.
pub(crate) const NONE: &str = "-";

/// Longest text of a cell: no fact is longer.
const MAX_TEXT_BYTES: usize = 4096;

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table; on a terminal as wide as that
    Table,
    /// A table with all columns and whole texts
    Wide,
    /// JSON, for programs
    Json,
    /// The same as YAML
    Yaml,
    /// Comma-separated values, a row for each node
    Csv,
    /// Names of nodes, as kubectl takes them
    Name,
}

/// What a command has to show.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The names of the columns, and whether one is shown in wide tables alone.
    pub(crate) columns: Vec<(String, bool)>,
    /// A text for each column.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows.
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self { columns: columns.into_iter().map(|name| (name.to_owned(), false)).collect(), rows: Vec::new() }
    }

    /// For people. Within a width, long texts go on below.
    pub(crate) fn text(mut self, is_wide: bool, width: Option<u16>) -> String {
        let width = width.map(|width| width.max(MIN_WIDTH));
        let shown: Vec<_> = self.columns.iter().map(|(_, only_wide)| is_wide || !only_wide).collect();
        let names = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        let mut lines = vec![names];
        lines.append(&mut self.rows);
        if !shown.iter().all(|shown| *shown) {
            for line in &mut lines {
                let mut shown = shown.iter();
                line.retain(|_| shown.next().is_none_or(|shown| *shown));
            }
        }
        let widest = |column: usize| lines.iter().map(|line| display_width(&line[column])).max().unwrap_or(0);
        let widths: Vec<_> = (0..lines[0].len()).map(widest).collect();
        let whole: usize = widths.iter().map(|width| width + usize::from(PADDING)).sum();
        match width {
            Some(width) if whole > usize::from(width) => drawn(lines, width),
            _ => aligned(&lines, &widths),
        }
    }

    /// For spreadsheets, with all columns.
    pub(crate) fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(name, _)| name))?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        String::from_utf8(bytes).context("a table is text")
    }
}

/// Each row on one line.
fn aligned(lines: &[Vec<String>], widths: &[usize]) -> String {
    let mut text = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(widths) {
            text += cell;
            let rest = width.saturating_sub(display_width(cell)) + usize::from(PADDING);
            text.extend(std::iter::repeat_n(' ', rest));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// Within a width that not all of it has room in.
fn drawn(mut lines: Vec<Vec<String>>, width: u16) -> String {
    let mut rows = lines.split_off(1);
    let names = lines.remove(0);
    let least = whole_lists(&names, &mut rows, width);
    let mut drawing = Drawing::new();
    drawing.load_style(NOTHING).set_header(names);
    drawing.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    drawing.add_rows(rows);
    for (column, least) in drawing.column_iter_mut().zip(least) {
        column.set_padding((0, PADDING));
        if let Some(least) = least {
            column.set_constraint(ColumnConstraint::LowerBoundary(ComfyWidth::Fixed(least + PADDING)));
        }
    }
    let lines: Vec<_> = drawing.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// Breaks lists of names at their commas alone, so that no name is torn, and returns how wide each such
/// column has to be. None takes more than half of the width.
fn whole_lists(names: &[String], rows: &mut [Vec<String>], width: u16) -> Vec<Option<u16>> {
    let most = usize::from(width / 2 - PADDING);
    let mut wide = vec![None; names.len()];
    for (index, _) in names.iter().enumerate().filter(|(_, name)| LISTS.contains(&name.as_str())) {
        let mut longest = 0;
        for row in &mut *rows {
            row[index] = broken(&row[index], most);
            longest = row[index].lines().map(|line| line.chars().count()).max().unwrap_or(0).max(longest);
        }
        wide[index] = u16::try_from(longest.min(most)).ok();
    }
    wide
}

fn broken(list: &str, most: usize) -> String {
    let (mut text, mut length) = (String::new(), 0);
    for name in list.split_inclusive(',') {
        let count = name.chars().count();
        if length > 0 && length + count > most {
            text.push('\n');
            length = 0;
        }
        text += name;
        length += count;
    }
    text
}

/// A number with what it counts.
pub(crate) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// A text in lines that fit the terminal; on one line where there is none.
pub(crate) fn paragraph(text: &str, width: Option<u16>) -> String {
    match width {
        Some(width) => {
            let options = textwrap::Options::new(usize::from(width.max(MIN_WIDTH))).subsequent_indent("  ");
            textwrap::fill(text, options) + "\n"
        }
        None => format!("{text}\n"),
    }
}

/// A value as a table shows it.
pub(crate) fn cell(value: Option<&str>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| clean(value, MAX_TEXT_BYTES))
}

/// As wide as the terminal that shows progress.
pub(crate) fn width_of_progress() -> usize {
    let width = terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0);
    usize::from(width.filter(|width| *width > 0).unwrap_or(80).max(MIN_WIDTH))
}

/// As wide as the terminal that reads it; nothing where none does.
pub(crate) fn width() -> Option<u16> {
    let is_terminal = io::stdout().is_terminal();
    let of_terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    // As other programs have it for a terminal that does not tell.
    let told = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    is_terminal.then(|| of_terminal().or_else(told)).flatten()
}

/// As JSON or YAML, with what it is and by which schema.
pub(crate) fn document(kind: &str, data: &impl Serialize, is_yaml: bool) -> anyhow::Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a, T> {
        api_version: &'a str,
        kind: &'a str,
        #[serde(flatten)]
        data: &'a T,
    }
    let document = Document { api_version: SCHEMA, kind, data };
    Ok(if is_yaml {
        serde_saphyr::to_string(&document).context("cannot be shown as YAML")?
    } else {
        serde_json::to_string_pretty(&document).context("cannot be shown as JSON")? + "\n"
    })
}

/// Names of nodes as kubectl prints and takes them.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(String::new(), |text, name| text + "node/" + name + "\n")
}
