//! `completions`: a script for a shell, or for kubectl.

use anyhow::Context as _;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::app::App;
use crate::cli::{command_of, own_name};
use crate::exit::{self, Exit};
use crate::output::print;

/// What kubectl starts to complete the words behind the name of a plugin; NAME is the plugin's program. It
/// runs the function for bash outside of a completion, and tells kubectl whether to offer files.
const FOR_KUBECTL: &str = include_str!("kubectl_complete.bash");

fn notes() -> String {
    let notes = "\
Examples:
  source <(node-annotator completions bash)
  node-annotator completions zsh > \"${fpath[1]}/_node-annotator\"
  node-annotator completions fish > ~/.config/fish/completions/node-annotator.fish
  node-annotator completions kubectl > ~/.local/bin/kubectl_complete-node_annotator
  chmod +x ~/.local/bin/kubectl_complete-node_annotator

kubectl runs the last file to complete `kubectl node-annotator`: it has to be on the PATH, as the plugin
`kubectl-node_annotator` has.";
    format!("{notes}\n\n{}", exit::help("completions"))
}

#[derive(Debug, Args)]
#[command(after_help = notes())]
pub(crate) struct CompletionsCommand {
    /// The shell, or kubectl for that of the plugin in any shell
    #[arg(value_name = "SHELL")]
    target: Target,
}

/// Who asks for completions.
#[derive(Clone, Copy, Debug)]
enum Target {
    Shell(Shell),
    Kubectl,
}

impl ValueEnum for Target {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Shell(Shell::Bash),
            Self::Shell(Shell::Elvish),
            Self::Shell(Shell::Fish),
            Self::Shell(Shell::PowerShell),
            Self::Shell(Shell::Zsh),
            Self::Kubectl,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Shell(shell) => shell.to_possible_value(),
            Self::Kubectl => Some(PossibleValue::new("kubectl")),
        }
    }
}

impl CompletionsCommand {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let text = match self.target {
            Target::Shell(Shell::Bash) => for_bash(app)?,
            Target::Shell(shell) => script(shell, app, own_name(app))?,
            Target::Kubectl => FOR_KUBECTL.replace("NAME", &plugin(app)),
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}

/// The file name by which kubectl finds a plugin: it takes a dash for the start of a command below.
fn plugin(app: &App) -> String {
    format!("kubectl-{}", app.name.replace('-', "_"))
}

fn script(shell: Shell, app: &App, name: String) -> anyhow::Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_of(app), name, &mut script);
    String::from_utf8(script).context("the completion script is not text")
}

/// The generator spells a dash in the name of a program in two ways, and then finds no option of any command
/// (clap-rs/clap#6421). Under a name without one all is well, but for the lines that say what is completed.
fn for_bash(app: &App) -> anyhow::Result<String> {
    let name = own_name(app);
    let without_dash = name.replace('-', "_");
    let script = script(Shell::Bash, app, without_dash.clone())?;
    Ok(script.replace(&format!(" -o default {without_dash}\n"), &format!(" -o default {name}\n")))
}
