//! The comparison for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use crate::Comparison;
use crate::verdict::{Row, Verdict};

/// Longest value in a cell; a list of all flags is no use there.
const MAX_CHARS: usize = 60;

pub(crate) fn text(comparison: &Comparison) -> String {
    let mut text = format!("{}\n", table(&comparison.rows.iter().collect::<Vec<_>>()));
    let out = &mut text;
    let write =
        |out: &mut String, line: std::fmt::Arguments| writeln!(out, "{line}").expect("a string takes it");
    write(out, format_args!("\nours alone: {}", comparison.ours_alone.join(", ")));
    for alone in &comparison.theirs_alone {
        write(out, format_args!("{} alone: {}", alone.program, alone.fields.join(", ")));
    }
    write(out, format_args!(""));
    for silent in &comparison.silent {
        write(out, format_args!("{}: {}", silent.program, silent.reason));
    }
    let recorded = &comparison.recorded;
    write(out, format_args!("\nlscpu --sysroot on the recorded machines:"));
    let told: Vec<_> = recorded.rows.iter().filter(|row| row.verdict == Verdict::Difference).collect();
    if !told.is_empty() {
        write(out, format_args!("{}", table(&told)));
    }
    let mut machines = BTreeMap::<&str, usize>::new();
    for row in recorded.rows.iter().filter(|row| row.verdict == Verdict::Agreement) {
        *machines.entry(&row.machine).or_default() += 1;
    }
    let agreements = machines.iter().map(|(machine, count)| format!("{machine} {count}"));
    write(out, format_args!("agreements: {}", agreements.collect::<Vec<_>>().join(", ")));
    for skipped in &recorded.skipped {
        write(out, format_args!("skipped: {skipped}"));
    }
    let all = || comparison.rows.iter().chain(&recorded.rows);
    let count = |is: fn(&Row) -> bool| all().filter(|row| is(row)).count();
    write(
        out,
        format_args!(
            "\n{} agreements, {} explained differences, {} unexplained, {} theirs alone",
            count(|row| row.verdict == Verdict::Agreement),
            count(|row| row.explanation.is_some()),
            count(Row::is_wrong),
            count(|row| row.verdict == Verdict::Theirs),
        ),
    );
    text
}

fn table(rows: &[&Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["machine", "fact", "ours", "program", "theirs", "verdict"]);
    for row in rows {
        let verdict = match row.explanation {
            Some(reason) => format!("{}: {reason}", row.says()),
            None => row.says().to_owned(),
        };
        let (ours, theirs) = (short(row.ours.as_deref().unwrap_or_default()), short(&row.theirs));
        table.add_row([&*row.machine, &*row.fact, &*ours, row.program, &*theirs, &*verdict]);
    }
    table
}

fn short(value: &str) -> String {
    if value.chars().count() <= MAX_CHARS {
        return value.to_owned();
    }
    value.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(short("kvm"), "kvm");
        assert_eq!(short(&"ä".repeat(80)).chars().count(), MAX_CHARS);
    }
}
