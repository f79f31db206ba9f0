//! The reference of the command line, from clap, and the exit codes.

use std::fmt::Write as _;

use clap::Command;
use node_annotator::exit;

use super::{HEADER, cell};

/// `docs/command-line.md`.
pub(super) fn page(command: &mut Command) -> String {
    let mut text = format!("{HEADER}\n# Command line\n");
    section(command, "node-annotator", &mut text);
    text
}

fn section(command: &mut Command, name: &str, text: &mut String) {
    // The same on every terminal.
    let help = command.clone().bin_name(name).term_width(100).render_long_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end()).expect("a string takes it");
    for subcommand in command.get_subcommands_mut().filter(|it| !it.is_hide_set()) {
        let name = format!("{name} {}", subcommand.get_name());
        section(subcommand, &name, text);
    }
}

/// README's table of what the codes mean for the commands that have their own.
pub(super) fn exit_codes() -> String {
    let commands: Vec<_> = exit::meanings().collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = commands
        .iter()
        .map(|(names, _)| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    let mut text = "\n".to_owned() + &row(std::iter::once("code".to_owned()).chain(names).collect());
    text += "|";
    text += &"---|".repeat(commands.len() + 1);
    text.push('\n');
    let codes = commands.first().map(|(_, rows)| rows);
    for (index, (code, _)) in codes.into_iter().flatten().enumerate() {
        let meanings = commands.iter().map(|(_, rows)| cell(rows[index].1));
        text += &row(std::iter::once(code.code().to_string()).chain(meanings).collect());
    }
    text.push('\n');
    text
}
