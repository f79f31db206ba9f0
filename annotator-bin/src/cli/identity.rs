//! The command line of a binary with a name, a version and an image of its own.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use crate::app::App;

/// Puts the binary in the place of the stock one: in its name and version, in help, and as the image of its
/// manifests.
pub(super) fn of_app(command: Command, app: &App) -> Command {
    let command = command.name(app.name).version(app.long_version);
    let command = if *app == App::STOCK { command } else { renamed(command, app.name) };
    command.mut_subcommands(|command| match (command.get_name(), app.image) {
        ("manifests", Some(image)) => command.mut_arg("image", |arg| arg.default_value(image)),
        ("once", Some(image)) => command.mut_arg("own_image", |arg| arg.default_value(image)),
        _ => command,
    })
}

/// The same with all examples calling the binary by this name.
fn renamed(command: Command, name: &str) -> Command {
    let text = |text: Option<&StyledStr>| text.map(|text| with_name(text, name));
    let [about, long_about, after_help] =
        [command.get_about(), command.get_long_about(), command.get_after_help()].map(text);
    let mut command = command;
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(about) = long_about {
        command = command.long_about(about);
    }
    if let Some(help) = after_help {
        command = command.after_help(help);
    }
    let of_argument = |arg: Arg| {
        let [help, long_help] = [arg.get_help(), arg.get_long_help()].map(text);
        let arg = if let Some(help) = help { arg.help(help) } else { arg };
        if let Some(help) = long_help { arg.long_help(help) } else { arg }
    };
    command.mut_args(of_argument).mut_subcommands(|command| renamed(command, name))
}

/// In help the stock name stands before a command or an option, and in an image. Names of objects stay.
fn with_name(text: &StyledStr, name: &str) -> String {
    let stock = App::STOCK.name;
    let text = text.ansi().to_string().replace(&format!("{stock} "), &format!("{name} "));
    text.replace(&format!("/{stock}:"), &format!("/{name}:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command_of;

    const RACK: App = App::new("rack-annotator", "0.3.0");

    fn help(app: &App, command: &str) -> String {
        let mut all = command_of(app);
        all.build();
        all.find_subcommand_mut(command).expect("the command").render_long_help().to_string()
    }

    #[test]
    fn a_binary_speaks_of_itself() {
        let mut command = command_of(&RACK);
        assert_eq!(command.render_version(), "rack-annotator 0.3.0\n");
        let of_commit = RACK.long_version("0.3.0 (1a2b3c4d5e6f)");
        assert_eq!(command_of(&of_commit).render_version(), "rack-annotator 0.3.0 (1a2b3c4d5e6f)\n");
        assert_eq!(of_commit.user_agent(), "rack-annotator/0.3.0");
        for command in std::iter::once(command.render_long_help().to_string())
            .chain(["run", "manifests", "doctor"].map(|command| help(&RACK, command)))
        {
            assert!(!command.contains("node-annotator "), "{command}");
        }
        assert!(help(&App::STOCK, "run").contains("  node-annotator run --dry-run"));
    }

    #[test]
    fn only_an_image_of_its_own_is_the_default() {
        for (app, default) in [
            (RACK, None),
            (RACK.image("example.com/rack:1"), Some("[default: example.com/rack:1]")),
            (App::STOCK, Some("[default: node-annotator:")),
        ] {
            let help = help(&app, "manifests");
            assert_eq!(help.contains("node-annotator:"), app == App::STOCK, "{help}");
            assert!(default.is_none_or(|default| help.contains(default)), "{help}");
        }
    }
}
