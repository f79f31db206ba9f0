//! The environment: every option has a variable, and collectors read theirs.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Arg, Command};
use node_annotator_core::Environment;

/// The variables of this process, for collectors. They read text: a variable that is not UTF-8 is left out.
pub(super) fn process_environment() -> Environment {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Makes a variable that is set to nothing count as unset, as in a manifest whose value was left empty;
/// variables that collectors read do the same. Help shows the names of variables and not their values.
pub(super) fn without_empty_variables(command: Command) -> Command {
    let set_to_nothing = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.to_string_lossy().trim().is_empty())
    };
    let without_empty = |arg: Arg| {
        let arg = arg.hide_env_values(true);
        if set_to_nothing(&arg) { arg.env(Resettable::Reset) } else { arg }
    };
    command.mut_args(without_empty).mut_subcommands(without_empty_variables)
}
