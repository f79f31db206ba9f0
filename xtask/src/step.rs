//! One command of several, and how to repeat it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs one step, and says how to repeat it when it fails.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<Duration> {
    eprintln!("\n== {title} ==");
    let started = Instant::now();
    let status = command.status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "{title}: did not pass\nhint: when it is mended, repeat it alone with `{}`",
        shown(command)
    );
    Ok(started.elapsed())
}

/// A command of cargo as one types it, with the variables that were set for it.
pub(crate) fn shown(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, quoted(value?.to_str()?))));
    let arguments = command.get_args().filter_map(|argument| argument.to_str().map(quoted));
    variables.chain(["cargo".to_owned()]).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_can_be_typed() {
        let mut cargo = xtask_workspace::cargo();
        cargo.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
        assert_eq!(shown(&cargo), "RUSTDOCFLAGS='--deny warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let mut cargo = xtask_workspace::cargo();
        cargo.arg("--no-such-flag").stderr(std::process::Stdio::null());
        let error = run("nothing", &mut cargo).unwrap_err().to_string();
        assert_eq!(
            error,
            "nothing: did not pass\nhint: when it is mended, repeat it alone with `cargo --no-such-flag`"
        );
    }
}
