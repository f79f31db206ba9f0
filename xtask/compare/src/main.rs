//! `cargo xtask compare`: the facts of this machine beside what independent programs say of it.

mod comparisons;
mod explained;
mod nfd;
mod ours;
mod programs;
mod recorded;
mod said;
mod table;
mod verdict;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use self::programs::{PROGRAMS, Reply};
use self::verdict::{Row, Verdict};

/// Development tasks of node-annotator that run the binary beside other programs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Hold the facts of this machine against lscpu, lsblk, lspci, facter and other programs
    ///
    /// Runs all collectors that need no network, as a dry run, and the other programs that are installed, and
    /// prints where they agree and where they differ; then `lscpu --sysroot` on the recorded machines. What
    /// only root may read, such as that of dmidecode, is compared as root alone. Fails when a difference has
    /// no explanation in `xtask/compare/src/explained.rs`.
    ///
    /// facter, ohai and osqueryi are asked for named facts alone, none of which comes from a network.
    Compare(Options),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Also hold the labels of `--labels nfd` against nfd-worker, which is built with Go the first time
    #[arg(long)]
    nfd: bool,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What a machine's comparison came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    /// A row for each fact and each program that says something of it.
    rows: Vec<Row>,
    /// Facts of ours that no program says anything of.
    ours_alone: Vec<String>,
    /// What a program says and no fact of ours does.
    theirs_alone: Vec<TheirsAlone>,
    /// Programs that said nothing, and why.
    silent: Vec<Silent>,
    /// `lscpu --sysroot` on the recorded machines.
    recorded: recorded::Comparison,
}

#[derive(Debug, Serialize)]
struct TheirsAlone {
    program: &'static str,
    fields: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Silent {
    program: &'static str,
    reason: String,
}

fn main() -> ExitCode {
    let Task::Compare(options) = Cli::parse().task;
    xtask_workspace::exit_code(run(&options))
}

fn run(options: &Options) -> Result<()> {
    ours::build()?;
    let comparison = compare(options.nfd)?;
    match options.output {
        Format::Text => print!("{}", table::text(&comparison)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&comparison)?),
    }
    let unexplained = comparison.rows.iter().chain(&comparison.recorded.rows).filter(|row| row.is_wrong());
    let count = unexplained.count();
    ensure!(
        count == 0,
        "differences without an explanation: {count}\nhint: mend the collector, or explain them in xtask/compare/src/explained.rs"
    );
    Ok(())
}

fn compare(with_nfd: bool) -> Result<Comparison> {
    let collectors = ours::local_collectors()?;
    let facts = ours::facts(&collectors, None)?;
    let (mut rows, mut theirs_alone, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for program in &PROGRAMS {
        match program.ask() {
            Reply::Said(fields) => {
                rows.extend(verdict::rows("this machine", program.name, &fields, &facts));
                let fields = verdict::left_over(program.name, &fields);
                if !fields.is_empty() {
                    theirs_alone.push(TheirsAlone { program: program.name, fields });
                }
            }
            Reply::Silent(reason) => silent.push(Silent { program: program.name, reason }),
        }
    }
    if with_nfd {
        let of_nfd = nfd::compare(&ours::nfd_labels(&collectors)?)?;
        rows.extend(of_nfd.rows);
        theirs_alone.push(TheirsAlone { program: nfd::PROGRAM, fields: of_nfd.theirs_alone });
    }
    let compared = |name: &String| rows.iter().any(|row| row.fact == *name && row.verdict != Verdict::Theirs);
    let ours_alone = facts.keys().filter(|name| !compared(name)).cloned().collect();
    Ok(Comparison { rows, ours_alone, theirs_alone, silent, recorded: recorded::compare(&collectors)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_as_it_is_meant() {
        let Task::Compare(options) =
            Cli::try_parse_from(["xtask", "compare", "-o", "json"]).expect("it is a task").task;
        assert!(matches!(options.output, Format::Json));
        assert!(Cli::try_parse_from(["xtask", "compare", "-o", "yaml"]).is_err());
    }
}
