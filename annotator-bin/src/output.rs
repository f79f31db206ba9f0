//! What commands print on stdout: formats, columns, and the printing itself.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context;
use clap::ValueEnum;

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints a text on stdout. A reader that has gone away is not an error: it has seen what it wanted.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// Two columns with the second one aligned.
pub(crate) fn columns(rows: &[(String, String)], indent: usize) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (left, right) in rows {
        let line = format!("{:indent$}{left:width$}  {right}", "");
        writeln!(text, "{}", line.trim_end()).expect("a string takes what is written to it");
    }
    text
}

/// The same in lines of at most [`WIDTH`] characters, with the second column in several lines if need be.
#[cfg(feature = "operator")]
pub(crate) fn wrapped_columns(rows: &[(String, String)], indent: usize) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default();
    let margin = " ".repeat(indent + width + 2);
    rows.iter().fold(String::new(), |text, (left, right)| {
        let first = format!("{:indent$}{left:width$}  ", "");
        let options = textwrap::Options::new(WIDTH).initial_indent(&first).subsequent_indent(&margin);
        text + textwrap::fill(right, options).trim_end() + "\n"
    })
}

/// As wide as help gets.
#[cfg(feature = "operator")]
const WIDTH: usize = 100;
